"""A variant: bases of a chromosome in place of others, 0-based as all coordinates of the package."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Variant:
    """The bases ``reference``, from ``start`` on, give way to ``alternate``; either may be empty."""

    chromosome: str
    """Name as the genome has it."""
    start: int
    """First base of the reference, 0-based."""
    reference: str
    """Letters of the reference, upper case."""
    alternate: str
    """Letters in their place."""
    name: str = ""
    """What people call it; it takes part in no computation."""

    def __str__(self) -> str:
        """Return ``chrI:100:A>C``, 1-based, for people."""
        return f"{self.chromosome}:{self.start + 1}:{self.reference or '-'}>{self.alternate or '-'}"

    @property
    def end(self) -> int:
        """One past the last base of the reference."""
        return self.start + len(self.reference)

    @property
    def growth(self) -> int:
        """By how many bases the sequence gets longer."""
        return len(self.alternate) - len(self.reference)

    def trimmed(self) -> "Variant":
        """Return the variant without the bases that both alleles begin and end with.

        VCF writes a base before what is inserted or deleted; of ``AT>A`` the T alone is gone.
        """
        reference, alternate, start = self.reference, self.alternate, self.start
        while reference and alternate and reference[-1] == alternate[-1]:
            reference, alternate = reference[:-1], alternate[:-1]
        while reference and alternate and reference[0] == alternate[0]:
            reference, alternate, start = reference[1:], alternate[1:], start + 1
        return replace(self, start=start, reference=reference, alternate=alternate)
