"""Masking: measured shares, what is never chosen, and that nothing else changes."""

import numpy as np
import pytest

from convnova.data.masking import NO_LABEL, MaskingSettings, mask_ids
from convnova.errors import InputError
from convnova.sequence import N

IDS = np.random.default_rng(0).integers(0, 4, 400_000, dtype=np.uint8)
WITH_N = np.where(np.arange(len(IDS)) % 5 == 0, np.uint8(N), IDS)


def masked(ids=IDS, seed=1, **settings):
    return mask_ids(ids, MaskingSettings(**settings), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("rate", "mask_share", "random_share"),
    [(0.15, 0.8, 0.1), (0.10, 0.8, 0.1), (0.3, 1.0, 0.0), (0.5, 0.0, 0.6)],
)
def test_standard_shares(rate, mask_share, random_share):
    shown, labels = masked(rate=rate, mask_share=mask_share, random_share=random_share)
    is_predicted = labels != NO_LABEL
    assert is_predicted.mean() == pytest.approx(rate, abs=0.004)
    assert (shown[is_predicted] == N).mean() == pytest.approx(mask_share, abs=0.01)
    # A random base is the true one in a quarter of the cases.
    is_changed = (shown != IDS) & (shown != N)
    assert is_changed[is_predicted].mean() == pytest.approx(0.75 * random_share, abs=0.01)
    kept = 1 - mask_share - 0.75 * random_share
    assert (shown == IDS)[is_predicted].mean() == pytest.approx(kept, abs=0.01)


def test_standard_labels_are_the_true_bases_and_the_rest_is_shown_as_it_is():
    shown, labels = masked(WITH_N)
    is_predicted = labels != NO_LABEL
    assert (labels[is_predicted] == WITH_N[is_predicted]).all()
    assert (shown[~is_predicted] == WITH_N[~is_predicted]).all()
    assert labels.dtype == np.int64
    assert shown.dtype == np.uint8


def test_standard_never_chooses_n():
    labels = masked(WITH_N, rate=0.9).labels
    assert (labels[WITH_N == N] == NO_LABEL).all()
    assert (masked(np.full(100, N, np.uint8), rate=0.9).labels == NO_LABEL).all()


def test_released_shares():
    shown, labels = masked(protocol="released")
    is_predicted = labels != NO_LABEL
    assert (shown == N).mean() == pytest.approx(1 - 0.88**2, abs=0.004)  # about 22 %
    assert is_predicted.mean() == pytest.approx(0.15, abs=0.004)
    # Hidden or drawn anew in the first pass, in no pass's loss: 0.85 x 0.15 x (0.8 + 0.1 x 0.75).
    assert ((shown != IDS) & ~is_predicted).mean() == pytest.approx(0.1116, abs=0.003)  # about 11 %
    assert (labels[is_predicted] == IDS[is_predicted]).all()


def test_released_predicts_n_too():
    labels = masked(WITH_N, protocol="released").labels
    assert (labels[WITH_N == N] == N).mean() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("protocol", ["standard", "released"])
def test_masking_is_pure(protocol):
    before = WITH_N.copy()
    first, second = masked(WITH_N, protocol=protocol), masked(WITH_N, protocol=protocol)
    assert (before == WITH_N).all()
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (masked(WITH_N, seed=2, protocol=protocol).labels != first.labels).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, r"masking rate must be between 0 and 1, got 0\.0"),
        ({"rate": 1.0}, r"masking rate must be between 0 and 1, got 1\.0"),
        ({"mask_share": 0.9, "random_share": 0.2}, r"together at most 1, got 0\.9 and 0\.2"),
        ({"random_share": -0.1}, r"must be at least 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        MaskingSettings(**settings)
