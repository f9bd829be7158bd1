"""Windows: what they cover, which split they are in, and that example n is the same however one asks."""

import numpy as np
import pytest

from convnova.data.masking import MaskingSettings, mask_ids
from convnova.data.splits import SPLITS, split_regions
from convnova.data.windows import PretrainingWindows, WindowSettings, tile
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import N, reverse_complement

SIZES = {"chrA": 1000, "chrB": 640, "chrC": 333, "chrD": 90, "chrE": 64}


def fasta(folder, sizes=SIZES, n_from=None):
    rng = np.random.default_rng(3)
    records = []
    for name, size in sizes.items():
        letters = rng.choice(list("ACGTacgt"), size)
        letters[slice(n_from, None) if n_from is not None else slice(0)] = "N"
        records.append(f">{name}\n{''.join(letters)}\n")
    (folder / "g.fa").write_text("".join(records))
    return Genome.open(folder / "g.fa")


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    return fasta(tmp_path_factory.mktemp("genome"))


def windows_of(genome, epochs=2, seed=7, regions=None, is_training=True, **settings):
    settings = WindowSettings(**{"window_bp": 64, **settings})
    regions = regions or [Interval(name, 0, size) for name, size in genome.chromosome_sizes.items()]
    table = tile(genome, regions, settings)
    return PretrainingWindows(genome, table, settings, MaskingSettings(), seed, epochs, is_training)


# Which windows there are


@pytest.mark.parametrize(
    ("region", "starts"),
    [
        (Interval("chrA", 0, 64), [0]),
        (Interval("chrA", 0, 128), [0, 64]),
        (Interval("chrA", 10, 150), [10, 74, 86]),  # the last is moved back to end with the region
        (Interval("chrA", 0, 65), [0, 1]),
    ],
)
def test_tiling(genome, region, starts):
    table = tile(genome, [region], WindowSettings(window_bp=64))
    assert table.start.tolist() == starts


def test_tiling_covers_every_region_and_stays_inside(genome):
    regions = [Interval("chrA", 13, 555), Interval("chrB", 0, 640), Interval("chrC", 100, 333)]
    table = tile(genome, regions, WindowSettings(window_bp=64))
    for region in regions:
        rows = table.rows(table.chromosome == genome.index_of(region.chromosome))
        covered = {base for start in rows.start for base in range(start, start + 64)}
        assert covered == set(range(region.start, region.end))


def test_one_window_per_interval(genome):
    regions = [Interval("chrA", 0, 500), Interval("chrA", 600, 900), Interval("chrE", 0, 63)]
    table = tile(genome, regions, WindowSettings(window_bp=64, one_window_per_interval=True))
    assert table.start.tolist() == [0, 600]


def test_windows_with_too_much_n_are_left_out(tmp_path):
    genome = fasta(tmp_path, {"chrA": 256}, n_from=160)
    for share, starts in [(0.0, [0, 64]), (0.5, [0, 64, 128]), (1.0, [0, 64, 128, 192])]:
        table = tile(genome, [Interval("chrA", 0, 256)], WindowSettings(window_bp=64, max_n_share=share))
        assert table.start.tolist() == starts


# Splits


def names(regions):
    return {split: [region.chromosome for region in regions[split]] for split in SPLITS}


def test_split_by_chromosome(genome):
    settings = WindowSettings(validation_chromosomes=["chrB"], test_chromosomes=["chrC", "chrE"])
    assert names(split_regions(genome, settings)) == {
        "train": ["chrA", "chrD"],
        "validation": ["chrB"],
        "test": ["chrC", "chrE"],
    }


def test_automatic_hold_out_takes_the_chromosomes_nearest_to_five_percent(genome):
    # 5 % of 2127 bp are 106.
    assert names(split_regions(genome, WindowSettings())) == {
        "train": ["chrA", "chrB", "chrC"],
        "validation": ["chrD"],
        "test": ["chrE"],
    }


def test_automatic_hold_out_of_one_chromosome_is_its_end(tmp_path):
    regions = split_regions(fasta(tmp_path, {"chrA": 2000}), WindowSettings())
    spans = {split: [(r.start, r.end) for r in regions[split]] for split in SPLITS}
    assert spans == {"train": [(0, 1800)], "validation": [(1800, 1900)], "test": [(1900, 2000)]}


def test_automatic_hold_out_of_a_bacterium_is_the_end_of_its_chromosome_not_its_plasmids(tmp_path):
    sizes = {"chromosome": 10_000, "p1": 300, "p2": 60, "p3": 40}
    regions = split_regions(fasta(tmp_path, sizes), WindowSettings())
    assert [str(region) for region in regions["test"]] == ["chromosome:9481-10000"]
    assert [region.chromosome for region in regions["train"]] == ["p1", "p2", "p3", "chromosome"]


def test_automatic_hold_out_of_a_draft_adds_contigs_up(tmp_path):
    regions = split_regions(fasta(tmp_path, {f"contig{i}": 100 + i for i in range(300)}), WindowSettings())
    total = sum(region.width for part in regions.values() for region in part)
    for split in ("validation", "test"):
        assert 0.025 <= sum(region.width for region in regions[split]) / total <= 0.06


def test_split_by_interval_file(genome, tmp_path):
    bed = tmp_path / "s.bed"
    bed.write_text("chrA\t0\t500\ttrain\nchrA\t500\t700\tvalid\nchrB\t0\t640\ttest\nchrA\t100\t400\ttrain\n")
    regions = split_regions(genome, WindowSettings(intervals=bed))
    assert [str(region) for region in regions["train"]] == ["chrA:1-500", "chrA:101-400"]
    assert [str(region) for region in regions["validation"]] == ["chrA:501-700"]
    assert [str(region) for region in regions["test"]] == ["chrB:1-640"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("chrA 0 500 train\nchrA 499 700 test\n", r"chrA:1-500 \(train\) and chrA:500-700 \(test\) overlap"),
        (
            "chrA 0 500 train\nchrA 10 20 train\nchrA 300 310 valid\n",
            r"chrA:1-500 \(train\) and chrA:301-310 \(validation\) overlap",
        ),
        ("chrQ 0 500 train\n", r"s\.bed, line 1: chromosome 'chrQ' is not in"),
        ("chrA 0 500 dressage\n", r"s\.bed, line 1: 'dressage' \(column 4\) is no split"),
    ],
)
def test_bad_interval_files(genome, tmp_path, rows, message):
    bed = tmp_path / "s.bed"
    bed.write_text(rows)
    with pytest.raises(InputError, match=message):
        split_regions(genome, WindowSettings(intervals=bed))


# Examples


@pytest.mark.parametrize("settings", [{}, {"max_shift_bp": 500}, {"windows_per_epoch": 50}])
def test_shifted_windows_never_leave_their_region(genome, settings):
    regions = [Interval("chrA", 100, 400), Interval("chrB", 3, 300), Interval("chrE", 0, 64)]
    data = windows_of(genome, epochs=30, regions=regions, reverse_complement=False, **settings)
    starts = set()
    for index in range(len(data)):
        rng = np.random.default_rng((7, True, index))
        row = data.table.rows([data._row(index)])
        start = int(data._starts(row, [rng])[0])
        assert row.region_start[0] <= start <= row.region_end[0] - 64
        starts.add((int(row.chromosome[0]), start))
    assert len(starts) > len(data.table)


def test_example_matches_bruteforce(genome):
    data = windows_of(genome, soft_mask_weight=0.25, max_shift_bp=20)
    chromosomes = list(genome.chromosome_sizes)
    indices = [5, 0, len(data) - 1, data.windows_per_epoch]
    batch = data.__getitems__(indices)
    for place, index in enumerate(indices):
        epoch, position = divmod(index, data.windows_per_epoch)
        row = np.random.default_rng((7, 2, epoch)).permutation(len(data.table))[position]
        rng = np.random.default_rng((7, True, index))
        chromosome, start, first, end = (int(column[row]) for column in data.table)
        start = min(max(start + int(rng.integers(-20, 21)), first), end - 64)
        interval = Interval(chromosomes[chromosome], start, start + 64)
        ids, is_soft_masked = genome.fetch(interval), genome.fetch_soft_mask(interval)
        if rng.random() < 0.5:
            ids, is_soft_masked = reverse_complement(ids), is_soft_masked[::-1]
        shown, labels = mask_ids(ids, MaskingSettings(), rng)
        assert (batch["input_ids"][place] == shown).all()
        assert (batch["labels"][place] == labels).all()
        assert (batch["loss_weights"][place] == np.where(is_soft_masked, 0.25, 1)).all()


@pytest.mark.parametrize("settings", [{}, {"windows_per_epoch": 11}, {"is_training": False, "epochs": 1}])
def test_batch_size_invariance(genome, settings):
    data, again = windows_of(genome, **settings), windows_of(genome, **settings)
    whole = data.__getitems__(range(len(data)))
    for index in reversed(range(len(data))):  # another order, one by one, across epochs
        for name, array in again[index].items():
            assert (array[0] == whole[name][index]).all()


def test_epochs_differ_and_take_each_window_once(genome):
    data = windows_of(genome)
    n = data.windows_per_epoch
    orders = [[data._row(epoch * n + position) for position in range(n)] for epoch in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(n))
    assert orders[0] != orders[1]


def test_half_of_the_training_windows_are_reversed(genome):
    kinds = {"max_shift_bp": 0, "max_n_share": 1.0, "epochs": 40}
    plain, mixed = windows_of(genome, reverse_complement=False, **kinds), windows_of(genome, **kinds)
    everything = range(len(plain))
    true = [plain.true_ids([plain._row(i)])[0] for i in everything]
    shown = mixed.__getitems__(everything)["input_ids"]
    is_forward = [((row == ids) | (row == N)).mean() > 0.9 for row, ids in zip(shown, true, strict=True)]
    assert np.mean(is_forward) == pytest.approx(0.5, abs=0.06)


def test_held_out_windows_are_as_written(genome):
    data = windows_of(genome, is_training=False, epochs=1, soft_mask_weight=0.1, windows_per_epoch=3)
    assert len(data) == len(data.table)
    batch = data.__getitems__(range(len(data)))
    assert "loss_weights" not in batch
    true = data.true_ids(range(len(data)))
    is_shown = batch["labels"] < 0
    assert (batch["input_ids"][is_shown] == true[is_shown]).all()


# Bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_bp": 0}, "window_bp must be at least 1, got 0"),
        ({"windows_per_epoch": 0}, "windows_per_epoch must be at least 1, got 0"),
        ({"max_shift_bp": -1}, "max_shift_bp must be at least 0, got -1"),
        ({"max_n_share": 1.5}, r"max_n_share must be between 0 and 1, got 1\.5"),
        ({"soft_mask_weight": -0.1}, r"soft_mask_weight must be between 0 and 1, got -0\.1"),
        (
            {"validation_chromosomes": ["chrA"], "test_chromosomes": ["chrA"]},
            "chrA cannot be held out for validation and for test at once",
        ),
        (
            {"intervals": "x.bed", "test_chromosomes": ["chrA"]},
            "either by an interval file or by chromosomes",
        ),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        WindowSettings(**settings)


def test_unknown_held_out_chromosome(genome):
    with pytest.raises(InputError, match=r"chromosome 'chrZ' is not in g\.fa, which has chrA, chrB"):
        split_regions(genome, WindowSettings(test_chromosomes=["chrZ"]))


def test_window_longer_than_every_region(genome):
    message = (
        r"window of 5000 bp is longer than every region \(the longest of 5 has 1000 bp\); lower window_bp"
    )
    with pytest.raises(InputError, match=message):
        windows_of(genome, window_bp=5000)


def test_windows_of_only_n(tmp_path):
    genome = fasta(tmp_path, {"chrA": 500}, n_from=10)
    with pytest.raises(InputError, match=r"all 8 windows hold more than 10% N; raise max_n_share"):
        windows_of(genome)
