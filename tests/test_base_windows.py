"""Windows of labelled bases: what is shown, what is scored, and that training sees what prediction sees."""

import numpy as np
import pytest
import torch

from convnova.data.base_labels import LABEL_SETS
from convnova.data.base_windows import (
    UNKNOWN,
    BaseWindows,
    BaseWindowSettings,
    LabelledBases,
    label_weights,
)
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference.tiles import predict_bases
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.sequence import N, complement

BEND = LABEL_SETS["bend"]
REGIONS = (
    Interval("chr1", 0, 120),
    Interval("chr1", 150, 187, "-"),
    Interval("chr2", 3, 30, "+"),
    Interval("chr2", 40, 72, "-"),
)
W, C = 32, 20


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    rng = np.random.default_rng(0)
    records = {"chr1": 200, "chr2": 80}
    sequences = [(name, rng.integers(0, 5, size).astype(np.uint8)) for name, size in records.items()]
    return Genome.of_sequences(tmp_path_factory.mktemp("genome") / "g.gb", sequences)


def bases_of(genome, label_set=BEND, regions=REGIONS, unknown_share=0.1, seed=1):
    """Return labels at random, some unknown, some regions without a gene."""
    rng = np.random.default_rng(seed)
    labels = [rng.integers(0, len(label_set.labels), region.width) for region in regions]
    labels = [np.where(rng.random(len(row)) < unknown_share, UNKNOWN, row).astype(np.uint8) for row in labels]
    return LabelledBases(genome, regions, tuple(labels))


def windows_of(bases, label_set=BEND, context=C, weights=None, seed=0, epochs=1, **changes):
    settings = BaseWindowSettings(**{"window_bp": W} | changes)
    return BaseWindows(bases, label_set, settings, context, weights, seed, epochs)


def examples(windows):
    return [windows[index] for index in range(len(windows))]


def slow_example(bases, region, start, label_set, is_reversed):
    """Return ids, labels and whether a base is real of one window, base by base."""
    genome, interval, labels = bases.genome, bases.regions[region], bases.labels[region]
    rows = []
    for place in range(start - C, start + W + C):
        if not 0 <= place < interval.width:
            rows.append((N, -100, 0))
            continue
        chromosome = genome.sequence(interval.chromosome)
        if interval.strand == "-":
            base = int(complement(chromosome)[interval.end - 1 - place])
        else:
            base = int(chromosome[interval.start + place])
        is_scored = start <= place < start + W and labels[place] != UNKNOWN
        rows.append((base, int(labels[place]) if is_scored else -100, 1))
    if is_reversed:
        opposite = {**dict(enumerate(label_set.opposite)), -100: -100}
        pairs = {0: 3, 1: 2, 2: 1, 3: 0, 4: 4}
        rows = [(pairs[base], opposite[label], is_real) for base, label, is_real in reversed(rows)]
    return np.array(rows).T


def as_bytes(ids, labels, is_real):
    return np.stack([ids, labels, is_real]).astype(np.int16).tobytes()


def mask_of(example):
    return example.get("attention_mask", np.ones_like(example["labels"]))


@pytest.mark.parametrize("name", LABEL_SETS)
@pytest.mark.parametrize("reverse_complement", [False, True])
def test_every_example_matches_bruteforce(genome, name, reverse_complement):
    label_set = LABEL_SETS[name]
    bases = bases_of(genome, label_set)
    possible = {
        as_bytes(*slow_example(bases, region, start, label_set, is_reversed)): (region, is_reversed)
        for region, interval in enumerate(REGIONS)
        for start in range(max(interval.width - W, 0) + 1)
        for is_reversed in (False, True)
    }
    found = set()
    windows = windows_of(bases, label_set, epochs=8, reverse_complement=reverse_complement)
    for example in examples(windows):
        assert example["input_ids"].shape == example["labels"].shape == (1, W + 2 * C)
        assert {array.dtype for array in example.values()} == {np.dtype(np.int64)}
        found.add(possible[as_bytes(example["input_ids"][0], example["labels"][0], mask_of(example)[0])])
    assert {is_reversed for _, is_reversed in found} == {False, reverse_complement}
    assert {region for region, _ in found} == set(range(len(REGIONS)))


@pytest.mark.parametrize("name", LABEL_SETS)
def test_the_labels_of_the_other_strand_are_those_of_a_genome_that_is_turned_around(genome, name):
    """The whole region on strand -, its labels flipped by their names, gives the same windows."""
    label_set = LABEL_SETS[name]
    region = Interval("chr1", 0, W)
    bases = bases_of(genome, label_set, (region,), unknown_share=0)
    windows = windows_of(bases, label_set, context=0, epochs=20)
    names = [label_set.labels[label] for label in bases.labels[0]]
    other = {name: name[:-1] + "-+"["+-".index(name[-1])] for name in label_set.labels[:-1]}
    flipped = [other.get(name, name) for name in reversed(names)]
    seen = {tuple(label_set.labels[label] for label in one["labels"][0]) for one in examples(windows)}
    assert seen == {tuple(names), tuple(flipped)}


def test_the_batch_of_an_example_changes_nothing(genome):
    bases = bases_of(genome)
    weights = np.linspace(0.5, 2, 9, dtype=np.float32)
    alone, together = (windows_of(bases, weights=weights, epochs=4) for _ in range(2))
    order = np.random.default_rng(0).permutation(len(alone)).tolist()
    for indices in (order[:5], order[5:6], order[6:]):
        batch = together.__getitems__(indices)
        assert batch["loss_weights"].dtype == np.float32
        for row, index in enumerate(indices):
            one = alone[index]
            for key in ("input_ids", "labels", "loss_weights"):
                np.testing.assert_array_equal(batch[key][row], one[key][0])
            np.testing.assert_array_equal(batch["attention_mask"][row], mask_of(one)[0])


def test_an_example_is_a_function_of_seed_and_index(genome):
    bases = bases_of(genome)
    first, again, other = (examples(windows_of(bases, epochs=3, seed=seed)) for seed in (5, 5, 6))
    first, again, other = ([one["input_ids"].tobytes() for one in made] for made in (first, again, other))
    assert first == again != other
    n = len(first) // 3
    assert first[:n] != first[n : 2 * n] != first[2 * n :]


def test_there_is_no_mask_and_no_weight_where_none_is_needed(genome):
    bases = bases_of(genome, regions=(Interval("chr1", 0, 120),))
    assert examples(windows_of(bases, context=0))[0].keys() == {"input_ids", "labels"}
    assert "attention_mask" in examples(windows_of(bases, context=90))[0]


def times_scored(genome, width, epochs, **changes):
    """Return how often an epoch scores each base of a region."""
    places = np.arange(width, dtype=np.uint8)
    bases = LabelledBases(genome, (Interval("chr1", 0, width),), (places,))
    windows = windows_of(bases, epochs=epochs, reverse_complement=False, **changes)
    scored = np.concatenate([example["labels"][example["labels"] >= 0] for example in examples(windows)])
    return np.bincount(scored, minlength=width) / epochs


@pytest.mark.parametrize("width", [1, 31, 32, 33, 120, 187])
def test_without_shift_every_base_is_scored_once_an_epoch(genome, width):
    """Windows of one base cannot be shifted."""
    assert (times_scored(genome, width, 2, window_bp=1) == 1).all()


def test_every_base_is_scored_about_once_an_epoch(genome):
    counts = times_scored(genome, 160, 200)
    assert counts.mean() == 1
    assert counts[W:-W].mean() == pytest.approx(1, abs=0.05)
    assert counts.min() > 0.4


def test_a_region_that_is_shorter_than_a_window_is_scored_whole(genome):
    assert (times_scored(genome, 27, 3) == 1).all()


# What the model sees


@pytest.mark.parametrize("dilations", [(1, 2), (2, 30)], ids=["narrow field", "wider than most regions"])
def test_a_window_of_a_model_is_the_prediction_of_the_whole_region(genome, dilations):
    """Training sees what prediction sees: at scored bases the logits are the same, on either strand."""
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=dilations, num_labels=9)
    model = ConvNovaForTokenClassification(config).eval()
    torch.nn.init.normal_(model.classifier.weight)
    for interval in REGIONS:
        places = np.arange(interval.width, dtype=np.uint8)  # in place of labels: what a window scores
        one = LabelledBases(genome, (interval,), (places,))
        whole = {}
        for is_reversed in (False, True):
            turned = {"+": "-", "-": "+", ".": "-"}[interval.strand] if is_reversed else interval.strand
            strand = Interval(interval.chromosome, interval.start, interval.end, turned)
            fetch = one._replace(regions=(strand,)).region_fetch(0)
            (tile,) = predict_bases(model, fetch, interval.width)
            whole[is_reversed] = tile.probabilities
        windows = windows_of(one, context=config.receptive_field // 2, epochs=4)
        windows.opposite = np.arange(256, dtype=np.uint8)  # a place is the same on either strand
        strands = set()
        for example in examples(windows):
            batch = {name: torch.from_numpy(array) for name, array in example.items()}
            places = batch.pop("labels")[0].numpy()
            is_scored = places >= 0
            with torch.no_grad():
                probabilities = model(**batch).logits[0].softmax(-1).numpy()
            is_reversed = bool(places[is_scored][0] > places[is_scored][-1])
            strands.add(is_reversed)
            rows = interval.width - 1 - places if is_reversed else places
            np.testing.assert_allclose(
                probabilities[is_scored], whole[is_reversed][rows[is_scored]], atol=1e-5
            )
        assert strands == {False, True}


# Samples


@pytest.mark.parametrize("most_bp", [1, 5, 30, 32, 60, 100, 215])
def test_a_sample_is_spread_over_all_regions_and_has_at_most_so_many_bases(genome, monkeypatch, most_bp):
    monkeypatch.setattr("convnova.data.base_windows.PIECE_BP", 16)
    bases = bases_of(genome)
    sample = bases.spread(most_bp)
    assert min(most_bp, 16) / 2 < sample.total_bp <= most_bp
    places = []
    for index, (piece, row) in enumerate(zip(sample.regions, sample.labels, strict=True)):
        (whole,) = (n for n, region in enumerate(REGIONS) if region.overlaps(piece))
        region = REGIONS[whole]
        begin = region.end - piece.end if region.strand == "-" else piece.start - region.start
        assert piece.strand == region.strand
        assert row.tolist() == bases.labels[whole][begin : begin + piece.width].tolist()
        ids = bases.fetch(whole, begin, begin + piece.width)
        assert sample.fetch(index, 0, piece.width).tolist() == ids.tolist()
        places.append(sum(one.width for one in REGIONS[:whole]) + begin + piece.width / 2)
    assert places == sorted(set(places))
    if len(places) > 1:
        gaps = np.diff([-places[0], *places, 2 * bases.total_bp - places[-1]])
        assert gaps.max() < 2 * bases.total_bp / len(places)


def test_a_sample_of_all_bases_is_the_regions_themselves(genome):
    bases = bases_of(genome)
    assert bases.spread(bases.total_bp) is bases


def test_a_sample_is_not_the_begin_of_a_chromosome(genome):
    """Human chr22 begins with 16 Mb of N."""
    (region,) = LabelledBases(genome, REGIONS[:1], (np.zeros(120, dtype=np.uint8),)).spread(40).regions
    assert (region.start, region.end) == (40, 80)


# Background, weights, settings


def test_background_windows_are_a_share_drawn_anew_each_epoch(genome):
    region = Interval("chr1", 0, 192)
    labels = np.full(192, BEND.background, dtype=np.uint8)
    labels[40] = 0  # one window of six has a gene
    labels[160:] = UNKNOWN
    bases = LabelledBases(genome, (region,), (labels,))
    for share, count in ((1.0, 6), (0.4, 3), (0.0, 1)):
        windows = windows_of(bases, background_share=share, epochs=12)
        assert windows.windows_per_epoch == count
        assert len(windows) == 12 * count
        rows = [[windows._row(epoch * count + i) for i in range(count)] for epoch in range(12)]
        assert all(len(set(epoch)) == count and 1 in epoch for epoch in rows)
        if 0 < share < 1:
            assert {row for epoch in rows for row in epoch} == set(range(6))


def test_labels_are_counted(genome):
    bases = bases_of(genome)
    everything = np.concatenate(bases.labels)
    assert bases.counts(9).tolist() == [int((everything == label).sum()) for label in range(9)]
    assert bases.total_bp == sum(region.width for region in REGIONS)


@pytest.mark.parametrize(
    ("counts", "power", "expected"),
    [
        ([1, 4, 0, 5], 0.0, [1, 1, 0, 1]),
        ([1, 4, 0, 5], 1.0, [10 / 3, 10 / 12, 0, 10 / 15]),
        ([1, 4], 0.5, [5 / 3, 5 / 6]),  # 1 and 1/2, times 5 bases over 1 + 2
        ([7], 0.5, [1]),
    ],
)
def test_label_weights_by_hand(counts, power, expected):
    weights = label_weights(np.array(counts), power)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert (weights * counts).sum() / sum(counts) == pytest.approx(1)


def test_a_base_weighs_what_its_label_does(genome):
    weights = np.linspace(0.5, 2, 9, dtype=np.float32)
    for example in examples(windows_of(bases_of(genome), weights=weights, epochs=2)):
        for label, weight in zip(example["labels"][0], example["loss_weights"][0], strict=True):
            assert weight == (0 if label < 0 else weights[label])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_bp": 0}, "window_bp must be at least 1, got 0"),
        ({"context_bp": -1}, "context_bp must be at least 0, got -1"),
        ({"background_share": 1.5}, "background_share must be between 0 and 1, got 1.5"),
        ({"background_share": -0.1}, "background_share must be between 0 and 1, got -0.1"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(InputError, match=message):
        BaseWindowSettings(**changes)
