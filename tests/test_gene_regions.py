"""How decoded genes are compared with annotated ones."""

from convnova.genome import Gene, Interval, Transcript
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.regions import agreement

REGION = [Interval("chrI", 0, 200)]


def annotated(*spans):
    exons = tuple(Interval("chrI", *span, "+") for span in spans)
    body = Interval("chrI", spans[0][0], spans[-1][1], "+")
    return Gene(body, "g", "g", (Transcript("t", body, exons, exons),))


def predicted(*spans):
    return GeneModel("chrI", "+", tuple(Interval("chrI", *span, "+") for span in spans), 0.0)


def test_a_frameshift_is_no_intron():
    for slip in (-1, 1):
        gene = annotated((10, 40), (40 + slip, 70), (100, 130))
        scores = agreement([predicted((10, 70), (100, 130))], [gene], REGION)
        assert (scores.exon.annotated, scores.intron.annotated) == (2, 1)
        assert scores.exon.f1 == scores.intron.f1 == scores.gene.f1 == 1


def test_a_gene_across_the_end_of_a_region_counts_with_what_is_inside():
    gene, found = annotated((10, 40), (60, 130)), predicted((10, 40), (60, 90))
    scores = agreement([found], [gene], [Interval("chrI", 0, 100)])
    assert (scores.nucleotide.annotated, scores.nucleotide.found, scores.nucleotide.predicted) == (70, 60, 60)
    assert (scores.exon.annotated, scores.gene.annotated) == (1, 0)
