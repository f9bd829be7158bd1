"""Seconds from an annotation to one label a base: a GTF of 20,000 genes on a genome of 100 Mb.

Genome and GTF are made by seed, in the form of Ensembl: gene, transcript, exon and CDS lines, the stop codon
on a line of its own. Exons lie at random places, so that the splice check is not run: it would refuse them.
"""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, report, save, seconds

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings, label_genes
from convnova.data.gene_checks import coding_checks
from convnova.genome import Genome, read_annotation

SEED = 7
GOAL_SECONDS = 60
EXON_BP, INTRON_BP = 150, 500


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--megabases", type=float, default=100, help="size of the genome")
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--exons", type=int, default=5, help="exons of a gene")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    if options.quick:
        options.megabases, options.genes, options.rounds = 0.2, 20, 1
    with tempfile.TemporaryDirectory() as folder:
        fasta, gtf = Path(folder) / "made.fa", Path(folder) / "made.gtf"
        size = int(options.megabases * 1e6)
        places = gene_places(size, options.genes, options.exons)
        write_genome(fasta, size, places, options.exons)
        n_lines = write_gtf(gtf, places, options.exons)
        genome = Genome.open(fasta)
        rows = measure(genome, gtf, options.rounds)
    settings = {
        "megabases": options.megabases,
        "genes": options.genes,
        "exons": options.exons,
        "lines": n_lines,
        "rounds": options.rounds,
    }
    shown = [[row["task"], f"{row['seconds']:.2f}"] for row in rows]
    report("labelling", settings, ["task", f"seconds (goal {GOAL_SECONDS} for reading and labelling)"], shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("labelling", result)
    return result


def measure(genome: Genome, gtf: Path, rounds: int) -> list[dict[str, Any]]:
    """Return the median seconds of each step."""
    genes = read_annotation(gtf, genome)
    sizes = genome.chromosome_sizes
    tasks: dict[str, Callable[[], Any]] = {"read the GTF": lambda: read_annotation(gtf, genome)}
    for name in LABEL_SETS:
        settings = GeneLabelSettings(name)
        tasks[f"label, {name}"] = lambda settings=settings: label_genes(genes, sizes, settings)
    tasks["check the CDS"] = lambda: coding_checks(genes, genome)
    return [
        {"task": task, "seconds": statistics.median(seconds(call) for _ in range(rounds))}
        for task, call in tasks.items()
    ]


def gene_places(size: int, n_genes: int, n_exons: int) -> list[tuple[int, str]]:
    """Return start and strand of genes at even distances, on either strand."""
    starts = np.linspace(0, size - n_exons * (EXON_BP + INTRON_BP), n_genes).astype(int).tolist()
    strands = np.random.default_rng(SEED).integers(0, 2, n_genes)
    return [(start, "+-"[strand]) for start, strand in zip(starts, strands, strict=True)]


def gene_width(n_exons: int) -> int:
    """Return the bases from a gene's start to its end."""
    return n_exons * EXON_BP + (n_exons - 1) * INTRON_BP


def write_genome(path: Path, size: int, places: Sequence[tuple[int, str]], n_exons: int) -> None:
    """Write one chromosome of random bases, with a start and a stop codon at each gene's ends."""
    bases = np.random.default_rng(SEED).integers(0, 4, size)
    letters = bytearray(np.frombuffer(b"ACGT", dtype=np.uint8)[bases].tobytes())
    for start, strand in places:
        end = start + gene_width(n_exons)
        letters[start : start + 3], letters[end - 3 : end] = (
            (b"ATG", b"TAA") if strand == "+" else (b"TTA", b"CAT")
        )
    path.write_bytes(b">chr1\n" + letters + b"\n")


def write_gtf(path: Path, places: Sequence[tuple[int, str]], n_exons: int) -> int:
    """Write the genes, and return the number of lines."""
    lines = []
    for number, (start, strand) in enumerate(places):
        gene = f'gene_id "G{number:06}"; gene_version "1";'
        transcript = (
            f'{gene} transcript_id "T{number:06}"; gene_name "g{number}"; gene_biotype "protein_coding";'
        )

        def add(type_: str, first: int, width: int, text: str, strand: str = strand) -> None:
            lines.append(f"chr1\tmade\t{type_}\t{first + 1}\t{first + width}\t.\t{strand}\t.\t{text}")

        width = gene_width(n_exons)
        add("gene", start, width, gene)
        add("transcript", start, width, transcript)
        for exon in range(n_exons):
            first = start + exon * (EXON_BP + INTRON_BP)
            has_stop = exon == (n_exons - 1 if strand == "+" else 0)
            add("exon", first, EXON_BP, f"{transcript} exon_number {exon + 1};")
            add("CDS", first + 3 * (has_stop and strand == "-"), EXON_BP - 3 * has_stop, transcript)
        add("stop_codon", start + (width - 3 if strand == "+" else 0), 3, transcript)
    path.write_text("\n".join(lines) + "\n")
    return len(lines)


if __name__ == "__main__":
    main()
