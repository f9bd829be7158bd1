import numpy as np
import pytest

from convnova.errors import InputError
from convnova.inference.genes import emissions


def labels(*parts):
    return [f"{part}{strand}" for strand in "+-" for part in parts] + ["intergenic"]


BEND = labels("exon", "donor", "intron", "acceptor")
CODING = labels("CDS", "UTR", "donor", "intron", "acceptor")
FRAME = labels("codon0", "codon1", "codon2", "donor", "intron", "acceptor", "start", "stop")
WITHOUT_ENDS = labels("codon0", "codon1", "codon2", "donor", "intron", "acceptor")
WITH_START = labels("CDS", "donor", "intron", "acceptor", "start")
COLUMNS = {
    "without codon positions": (BEND, [0, 0, 0, 1, 2, 3, 0, 0, 4, 4, 4, 5, 6, 7, 4, 4, 8]),
    "with untranslated regions": (CODING, [0, 0, 0, 2, 3, 4, 0, 0, 5, 5, 5, 7, 8, 9, 5, 5, (1, 6, 10)]),
    "with codon positions": (FRAME, list(range(17))),
    "without starts and stops": (WITHOUT_ENDS, [*range(6), 0, 2, *range(6, 12), 6, 8, 12]),
    "without stops": (WITH_START, [0, 0, 0, 1, 2, 3, 4, 0, 5, 5, 5, 6, 7, 8, 9, 5, 10]),
}


@pytest.mark.parametrize(("names", "columns"), COLUMNS.values(), ids=COLUMNS.keys())
def test_labels_find_their_classes(names, columns):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(names)), 5)
    expected = np.stack([probabilities[:, np.atleast_1d(each)].sum(axis=1) for each in columns], axis=1)
    result = emissions(np.log(probabilities), names)
    assert result.dtype == np.float32
    np.testing.assert_allclose(np.exp(result), expected, rtol=1e-5)


def test_the_order_of_labels_does_not_matter():
    values = np.log(np.random.default_rng(0).dirichlet(np.ones(9), 5))
    np.testing.assert_array_equal(emissions(values, BEND), emissions(values[:, ::-1], BEND[::-1]))


def test_what_is_impossible_is_bounded():
    certain = np.where(np.arange(11) == 2, 0.0, -np.inf)[None]
    result = emissions(certain, CODING)
    assert result[0, 3] == 0
    assert (np.delete(result[0], 3) == -100).all()


BAD = [
    (BEND[:-1], "leave a class without one; give exon"),
    (BEND[1:], "leave a class without one"),
    (["gap+", *BEND[1:]], r"label 'gap\+' has no place in a gene; known are intergenic, .* codon0"),
    (["exon", *BEND[1:]], "label 'exon' has no place"),
]


@pytest.mark.parametrize(("names", "message"), BAD)
def test_labels_that_make_no_gene_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        emissions(np.zeros((4, len(names))), names)


def test_a_column_too_many_is_refused():
    with pytest.raises(InputError, match=r"log-probabilities of shape \(4, 8\) do not fit 9 labels"):
        emissions(np.zeros((4, 8)), BEND)
