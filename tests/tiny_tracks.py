"""A genome of three chromosomes, tracks on it, and DeepSEA's files, all tiny."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

from convnova.data.tracks.settings import TrackSettings
from convnova.genome import Genome
from convnova.sequence import decode, reverse_complement

SIZES = {"chrI": 1010, "chrII": 600, "chrIII": 500}
CHANNELS = {0: 0, 2: 1, 1: 2, 3: 3}
"""Channel of each base in DeepSEA's files: A, G, C, T."""


def write_genome(folder: Path, seed: int = 0, n: tuple[str, int, int] | None = None) -> Path:
    """Write a FASTA of random bases; N at one stretch, if wanted."""
    rng = np.random.default_rng(seed)
    lines = []
    for name, size in SIZES.items():
        ids = rng.integers(0, 4, size).astype(np.uint8)
        if n is not None and n[0] == name:
            ids[n[1] : n[2]] = 4
        lines += [f">{name}", decode(ids)]
    path = folder / "toy.fa"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_bed(path: Path, *rows: str) -> Path:
    """Write a BED file of rows with blanks between columns."""
    path.write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    return path


def tiny(folder: Path, tracks: Path | str | list[str], **changes) -> TrackSettings:
    """Return settings for bins of 10 bp in windows of 30, chrII for validation and chrIII for test."""
    values = {
        "tracks": tracks if isinstance(tracks, list) else [str(tracks)],
        "output": folder / "data",
        "genome": folder / "toy.fa",
        "bin_bp": 10,
        "window_bp": 30,
        "validation_chromosomes": ["chrII"],
        "test_chromosomes": ["chrIII"],
    }
    return TrackSettings(**values | changes)


def random_peaks(genome: Genome, n: int, seed: int) -> list[tuple[str, int, int]]:
    """Return peaks of 1 to 40 bp, which overlap and touch each other."""
    rng = np.random.default_rng(seed)
    peaks = []
    for _ in range(n):
        name = str(rng.choice(list(genome.chromosome_sizes)))
        start = int(rng.integers(0, genome.chromosome_sizes[name] - 1))
        peaks.append((name, start, int(min(start + rng.integers(1, 41), genome.chromosome_sizes[name]))))
    return peaks


def one_hot_agct(ids: np.ndarray) -> np.ndarray:
    """Return the four channels of DeepSEA's files, (n, 4, L), of ids (n, L)."""
    return np.stack([ids == base for base in CHANNELS], axis=1).astype(np.uint8)


def write_deepsea(folder: Path, rows: int = 12, length: int = 20, tracks: int = 5, seed: int = 0) -> dict:
    """Write train.mat, valid.mat and test.mat as published; return ids and labels of each first half."""
    rng = np.random.default_rng(seed)
    made = {}
    for split, word in (("train", "train"), ("validation", "valid"), ("test", "test")):
        ids = rng.integers(0, 5, (rows // 2, length)).astype(np.uint8)
        labels = rng.integers(0, 2, (rows // 2, tracks)).astype(np.uint8)
        made[split] = ids, labels
        x = one_hot_agct(np.concatenate([ids, reverse_complement(ids)]))
        y = np.concatenate([labels, labels])
        write_mat(folder / f"{word}.mat", {f"{word}xdata": x, f"{word}data": y}, is_hdf5=split == "train")
    return made


def write_mat(path: Path, arrays: dict[str, np.ndarray], is_hdf5: bool) -> Path:
    """Write arrays as MATLAB does: version 5, or HDF5 with axes reversed after 512 bytes of its own."""
    if not is_hdf5:
        scipy.io.savemat(path, arrays)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.transpose())
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))
    # MATLAB's (n, 4, L) is (L, 4, n) here.
    return path
