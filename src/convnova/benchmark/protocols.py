"""Protocols by name: what is trained on, what is chosen on, and what is read once.

sound      validation drawn from train by seed, the model chosen on it, test read once    (Caduceus)
gue        the published train, dev and test; the model chosen on dev, test read once       (DNABERT-2)
frozen     mean-pooled frozen embeddings and a linear classifier, chosen as in sound; AUROC
released   the test part serves as validation, as in the released code: for its numbers only
"""

from dataclasses import dataclass, replace
from typing import Literal

from convnova.errors import InputError
from convnova.training.finetune_settings import FinetuneSettings

ProtocolName = Literal["sound", "gue", "frozen", "released"]


@dataclass(frozen=True)
class Protocol:
    """How a score comes about; written into every result."""

    name: ProtocolName
    sentence: str
    """What a reader of the score must know."""
    chooses_on_test: bool = False
    """Whether the model is chosen on the part that it is then scored on."""
    metric: str | None = None
    """Score that is reported; None is the task's own."""

    def training(self, wanted: FinetuneSettings, seed: int) -> FinetuneSettings:
        """Return the settings of one seed under this protocol."""
        settings = replace(wanted, seed=seed)
        if self.name == "frozen":
            return replace(settings, method="logistic-regression", selection="auroc")
        if self.name == "released":
            return replace(
                settings,
                augmentation=replace(wanted.augmentation, reverse_complement=False),
                average_strands=False,
                weight_averaging=0.0,
                optimizer=replace(wanted.optimizer, decay_protocol="released"),
                patience=None,
            )
        return settings


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("sound", "validation drawn from train by seed, model chosen on validation, test read once"),
        Protocol("gue", "published train, dev and test, model chosen on dev, test read once"),
        Protocol(
            "frozen",
            "frozen mean-pooled embeddings and logistic regression, chosen on validation, test read once",
            metric="auroc",
        ),
        Protocol(
            "released",
            "as the released code: model chosen on test, which flatters it; neither strand augmentation nor "
            "averaging",
            chooses_on_test=True,
        ),
    )
}

SUITE_DEFAULTS: dict[str, tuple[ProtocolName, int]] = {
    "nt": ("sound", 10),
    "nt-revised": ("sound", 10),
    "genomic-benchmarks": ("sound", 5),
    "gue": ("gue", 3),
}
"""Protocol and number of seeds that the field uses for a suite; others: sound, 3."""

PUBLISHED_GRID = tuple((rate, batch) for rate in (1e-3, 2e-3) for batch in (128, 512))
"""Learning rates and batch sizes that Caduceus and ConvNova search, on validation."""


def protocol_of(name: str, suite: str) -> Protocol:
    """Return a protocol by name; ``auto`` is what the field uses for the suite.

    Raises:
        InputError: for an unknown name.
    """
    chosen = SUITE_DEFAULTS.get(suite, ("sound", 3))[0] if name == "auto" else name
    if chosen not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; choose auto, {', '.join(PROTOCOLS)}")
    return PROTOCOLS[chosen]
