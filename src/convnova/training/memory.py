"""Whether a training step fits into memory, before it takes the machine down."""

import psutil
import torch

from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig

STEP_BYTES = 30
"""That a step keeps for each base, channel and block: 58 in fp32 (docs/performance.md, Length), about half in
bf16. The lower one, so that what is refused would really not fit."""


def check_memory(config: ConvNovaConfig, batch: int, length_bp: int, advice: str) -> None:
    """Check that a training step fits, on a CPU; a GPU says so itself.

    Args:
        config: of the network.
        batch: sequences in a pass.
        length_bp: of each, padding included.
        advice: what to do where it does not fit.

    Raises:
        InputError: when it needs more than the memory that is free.
    """
    if torch.cuda.is_available():
        return
    needed = STEP_BYTES * length_bp * batch * config.hidden_size * len(config.dilations)
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"a batch of {batch} sequences of {length_bp:,} bp needs {needed / 1e9:,.0f} GB or more, and "
            f"{free / 1e9:,.0f} GB are free; {advice}"
        )
