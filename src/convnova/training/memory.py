"""Whether a training step fits into memory, before it takes the machine down."""

import psutil
import torch

from convnova.data.labelled import Sequences
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig

STEP_BYTES = 30
"""That a step keeps for each base, channel and block: 58 in fp32 (docs/performance.md, Length), about half in
bf16. The lower one, so that what is refused would really not fit."""


def check_memory(config: ConvNovaConfig, sequences: Sequences, batch_sequences: int) -> None:
    """Check that a batch padded to the longest sequence fits, on a CPU; a GPU says so itself.

    Raises:
        InputError: when it needs more than the memory that is free.
    """
    if torch.cuda.is_available():
        return
    longest, batch = int(sequences.lengths.max()), min(batch_sequences, len(sequences))
    needed = STEP_BYTES * longest * batch * config.hidden_size * len(config.dilations)
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"a batch of {batch} sequences padded to the longest one, {longest:,} bp, needs "
            f"{needed / 1e9:,.0f} GB or more, and {free / 1e9:,.0f} GB are free; crop what is too long "
            "(max_length_bp and too_long), or lower batch_sequences"
        )
