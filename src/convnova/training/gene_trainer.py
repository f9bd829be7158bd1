"""The Trainer of gene finding: it scores averaged weights on whole held-out regions and keeps the best."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from convnova.data.base_labels import LabelSet
from convnova.data.base_windows import LabelledBases
from convnova.inference.score_bases import score_bases
from convnova.training.averaging import WeightAverage
from convnova.training.choice import Choice, EvaluateAtTheEnd, Evaluation, last_loss
from convnova.training.trainer import GenomeTrainer

STATE_NAME = "choice.pt"


class GeneTrainer(GenomeTrainer):
    """A Trainer for `BaseWindows`; checkpoints hold the averaged weights and the best ones so far too."""

    def __init__(
        self,
        *args: Any,
        validation: LabelledBases,
        label_set: LabelSet,
        selection: str,
        weight_averaging: float,
        patience: int | None,
        both_strands: bool,
        **kwargs: Any,
    ):
        super().__init__(*args, eval_dataset=validation, **kwargs)
        self.validation, self.label_set, self.both_strands = validation, label_set, both_strands
        self.choice, self.patience = Choice(selection), patience
        self.average = WeightAverage(weight_averaging) if weight_averaging else None
        self.add_callback(EvaluateAtTheEnd())
        if self.average is not None:
            self.add_callback(self.average)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the validation part, and keep the weights if they are the best so far."""
        with self.average.applied() if self.average else nullcontext():
            scores = score_bases(self.model, self.validation, self.label_set, self.both_strands).scores
            self.choice.add(Evaluation(self._epoch(), last_loss(self.state), scores), self.model)
        metrics = {f"eval_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        if self.patience and self.choice.looks_since_best >= self.patience:
            self.control.should_training_stop = True
        return metrics

    def save_more(self, checkpoint: Path) -> None:
        """Write the averaged weights and the best ones so far into a checkpoint."""
        average = self.average.state() if self.average else None
        torch.save({"choice": self.choice.state(), "average": average}, checkpoint / STATE_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = torch.load(Path(resume_from_checkpoint) / STATE_NAME, map_location="cpu", weights_only=True)
        self.choice.restore(state["choice"])
        if self.average is not None:
            self.average.restore(state["average"])

    def _epoch(self) -> float:
        """Return how many passes over the windows were made; the Trainer counts the whole run as one."""
        return self.train_dataset.epochs * self.state.global_step / max(self.state.max_steps, 1)
