"""Protocols by name: what is trained on, what is chosen on, and what is read once.

sound      validation drawn from train by seed, the model chosen on it, test read once    (Caduceus)
gue        the published train, dev and test; the model chosen on dev, test read once       (DNABERT-2)
frozen     frozen mean-pooled embeddings and logistic regression, chosen on validation; AUROC
released   the test part serves as validation, as in the released code: for its numbers only
"""

from dataclasses import dataclass, replace
from typing import Literal

from convnova.data.catalogue import Task
from convnova.errors import InputError
from convnova.precision import resolve_precision
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.record import flat, plain

ProtocolName = Literal["sound", "gue", "frozen", "released"]


@dataclass(frozen=True)
class Protocol:
    """How a score comes about; written into every result."""

    name: ProtocolName
    sentence: str
    """What a reader of the score must know."""
    has_published_validation: bool | None = None
    """Whether the suite must publish a validation part, or must not; None takes either."""
    chooses_on_test: bool = False
    """Whether the model is chosen on the part that it is then scored on."""
    metric: str | None = None
    """Score that is reported; None is the task's own."""

    def check(self, task: Task) -> None:
        """Check that a task can be run under this protocol.

        Raises:
            InputError: when it publishes a validation part that the protocol would not use, or lacks one.
        """
        has_validation = "validation" in task.splits
        if self.has_published_validation in (None, has_validation):
            return
        what = "publishes its validation part" if has_validation else "publishes no validation part"
        raise InputError(
            f"protocol {self.name}: {task} {what}; choose protocol {'gue' if has_validation else 'sound'}, "
            "or auto"
        )

    def training(self, wanted: FinetuneSettings, suite: str, seed: int) -> FinetuneSettings:
        """Return the settings of one seed under this protocol; `wanted` fills what it leaves open."""
        if self.name == "frozen":
            return replace(wanted, seed=seed, method="logistic-regression", selection="auroc")
        if self.name == "released":
            published, default = released_training(suite), FinetuneSettings()
            return replace(
                wanted,
                seed=seed,
                augmentation=replace(wanted.augmentation, reverse_complement=False),
                average_strands=False,
                weight_averaging=0.0,
                optimizer=replace(wanted.optimizer, decay_protocol="released"),
                patience=None,
                # Those that were not changed; fp16 needs a GPU.
                **{
                    name: getattr(published, name)
                    for name in ("epochs", "batch_sequences", "precision")
                    if getattr(wanted, name) == getattr(default, name) and getattr(published, name) != "fp16"
                },
            )
        return replace(wanted, seed=seed)

    def departures(self, training: FinetuneSettings, suite: str) -> list[str]:
        """Return in which settings a run departs from what the protocol's name promises, a sentence each."""
        if self.name != "released":
            return []
        if suite not in RELEASED_TRAINING:
            return ["the released code has no settings for this suite"]
        published, now = flat(plain(released_training(suite))), flat(plain(training))
        now["precision"] = resolve_precision(training.precision)
        return [
            f"{name} is {now[name]}, released {published[name]}"
            for name in now
            if name not in ("seed", "selection", "evaluations_per_epoch") and now[name] != published[name]
        ]


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "sound",
            "validation drawn from train by seed, early stopping (the best epoch on validation is kept), "
            "test read once",
            has_published_validation=False,
        ),
        Protocol(
            "gue",
            "published train, dev and test, model chosen on dev, test read once",
            has_published_validation=True,
        ),
        Protocol(
            "frozen",
            "frozen mean-pooled embeddings and logistic regression, chosen on validation, test read once",
            metric="auroc",
        ),
        Protocol(
            "released",
            "as the released code: model chosen on test, which flatters it; trained on all of train, neither "
            "strand augmentation nor averaging",
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

RELEASED_TRAINING: dict[str, tuple[int, int, Literal["fp32", "fp16"]]] = {
    "nt": (20, 256, "fp32"),
    "genomic-benchmarks": (10, 128, "fp16"),
}
"""Epochs, sequences in a step (128 on each of 2 GPUs, 32 on each of 4) and precision of the released code.

Source: the configurations of github.com/aim-uofa/ConvNova, commit c606027.
"""

PUBLISHED_GRID = tuple((rate, batch) for rate in (1e-3, 2e-3) for batch in (128, 512))
"""Learning rates and batch sizes that Caduceus and ConvNova search, on validation."""


def released_training(suite: str) -> FinetuneSettings:
    """Return the training of the released code for a suite; where it has none, with our batch and epochs."""
    settings = FinetuneSettings()
    settings = replace(
        settings,
        augmentation=replace(settings.augmentation, reverse_complement=False),
        average_strands=False,
        weight_averaging=0.0,
        optimizer=replace(settings.optimizer, decay_protocol="released"),
    )
    if suite not in RELEASED_TRAINING:
        return settings
    epochs, batch, precision = RELEASED_TRAINING[suite]
    return replace(settings, epochs=epochs, batch_sequences=batch, precision=precision)


def protocol_of(name: str, suite: str) -> Protocol:
    """Return a protocol by name; ``auto`` is what the field uses for the suite.

    Raises:
        InputError: for an unknown name.
    """
    chosen = SUITE_DEFAULTS.get(suite, ("sound", 3))[0] if name == "auto" else name
    if chosen not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; choose auto, {', '.join(PROTOCOLS)}")
    return PROTOCOLS[chosen]
