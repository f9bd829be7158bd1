"""The networks that are compared: pretrained and from scratch, with all annotated starts and with few."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from convnova.baselines.architectures import any_config
from convnova.data.labelled import LabelledSequences
from convnova.demo.settings import DemoSettings
from convnova.demo.splits import few_sequences
from convnova.demo.steps import Steps, checksum
from convnova.demo.task import StartCodons
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.training.checkpoints import write_model
from convnova.training.finetune import Evaluation, finetune
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.weights import WEIGHTS_NAME

PRETRAINED, SCRATCH = "ConvNova, pretrained", "ConvNova, from scratch"


class Arm(NamedTuple):
    """One of the networks that are compared."""

    folder: str
    is_pretrained: bool
    starts: int | None
    """Annotated starts that it learns from; None is all."""


class Trained(NamedTuple):
    """The networks after fine-tuning."""

    key: dict[str, Any]
    """All that made them, for the stages that use them."""
    evaluations: dict[str, list[Evaluation]]
    """On the validation chromosome, by network."""
    weights: str
    """What was loaded from the pretrained model."""


def arms(settings: DemoSettings) -> dict[str, Arm]:
    """Return the networks that are compared, by name."""
    few = settings.few_starts
    return {
        PRETRAINED: Arm("start_codons", True, None),
        SCRATCH: Arm("start_codons_from_scratch", False, None),
        f"{PRETRAINED}, {few} starts": Arm("few_starts", True, few),
        f"{SCRATCH}, {few} starts": Arm("few_starts_from_scratch", False, few),
    }


def load(settings: DemoSettings, arm: Arm) -> ConvNovaForSequenceClassification:
    """Return a network after fine-tuning."""
    return ConvNovaForSequenceClassification.from_pretrained(settings.output / arm.folder).eval()


def finetune_all(
    settings: DemoSettings, pretrained: Path, splits: dict[str, StartCodons], steps: Steps
) -> Trained:
    """Fine-tune the pretrained network and train its twin from scratch, with all starts and with few."""
    origin = {
        "flank_bp": settings.flank_bp,
        "decoys": [settings.decoys_per_start, settings.seed],
        "annotation": checksum(settings.annotation),
        "pretrained": checksum(pretrained / WEIGHTS_NAME),
    }
    keys, evaluations, weights = {}, {}, ""
    selection = settings.finetuning.selection or "mcc"
    for name, arm in arms(settings).items():
        train, finetuning = _lesson(settings, arm, splits["train"])
        steps.console.print(f"[bold]{name}[/bold]: {len(train):,} windows, {finetuning.epochs} epochs")
        keys[name] = origin | {"finetuning": asdict(finetuning), "starts": arm.starts}

        def run(arm: Arm = arm, train: LabelledSequences = train, s: FinetuneSettings = finetuning) -> Any:
            config = any_config(pretrained, num_labels=2, pooling="center")
            source, place = pretrained if arm.is_pretrained else None, settings.output / arm.folder
            made = finetune(source, config, train, splits["validation"].sequences, s, steps.console)
            write_model(made.model, place)
            rows = [evaluation._asdict() for evaluation in made.evaluations]
            return {"weights": str(made.weights), "evaluations": rows}

        kept = settings.output / f"{arm.folder}.json"
        value = steps.stage(f"fine-tuning: {name}", kept, keys[name], run)
        curve = evaluations[name] = [Evaluation(**row) for row in value["evaluations"]]
        if arm.is_pretrained and not weights:
            weights = value["weights"]
            steps.console.print(f"  {weights}")
        best = max(curve, key=lambda evaluation: evaluation.scores[selection])
        steps.console.print(f"  chosen: epoch {best.epoch:.1f}, validation AUROC {best.scores['auroc']:.4f}")
    return Trained(keys, evaluations, weights)


def _lesson(
    settings: DemoSettings, arm: Arm, train: StartCodons
) -> tuple[LabelledSequences, FinetuneSettings]:
    """Return what a network learns from, and how."""
    if arm.starts is None:
        return train.sequences, settings.finetuning
    few = replace(settings.finetuning, epochs=settings.few_epochs, evaluations_per_epoch=1)
    return few_sequences(train, settings), few
