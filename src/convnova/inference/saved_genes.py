"""What a gene finder's folder says of its labels, beside the model itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from convnova.data.base_labels import LABEL_SETS, LabelSet
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.inference.genes.grammar import DecoderSettings
from convnova.inference.saved_task import load_strictly, read_record
from convnova.model.modeling_convnova import ConvNovaForTokenClassification

GENE_FINDING = "gene-finding"
COSTS = ("gene_score", "intron_score", "content_weight")
"""Settings of a decoder that are chosen on validation."""


@dataclass(frozen=True)
class SavedGeneFinder:
    """What the outputs of a gene finder mean, and how predictions are made."""

    label_set: str
    """Name of the labels, a key of `LABEL_SETS`."""
    has_coding_exons: bool
    """Whether exons are coding ones, so that genes have a reading frame."""
    metric: str
    """The score that the model was chosen by."""
    average_strands: bool
    """Whether a prediction is the mean of those for both strands."""

    seen: dict[str, str] = field(default_factory=dict)
    """Chromosomes that were trained or chosen on, whole or in part, by their checksums."""
    gene_score: float | None = None
    """Nats added for each gene that is decoded, chosen on validation; None where nothing was."""
    intron_score: float | None = None
    """Nats added for each intron."""
    content_weight: float | None = None
    """Weight of bases that are no splice site."""

    def with_costs(self, settings: DecoderSettings) -> "SavedGeneFinder":
        """Return it with the costs that were chosen."""
        return replace(self, **{name: getattr(settings, name) for name in COSTS})

    def decoder(self, settings: DecoderSettings) -> DecoderSettings:
        """Return the settings of a decoder, with the costs that were chosen where none are given."""
        open_ = [name for name in COSTS if getattr(settings, name) is None]
        return replace(settings, **{name: getattr(self, name) for name in open_})

    def seen_of(self, genome: Genome, chromosomes: Iterable[str]) -> list[str]:
        """Return which chromosomes of a genome were trained or chosen on."""
        return [name for name in chromosomes if genome.chromosome_checksum(name) in self.seen]

    @property
    def labels(self) -> LabelSet:
        """Return the labels themselves."""
        return LABEL_SETS[self.label_set]

    def to_dict(self) -> dict[str, Any]:
        """Return what `task.json` holds."""
        return {"task": GENE_FINDING} | vars(self)


class GeneFinder(NamedTuple):
    """A model that labels each base, and what its labels mean."""

    model: ConvNovaForTokenClassification
    saved: SavedGeneFinder


def load_gene_finder(folder: Path) -> GeneFinder:
    """Return the gene finder that `convnova finetune --task gene-finding` wrote.

    Raises:
        InputError: when the folder holds none.
    """
    content = read_record(folder, GENE_FINDING, "annotate")
    try:
        saved = SavedGeneFinder(**content)
        labels = saved.labels.labels
    except (KeyError, TypeError):
        raise InputError(f"{folder}: task.json cannot be read as a gene finder's; fine-tune again") from None
    return GeneFinder(load_strictly(folder, len(labels), ConvNovaForTokenClassification), saved)
