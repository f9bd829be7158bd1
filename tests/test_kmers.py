from itertools import product

import numpy as np
import pytest

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.evaluation.kmers import fit_kmer_classifier, kmer_frequencies
from convnova.sequence import decode, encode


@pytest.mark.parametrize("k", [1, 2, 3])
def test_frequencies_match_bruteforce(k):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 5, length).astype(np.uint8) for length in (1, 2, 7, 60)]
    words = ["".join(letters) for letters in product("ACGT", repeat=k)]
    for row, ids in zip(kmer_frequencies(sequences, k), sequences, strict=True):
        text = decode(ids)
        found = [text[i : i + k] for i in range(len(text) - k + 1) if "N" not in text[i : i + k]]
        expected = [found.count(word) / max(len(found), 1) for word in words]
        np.testing.assert_allclose(row, expected, atol=1e-7)


@pytest.mark.parametrize("k", [0, 9])
def test_a_k_out_of_range_is_refused(k):
    with pytest.raises(InputError, match=f"k must be 1 to 8, got {k}"):
        kmer_frequencies([encode("ACGT")], k)


def test_k_is_chosen_on_validation():
    # Both classes hold the same letters; only words of two tell AC.. from CA..
    rng = np.random.default_rng(0)

    def part(n):
        labels = np.arange(n) % 2
        ids = np.tile(encode("T"), (n, 40))
        for row, label in zip(ids, labels, strict=True):
            for start in rng.permutation(20)[:8] * 2:
                row[start : start + 2] = encode("AC" if label else "CA")
        return LabelledSequences(pack(ids), labels)

    classifier = fit_kmer_classifier(part(80), part(40), ks=(1, 2))
    assert classifier.k == 2
    assert classifier.validation_auroc[2] == 1 > classifier.validation_auroc[1]
    assert classifier.probabilities(part(10).ids).shape == (10, 2)
