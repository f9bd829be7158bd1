import numpy as np
import pytest
import torch

from convnova.data.augmentation import AugmentationSettings, augment
from convnova.data.labelled import AugmentedBatches, collate
from convnova.errors import InputError
from convnova.sequence import N, encode, reverse_complement

IDS = encode("AACCGTTTGACNACGT")
NOTHING = AugmentationSettings(reverse_complement=False)
EVERYTHING = AugmentationSettings(shift_bp=5, mutation_rate=0.3)


def rng(seed=0):
    return np.random.default_rng(seed)


def draws(settings, ids=IDS, n=300):
    generator = rng()
    return [augment(ids, settings, generator) for _ in range(n)]


def shifted(ids, shift):
    """Return ids moved to the right by a shift, base by base."""
    return np.array([ids[i - shift] if 0 <= i - shift < len(ids) else N for i in range(len(ids))], np.uint8)


def test_nothing_is_changed_unless_told():
    assert augment(IDS, NOTHING, rng()) is IDS


@pytest.mark.parametrize("settings", [NOTHING, AugmentationSettings(), EVERYTHING], ids=str)
@pytest.mark.parametrize("text", ["A", "AC", "ACGTN", "ACGT" * 20])
def test_length_alphabet_and_the_sequence_given_are_kept(settings, text):
    ids = encode(text)
    for made in draws(settings, ids, 50):
        assert (made.shape, made.dtype) == (ids.shape, np.uint8)
        assert made.max() <= N
    assert (ids == encode(text)).all()


def test_half_of_the_sequences_are_read_from_the_opposite_strand():
    made = draws(AugmentationSettings(), n=1000)
    is_opposite = [np.array_equal(one, reverse_complement(IDS)) for one in made]
    assert all(np.array_equal(one, IDS) for one, turned in zip(made, is_opposite, strict=True) if not turned)
    assert 0.45 < np.mean(is_opposite) < 0.55


def test_every_shift_up_to_the_limit_occurs_and_n_moves_in():
    made = {one.tobytes() for one in draws(AugmentationSettings(reverse_complement=False, shift_bp=3))}
    assert made == {shifted(IDS, shift).tobytes() for shift in range(-3, 4)}


def test_a_base_stays_however_far_a_sequence_moves():
    settings = AugmentationSettings(reverse_complement=False, shift_bp=100)
    assert all((one != N).any() for one in draws(settings, encode("ACG")))


def test_the_mutation_rate_is_met_and_n_stays_n():
    ids = np.concatenate([np.zeros(40_000, np.uint8), np.full(50, N, np.uint8)])
    made = augment(ids, AugmentationSettings(reverse_complement=False, mutation_rate=0.2), rng())
    assert (made[-50:] == N).all()
    shares = np.bincount(made[:-50], minlength=5) / 40_000  # a quarter of the random bases is the old one
    np.testing.assert_allclose(shares, [0.85, 0.05, 0.05, 0.05, 0], atol=0.01)


def test_labels_stay_with_their_sequences():
    examples = [(encode(text), np.int64(label)) for label, text in enumerate(["AAAA", "CC", "GGGTTT"])]
    batch = AugmentedBatches(EVERYTHING, seed=0)(examples)
    assert batch["labels"].tolist() == [0, 1, 2]
    assert batch["attention_mask"].sum(1).tolist() == [4, 2, 6]


def test_without_augmentation_a_batch_is_the_collated_examples():
    examples = [(IDS, np.int64(1)), (encode("AC"), np.int64(0))]
    made, expected = AugmentedBatches(NOTHING, seed=0)(examples), collate(examples)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in made)


def test_one_seed_gives_the_same_batches_and_another_one_others():
    examples = [(IDS, np.int64(1))] * 8
    first, same, other = (AugmentedBatches(EVERYTHING, seed) for seed in (3, 3, 4))
    for _ in range(3):
        expected = first(examples)["input_ids"]
        assert torch.equal(expected, same(examples)["input_ids"])
        assert not torch.equal(expected, other(examples)["input_ids"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shift_bp": -1}, "shift_bp must be at least 0, got -1"),
        ({"mutation_rate": 1.0}, "mutation_rate must be at least 0 and below 1, got 1.0"),
        ({"mutation_rate": -0.1}, "mutation_rate must be at least 0"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        AugmentationSettings(**values)
