import weakref

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.evaluation import track_kmers
from convnova.evaluation.kmers import kmer_frequencies, strandless_frequencies
from convnova.evaluation.track_kmers import fit_kmer_regression
from convnova.sequence import decode, encode, reverse_complement

MOTIFS = ("TGACT", "GGCGC", "ATATA")


def planted(n, seed):
    """Return windows of 60 bp in which each track has its motif, and how often each occurs, (n, 3)."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, (n, 60)).astype(np.uint8)
    has = rng.random((n, len(MOTIFS))) < (0.5, 0.2, 0.05)
    for row, column in np.argwhere(has):
        ids[row, 10 * column : 10 * column + 5] = encode(MOTIFS[column])
    return ids, has.astype(np.float32)


def part(n, seed, labels=None):
    ids, has = planted(n, seed)
    return LabelledSequences(pack(ids), has if labels is None else labels(has))


def test_words_of_both_strands_are_one_column():
    ids = planted(5, 0)[0]
    assert np.allclose(strandless_frequencies(ids, 3), strandless_frequencies(reverse_complement(ids), 3))
    both = {}
    for word in range(4**3):
        text = "".join("ACGT"[word // 4**place % 4] for place in (2, 1, 0))
        name = min(text, decode(reverse_complement(encode(text))))
        both[name] = both.get(name, 0) + kmer_frequencies(ids, 3)[:, word]
    halves = [
        both[name] / (2 if name != decode(reverse_complement(encode(name))) else 1) for name in sorted(both)
    ]
    assert len(halves) == 32
    np.testing.assert_allclose(strandless_frequencies(ids, 3), np.stack(halves, axis=1), atol=1e-7)


@pytest.fixture
def words_of_three(monkeypatch):
    monkeypatch.setattr(track_kmers, "K", 3)


def standardised(sequences):
    x = strandless_frequencies(sequences.ids, 3).astype(np.float64)
    return (x - x.mean(axis=0)) / x.std(axis=0)


def test_matches_a_logistic_regression_of_each_track(words_of_three):
    train, validation = part(400, 0), part(100, 1)
    made = fit_kmer_regression("multi_label_classification", train, validation, 0)
    x = standardised(train)
    for column, labels in enumerate(train.labels.T):
        # scikit-learn weighs the sum of losses by C, here it is their mean beside the penalty.
        twin = LogisticRegression(C=1 / (made.penalty * len(x)), tol=1e-8, max_iter=1000).fit(x, labels)
        expected = twin.predict_proba(x)[:, 1]
        np.testing.assert_allclose(made.predict(train.ids)[:, column], expected, atol=3e-3)


def test_matches_a_ridge_regression_of_each_signal(words_of_three):
    def signal(has):
        return (has @ np.array([[1, 2], [0, -3], [5, 0]]) + 7).astype(np.float32)

    train, validation = part(400, 0, signal), part(100, 1, signal)
    made = fit_kmer_regression("regression", train, validation, 0)
    x = standardised(train)
    twin = Ridge(alpha=made.penalty * len(x)).fit(x, train.labels)
    np.testing.assert_allclose(made.predict(train.ids), twin.predict(x), atol=1e-3)


def test_it_finds_motifs_on_either_strand():
    train, validation, test = part(2000, 0), part(400, 1), part(400, 2)
    made = fit_kmer_regression("multi_label_classification", train, validation, 0)
    assert made.penalty in track_kmers.PENALTIES
    forward = made.predict(test.ids)
    backward = made.predict(pack(reverse_complement(test.ids.stacked())))
    np.testing.assert_allclose(forward, backward, atol=1e-5)
    for column, labels in enumerate(test.labels.T > 0):
        assert np.median(forward[labels, column]) > np.median(forward[~labels, column])


def test_no_more_windows_than_fit_into_memory_are_read(monkeypatch):
    monkeypatch.setattr(track_kmers, "MOST_WINDOWS", 50)
    made = [
        fit_kmer_regression("multi_label_classification", part(300, 0), part(80, 1), s) for s in (0, 0, 1)
    ]
    assert {one.windows for one in made} == {50}
    assert np.array_equal(made[0].weights, made[1].weights)
    assert not np.array_equal(made[0].weights, made[2].weights)


@pytest.mark.parametrize("bases", [1, 60 * 7, 2**23])
def test_blocks_of_bases_change_nothing(monkeypatch, bases):
    train, validation = part(300, 0), part(80, 1)
    whole = fit_kmer_regression("multi_label_classification", train, validation, 0)
    monkeypatch.setattr(track_kmers, "_BLOCK_BASES", bases)
    made = fit_kmer_regression("multi_label_classification", train, validation, 0)
    np.testing.assert_allclose(made.predict(validation.ids), whole.predict(validation.ids), atol=1e-5)


def test_few_long_windows_are_in_memory_at_once(monkeypatch):
    class OnDemand(LabelledSequences):
        """Windows that are copied when they are read, and counted while they are there."""

        alive = most = 0

        def __getitem__(self, index):
            ids, label = super().__getitem__(index)
            ids = ids.copy()
            OnDemand.alive += 1
            OnDemand.most = max(OnDemand.most, OnDemand.alive)
            weakref.finalize(ids, lambda: setattr(OnDemand, "alive", OnDemand.alive - 1))
            return ids, label

    monkeypatch.setattr(track_kmers, "_BLOCK_BASES", 60 * 10)
    train = part(300, 0)
    fit_kmer_regression("multi_label_classification", OnDemand(train.ids, train.labels), part(80, 1), 0)
    assert OnDemand.most <= 20  # a block and the next


def test_a_track_without_positives_is_never_predicted(words_of_three):
    def one_empty(has):
        return has * np.array([1, 1, 0], dtype=np.float32)

    made = fit_kmer_regression("multi_label_classification", part(200, 0, one_empty), part(100, 1), 0)
    assert made.predict(part(50, 2).ids)[:, 2].max() < 1e-4
