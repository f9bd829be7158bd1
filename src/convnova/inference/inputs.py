"""What a model is given of some sequences: the one place where they become tensors.

B batch, L length in bp.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.data.labelled import pad
from convnova.sequence import Ids

Item = TypeVar("Item")


def model_inputs(model: Any, sequences: Sequence[Ids]) -> dict[str, Tensor]:
    """Return ids of sequences, padded on the right (B, L), and their mask where there is padding."""
    ids, mask = pad(sequences)
    inputs = {"input_ids": ids_tensor(model, ids)}
    return inputs if mask.all() else inputs | {"attention_mask": torch.from_numpy(mask).to(model.device)}


def ids_tensor(model: Any, ids: NDArray[np.uint8]) -> Tensor:
    """Return ids of any shape where the model is."""
    tensor = torch.from_numpy(np.ascontiguousarray(ids))
    if model.device.type == "cuda":  # from pinned memory it is copied while the GPU goes on computing
        tensor = tensor.pin_memory()
    return tensor.to(model.device, non_blocking=True).long()


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, each made by a thread while the one before it is used."""
    waiting = iter(items)
    end: Any = object()
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(next, waiting, end)
        while (item := made.result()) is not end:
            made = thread.submit(next, waiting, end)
            yield item
