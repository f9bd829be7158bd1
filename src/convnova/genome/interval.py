"""A stretch of a chromosome, 0-based and half-open: the one coordinate system of the package."""

from dataclasses import dataclass, replace

from convnova.errors import InputError

STRANDS = ("+", "-", ".")


@dataclass(frozen=True, slots=True)
class Interval:
    """The bases ``start`` up to, but without, ``end`` of one chromosome.

    Start and end may lie outside the chromosome: a window around a site near an end does, and reads N there.

    Raises:
        InputError: when end comes before start, or the strand is none of ``+ - .``
    """

    chromosome: str
    """Name as the genome has it."""
    start: int
    """First base, 0-based."""
    end: int
    """One past the last base."""
    strand: str = "."
    """``+``, ``-``, or ``.`` when it does not matter (read as ``+``)."""
    name: str = ""
    """What people call it; it takes part in no computation."""

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise InputError(
                f"interval on {self.chromosome}: start {self.start} is after end {self.end}; "
                "start is 0-based and end is one past the last base"
            )
        if self.strand not in STRANDS:
            raise InputError(
                f"interval {self.chromosome}, start {self.start}, end {self.end}: "
                f"strand {self.strand!r} is not allowed; use one of {' '.join(STRANDS)}"
            )

    def __str__(self) -> str:
        """Return ``chrI:1001-2000``, 1-based and closed, for people and genome browsers."""
        return f"{self.chromosome}:{self.start + 1}-{self.end}"

    @property
    def width(self) -> int:
        """Length in bp."""
        return self.end - self.start

    @property
    def center(self) -> int:
        """The middle base, 0-based; the right one of the two when the width is even."""
        return (self.start + self.end) // 2

    def resize(self, width: int) -> "Interval":
        """Return the interval of ``width`` bp around the same center."""
        if width < 0:
            raise InputError(f"an interval cannot be {width} bp wide; give 0 or more")
        start = self.center - width // 2
        return replace(self, start=start, end=start + width)

    def shift(self, bp: int) -> "Interval":
        """Return the interval moved by ``bp`` towards larger coordinates, whatever its strand."""
        return replace(self, start=self.start + bp, end=self.end + bp)

    def overlaps(self, other: "Interval") -> bool:
        """Whether at least one base is in both; strands are not compared."""
        return self.chromosome == other.chromosome and max(self.start, other.start) < min(self.end, other.end)
