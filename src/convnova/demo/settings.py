"""Settings of the demo; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from convnova.data.augmentation import AugmentationSettings
from convnova.training.finetune_settings import FinetuneSettings

HERE = Path(__file__).parent


def _finetune_settings() -> FinetuneSettings:
    # Batches of 16: AUROC 0.943 on chrV at best in 2 epochs, where batches of 64 reach 0.930.
    # A start codon is read on one strand, and eight looks in so short a run need no averaged weights.
    return FinetuneSettings(
        epochs=2,
        batch_sequences=16,
        evaluations_per_epoch=4,
        selection="auroc",
        augmentation=AugmentationSettings(reverse_complement=False),
        average_strands=False,
        weight_averaging=0.0,
    )


@dataclass(frozen=True)
class DemoSettings:
    """The demo; without any flag it runs on the yeast chromosomes that ship with the package."""

    output: Path = Path("demo")
    """Folder for the report, the figures, the models and what a second run reuses."""
    genome: Path = HERE / "data" / "yeast.fa.gz"
    """Genome as FASTA."""
    annotation: Path = HERE / "data" / "yeast.gff3.gz"
    """Its genes as GFF3."""
    recipe: Path = HERE / "recipe.yaml"
    """Settings of the pretraining run, which also name the held-out chromosomes."""
    finetuning: FinetuneSettings = field(default_factory=_finetune_settings)
    """How the classifiers are trained, with pretraining and without."""
    flank_bp: int = 156
    """Bases on each side of the A of an ATG."""
    decoys_per_start: int = 1
    """Other ATGs for each annotated start."""
    few_starts: int = 300
    """Annotated starts in a second comparison, as when only few are known."""
    few_epochs: int = 5
    """Epochs on those few."""
    mutated_starts: int = 8
    """Test sequences over which the effects of substitutions are counted."""
    seed: int = 0
    """Of the decoys; the two trainings have their own."""
