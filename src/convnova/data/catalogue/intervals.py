"""Genomic Benchmarks: from interval files and a genome to sequences, as the published package builds them.

    id,region,start,end,strand        0-based, half-open; on - the reverse complement
    33553,chr12,54056458,54056658,+

Where no strand is given the sequence is read as +. Names are taken with or without ``chr``, transcripts with
or without version. A genome of another assembly is refused: by the length of its chromosomes, by intervals
that end past them, and by N.

Source: github ML-Bioinfo-CEITEC/genomic_benchmarks, ``loc2seq`` (behaviour, not code).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.catalogue.tables import Reference
from convnova.data.packed import PackedSequences, pack
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.genome.files import reading
from convnova.sequence import N

COLUMNS = ("id", "region", "start", "end", "strand")
_STRANDS = {"+": "+", "-": "-", "": "+", ".": "+", "nan": "+"}
_MOST_N = 0.01
"""Share of sequences of more than half N that a right genome may have; of the published ones none has."""


class Built(NamedTuple):
    """Sequences of one interval file."""

    ids: PackedSequences
    """In the order of the file, strand respected."""
    names: list[str]
    """The ids of the file."""
    mostly_n: int
    """Sequences of more than half N."""


def read_intervals(path: Path) -> pl.DataFrame:
    """Return the intervals of a file of Genomic Benchmarks: id, region, start, end, strand (``+`` or ``-``).

    Raises:
        InputError: when columns are missing, or at the first line that is wrong.
    """
    with reading(path, "an interval file"):
        frame = pl.read_csv(path, infer_schema=False)
    frame = frame.with_columns(pl.all().fill_null(""))
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; an interval file has {', '.join(COLUMNS)}, "
            f"this one {', '.join(frame.columns[:8])}"
        )
    if not len(frame):
        raise InputError(f"{path}: no interval in the file; fetch it again")
    start, end = (frame[name].cast(pl.Int64, strict=False) for name in ("start", "end"))
    strand = frame["strand"].replace_strict(_STRANDS, default=None, return_dtype=pl.String)
    is_bad = start.is_null() | end.is_null() | (start < 0) | (start >= end) | strand.is_null()
    if (is_wrong := is_bad.fill_null(True)).any():
        row = int(is_wrong.arg_max() or 0)
        found = ", ".join(f"{name} {frame[name][row]!r}" for name in ("start", "end", "strand"))
        raise InputError(
            f"{path}, line {row + 2}: {found}: no interval; start is a whole number before end, strand + or -"
        )
    return pl.DataFrame(
        {"id": frame["id"], "region": frame["region"], "start": start, "end": end, "strand": strand}
    )


def build_sequences(path: Path, genome: Genome, reference: Reference) -> Built:
    """Return the sequences at the intervals of a file.

    Args:
        path: an interval file of Genomic Benchmarks.
        genome: the assembly that it refers to, whole.
        reference: what is known of this assembly.

    Raises:
        InputError: when the genome is another assembly, or holds not all of it.
    """
    check_assembly(genome, reference)
    frame = read_intervals(path)
    built = cut(frame, genome, path, reference)
    if built.mostly_n > _MOST_N * len(frame):
        raise InputError(
            f"{path}: {built.mostly_n:,} of {len(frame):,} sequences are more than half N in "
            f"{genome.path.name}: a part of a genome, or another assembly; {_give(reference)}"
        )
    return built


def check_assembly(genome: Genome, reference: Reference) -> None:
    """Refuse a genome one of whose chromosomes has another length than it has in the assembly.

    Raises:
        InputError: naming the chromosome and both lengths.
    """
    names = _names(genome)
    for known in reference.sizes_bp.split():
        region, size = known.rsplit(":", 1)
        name = names.get(_plain(region))
        if name is not None and genome.chromosome_sizes[name] != int(size):
            raise InputError(
                f"{genome.path}: {name} has {genome.chromosome_sizes[name]:,} bp, in {reference.genome} "
                f"it has {int(size):,}: another assembly; {_give(reference)}"
            )


def cut(frame: pl.DataFrame, genome: Genome, path: Path, reference: Reference) -> Built:
    """Return the sequences at some intervals.

    Args:
        frame: intervals, as `read_intervals` returns them.
        genome: where they are cut from.
        path: the file that an error names.
        reference: the assembly that an error names.

    Raises:
        InputError: at the first interval that is not on the genome.
    """
    names, sizes = _names(genome), genome.chromosome_sizes
    chromosomes = [names.get(_plain(region)) for region in frame["region"]]
    intervals = []
    rows = zip(chromosomes, frame["start"], frame["end"], frame["strand"], strict=True)
    for row, (chromosome, start, end, strand) in enumerate(rows):
        if chromosome is None or end > sizes[chromosome]:
            raise InputError(
                f"{path}, line {row + 2}: {_not_there(frame, row, chromosome, genome, reference)}"
            )
        intervals.append(Interval(chromosome, start, end, strand))
    ids = pack(genome.fetch(interval) for interval in intervals)
    return Built(ids, frame["id"].to_list(), int((_n_share(ids) > 0.5).sum()))


def _not_there(
    frame: pl.DataFrame, row: int, chromosome: str | None, genome: Genome, reference: Reference
) -> str:
    region, end = frame["region"][row], frame["end"][row]
    if chromosome is None:
        shown = ", ".join(list(genome.chromosome_sizes)[:4])
        return f"{region} is not in {genome.path.name}, which has {shown}, ...; {_give(reference)}"
    size = genome.chromosome_sizes[chromosome]
    return (
        f"end {end:,} is past the end of {region} in {genome.path.name} ({size:,} bp): "
        f"an interval file of another assembly; {_give(reference)}"
    )


def _names(genome: Genome) -> dict[str, str]:
    """Return the names of a genome by what they are without ``chr`` and version."""
    return {_plain(name): name for name in reversed(genome.chromosome_sizes)}


def _plain(name: str) -> str:
    stem = name.removeprefix("chr")
    return stem.split(".")[0] if stem.startswith("ENS") else stem


def _n_share(ids: PackedSequences) -> NDArray[np.float64]:
    """Return the share of N of each sequence, (n,)."""
    return np.add.reduceat(ids.codes == N, ids.offsets[:-1], dtype=np.int64) / ids.lengths


def _give(reference: Reference) -> str:
    return f"give {reference.genome}, whole ({reference.url})"
