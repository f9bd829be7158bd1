"""VCF, read line by line and written with more fields in INFO; all else stays as it is, to the letter.

VCF counts from 1 and here it becomes 0-based, as `Variant` has it. What is written is compressed by bgzip and
has an index (.tbi) where its name ends in .gz, by pysam.

Source: The Variant Call Format Specification, version 4.5, https://samtools.github.io/hts-specs/.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from convnova.errors import InputError, optional
from convnova.genome.files import at_place, parse_int, read_lines
from convnova.genome.variant import Variant
from convnova.writing import whole_file

_FIRST, _COLUMNS = "##fileformat=VCF", ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_BASES = re.compile("[ACGTN]+", re.IGNORECASE)
_LONGEST_TBI = 2**29
"""Length of a chromosome, in bp, up to which an index .tbi can hold its places; beyond it is .csi."""
_IUPAC = re.compile("[ACGTNRYSWKMBDHV]+", re.IGNORECASE)


class Record(NamedTuple):
    """A line of a VCF file."""

    line: int
    """Its number."""
    columns: list[str]
    """The first eight as they are, and all others as one, with their tabs."""

    @property
    def chromosome(self) -> str:
        """Name as the file has it."""
        return self.columns[0]

    @property
    def start(self) -> int:
        """First base of the reference, 0-based; -1 for a telomere, which VCF puts at 0."""
        return int(self.columns[1]) - 1

    @property
    def alternates(self) -> list[str]:
        """The alternate alleles as they are written; none where there is none."""
        return [] if self.columns[4] == "." else self.columns[4].split(",")

    def variant(self, alternate: str, chromosome: str) -> Variant:
        """Return an allele as a variant of a chromosome by its name in a genome."""
        return Variant(chromosome, self.start, self.columns[3].upper(), alternate.upper(), self.columns[2])


class Field(NamedTuple):
    """A field of INFO with a number for each alternate allele."""

    name: str
    """Letters, digits, ``_`` and ``.``."""
    description: str

    @property
    def header(self) -> str:
        """The line of the header that tells of it."""
        text = self.description.replace("\\", "\\\\").replace('"', '\\"')
        return f'##INFO=<ID={self.name},Number=A,Type=Float,Description="{text}">'


def what_is_no_sequence(alternate: str) -> str:
    """Return what an alternate allele is that does not spell its bases; nothing where it does."""
    if _BASES.fullmatch(alternate):
        return ""
    if alternate == "*":
        return "allele of an overlapping deletion"
    if alternate.startswith("<") and alternate.endswith(">"):
        return "symbolic allele"
    return "breakend" if {"[", "]", "."} & set(alternate) else "ambiguous bases"


def read_header(path: Path) -> list[str]:
    """Return the lines of a VCF header, up to that which names the columns.

    Raises:
        InputError: when there is none.
    """
    lines: list[str] = []
    for number, line in read_lines(path, "a VCF file"):
        if number == 1 and not line.startswith(_FIRST):
            raise InputError(f"{path}, line 1: a VCF file begins with {_FIRST}; give one with its header")
        lines.append(line)
        if not line.startswith("##"):
            break
    if not lines or tuple(lines[-1].split("\t")[:8]) != _COLUMNS:
        where = f", line {len(lines)}" if lines else ""
        raise InputError(
            f"{path}{where}: after the lines with ## comes one with the columns {' '.join(_COLUMNS)}, by "
            "tabs; give a VCF file with its header"
        )
    return lines


def read_records(path: Path) -> Iterator[Record]:
    """Yield the lines of a VCF file, plain or gzip.

    Raises:
        InputError: at the first line that is no variant, or not in the order of places on its chromosome.
    """
    header = read_header(path)
    width = len(header[-1].split("\t"))
    seen: set[str] = set()
    before: tuple[str, int] | None = None
    for number, line in read_lines(path, "a VCF file"):
        if number <= len(header) or not line:
            continue
        with at_place(f"{path}, line {number}"):
            if (found := line.count("\t") + 1) != width:
                raise InputError(
                    f"{found} columns, separated by tabs, and the header has {width}; correct the line"
                )
            record = Record(number, line.split("\t", 8))
            _check(record)
            here = record.chromosome, record.start
            if before is not None and here[0] == before[0] and here[1] < before[1]:
                raise InputError(
                    f"position {here[1] + 1} comes after {before[1] + 1} on {here[0]}; sort the file, by "
                    "bcftools sort"
                )
            if (before is None or here[0] != before[0]) and here[0] in seen:
                raise InputError(
                    f"{here[0]} comes again after another chromosome; sort the file, by bcftools sort"
                )
            seen.add(here[0])
            before = here
        yield record


def _check(record: Record) -> None:
    columns = record.columns
    if parse_int(columns[1], "POS") < 0:
        raise InputError(f"POS {columns[1]} is below 0; correct the line")
    if not _IUPAC.fullmatch(columns[3]):
        raise InputError(f"REF {columns[3]!r} is no sequence; write letters of A, C, G, T and N")
    if "" in columns[4].split(","):
        raise InputError(f"ALT {columns[4]!r} has an empty allele; write . where there is none")


def write_scored(
    path: Path,
    source: Path,
    fields: Sequence[Field],
    scores: Iterable[Sequence[Sequence[float]]],
    sizes: Mapping[str, int],
) -> None:
    """Write a VCF file with fields added to INFO, whole or not at all; with an index where it ends in .gz.

    Args:
        path: the file.
        source: the file whose lines are taken.
        fields: what is added; one that is there already is replaced.
        scores: for each line, a number for each field and alternate allele; NaN where there is none.
        sizes: length in bp of chromosomes, for header lines of those that have none.
    """
    is_compressed = path.suffix == ".gz"
    library = vcf_library() if is_compressed else None
    indices = [Path(f"{path}{ending}") for ending in (".tbi", ".csi")]
    with whole_file(path) as staging:
        with library.BGZFile(str(staging), "wb") if library else staging.open("wb") as file:
            for line in _header(read_header(source), fields, sizes):
                file.write(f"{line}\n".encode())
            names = {field.name for field in fields}
            for record, numbers in zip(read_records(source), scores, strict=True):
                columns = list(record.columns)
                columns[7] = _with_info(columns[7], names, fields, numbers)
                file.write(("\t".join(columns) + "\n").encode())
        if library:
            is_long = max(sizes.values(), default=0) > _LONGEST_TBI
            library.tabix_index(str(staging), preset="vcf", force=True, keep_original=True, csi=is_long)
            for index in indices:  # of the file that is replaced: better none than one of another file
                index.unlink(missing_ok=True)
    if library:
        index = indices[is_long]
        Path(f"{staging}{index.suffix}").replace(index)


def _header(lines: Sequence[str], fields: Sequence[Field], sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines of a header with those of fields, and of chromosomes that have none."""
    names = {field.name for field in fields}
    has_contigs = any(line.startswith("##contig=") for line in lines)
    for line in lines[:-1]:
        found = re.match(r"##INFO=<ID=([^,>]+)", line)
        if found is None or found[1] not in names:
            yield line
    if not has_contigs:
        yield from (f"##contig=<ID={name},length={size}>" for name, size in sizes.items())
    yield from (field.header for field in fields)
    yield lines[-1]


def _with_info(
    info: str, names: set[str], fields: Sequence[Field], numbers: Sequence[Sequence[float]]
) -> str:
    """Return INFO with the fields that have a number for at least one allele."""
    kept = [item for item in info.split(";") if item != "." and item.partition("=")[0] not in names]
    for field, values in zip(fields, numbers, strict=True):
        shown = ["." if value != value else f"{value:.6g}" for value in values]
        if set(shown) - {"."}:
            kept.append(f"{field.name}={','.join(shown)}")
    return ";".join(kept) or "."


def vcf_library() -> ModuleType:
    """Return pysam.

    Raises:
        InputError: when it is missing.
    """
    pysam = optional("pysam", "compressed VCF", "variants")
    pysam.set_verbosity(0)  # errors are told here
    return pysam
