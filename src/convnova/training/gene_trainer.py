"""The Trainer of gene finding: it scores averaged weights on whole held-out regions and keeps the best."""

from pathlib import Path
from typing import Any

import torch

from convnova.data.base_labels import LabelSet
from convnova.data.base_windows import LabelledBases
from convnova.inference.score_bases import score_bases
from convnova.training.choice import ChoosingTrainer
from convnova.training.trainer import GenomeTrainer

STATE_NAME = "choice.pt"


class GeneTrainer(ChoosingTrainer, GenomeTrainer):
    """A Trainer for `BaseWindows`; checkpoints hold the averaged weights and the best ones so far too."""

    def __init__(
        self,
        *args: Any,
        validation: LabelledBases,
        label_set: LabelSet,
        both_strands: bool,
        **kwargs: Any,
    ):
        super().__init__(*args, eval_dataset=validation, **kwargs)
        self.validation, self.label_set, self.both_strands = validation, label_set, both_strands

    def scores_now(self) -> dict[str, float]:
        """Return the scores on validation, by name."""
        return score_bases(self.model, self.validation, self.label_set, self.both_strands).scores

    @property
    def epoch(self) -> float:
        """How many passes over the windows were made; the Trainer counts the whole run as one."""
        return self.train_dataset.epochs * self.state.global_step / max(self.state.max_steps, 1)

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
