"""What labelled parts look like before anything is trained on: sizes, classes, lengths, N, repeats, leakage.

n sequences.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.duplicates import same_sequence_groups
from convnova.data.label_scheme import LabelScheme
from convnova.data.labelled import LabelledSequences
from convnova.data.table import counted
from convnova.sequence import N

_BINS, _SHUFFLES, _MARGIN = 10, 20, 0.05
"""Length gives classes away when ten bins of it beat the best of twenty shuffles by five points."""
_SCARCE, _RARE, _MANY_N = 10, 0.01, 0.05


class Summary(NamedTuple):
    """Sequences of a part, or of a class in it."""

    sequences: int
    shortest_bp: int
    median_bp: float
    longest_bp: int
    n_share: float
    """Share of the bases that are N."""


class PartQuality(NamedTuple):
    """One part: train, validation or test."""

    all: Summary
    classes: dict[str, Summary]
    """By class; in multi-label by label, where it is 1; empty in regression."""
    repeats: int
    """Sequences that are, on either strand, the same as an earlier one of the part."""
    conflicts: int
    """Different sequences that have more than one label in the part."""
    mostly_n: int
    """Sequences of more than half N."""


@dataclass(frozen=True)
class QualityReport:
    """What is known of the parts of a task, and what is suspicious."""

    parts: dict[str, PartQuality]
    """By name: train, validation, test."""
    shared: dict[str, int]
    """``train and test``: how many sequences of the second are, on either strand, in the first."""
    shared_conflicts: dict[str, int]
    """Of these, how many have another label there."""
    removed: dict[str, int] = field(default_factory=dict)
    """Sequences removed from a part because a held-out part has them too."""
    warnings: tuple[str, ...] = ()
    """What deserves a look, one sentence each."""

    def lines(self) -> list[str]:
        """Return the report for people, one fact a line."""
        shown = [_part_line(name, part) for name, part in self.parts.items()]
        for pair, count in self.shared.items():
            if count:
                other = self.shared_conflicts[pair]
                with_other = f", {other:,} with another label" if other else ""
                shown.append(f"{pair} share {counted(count)} (either strand){with_other}")
        for name, count in self.removed.items():
            shown.append(f"removed from {name}: {counted(count)} that a held-out part has too")
        if len(self.parts) > 1 and not any(self.shared.values()):
            shown.append("no sequence is in two parts, on either strand")
        return shown + [f"look: {warning}" for warning in self.warnings]

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        parts = {
            name: {
                **part.all._asdict(),
                "classes": {label: summary._asdict() for label, summary in part.classes.items()},
                "repeats": part.repeats,
                "conflicts": part.conflicts,
                "mostly_n": part.mostly_n,
            }
            for name, part in self.parts.items()
        }
        return {**asdict(self), "parts": parts, "warnings": list(self.warnings)}


def check_quality(
    parts: Mapping[str, LabelledSequences], scheme: LabelScheme, removed: Mapping[str, int] | None = None
) -> QualityReport:
    """Return the report on the parts of a task; nothing is refused here.

    Args:
        parts: by name, train first.
        scheme: what their labels mean.
        removed: what was removed before, to be stated.
    """
    groups = dict(zip(parts, same_sequence_groups([part.ids for part in parts.values()]), strict=True))
    qualities = {name: _part(part, groups[name], scheme) for name, part in parts.items()}
    shared, conflicts = {}, {}
    names = list(parts)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            pair = f"{first} and {second}"
            is_shared = np.isin(groups[second], groups[first])
            shared[pair] = int(is_shared.sum())
            conflicts[pair] = _differing(parts[first], groups[first], parts[second], groups[second])
    warnings = [*_pair_warnings(qualities), *_part_warnings(parts, qualities, scheme)]
    return QualityReport(qualities, shared, conflicts, dict(removed or {}), tuple(warnings))


def _part(part: LabelledSequences, groups: NDArray[np.int64], scheme: LabelScheme) -> PartQuality:
    n_bases = _n_bases(part)
    classes = {}
    for index, name in enumerate(scheme.names if scheme.kind != "regression" else ()):
        is_member = part.labels[:, index] == 1 if part.labels.ndim > 1 else part.labels == index
        if is_member.any():
            classes[name] = _summary(part.ids.lengths[is_member], n_bases[is_member])
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    is_other = _rows(part.labels != part.labels[first][inverse])
    return PartQuality(
        _summary(part.ids.lengths, n_bases),
        classes,
        repeats=len(groups) - len(first),
        conflicts=len(np.unique(groups[is_other])),
        mostly_n=int((2 * n_bases > part.ids.lengths).sum()),
    )


def _summary(lengths: NDArray[np.int64], n_bases: NDArray[np.int64]) -> Summary:
    return Summary(
        len(lengths),
        int(lengths.min()),
        float(np.median(lengths)),
        int(lengths.max()),
        float(n_bases.sum() / lengths.sum()),
    )


def _n_bases(part: LabelledSequences) -> NDArray[np.int64]:
    return np.add.reduceat((part.ids.codes == N).astype(np.int64), part.ids.offsets[:-1])


def _rows(is_other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which sequences differ in any of their labels, (n,)."""
    return np.asarray(np.any(is_other, axis=tuple(range(1, is_other.ndim))))


def _differing(
    first: LabelledSequences,
    first_groups: NDArray[np.int64],
    second: LabelledSequences,
    second_groups: NDArray[np.int64],
) -> int:
    """Return how many sequences of the second part have another label than the first of their group there."""
    known, index = np.unique(first_groups, return_index=True)
    place = np.minimum(np.searchsorted(known, second_groups), len(known) - 1)
    is_shared = known[place] == second_groups
    is_other = _rows(second.labels[is_shared] != first.labels[index[place[is_shared]]])
    return int(is_other.sum())


def _part_warnings(
    parts: Mapping[str, LabelledSequences], qualities: Mapping[str, PartQuality], scheme: LabelScheme
) -> list[str]:
    warnings = []
    for name, quality in qualities.items():
        if quality.conflicts:
            warnings.append(f"{name} has {counted(quality.conflicts)} with more than one label")
        if quality.all.n_share > _MANY_N:
            warnings.append(f"{quality.all.n_share:.1%} of the bases of {name} are N")
        if quality.mostly_n:
            warnings.append(f"{name} has {counted(quality.mostly_n)} of more than half N")
        for label in scheme.names if scheme.kind != "regression" else ():
            count = quality.classes[label].sequences if label in quality.classes else 0
            if count < _SCARCE or count < _RARE * quality.all.sequences:
                warnings.append(f"{name} has {counted(count)} of {label!r}, of {quality.all.sequences:,}")
        if scheme.kind == "single-label" and name == "train":
            for what, values in (
                ("length", parts[name].ids.lengths),
                ("the number of N", _n_bases(parts[name])),
            ):
                told, chance = told_by(values, parts[name].labels, scheme.num_labels)
                if told > chance + _MARGIN:
                    warnings.append(
                        f"{what} alone tells the classes of {name} apart (balanced accuracy {told:.2f}, "
                        f"{chance:.2f} by chance); a model may learn that instead of the sequence"
                    )
    return warnings


def _pair_warnings(qualities: Mapping[str, PartQuality]) -> list[str]:
    train, warnings = qualities["train"].all, []
    for name, quality in qualities.items():
        other = quality.all
        # What was drawn from train for validation counts as train when test is compared with it.
        known = sum(part.all.sequences for rest, part in qualities.items() if rest not in (name, "test"))
        if name == "test" and other.sequences > 2 * known:
            sizes = f"test has {counted(other.sequences)}, train {known:,}"
            warnings.append(f"are train and test swapped? {sizes}")
        elif other.sequences > known and name != "train":
            warnings.append(f"{name} is larger than train ({other.sequences:,} to {known:,}): swapped?")
        if other.shortest_bp > train.longest_bp or other.longest_bp < train.shortest_bp:
            warnings.append(
                f"sequences of {name} have {_bp(other)}, those of train {_bp(train)}: cut in another way?"
            )
    return warnings


def told_by(values: NDArray[np.integer], labels: NDArray[np.int64], classes: int) -> tuple[float, float]:
    """Return how well one number tells the classes apart, and the best of twenty shuffles of the labels.

    Both are the balanced accuracy of naming the most over-represented class in each of ten bins.
    """
    borders = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    bins = np.searchsorted(borders, values, side="right" if len(borders) == 1 else "left")
    if len(distinct := np.unique(values)) <= _BINS:
        bins = np.searchsorted(distinct, values)
    if bins.max() == 0:
        return 1 / classes, 1 / classes
    rng = np.random.default_rng(0)
    shuffles = [_accuracy(bins, rng.permutation(labels), classes) for _ in range(_SHUFFLES)]
    return _accuracy(bins, labels, classes), max(shuffles)


def _accuracy(bins: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    counts = np.bincount(bins * classes + labels, minlength=(bins.max() + 1) * classes).reshape(-1, classes)
    sizes = np.maximum(counts.sum(axis=0), 1)
    return float((counts / sizes).max(axis=1).sum() / np.count_nonzero(counts.sum(axis=0)))


def _part_line(name: str, part: PartQuality) -> str:
    classes = ", ".join(
        f"{label}: {summary.sequences:,}" for label, summary in list(part.classes.items())[:8]
    )
    more = f", ... ({len(part.classes)} classes)" if len(part.classes) > 8 else ""
    extras = [f"{part.all.n_share:.2%} N"] if part.all.n_share else []
    extras += [f"{part.repeats:,} repeat an earlier one"] if part.repeats else []
    facts = "; ".join(filter(None, [classes + more, *extras]))
    return f"{name}: {counted(part.all.sequences)} of {_bp(part.all)}{'; ' + facts if facts else ''}"


def _bp(summary: Summary) -> str:
    if summary.shortest_bp == summary.longest_bp:
        return f"{summary.shortest_bp:,} bp"
    return f"{summary.shortest_bp:,} to {summary.longest_bp:,} bp (median {summary.median_bp:,.0f})"
