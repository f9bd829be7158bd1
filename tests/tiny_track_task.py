"""A tiny track data set whose tracks have motifs, and settings that train on it in a second."""

from pathlib import Path

import numpy as np
import pybigtools
from tiny_task import NETWORK, training
from tiny_tracks import SIZES, tiny, write_bed

from convnova.data.tracks.build import build_tracks
from convnova.genome import Genome
from convnova.sequence import decode, encode
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.track_settings import TrackTaskSettings

MOTIFS = {"CBF1": "TCACGTGA", "REB1": "TTACCCGG", "RAP1": "ACACCCAC"}
GROUPS = {"CBF1": "bHLH", "REB1": "Myb", "RAP1": "Myb"}


def write_motif_genome(folder: Path, sizes: dict[str, int] = SIZES) -> Path:
    """Write a genome with a motif in the middle of every third bin, and a BED file of the places of each."""
    rng = np.random.default_rng(0)
    lines: list[str] = []
    places: dict[str, list[str]] = {name: [] for name in MOTIFS}
    for chromosome, size in sizes.items():
        ids = rng.integers(0, 4, size).astype(np.uint8)
        for start in range(0, size - 10, 30):
            name = str(rng.choice(list(MOTIFS)))
            ids[start + 1 : start + 9] = encode(MOTIFS[name])
            places[name].append(f"{chromosome} {start} {start + 10}")
        lines += [f">{chromosome}", decode(ids)]
    path = folder / "toy.fa"
    path.write_text("\n".join(lines) + "\n")
    (folder / "peaks").mkdir()
    for name, rows in places.items():
        write_bed(folder / f"peaks/{name}.bed", *rows)
    table = [f"{name}\tpeaks/{name}.bed\t{GROUPS[name]}\n" for name in MOTIFS]
    (folder / "tracks.tsv").write_text("name\tfile\tgroup\n" + "".join(table))
    return path


def build_motifs(folder: Path, sizes: dict[str, int] = SIZES, **changes) -> Path:
    """Write the genome and a data set of peaks on all its bins of 10 bp, and return the folder of it."""
    write_motif_genome(folder, sizes)
    build_tracks(tiny(folder, folder / "tracks.tsv", negatives="all", **changes))
    return folder / "data"


def build_signals(folder: Path) -> Path:
    """Write the genome and a data set of two signals, and return the folder of it."""
    genome = Genome.open(write_motif_genome(folder))
    rng = np.random.default_rng(1)
    paths = [folder / f"{name}.bw" for name in ("one", "two")]
    for path in paths:
        runs = [
            (name, start, start + 10, float(rng.gamma(2)))
            for name, size in genome.chromosome_sizes.items()
            for start in range(0, size - 9, 10)
        ]
        pybigtools.open(str(path), "w").write(genome.chromosome_sizes, iter(runs))
    build_tracks(tiny(folder, list(map(str, paths)), log1p=True))
    return folder / "data"


def run_settings(folder: Path, **changes) -> TrackTaskSettings:
    """Return the settings of a run on the data set of a folder."""
    values = {"tracks": folder / "data", "output": folder / "run"}
    values |= {"network": TaskNetworkSettings(**NETWORK), "training": training()}
    return TrackTaskSettings(**values | changes)
