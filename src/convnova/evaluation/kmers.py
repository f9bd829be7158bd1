"""The counting baseline of sequence classification: logistic regression on k-mer frequencies.

n sequences, L length in bp, k length of a word.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convnova.data.labelled import LabelledSequences
from convnova.errors import InputError
from convnova.sequence import Ids, N

MAX_K = 8


def kmer_frequencies(sequences: Ids | Sequence[Ids], k: int) -> NDArray[np.float32]:
    """Return the share of each k-mer among the words of a sequence, (n, 4^k); words with N do not count.

    The column of a word is its letters read as digits to base 4, A 0, C 1, G 2, T 3.

    Raises:
        InputError: for k outside 1 to 8.
    """
    if not 1 <= k <= MAX_K:
        raise InputError(f"k must be 1 to {MAX_K}, got {k}")
    place_values = 4 ** np.arange(k - 1, -1, -1)
    frequencies = np.zeros((len(sequences), 4**k), dtype=np.float32)
    for row, ids in zip(frequencies, sequences, strict=True):
        if len(ids) < k:
            continue
        words = sliding_window_view(ids, k)
        words = words[(words != N).all(axis=1)]
        if len(words):
            row += np.bincount(words @ place_values, minlength=len(row)) / len(words)
    return frequencies


def strandless_frequencies(sequences: Ids | Sequence[Ids], k: int) -> NDArray[np.float32]:
    """Return the share of each k-mer on both strands together, (n, words), the same for either strand.

    A word and its reverse complement are one column, in the order of the one that comes first.

    Raises:
        InputError: for k outside 1 to 8.
    """
    frequencies = kmer_frequencies(sequences, k)
    words = np.arange(4**k)
    letters = words[:, None] // 4 ** np.arange(k) % 4  # the last letter first
    opposite = (3 - letters) @ 4 ** np.arange(k - 1, -1, -1)
    return ((frequencies + frequencies[:, opposite]) / np.float32(2))[:, words <= opposite]


class KmerClassifier(NamedTuple):
    """Logistic regression on k-mer frequencies."""

    k: int
    """Chosen on the validation part."""
    pipeline: Any
    """Scaling and regression, as scikit-learn fitted them."""
    validation_auroc: dict[int, float]
    """By each k that was tried."""

    def probabilities(self, sequences: Ids | Sequence[Ids]) -> NDArray[np.float64]:
        """Return the probability of each class, (n, classes)."""
        return self.pipeline.predict_proba(kmer_frequencies(sequences, self.k))


def fit_kmer_classifier(
    train: LabelledSequences, validation: LabelledSequences, ks: Sequence[int] = (1, 2, 3, 4, 5)
) -> KmerClassifier:
    """Return the classifier whose k does best on the validation part, fitted on the training part.

    Raises:
        InputError: when scikit-learn is not installed.
    """
    from convnova.evaluation.classification import score_classifier

    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise InputError(
            "scikit-learn is needed for this baseline; install it with: pip install 'convnova[report]'"
        ) from None
    fitted, aurocs = {}, {}
    for k in ks:
        # C = 0.01 because there are up to 4^k correlated columns of unit variance.
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        pipeline.fit(kmer_frequencies(train.ids, k), train.labels)
        predicted = pipeline.predict_proba(kmer_frequencies(validation.ids, k))
        fitted[k] = pipeline
        aurocs[k] = score_classifier(validation.labels, predicted, resamples=0).auroc
    best = max(aurocs, key=aurocs.__getitem__)
    return KmerClassifier(best, fitted[best], aurocs)
