"""`convnova score-variants`: what the variants of a VCF file do to the outputs of a model.

OUTPUT                 the VCF with scores in INFO, or a table with a row an allele
OUTPUT.unscored.tsv    the alleles that have no score, and why
OUTPUT.partial         scores of a run that was stopped; the same command goes on from it

The file is read again for each step: its names, its check against the genome before any work, the scores,
what is written. Held in memory are places, alleles and scores, and none of the other columns.

n alleles, K scores.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from convnova.console import log_console, progress_bar, say
from convnova.data.table import counted, some
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.files import file_checksum
from convnova.genome.names import LEAVE_OUT, renamings
from convnova.genome.variant import Variant
from convnova.genome.vcf import (
    Field,
    Record,
    read_records,
    vcf_library,
    what_is_no_sequence,
    write_scored,
)
from convnova.inference.any_model import load_any
from convnova.inference.compute import make_ready
from convnova.inference.mutagenesis import check_compile
from convnova.inference.output_names import field_names
from convnova.inference.partial import Partial
from convnova.inference.tables import write_table
from convnova.inference.variant_scores import Column, variant_scorer
from convnova.inference.variant_settings import VariantSettings
from convnova.sequence import N, decode, encode
from convnova.writing import check_new, make_place

_PLACES, _UNSCORED = ("chromosome", "position", "id", "reference", "alternate"), "unscored"
CHUNK = 4096
"""Alleles that are scored between two moves of the bar."""
LONGEST_ALLELE_BP = 10_000
"""A reference pass holds some 15 kB a base."""
OTHER_LENGTH = "another length than REF, which these scores are not of"
MISMATCH, MOST_MISMATCHES, FEWEST_CHECKED = "REF is not that of the genome", 0.5, 20
"""A file of which more than half of the alleles do so, of twenty and more, is of another genome."""


class Allele(NamedTuple):
    """An alternate allele of a line."""

    record: Record
    number: int
    """Of the allele in its line."""
    variant: Variant | None
    """None where it has no score."""
    reason: str
    """Why it has none."""


class _Source(NamedTuple):
    """A file of variants and the genome that they are of."""

    path: Path
    genome: Genome
    names: dict[str, str | None]
    """What the genome calls each chromosome of the file; None for one that it does not have."""


def score_variants(settings: VariantSettings, console: Console | None = None) -> pl.DataFrame:
    """Return the scores of the alleles of a VCF file, and write them.

    Raises:
        InputError: for a file that is no sorted VCF or of another genome, a model without such a score, or a
            place that cannot be written to.
    """
    console = console or log_console()
    genome = Genome.open(settings.genome, settings.cache)
    loaded = load_any(settings.model)
    check_compile(loaded.model, settings.compile)
    strands = loaded.strands(settings.both_strands)
    scorer = variant_scorer(loaded, settings.scores, strands, settings.window_bp)
    if settings.output.name.endswith(".gz"):
        vcf_library()  # before hours of work
    make_place(settings.output, settings.input, settings.genome)
    unscored_path = settings.output.with_name(f"{settings.output.name}.unscored.tsv")
    check_new(settings.output, settings.overwrite)  # its list of unscored alleles goes with it
    source = _Source(settings.input, genome, _names(settings, genome, console))
    total, reasons = _check(source)
    make_ready(loaded.model, settings)
    files = [file_checksum(settings.input), genome.checksum]
    chosen = [strands, settings.window_bp, settings.unknown_chromosomes, settings.precision, CHUNK]
    partial = Partial(
        settings.output, settings.model, files, chosen, [column.name for column in scorer.columns]
    )
    partial.tell(console, "allele")
    scored = [np.empty((0, len(scorer.columns)), np.float32)]
    with progress_bar(console, "scoring", total) as advance:
        for variants, values in partial.filled(_chunks(source), lambda some: scorer.score(genome, some)):
            scored.append(np.array(values))
            advance(len(variants))
    scores = np.concatenate(scored)
    if settings.is_vcf:
        _write_vcf(settings.output, source, scorer.columns, scores)
    frame = _table(source, scorer.columns, scores)
    if without := frame.filter(pl.col("unscored") == OTHER_LENGTH).height:
        reasons[OTHER_LENGTH] = without
    if settings.is_vcf:
        unscored = frame.filter(pl.col("unscored").is_not_null())
        unscored_path.unlink(missing_ok=True)
        if len(unscored):
            places = ("chromosome", "position", "reference", "alternate", "unscored")
            write_table(unscored.select(*places), unscored_path)
    else:
        write_table(frame, settings.output)
    partial.remove()
    say(console, f"{settings.input.name}: {counted(total - without, 'allele')} scored -> {settings.output}")
    for reason, alleles in reasons.most_common():
        say(console, f"  {counted(alleles, 'allele')} not scored: {reason}")
    return frame


def _names(settings: VariantSettings, genome: Genome, console: Console) -> dict[str, str | None]:
    """Return what the genome calls each chromosome of the file; the whole file is read and found sorted."""
    first: dict[str, int] = {}
    for record in read_records(settings.input):
        first.setdefault(record.chromosome, record.line)
    if not first:
        raise InputError(f"{settings.input}: there is no variant in it; give a file with some")
    names = genome.own_names(first)
    unknown = [name for name, own in names.items() if own is None]
    if unknown and (settings.unknown_chromosomes == "refuse" or len(unknown) == len(names)):
        raise InputError(
            f"{settings.input}, line {first[unknown[0]]}: chromosome {unknown[0]!r} is not in "
            f"{genome.path.name}, which has {some(list(genome.chromosome_sizes))}; give the genome that the "
            f"variants are of{LEAVE_OUT}"
        )
    for line in renamings(names, "the genome"):
        say(console, line)
    return names


def _alleles(source: _Source) -> Iterator[Allele]:
    """Yield all alleles of the file, in its order; a line without one as a single one that is not scored."""
    for record in read_records(source.path):
        own = source.names[record.chromosome]
        if not record.alternates:
            yield Allele(record, 0, None, "no alternate allele")
        for number, alternate in enumerate(record.alternates):
            if own is None:
                yield Allele(record, number, None, "chromosome that the genome does not have")
                continue
            reason = what_is_no_sequence(alternate) or _what_is_wrong(record, own, source.genome)
            variant = None if reason else record.variant(alternate, own)
            if variant is not None:
                reason = _what_is_not_read(variant.trimmed())
            yield Allele(record, number, None if reason else variant, reason)


def _what_is_wrong(record: Record, chromosome: str, genome: Genome) -> str:
    """Return why the reference of a line cannot be scored; nothing where it can."""
    reference = record.columns[3]
    if record.start < 0:
        return "telomere, at position 0"
    if (encode(reference) == N).any():
        return "N in REF"
    if record.start + len(reference) > genome.chromosome_sizes[chromosome]:
        return "past the end of its chromosome"
    found = genome.window(genome.index_of(chromosome), record.start, record.start + len(reference))
    return "" if (found == encode(reference)).all() else MISMATCH


def _what_is_not_read(variant: Variant) -> str:
    """Return why the bases of a variant, the least of them, cannot be scored; nothing where they can."""
    if max(len(variant.reference), len(variant.alternate)) > LONGEST_ALLELE_BP:
        return f"longer than {LONGEST_ALLELE_BP:,} bp"
    if not variant.reference and not variant.alternate:
        return "the same as REF"
    if set(variant.reference) - set("ACGT"):
        return "N in REF"
    return "N in ALT" if set(variant.alternate) - set("ACGT") else ""


def _check(source: _Source) -> tuple[int, Counter[str]]:
    """Return how many alleles are scored, and how many are not for each reason.

    Raises:
        InputError: when the file is of another genome, or no allele can be scored.
    """
    reasons: Counter[str] = Counter()
    scored, mismatch = 0, None
    for allele in _alleles(source):
        if allele.variant is not None:
            scored += 1
            continue
        reasons[allele.reason] += 1
        if allele.reason == MISMATCH and mismatch is None:
            mismatch = allele.record
    mismatches = reasons[MISMATCH]
    checked = scored + mismatches
    if mismatch is not None and (
        mismatches == checked or (checked >= FEWEST_CHECKED and mismatches > MOST_MISMATCHES * checked)
    ):
        own, width = source.names[mismatch.chromosome], len(mismatch.columns[3])
        assert own is not None
        genome = source.genome
        there = decode(genome.window(genome.index_of(own), mismatch.start, mismatch.start + width))
        raise InputError(
            f"{source.path}, line {mismatch.line}: REF is {mismatch.columns[3]}, and {genome.path.name} "
            f"has {there} there, as at {mismatches:,} of {checked:,} alleles; give their genome"
        )
    if not scored:
        shown = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        raise InputError(f"{source.path}: no allele can be scored ({shown}); give others")
    return scored, reasons


def _chunks(source: _Source) -> Iterator[list[Variant]]:
    """Yield the variants that are still to be scored, some of one chromosome at once."""
    variants = (one.variant for one in _alleles(source) if one.variant is not None)
    for _, of_one in groupby(variants, key=lambda variant: variant.chromosome):
        while chunk := list(islice(of_one, CHUNK)):
            yield chunk


def _write_vcf(output: Path, source: _Source, columns: Sequence[Column], scores: NDArray[np.float32]) -> None:
    """Write the lines of the file with the scores in INFO."""
    rows = iter(scores.tolist())
    nothing = [math.nan] * len(columns)

    def of_lines() -> Iterator[list[list[float]]]:
        for _, of_one in groupby(_alleles(source), key=lambda one: one.record.line):
            alleles = [one for one in of_one if one.record.alternates]
            values = [next(rows) if one.variant is not None else nothing for one in alleles]
            yield [[row[column] for row in values] for column in range(len(columns))]

    names_of = field_names([column.name for column in columns])
    fields = [
        Field(name, f"{column.meaning}; by convnova") for name, column in zip(names_of, columns, strict=True)
    ]
    sizes = {
        name: source.genome.chromosome_sizes[own] for name, own in source.names.items() if own is not None
    }
    write_scored(output, source.path, fields, of_lines(), sizes)


def _table(source: _Source, columns: Sequence[Column], scores: NDArray[np.float32]) -> pl.DataFrame:
    """Return a row an allele: place (from 1, as in the file), alleles, scores, and why there are none."""
    places: dict[str, list[Any]] = {name: [] for name in _PLACES}
    reasons: list[str | None] = []
    for one in _alleles(source):
        record = one.record
        alternate = (record.alternates or ["."])[one.number]
        row = (sys.intern(record.chromosome), record.start + 1, *record.columns[2:4], alternate)
        for name, value in zip(_PLACES, row, strict=True):
            places[name].append(value)
        reasons.append(one.reason or None)
    is_scored = np.array([reason is None for reason in reasons])
    values = np.full((len(reasons), len(columns)), np.nan, dtype=np.float32)
    values[is_scored] = scores
    for row in np.flatnonzero(is_scored)[np.isnan(scores).all(1)].tolist():
        reasons[row] = OTHER_LENGTH
    taken = {*_PLACES, _UNSCORED}
    found = {
        f"{column.name}_score" if column.name in taken else column.name: pl.Series(
            values[:, i], nan_to_null=True
        )
        for i, column in enumerate(columns)
    }
    return pl.DataFrame(places | found | {_UNSCORED: pl.Series(reasons, dtype=pl.String)})
