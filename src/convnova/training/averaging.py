"""Averaged weights: a moving average of a model's parameters, which generalises better than the last of them.

Source: Polyak and Juditsky 1992; the warm-up of the decay is that of TensorFlow's ExponentialMovingAverage.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback


class WeightAverage(TrainerCallback):
    """The exponential moving average of a model's parameters, updated after each training step."""

    def __init__(self, decay: float):
        self.decay, self.updates = decay, 0
        self.parameters: list[torch.Tensor] = []
        self.average: list[torch.Tensor] = []
        self._saved: dict[str, Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
        """Begin at the model's own parameters, or where a checkpoint was."""
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self._saved is None:
            self.updates = 0
            self.average = [parameter.detach().clone() for parameter in self.parameters]
        else:
            self.updates = self._saved["updates"]
            average = zip(self._saved["average"], self.parameters, strict=True)
            self.average = [value.to(parameter.device) for value, parameter in average]
            self._saved = None

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold."""
        return {"updates": self.updates, "average": self.average}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, in the training that begins next, from what `state` gave."""
        self._saved = state

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the average towards the parameters; in the first steps faster, to forget the random start."""
        self.updates += 1
        decay = min(self.decay, self.updates / (9 + self.updates))
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model; its own parameters come back afterwards."""
        own = [parameter.detach().clone() for parameter in self.parameters]
        _copy(self.average, self.parameters)
        try:
            yield
        finally:
            _copy(own, self.parameters)


@torch.no_grad()
def _copy(values: list[torch.Tensor], parameters: list[torch.Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
