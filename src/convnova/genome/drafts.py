"""From the features of a file to checked genes: what the readers of all formats share.

A reader collects `Feature` in `GeneDraft` and `TranscriptDraft`, in any order; `make_genes` fits the names
of the chromosomes to the genome, sorts, checks, and returns `Gene`.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from convnova.errors import InputError
from convnova.genome.annotation import Gene, Transcript
from convnova.genome.files import at_place
from convnova.genome.genome import Genome
from convnova.genome.interval import Interval
from convnova.genome.names import LEAVE_OUT, Unknown, match_each, match_names

logger = logging.getLogger(__name__)

Kind = Literal["gene", "transcript", "exon", "CDS", "stop codon"]

LONGEST_SLIP_BP = 2
"""How far CDS segments may overlap: at a -1 frameshift a base is read twice, at a -2 frameshift two are."""

MOST_TRANS_SPLICED = 0.05
"""Share of the transcripts that may lie on two strands or chromosomes and are left out; more is an error."""


_start = attrgetter("start")


class Feature(NamedTuple):
    """One line of a file, or one stretch of a GenBank feature."""

    place: str
    """How an error names it, after the path: ``line 7``."""
    kind: Kind
    chromosome: str
    """As the file has it."""
    start: int
    """0-based."""
    end: int
    """One past the last base."""
    strand: str
    phase: int
    """Of a CDS: bases before its first whole codon in reading direction."""


@dataclass(slots=True)
class TranscriptDraft:
    """What a file says of one transcript; the lists may be in any order."""

    id: str
    body: Feature | None = None
    """From its first to its last base; None where the file does not say."""
    exons: list[Feature] = field(default_factory=list)
    coding: list[Feature] = field(default_factory=list)
    stops: list[Feature] = field(default_factory=list)
    """Stop codons, whole or parted by an intron, inside the CDS or beside it."""

    def add(self, feature: Feature) -> None:
        """Put a feature where it belongs."""
        if feature.kind == "exon":
            self.exons.append(feature)
        elif feature.kind == "CDS":
            self.coding.append(feature)
        elif feature.kind == "stop codon":
            self.stops.append(feature)
        else:
            self.body = feature


@dataclass(slots=True)
class GeneDraft:
    """What a file says of one gene."""

    id: str
    name: str
    body: Feature | None = None
    transcripts: list[TranscriptDraft] = field(default_factory=list)

    @property
    def chromosome(self) -> str:
        """Where it lies, as the file has it."""
        first = self.transcripts[0] if self.transcripts else None
        parts = [self.body, *((first.body, *first.exons, *first.coding, *first.stops) if first else ())]
        return next(part.chromosome for part in parts if part is not None)


def make_genes(
    path: Path,
    drafts: Iterable[GeneDraft],
    features: Sequence[Feature],
    genome: Genome | None,
    unknown_chromosomes: Unknown = "refuse",
) -> list[Gene]:
    """Return the genes, in the order of the drafts.

    Args:
        path: the file, for errors.
        drafts: what was collected.
        features: all that the drafts are made of, in the order of the file.
        genome: when given, all must lie on it. Where every chromosome of the file is one of the genome by
            the rules of `names`, it is called as the genome calls it.
        unknown_chromosomes: whether genes elsewhere are refused, or left out and counted in the log.

    Transcripts whose parts are on two strands or chromosomes, as a few trans-spliced ones of flies and of
    organelles are, are left out and logged.

    Raises:
        InputError: at the first feature that is not on the genome, or the first transcript whose parts do
            not fit together; also when many are on two strands.
    """
    names = _fit(path, features, genome, unknown_chromosomes)
    drafts = _without_trans_spliced(path, _on(path, list(drafts), names))
    genes = []
    for draft in drafts:
        transcripts = tuple(_make_transcript(path, transcript, names) for transcript in draft.transcripts)
        if draft.body is not None:
            interval = _interval(draft.body, names)
        else:
            bodies = [transcript.interval for transcript in transcripts]
            start, end = min(body.start for body in bodies), max(body.end for body in bodies)
            interval = Interval(bodies[0].chromosome, start, end, bodies[0].strand)
        genes.append(Gene(interval, draft.id, draft.name, transcripts))
    return genes


def _without_trans_spliced(path: Path, drafts: list[GeneDraft]) -> list[GeneDraft]:
    """Return the genes without transcripts that are on two strands or chromosomes, which are few."""
    faults = [fault for draft in drafts for one in draft.transcripts if (fault := _two_places(path, one))]
    if not faults:
        return drafts
    total = sum(len(draft.transcripts) for draft in drafts)
    if len(faults) > MOST_TRANS_SPLICED * total:
        raise InputError(
            f"{faults[0]} ({len(faults):,} of {total:,} transcripts are like this); correct or remove it"
        )
    logger.warning("%s; left out are %d of %d transcripts for this reason", faults[0], len(faults), total)
    kept = [[one for one in draft.transcripts if not _two_places(path, one)] for draft in drafts]
    return [
        replace(draft, transcripts=transcripts)
        for draft, transcripts in zip(drafts, kept, strict=True)
        if transcripts or not draft.transcripts
    ]


def _on(path: Path, drafts: list[GeneDraft], names: dict[str, str]) -> list[GeneDraft]:
    """Return the genes on chromosomes that have a name, the others being left out."""
    kept = [draft for draft in drafts if draft.chromosome in names]
    if not kept:
        raise InputError(f"{path}: no gene lies on the genome; give the genome that it was made for")
    if len(kept) < len(drafts):
        unknown = list(dict.fromkeys(d.chromosome for d in drafts if d.chromosome not in names))
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        left_out = len(drafts) - len(kept)
        logger.warning("%s: %d genes on other chromosomes are left out (%s)", path, left_out, shown)
    return kept


def _fit(
    path: Path, features: Sequence[Feature], genome: Genome | None, unknown_chromosomes: Unknown
) -> dict[str, str]:
    """Return what the genome calls each chromosome of the file, after a look that features are on it."""
    found = dict.fromkeys(feature.chromosome for feature in features)
    if genome is None:
        return {name: name for name in found}
    sizes = genome.chromosome_sizes
    names: dict[str, str] | None
    if unknown_chromosomes == "leave-out":
        each = match_each(found, sizes)
        names = {name: other for name, other in each.items() if other is not None}
        features = [feature for feature in features if feature.chromosome in names]
    else:
        names = match_names(found, sizes)
    if names is None:
        names = {name: name for name in found}
    elif changed := [f"{name} -> {other}" for name, other in names.items() if name != other]:
        logger.info("%s: chromosomes are called as in %s: %s", path, genome.path.name, ", ".join(changed))
    ends = {name: sizes.get(other, -1) for name, other in names.items()}
    for feature in features:
        if feature.end > ends[feature.chromosome]:
            hint = "" if names[feature.chromosome] in sizes else LEAVE_OUT
            with at_place(f"{path}, {feature.place}", hint):
                genome.check_inside(_interval(feature, names))
    return names


def _make_transcript(path: Path, draft: TranscriptDraft, names: dict[str, str]) -> Transcript:
    exons = sorted(draft.exons, key=_start)
    coding = _with_stops(sorted(draft.coding, key=_start), draft.stops)
    if not exons and not coding and draft.body is None:
        raise InputError(
            f"{path}, {draft.stops[0].place}: transcript {draft.id!r} has a stop codon but no CDS and no "
            "exon; add these or remove the line"
        )
    for left, right in pairwise(exons):
        if right.start < left.end:
            raise InputError(
                f"{path}, {right.place}: the exon overlaps the one of {left.place} in transcript "
                f"{draft.id!r}; exons of one transcript lie apart, so correct or remove one"
            )
    for left, right in pairwise(coding):
        if right.start < left.end - LONGEST_SLIP_BP:
            raise InputError(
                f"{path}, {right.place}: the CDS overlaps the one of {left.place} in transcript "
                f"{draft.id!r} by more than a frameshift ({LONGEST_SLIP_BP} bases); correct or remove one"
            )
    if exons:
        _check_inside(path, draft.id, coding, exons)
    parts = exons or coding
    if draft.body is not None:
        body = _interval(draft.body, names)
    else:
        end = max(part.end for part in parts)
        body = _interval(parts[0]._replace(end=end), names)
    phase = 0
    if coding:
        phase = (coding[-1] if body.strand == "-" else coding[0]).phase
    coding_exons = tuple([_interval(part, names) for part in coding])
    return Transcript(
        draft.id, body, tuple([_interval(part, names) for part in exons]) or coding_exons, coding_exons, phase
    )


def _with_stops(coding: list[Feature], stops: list[Feature]) -> list[Feature]:
    """Return the sorted CDS with the stop codons that are not in it: GTF leaves them out.

    ::

        CDS         |======|     |====|                |======|     |====|
        stop                          |--|                               |-|     |-|
        returned    |======|     |=======|             |======|     |======|     |=|
    """
    if not coding:
        return coding
    for stop in sorted(stops, key=_start):
        for index, part in enumerate(coding):
            if part.start <= stop.end and stop.start <= part.end:
                start, end = min(part.start, stop.start), max(part.end, stop.end)
                coding[index] = part._replace(start=start, end=end)
                break
        else:
            coding = sorted([*coding, stop], key=_start)
    return coding


def _two_places(path: Path, draft: TranscriptDraft) -> str:
    """Return in words which part of a transcript is on another strand or chromosome; else nothing."""
    parts = [*draft.exons, *draft.coding]
    first = draft.body or (parts[0] if parts else None)
    for part in parts:
        if first and (part.chromosome != first.chromosome or part.strand != first.strand):
            return (
                f"{path}, {part.place}: the {part.kind} is on {part.chromosome} strand {part.strand}, but "
                f"transcript {draft.id!r} is on {first.chromosome} strand {first.strand} by {first.place}"
            )
    return ""


def _check_inside(path: Path, transcript: str, coding: list[Feature], exons: list[Feature]) -> None:
    """Check that each part of the sorted CDS lies in one of the sorted exons."""
    index = 0
    for part in coding:
        while index < len(exons) and exons[index].end < part.end:
            index += 1
        if index == len(exons) or part.start < exons[index].start:
            raise InputError(
                f"{path}, {part.place}: the {part.kind} {part.chromosome}:{part.start + 1}-{part.end} is not "
                f"inside an exon of transcript {transcript!r}; complete its exons, or remove all exon lines"
            )


def _interval(feature: Feature, names: dict[str, str]) -> Interval:
    return Interval(names[feature.chromosome], feature.start, feature.end, feature.strand)
