"""Choosing on validation: the looks at it during a run, and the weights of the best one."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback

from convnova.evaluation.scores import goodness
from convnova.training.averaging import WeightAverage
from convnova.training.optimization import ScheduledTrainer

STATE_NAME = "choice.pt"


class Evaluation(NamedTuple):
    """One look at the validation part during training."""

    epoch: float
    training_loss: float
    """Mean since the evaluation before, as it was minimised: of values on their common scale."""
    scores: dict[str, float]
    """By metric; `loss` is the cross-entropy in nats (per sequence and label, or per base), or the mean
    squared error."""


class Choice:
    """What was seen on validation, and in memory the weights that did best: by score, then by loss."""

    def __init__(self, selection: str):
        """Take the name of the score to choose by."""
        self.selection = selection
        self.evaluations: list[Evaluation] = []
        self.best: Evaluation | None = None
        self.weights: dict[str, torch.Tensor] = {}

    def add(self, evaluation: Evaluation, model: Any) -> None:
        """Note a look, and copy the model's weights if none was better."""
        self.evaluations.append(evaluation)
        if self.best is None or self._order(evaluation) > self._order(self.best):
            self.best = evaluation
            state = model.state_dict()
            self.weights = {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}

    @property
    def best_value(self) -> float:
        """How good the best weights so far are; the higher the better."""
        assert self.best is not None
        return self.value(self.best)

    @property
    def looks_since_best(self) -> int:
        """How many looks have passed without a better score; an equal one is none."""
        values = [self.value(one) for one in self.evaluations]
        return len(values) - 1 - values.index(max(values))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold."""
        looks = [[one.epoch, one.training_loss, one.scores] for one in self.evaluations]
        best = None if self.best is None else self.evaluations.index(self.best)
        return {"evaluations": looks, "best": best, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.evaluations = [Evaluation(*look) for look in state["evaluations"]]
        self.best = None if state["best"] is None else self.evaluations[state["best"]]
        self.weights = state["weights"]

    def value(self, evaluation: Evaluation) -> float:
        """Return how good a look is; the higher the better."""
        return goodness(self.selection, evaluation.scores)

    def _order(self, evaluation: Evaluation) -> tuple[float, float]:
        return self.value(evaluation), -evaluation.scores["loss"]


class ChoosingTrainer(ScheduledTrainer):
    """A Trainer that looks at averaged weights on validation, and keeps the best of them in memory.

    `averaging` is the decay of the average, 0 for none; `patience` is after how many looks without a better
    score training ends, None for never. Checkpoints hold the averaged weights and the best ones so far too.
    """

    control: Any

    def __init__(self, *args: Any, selection: str, averaging: float, patience: int | None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.choice, self.patience = Choice(selection), patience
        self.average = WeightAverage(averaging) if averaging else None
        self.add_callback(_EvaluateAtTheEnd())
        if self.average is not None:
            self.add_callback(self.average)

    def scores_now(self) -> dict[str, float]:
        """Return the scores on validation of the weights that are in the model."""
        raise NotImplementedError

    @property
    def epoch(self) -> float:
        """How many passes over the training part were made."""
        return self.state.epoch or 0.0

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the validation part, and keep the weights if they are the best so far."""
        with self.average.applied() if self.average else nullcontext():
            scores = self.scores_now()
            self.choice.add(Evaluation(self.epoch, last_loss(self.state), scores), self.model)
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


class _EvaluateAtTheEnd(TrainerCallback):
    """The last step is looked at too, also where it ends no whole interval between two looks."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for it."""
        if state.global_step >= state.max_steps:
            control.should_log = control.should_evaluate = True


def last_loss(state: Any) -> float:
    """Return the training loss that a Trainer logged last, NaN before the first."""
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    return losses[-1] if losses else float("nan")
