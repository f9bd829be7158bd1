"""DeepSEA's published files, train.mat, valid.mat and test.mat, as blocks of rows.

::

    train.mat   HDF5 (MATLAB 7.3)   trainxdata (1000, 4, 4400000)   traindata (919, 4400000)
    valid.mat   MATLAB 5            validxdata (8000, 4, 1000)      validdata (8000, 919)
    test.mat    MATLAB 5            testxdata (455024, 4, 1000)     testdata (455024, 919)

The four channels are A, G, C, T. The second half of each set is the reverse complement of the first, in the
same order. So the first half is stored: training reads either strand at random, and predictions are averaged
over both, which is how the published scores come about.
Source: uci-cbcl/DanQ, issues 6 (order of bases) and 14 (halves, averaging).

n sequences, b of a block, L length in bp, T tracks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.splits import Split
from convnova.data.tracks.folder import Rows
from convnova.errors import InputError, optional
from convnova.genome.files import reading
from convnova.sequence import Ids, N, reverse_complement

KEYS: dict[Split, tuple[str, str]] = {
    "train": ("trainxdata", "traindata"),
    "validation": ("validxdata", "validdata"),
    "test": ("testxdata", "testdata"),
}
"""Names of sequences and labels in the file of each split."""
_KIND = "a .mat file of DeepSEA"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ORDER = np.array([0, 2, 1, 3], dtype=np.uint8)  # A, G, C, T as ids of A, C, G, T
_BLOCK = 2**13


class MatFile(NamedTuple):
    """One of the three files, opened."""

    path: Path
    split: Split
    x: Any
    """(L, 4, n) on disk where it is HDF5, else (n, 4, L) in memory."""
    y: Any
    """(T, n), or (n, T)."""
    is_hdf5: bool

    @property
    def rows(self) -> int:
        """Number of sequences, both strands."""
        return self.x.shape[2 if self.is_hdf5 else 0]

    @property
    def length(self) -> int:
        """Length of a sequence in bp."""
        return self.x.shape[0 if self.is_hdf5 else 2]

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return self.y.shape[0 if self.is_hdf5 else 1]

    def codes(self, first: int, last: int) -> Ids:
        """Return the ids of some sequences, (b, L).

        Raises:
            InputError: when two bases are at one place, or the file is cut short.
        """
        with reading(self.path, _KIND):
            x = self.x[:, :, first:last].transpose(2, 1, 0) if self.is_hdf5 else self.x[first:last]
        known = x.sum(axis=1, dtype=np.uint8)
        if known.max(initial=0) > 1:
            raise InputError(f"{self.path}: two bases at one place of a sequence; this is not one-hot")
        ids = np.einsum("bcl,c->bl", x.astype(np.uint8, copy=False), _ORDER)
        return np.where(known == 0, np.uint8(N), ids)

    def labels(self, first: int, last: int) -> NDArray[np.bool_]:
        """Return the labels of some sequences, (b, T).

        Raises:
            InputError: when one is neither 0 nor 1, or the file is cut short.
        """
        with reading(self.path, _KIND):
            y = np.asarray(self.y[:, first:last].T if self.is_hdf5 else self.y[first:last])
        if not np.isin(y, (0, 1)).all():
            raise InputError(f"{self.path}: a label is neither 0 nor 1; give the published file")
        return y.astype(bool)


def open_mat(path: Path) -> MatFile:
    """Return one of the three files, whichever it is.

    Raises:
        InputError: when it cannot be read, or has not the names of DeepSEA's.
    """
    with reading(path, _KIND):
        with path.open("rb") as file:
            start = file.read(520)
        is_hdf5 = _HDF5 in (start[:8], start[512:])  # MATLAB writes 512 bytes of its own before
        found = _open_hdf5(path) if is_hdf5 else _open_matlab(path)
    for split, (x, y) in KEYS.items():
        if x in found and y in found:
            mat = MatFile(path, split, found[x], found[y], is_hdf5)
            return _checked(mat)
    raise InputError(
        f"{path}: it holds {', '.join(sorted(found)) or 'nothing'}; DeepSEA's files hold "
        f"{' or '.join(' and '.join(pair) for pair in KEYS.values())}"
    )


def mat_rows(files: Sequence[MatFile], notes: list[str]) -> Iterator[Rows]:
    """Yield the rows of the files, train first; where halves are strands of each other, the first half.

    Args:
        files: opened ones.
        notes: gets a sentence about each file.

    Raises:
        InputError: when a file is damaged, or halves are strands of each other in the beginning only.
    """
    for mat in sorted(files, key=lambda one: list(KEYS).index(one.split)):
        half = mat.rows // 2
        has_strands = mat.rows % 2 == 0 and _has_other_strands(mat, 0, _read(mat, 0, min(half, _BLOCK)))
        rows = half if has_strands else mat.rows
        what = "both strands of each, stored once" if has_strands else "halves are not strands of each other"
        notes.append(f"{mat.split}: {mat.rows:,} sequences in {mat.path.name}, {what}")
        for first in range(0, rows, _BLOCK):
            block = _read(mat, first, min(first + _BLOCK, rows))
            if has_strands and not _has_other_strands(mat, first, block):
                raise InputError(
                    f"{mat.path}: among sequences {first + 1} to {first + len(block.labels)} one is not the "
                    f"other strand of that {half} further on, as those before are; get the file again"
                )
            yield block


def _read(mat: MatFile, first: int, last: int) -> Rows:
    return Rows(mat.split, mat.labels(first, last), codes=mat.codes(first, last))


def _has_other_strands(mat: MatFile, first: int, block: Rows) -> bool:
    """Whether the second half has, at its place, the other strand of each sequence, with its labels."""
    place = mat.rows // 2 + first
    other = _read(mat, place, place + len(block.labels))
    assert block.codes is not None
    assert other.codes is not None
    is_same = np.array_equal(block.codes, reverse_complement(other.codes))
    return is_same and np.array_equal(block.labels, other.labels)


def _open_hdf5(path: Path) -> dict[str, Any]:
    h5py = optional("h5py", "train.mat", "tracks")
    file = h5py.File(path, "r")
    return {name: one for name, one in file.items() if isinstance(one, h5py.Dataset)}


def _open_matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    names = {name for name, _, _ in whosmat(path)}
    wanted = {name for pair in KEYS.values() for name in pair}
    return dict.fromkeys(names) | {
        name: array for name, array in loadmat(path, variable_names=names & wanted).items() if name in wanted
    }


def _checked(mat: MatFile) -> MatFile:
    """Return the file when its arrays have the shapes that are published."""
    shapes = mat.x.shape, mat.y.shape
    is_fit = len(shapes[0]) == 3 and len(shapes[1]) == 2 and shapes[0][1] == 4
    if not is_fit or mat.rows != mat.y.shape[1 if mat.is_hdf5 else 0]:
        form = "(L, 4, n) and (T, n)" if mat.is_hdf5 else "(n, 4, L) and (n, T)"
        raise InputError(f"{mat.path}: arrays of shapes {shapes[0]} and {shapes[1]}; DeepSEA's are {form}")
    return mat
