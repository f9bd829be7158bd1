"""Labelled sequences: ids and labels, and how a batch of them becomes tensors.

n sequences, L length in bp, B batch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.data.augmentation import AugmentationSettings, augment
from convnova.data.duplicates import same_sequence_groups
from convnova.data.packed import PackedSequences
from convnova.errors import InputError
from convnova.sequence import Ids, N


class Sequences(Protocol):
    """n sequences, in memory or read when they are asked for."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each in bp, (n,)."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Ids]: ...
    def __getitem__(self, index: int, /) -> Ids: ...


class LabelledPart(Protocol):
    """What a model is trained or scored on: a map-style data set of (ids, label), and each of both alone."""

    @property
    def ids(self) -> Sequences:
        """Ids of each sequence."""

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of all sequences, as `LabelledSequences` has them."""

    @property
    def label_totals(self) -> NDArray[np.float64]:
        """Sum of each independent label or value over the sequences, (K,)."""

    def label_blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the labels of consecutive sequences, of as many as fit well into memory."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> tuple[Ids, Any]: ...


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences and their labels; also a map-style data set of (ids, label).

    Raises:
        InputError: when there are none, when numbers of sequences and labels differ, or a sequence is empty.
    """

    ids: PackedSequences
    """Ids of each sequence."""
    labels: NDArray[Any]
    """Class of each sequence counted from 0, (n,) of integers; for regression (n,) or (n, values), and for
    independent labels 0 or 1 in (n, labels), of float32."""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise InputError(f"{len(self.ids)} sequences, but {len(self.labels)} labels; give one label each")
        if not len(self.ids):
            raise InputError("there are no labelled sequences; give at least one")
        if self.ids.lengths.min() == 0:
            raise InputError("a labelled sequence is empty; remove it or give its bases")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Ids, Any]:
        return self.ids[index], self.labels[index]

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Number of sequences of each class."""
        return np.bincount(self.labels)

    @property
    def label_totals(self) -> NDArray[np.float64]:
        """Sum of each independent label or value over the sequences, (K,)."""
        return self.labels.reshape(len(self), -1).sum(axis=0, dtype=np.float64)

    def label_blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the labels, which are in memory, at once."""
        yield self.labels

    def take(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> "LabelledSequences":
        """Return the sequences at some indices, in their order, or where a mask (n,) is true."""
        return LabelledSequences(self.ids.take(indices), self.labels[indices])


def pad(sequences: Sequence[Ids]) -> tuple[Ids, NDArray[np.int64]]:
    """Return ids padded on the right with N, and the mask that is 1 at real positions; both (B, L)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = np.full(mask.shape, N, dtype=np.uint8)
    ids[mask == 1] = np.concatenate(list(sequences))
    return ids, mask


def collate(examples: Sequence[tuple[Ids, Any]]) -> dict[str, torch.Tensor]:
    """Return the tensors of a batch; sequences of one length need, and get, no attention mask."""
    ids, mask = pad([sequence for sequence, _ in examples])
    batch = {
        "input_ids": torch.from_numpy(ids).long(),
        "labels": torch.from_numpy(np.stack([label for _, label in examples])),
    }
    return batch if mask.all() else batch | {"attention_mask": torch.from_numpy(mask)}


class AugmentedBatches:
    """Collates training examples, each changed at random; one seed and one order give the same batches.

    What is drawn for a batch depends on how many were before it, so a run that goes on need not repeat them.
    """

    def __init__(self, settings: AugmentationSettings, seed: int):
        self.settings, self.seed, self.batches = settings, seed, 0

    def __call__(self, examples: Sequence[tuple[Ids, Any]]) -> dict[str, torch.Tensor]:
        """Return the tensors of a batch."""
        rng = np.random.default_rng((self.seed, 1, self.batches))
        self.batches += 1
        return collate([(augment(ids, self.settings, rng), label) for ids, label in examples])


def without_duplicates(train: LabelledSequences, held_out: Sequence[LabelledSequences]) -> LabelledSequences:
    """Return the training sequences that are not, on either strand, in a held-out part."""
    own, *others = same_sequence_groups([train.ids, *(part.ids for part in held_out)])
    return train.take(~np.isin(own, np.concatenate(others))) if others else train


def checksum(part: LabelledSequences) -> str:
    """Return the sha256 of sequences and labels, whatever form of file they came in."""
    digest = hashlib.sha256(part.ids.codes.tobytes() + part.ids.offsets.tobytes() + part.labels.tobytes())
    return f"sha256:{digest.hexdigest()}"
