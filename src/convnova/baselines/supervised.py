"""What the systems share that read sequences of one length, and have no output for each base.

Differences of all of them from their originals: N and padding are zero in all four channels; an LSTM has one
bias, as in Keras, the other one being held at zero; weights are not constrained, and regularised by the
optimiser alone.

B batch, L length in bp, C channels.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnova.baselines.backbone import Backbone, BaselineConfig, check_length
from convnova.errors import InputError
from convnova.sequence import N


class SupervisedConfig(BaselineConfig):
    """What the configurations of these systems share.

    Raises:
        InputError: for a length of which nothing is left after pooling.
    """

    shortest_bp: ClassVar[int]
    """Shortest input of which a position is left."""

    input_bp: int = 1000

    def __post_init__(self, **kwargs: Any) -> None:
        if self.input_bp < self.shortest_bp:
            raise InputError(
                f"input_bp {self.input_bp} is too short for {self.model_type}; "
                f"give {self.shortest_bp} or more"
            )
        super().__post_init__(**kwargs)

    @property
    def max_length_bp(self) -> int | None:
        """The one length that is read; shorter sequences are padded."""
        return self.input_bp

    @property
    def pooled_size(self) -> int:
        """Channels of the last layer, which has read all positions: no pooling is left to choose."""
        return self.hidden_size


class SupervisedModel(Backbone):
    """A system that reads all bases of a sequence of one length."""

    config: SupervisedConfig

    def one_hot(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return the input of the first convolution, (B, 4, `config.input_bp`).

        Raises:
            InputError: for longer sequences.
        """
        check_length(self.config, input_ids.shape[1])
        if attention_mask is not None:
            input_ids = torch.where(attention_mask.bool(), input_ids, N)
        bases = F.one_hot(input_ids, N + 1)[..., :N].to(self.dtype).transpose(1, 2)
        return F.pad(bases, (0, self.config.input_bp - bases.shape[-1]))


def lstm(size: int, channels: int) -> nn.LSTM:
    """Return a bidirectional LSTM with one bias."""
    module = nn.LSTM(size, channels, batch_first=True, bidirectional=True)
    for name, parameter in module.named_parameters():
        if name.startswith("bias_ih"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    return module
