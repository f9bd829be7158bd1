"""The Trainer of gene finding: it scores averaged weights on whole held-out regions and keeps the best."""

from typing import Any

from convnova.data.base_labels import LabelSet
from convnova.data.base_windows import LabelledBases
from convnova.inference.score_bases import score_bases
from convnova.training.choice import ChoosingTrainer
from convnova.training.trainer import GenomeTrainer


class GeneTrainer(ChoosingTrainer, GenomeTrainer):
    """A Trainer for `BaseWindows`."""

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
