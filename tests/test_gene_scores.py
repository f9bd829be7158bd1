import math

import numpy as np
import pytest

from convnova.evaluation.gene_scores import Agreement, CodingGene, score_genes
from convnova.genome import Interval

WHOLE = [Interval("chr1", 0, 1000), Interval("chr2", 0, 1000)]


def gene(*transcripts, chromosome="chr1", strand="+"):
    return CodingGene(chromosome, strand, transcripts)


TWO = ((10, 20), (30, 40))
OTHER_END = ((10, 20), (30, 50))

# annotated, found, predicted, right
CASES = {
    "the same": (
        [gene(TWO)],
        [gene(TWO)],
        {"nucleotide": (20, 20, 20, 20), "exon": (2, 2, 2, 2), "intron": (1, 1, 1, 1), "gene": (1, 1, 1, 1)},
    ),
    "another end": (
        [gene(OTHER_END)],
        [gene(TWO)],
        {"nucleotide": (20, 20, 30, 20), "exon": (2, 1, 2, 1), "intron": (1, 1, 1, 1), "gene": (1, 0, 1, 0)},
    ),
    "an exon missing": (
        [gene(((10, 20),))],
        [gene(TWO)],
        {"nucleotide": (20, 10, 10, 10), "exon": (2, 1, 1, 1), "intron": (1, 0, 0, 0), "gene": (1, 0, 1, 0)},
    ),
    "the other strand": (
        [gene(TWO, strand="-")],
        [gene(TWO)],
        {"nucleotide": (20, 0, 20, 0), "exon": (2, 0, 2, 0), "intron": (1, 0, 1, 0), "gene": (1, 0, 1, 0)},
    ),
    "another chromosome": (
        [gene(TWO, chromosome="chr2")],
        [gene(TWO)],
        {"nucleotide": (20, 0, 20, 0), "exon": (2, 0, 2, 0), "intron": (1, 0, 1, 0), "gene": (1, 0, 1, 0)},
    ),
    "one of two transcripts": (
        [gene(OTHER_END)],
        [gene(TWO, OTHER_END)],
        {"nucleotide": (30, 30, 30, 30), "exon": (3, 2, 2, 2), "intron": (1, 1, 1, 1), "gene": (1, 1, 1, 1)},
    ),
    "two predicted genes for one": (
        [gene(TWO), gene(OTHER_END)],
        [gene(TWO, OTHER_END)],
        {"nucleotide": (30, 30, 30, 30), "exon": (3, 3, 3, 3), "intron": (1, 1, 1, 1), "gene": (1, 1, 2, 2)},
    ),
    "a frameshift": (
        [gene(((10, 20), (19, 40)))],
        [gene(((10, 20), (19, 40)))],
        {"nucleotide": (30, 30, 30, 30), "exon": (2, 2, 2, 2), "intron": (0, 0, 0, 0), "gene": (1, 1, 1, 1)},
    ),
    "a gene that does not code": (
        [gene(TWO)],
        [gene(TWO, ()), gene(), gene(())],
        {"nucleotide": (20, 20, 20, 20), "exon": (2, 2, 2, 2), "intron": (1, 1, 1, 1), "gene": (1, 1, 1, 1)},
    ),
    "nothing": (
        [],
        [],
        dict.fromkeys(("nucleotide", "exon", "intron", "gene"), (0, 0, 0, 0)),
    ),
}


@pytest.mark.parametrize(("predicted", "annotated", "expected"), CASES.values(), ids=CASES.keys())
def test_hand_made_cases(predicted, annotated, expected):
    assert score_genes(predicted, annotated, WHOLE)._asdict() == expected


REGIONS = {
    "all of it": ([(0, 100)], (20, 2, 1, 1)),
    "just it": ([(10, 40)], (20, 2, 1, 1)),
    "two that meet": ([(0, 15), (15, 100)], (20, 2, 1, 1)),
    "the second exon": ([(30, 40)], (10, 1, 0, 0)),
    "parts of both exons": ([(15, 35)], (10, 0, 1, 0)),
    "in pieces": ([(35, 38), (11, 12), (18, 22)], (6, 0, 0, 0)),
    "beside": ([(0, 10), (40, 100)], (0, 0, 0, 0)),
    "none": ([], (0, 0, 0, 0)),
}


@pytest.mark.parametrize(("spans", "counts"), REGIONS.values(), ids=REGIONS.keys())
def test_what_counts_lies_in_a_region(spans, counts):
    scores = score_genes([gene(TWO)], [gene(TWO)], [Interval("chr1", *span) for span in spans])
    assert tuple(scores) == tuple((n, n, n, n) for n in counts)


def test_shares():
    agreement = Agreement(annotated=10, found=4, predicted=8, right=4)
    assert (agreement.sensitivity, agreement.specificity) == (0.4, 0.5)
    assert agreement.f1 == pytest.approx(2 * 4 / 18)
    assert Agreement(3, 0, 2, 0).f1 == 0
    assert Agreement(3, 0, 0, 0).f1 == 0
    assert math.isnan(Agreement(3, 0, 0, 0).specificity)
    assert math.isnan(Agreement(0, 0, 2, 0).sensitivity)
    assert math.isnan(Agreement(0, 0, 0, 0).f1)


def random_genes(rng, n):
    genes = []
    for _ in range(n):
        transcripts = []
        for _ in range(rng.integers(1, 3)):
            bounds = np.sort(rng.choice(200, 2 * rng.integers(1, 4), replace=False)).tolist()
            transcripts.append(tuple(zip(bounds[::2], bounds[1::2], strict=True)))
        genes.append(gene(*transcripts, strand=str(rng.choice(["+", "-"]))))
    return genes


@pytest.mark.parametrize("seed", range(20))
def test_nucleotides_match_a_base_by_base_count(seed):
    rng = np.random.default_rng(seed)
    regions = [Interval("chr1", *sorted(rng.integers(0, 200, 2).tolist())) for _ in range(3)]
    is_inside = np.zeros(200, dtype=bool)
    for region in regions:
        is_inside[region.start : region.end] = True
    sets = random_genes(rng, 4), random_genes(rng, 4)
    codes = np.zeros((2, 2, 200), dtype=bool)
    for which, genes in enumerate(sets):
        for each in genes:
            for start, end in (exon for exons in each.transcripts for exon in exons):
                codes[which, int(each.strand == "-"), start:end] = True
    codes &= is_inside
    both = int((codes[0] & codes[1]).sum())
    expected = (int(codes[1].sum()), both, int(codes[0].sum()), both)
    assert score_genes(*sets, regions).nucleotide == expected
