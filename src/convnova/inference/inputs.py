"""What a model is given of some sequences: the one place where they become tensors.

B batch, L length in bp.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.data.labelled import pad
from convnova.sequence import Ids


def model_inputs(model: Any, sequences: Sequence[Ids]) -> dict[str, Tensor]:
    """Return ids of sequences, padded on the right (B, L), and their mask where there is padding."""
    ids, mask = pad(sequences)
    inputs = {"input_ids": ids_tensor(model, ids)}
    return inputs if mask.all() else inputs | {"attention_mask": torch.from_numpy(mask).to(model.device)}


def ids_tensor(model: Any, ids: NDArray[np.uint8]) -> Tensor:
    """Return ids of any shape where the model is."""
    return torch.from_numpy(np.ascontiguousarray(ids)).to(model.device).long()
