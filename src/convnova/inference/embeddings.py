"""Embeddings of sequences, of windows of them, or of each base, from a chosen layer of any model.

Sequences are batched by length, so that little is padding; what is read of a sequence does not depend on what
it is batched with. Sequences of any length are read in tiles where the model has a finite receptive field.

n sequences, B batch, L length in bp, W windows of a sequence, C channels.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convnova.baselines.backbone import TokenBackbone
from convnova.data.labelled import Sequences
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.evaluation.mode import evaluating
from convnova.inference.inputs import model_inputs
from convnova.inference.mutagenesis import is_incremental
from convnova.inference.predict import bases_at_once, batches_by_length
from convnova.inference.tiles import with_halo
from convnova.sequence import Ids, encode, reverse_complement

Level = Literal["sequence", "window", "base"]
TILE_BP = 2**16
"""Bases from which on a sequence is read in tiles of so many."""


class Reading(NamedTuple):
    """What is read of each sequence."""

    level: Level = "sequence"
    """Mean over all bases; mean over each window; or each base."""
    window_bp: int = 128
    """Of windows side by side from the begin of a sequence; the last one is shorter."""
    layer: int | None = None
    """0 for the stem, 1 for the first block and so on; None for what the heads read."""
    both_strands: bool = False
    """Whether to average with the reverse complement, base by base."""


def embed(
    model: Any,
    sequences: Sequences | Sequence[str],
    reading: Reading | None = None,
    batch_bases: int | None = None,
) -> list[NDArray[np.float32]] | NDArray[np.float32]:
    """Return the embeddings of sequences: (n, C), or of windows or bases a list of (W, C) or (L, C).

    Args:
        model: any model of the package; its mode is restored.
        sequences: letters, or ids of each.
        reading: what is read; default the mean over all bases.
        batch_bases: most bases of a batch, padding included; it changes no result, only memory and time.

    Raises:
        InputError: for an empty sequence, a layer that the model has not, or bases of a model that has no
            vector for each.
    """
    if isinstance(sequences, str):
        raise InputError("embed takes several sequences; put a single one into a list")
    reading = reading or Reading()
    check_reading(model, reading)
    if not len(sequences) or isinstance(sequences[0], str):
        sequences = pack([encode(str(one)) for one in sequences])
    if (sequences.lengths == 0).any():  # type: ignore[union-attr]
        raise InputError("a sequence is empty; embed takes sequences of one base and more")
    found: list[Any] = [None] * len(sequences)
    with evaluating(model), torch.inference_mode():
        for rows in batches_by_length(sequences.lengths, batch_bases or bases_at_once(model)):  # type: ignore[union-attr]
            some = [sequences[int(row)] for row in rows]
            for row, values in zip(rows, _of_batch(model, some, reading), strict=True):  # type: ignore[arg-type]
                found[row] = values
    if reading.level != "sequence":
        return found
    return np.concatenate(found) if found else np.empty((0, channels(model)), dtype=np.float32)


def check_reading(model: Any, reading: Reading) -> None:
    """Check that a model has what is to be read of it.

    Raises:
        InputError: when it has not.
    """
    if reading.window_bp < 1:
        raise InputError(f"window_bp must be at least 1, got {reading.window_bp}")
    if not _has_bases(model) and (reading.level != "sequence" or reading.layer is not None):
        raise InputError(
            f"{model.config.model_type} has a vector of each sequence alone; leave out level and layer"
        )
    if reading.layer is None:
        return
    if not is_incremental(model):
        raise InputError(f"layers are of ConvNova without downsampling, not of {model.config.model_type}")
    if not 0 <= reading.layer <= (last := len(model.config.dilations)):
        raise InputError(f"the model has layers 0 (its stem) to {last}, and no {reading.layer}")


def channels(model: Any) -> int:
    """Return the numbers of an embedding."""
    return model.config.hidden_size if _has_bases(model) else model.config.pooled_size


def _has_bases(model: Any) -> bool:
    return hasattr(model, "convnova") or isinstance(model.backbone, TokenBackbone)


def _of_batch(model: Any, sequences: Sequence[Ids], reading: Reading) -> Iterator[NDArray[np.float32]]:
    """Yield what is read of each sequence, (1, C), (W, C) or (L, C)."""
    if not _has_bases(model):
        values = model.embed(**model_inputs(model, sequences)).float()
        if reading.both_strands:
            turned = [reverse_complement(one) for one in sequences]
            values = (values + model.embed(**model_inputs(model, turned)).float()) / 2
        yield from values.cpu().numpy()[:, None]
    elif len(sequences) == 1 and is_tiled(model, len(sequences[0])):
        yield _of_long(model, sequences[0], reading)
    else:
        hidden = _hidden(model, sequences, reading)
        for row, one in enumerate(sequences):
            yield _summed_up(hidden[row, : len(one)], reading).cpu().numpy()


def is_tiled(model: Any, length: int) -> bool:
    """Whether a sequence of a length is read in tiles."""
    return length > TILE_BP and _has_bases(model) and is_incremental(model)


def embed_tiles(
    model: Any, ids: Ids, reading: Reading
) -> Iterator[tuple[int, Callable[[], NDArray[np.float32]]]]:
    """Yield how many windows or bases each tile of a long sequence has, and what makes their vectors."""
    width = reading.window_bp if reading.level == "window" else 1

    def of_tile(start: int, end: int) -> NDArray[np.float32]:
        with evaluating(model), torch.inference_mode():
            return _summed_up(_of_tile(model, ids, reading, start, end), reading).cpu().numpy()

    for start, end in _tiles(len(ids), reading):
        yield -(-(end - start) // width), partial(of_tile, start, end)


def _tiles(length: int, reading: Reading) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the tiles of a long sequence, each of whole windows."""
    width = reading.window_bp if reading.level == "window" else 1
    step = max(1, TILE_BP // width) * width
    for start in range(0, length, step):
        yield start, min(start + step, length)


def _of_tile(model: Any, ids: Ids, reading: Reading, start: int, end: int) -> Tensor:
    """Return the vectors of the bases of a tile, (L, C), which is read with what lies around it in reach."""
    first, last, kept = with_halo(start, end, model.config.receptive_field // 2, len(ids))
    return _hidden(model, [ids[first:last]], reading)[0, kept]


def _of_long(model: Any, ids: Ids, reading: Reading) -> NDArray[np.float32]:
    """Return what is read of a long sequence, tile by tile."""
    if reading.level != "sequence":
        return np.concatenate([make() for _, make in embed_tiles(model, ids, reading)])
    tiles = (_of_tile(model, ids, reading, start, end) for start, end in _tiles(len(ids), reading))
    total = sum(hidden.double().sum(0, keepdim=True) for hidden in tiles)
    return (total / len(ids)).float().cpu().numpy()  # type: ignore[union-attr]


def _hidden(model: Any, sequences: Sequence[Ids], reading: Reading) -> Tensor:
    """Return the vectors of all bases, (B, L, C); anything at padding."""
    hidden = _one_strand(model, sequences, reading.layer)
    if not reading.both_strands:
        return hidden
    other = _one_strand(model, [reverse_complement(one) for one in sequences], reading.layer)
    for row, one in enumerate(sequences):
        hidden[row, : len(one)] += other[row, : len(one)].flip(0)
    return hidden / 2


def _one_strand(model: Any, sequences: Sequence[Ids], layer: int | None) -> Tensor:
    inputs = model_inputs(model, sequences)
    backbone = model.convnova if hasattr(model, "convnova") else model.backbone
    if layer is None:
        return backbone(**inputs).last_hidden_state.float()
    return backbone(**inputs, output_hidden_states=True).hidden_states[layer].float()


def _summed_up(hidden: Tensor, reading: Reading) -> Tensor:
    """Return the vectors of a sequence (L, C), or their means."""
    if reading.level == "base":
        return hidden
    if reading.level == "sequence":
        return hidden.mean(0, keepdim=True)
    return torch.stack([window.mean(0) for window in hidden.split(reading.window_bp)])
