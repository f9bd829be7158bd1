from collections import Counter

import numpy as np
import pytest

from convnova.errors import InputError
from convnova.evaluation import markov
from convnova.evaluation.markov import base_frequencies, choose_markov, fit_markov
from convnova.sequence import N, encode, reverse_complement


def random_ids(length, seed, n_fraction=0.0):
    rng = np.random.default_rng(seed)
    ids = rng.choice(4, size=length, p=[0.4, 0.1, 0.2, 0.3]).astype(np.uint8)
    ids[rng.random(length) < n_fraction] = N
    return ids


def simulate_chain(order, length, seed):
    """A Markov chain of this order, whose transitions are the same for every seed."""
    transitions = np.random.default_rng(order).dirichlet([0.5] * 4, size=4**order).cumsum(axis=1)
    context, ids = 0, np.empty(length, dtype=np.uint8)
    for position, draw in enumerate(np.random.default_rng(seed).random(length)):
        ids[position] = min(3, np.searchsorted(transitions[context], draw))
        context = (4 * context + ids[position]) % 4**order
    return ids


def mean_nats(model, ids):
    known = np.flatnonzero(ids != N)
    return -model.log_probabilities(ids)[known, ids[known]].mean()


def known_context(ids, position, order, flanks):
    """The neighbours of a position, nearest first, up to the first that is N or beyond the end."""
    neighbours = []
    for distance in range(1, order + 1):
        for place in [position - distance, position + distance][: 1 if flanks == "left" else 2]:
            if not 0 <= place < len(ids) or ids[place] == N:
                return tuple(neighbours)
            neighbours.append(int(ids[place]))
    return tuple(neighbours)


def bruteforce_probabilities(sequences, ids, order, flanks, pseudocount, both_strands):
    counts = Counter()
    for sequence in [*sequences, *(map(reverse_complement, sequences) if both_strands else [])]:
        for position in range(len(sequence)):
            context = known_context(sequence, position, order, flanks)
            for length in range(len(context) + 1):
                counts[context[:length], int(sequence[position])] += 1

    def probability(base, context):
        shorter = probability(base, context[:-1]) if context else 0.25
        total = sum(counts[context, other] for other in range(4))
        return (counts[context, base] + pseudocount * shorter) / (total + pseudocount)

    contexts = [known_context(ids, position, order, flanks) for position in range(len(ids))]
    return np.array([[probability(base, context) for base in range(4)] for context in contexts])


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize(
    ("flanks", "order"), [("left", 0), ("left", 1), ("left", 3), ("left", 8), ("both", 1), ("both", 4)]
)
def test_matches_bruteforce(flanks, order, both_strands):
    train = [random_ids(150, seed=1, n_fraction=0.05), random_ids(80, seed=2), random_ids(3, seed=3)]
    unseen = random_ids(100, seed=4, n_fraction=0.1)
    model = fit_markov(train, order, flanks, 2.5, both_strands)
    for ids in [*train, unseen, encode("N"), encode("NNA"), encode("")]:
        expected = bruteforce_probabilities(train, ids, order, flanks, 2.5, both_strands)
        np.testing.assert_allclose(
            np.exp(model.log_probabilities(ids)), expected.reshape(-1, 4), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize(("flanks", "order"), [("left", 5), ("both", 3)])
def test_chunk_size_invariance(monkeypatch, flanks, order):
    ids = random_ids(500, seed=0, n_fraction=0.02)
    whole = fit_markov([ids], order, flanks, 3.0)
    expected = whole.log_probabilities(ids)
    monkeypatch.setattr(markov, "_CHUNK_BP", 7)
    chunked = fit_markov([ids], order, flanks, 3.0)
    np.testing.assert_array_equal(chunked.log_table, whole.log_table)
    np.testing.assert_array_equal(chunked.log_probabilities(ids), expected)


@pytest.mark.parametrize(("flanks", "order"), [("left", 6), ("both", 3)])
def test_probabilities_sum_to_one(flanks, order):
    ids = random_ids(2000, seed=0, n_fraction=0.05)
    probabilities = np.exp(fit_markov([ids[:1000]], order, flanks, 0.5).log_probabilities(ids))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("flanks", "order"), [("left", 8), ("both", 4)])
def test_base_at_the_position_is_not_looked_at(flanks, order):
    ids = random_ids(300, seed=0)
    model = fit_markov([ids], order, flanks, 1.0)
    masked = ids.copy()
    masked[150] = N
    np.testing.assert_array_equal(model.log_probabilities(masked)[150], model.log_probabilities(ids)[150])


@pytest.mark.parametrize("flanks", ["left", "both"])
def test_order_zero_equals_base_frequencies(flanks):
    sequences = [random_ids(700, seed=1, n_fraction=0.1), random_ids(300, seed=2)]
    model = fit_markov(sequences, 0, flanks, pseudocount=1e-9, both_strands=False)
    expected = np.tile(base_frequencies(sequences), (1000, 1))
    probabilities = np.exp(model.log_probabilities(np.concatenate(sequences)))
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-9)


def test_base_frequencies_ignore_n():
    np.testing.assert_array_equal(base_frequencies([encode("AANC"), encode("GNNN")]), [0.5, 0.25, 0.25, 0])


def test_both_strands_count_a_base_and_its_complement_alike():
    model = fit_markov([encode("AAAC")], 0, "left", pseudocount=4.0, both_strands=True)
    np.testing.assert_allclose(np.exp(model.log_table[0]), np.array([4, 2, 2, 4]) / 12)


@pytest.mark.parametrize(("flanks", "order"), [("left", 3), ("both", 2)])
def test_periodic_sequence_is_predicted_almost_perfectly(flanks, order):
    ids = encode("ACGGT" * 400)
    assert mean_nats(fit_markov([ids], order, flanks, 1.0, both_strands=False), ids) < 0.01


@pytest.mark.parametrize("order", [1, 2, 3])
def test_generating_order_is_chosen_on_validation(order):
    train, validation = simulate_chain(order, 20_000, seed=10), simulate_chain(order, 10_000, seed=11)
    chosen = choose_markov([train], [validation], "left", range(6), (1.0, 10.0), both_strands=False)
    assert chosen.model.order == order


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize(("flanks", "orders"), [("left", [4, 0, 2]), ("both", None)])
def test_choice_scores_what_fitting_each_model_scores(flanks, orders, both_strands):
    train = [simulate_chain(2, 2000, seed=1), random_ids(500, seed=2, n_fraction=0.05)]
    validation = simulate_chain(2, 800, seed=3)
    validation[::37] = N
    model, validation_nats = choose_markov(train, [validation], flanks, orders, (1.0, 30.0), both_strands)
    expected = {
        (order, pseudocount): mean_nats(
            fit_markov(train, order, flanks, pseudocount, both_strands), validation
        )
        for order in (range(5) if orders is None else orders)
        for pseudocount in (1.0, 30.0)
    }
    assert validation_nats == pytest.approx(expected, abs=1e-12)
    assert (model.order, model.pseudocount) == min(expected, key=expected.get)
    refitted = fit_markov(train, model.order, flanks, model.pseudocount, both_strands)
    np.testing.assert_array_equal(model.log_table, refitted.log_table)


def test_model_cannot_be_changed():
    model = fit_markov([encode("ACGT")], 1, "left", 1.0)
    with pytest.raises(AttributeError):
        model.order = 2
    with pytest.raises(ValueError, match="read-only"):
        model.log_table[0] = 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 9}, "order 9: allowed are 0 to 8 with flanks 'left'"),
        ({"order": 5, "flanks": "both"}, "order 5: allowed are 0 to 4 with flanks 'both'"),
        ({"order": -1}, "order -1: allowed are 0 to 8"),
        ({"order": 1.5}, "order 1.5: allowed are 0 to 8"),
        ({"flanks": "right"}, "flanks 'right': allowed are 'left' and 'both'"),
        ({"pseudocount": 0}, "pseudocount 0: allowed are finite numbers above 0"),
        ({"pseudocount": float("nan")}, "pseudocount nan: allowed are finite numbers above 0"),
        ({"sequences": []}, "training sequences: no A, C, G or T"),
        ({"sequences": [encode("NNN")]}, "training sequences: no A, C, G or T"),
        ({"sequences": encode("ACGT")}, "training sequences: allowed are 1-D uint8 arrays of ids, got uint8"),
        ({"sequences": ["ACGT"]}, "training sequences: allowed are 1-D uint8 arrays of ids, got <U4"),
        ({"sequences": [np.uint8([7])]}, "training sequences: allowed are ids 0 to 4, got 7"),
    ],
)
def test_fit_says_what_is_allowed(arguments, message):
    good = {"sequences": [encode("ACGT")], "order": 1, "flanks": "left", "pseudocount": 1.0}
    with pytest.raises(InputError, match=message):
        fit_markov(**(good | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flanks": "right"}, "flanks 'right': allowed are"),
        ({"orders": []}, "at least one order and one pseudocount"),
        ({"pseudocounts": []}, "at least one order and one pseudocount"),
        ({"orders": [2, 9]}, "order 9: allowed are"),
        ({"validation": [encode("N")]}, "validation sequences: no A, C, G or T"),
    ],
)
def test_choose_says_what_is_allowed(arguments, message):
    good = {"train": [encode("ACGT")], "validation": [encode("ACGT")], "flanks": "left"}
    with pytest.raises(InputError, match=message):
        choose_markov(**(good | arguments))


def test_scoring_refuses_a_batch():
    with pytest.raises(InputError, match="sequence: allowed are 1-D uint8 arrays of ids, got uint8 of shape"):
        fit_markov([encode("ACGT")], 1, "left", 1.0).log_probabilities(np.zeros((2, 4), dtype=np.uint8))
