"""A task's parts are read, drawn by seed and kept apart."""

import numpy as np
import polars as pl
import pytest

from convnova.data.duplicates import same_sequence_groups, strand_keys
from convnova.data.held_out import draw_share
from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.data.reading import ReadSettings
from convnova.data.task import load_task
from convnova.errors import InputError
from convnova.sequence import decode, encode, reverse_complement, reverse_complement_text

RNG = np.random.default_rng(0)


def words(number, length=12, rng=RNG):
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(number)]


def write(path, sequences, labels=None):
    columns = {"sequence": sequences} | ({} if labels is None else {"label": labels})
    pl.DataFrame(columns).write_csv(path)
    return path


def labelled(sequences, labels):
    return LabelledSequences(pack([encode(word) for word in sequences]), np.array(labels))


@pytest.fixture
def files(tmp_path):
    drawn = words(60)
    return {
        name: write(tmp_path / f"{name}.csv", drawn[first:last], [i % 2 for i in range(last - first)])
        for name, (first, last) in {"train": (0, 40), "validation": (40, 50), "test": (50, 60)}.items()
    }


def letters(sequences):
    return [decode(ids) for ids in sequences.ids]


def test_given_parts_stay_as_they_are(files):
    task = load_task(**files)
    assert [len(part) for part in task[:3]] == [40, 10, 10]
    assert letters(task.test) == pl.read_csv(files["test"])["sequence"].to_list()
    assert task.train.labels.dtype == np.int64
    assert task.report.shared == {"train and validation": 0, "train and test": 0, "validation and test": 0}
    assert "no sequence is in two parts, on either strand" in task.report.lines()


def test_validation_is_drawn_by_seed(files):
    train, test = files["train"], files["test"]
    drawn = [letters(load_task(train, test=test, seed=seed).validation) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    task = load_task(train, test=test, validation_share=0.25, seed=3)
    assert np.bincount(task.validation.labels).tolist() == [5, 5]
    assert sorted(letters(task.train) + letters(task.validation)) == sorted(pl.read_csv(train)["sequence"])
    assert "0.25 of train is held out for validation (seed 3)" in task.notes
    assert load_task(train, test=test, validation_share=0).validation is None


def test_a_test_share_stays_when_the_seed_changes(files):
    drawn = [load_task(files["train"], test_share=0.2, seed=seed) for seed in (0, 1)]
    assert letters(drawn[0].test) == letters(drawn[1].test)
    assert letters(drawn[0].validation) != letters(drawn[1].validation)
    assert len(drawn[0].test) == 8


def test_tables_stand_beside_the_parts(files):
    task = load_task(files["train"], test=files["test"])
    for split, part in zip(("train", "validation", "test"), task[:3], strict=True):
        table = task.tables[split]
        np.testing.assert_array_equal(table.ids.codes, part.ids.codes)
        assert table.labels["label"].cast(int).to_list() == part.labels.tolist()
        line = int(table.place(0).rsplit(" ", 1)[1])
        source = pl.read_csv(files["test" if split == "test" else "train"])
        assert source["sequence"][line - 2] == letters(part)[0]


def test_a_split_column_is_followed(tmp_path):
    drawn, splits = words(12), ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
    path = tmp_path / "all.csv"
    pl.DataFrame({"seq": drawn, "label": [0, 1] * 6, "split": splits}).write_csv(path)
    task = load_task(path)
    assert [letters(part) for part in task[:3]] == [drawn[:8], drawn[8:10], drawn[10:]]
    assert "the parts are those of the split column" in task.notes
    same = load_task(path, test=path, validation_share=0)
    assert (letters(same.train), letters(same.test)) == (drawn[:8], drawn[10:])
    pl.DataFrame({"seq": drawn, "label": [0, 1] * 6, "split": ["test"] * 12}).write_csv(path)
    with pytest.raises(
        InputError, match=r"all\.csv: its split column has no row for train; write train in some"
    ):
        load_task(path)


def test_leakage_on_either_strand_is_an_error_by_default(tmp_path, files):
    train = pl.read_csv(files["train"])["sequence"]
    other = reverse_complement_text(train[7])
    test = write(tmp_path / "leaky.csv", [*words(3), other], [0, 1, 0, 1])
    message = (
        r"leaky\.csv, line 5: the sequence is in train too \(.*train\.csv, line 9\), which holds 1 of 4 test "
        r"sequences \(either strand\); set on_leakage to remove, which drops them from train, or to state"
    )
    with pytest.raises(InputError, match=message):
        load_task(files["train"], test=test)
    stated = load_task(files["train"], test=test, validation_share=0, on_leakage="state")
    assert stated.report.shared == {"train and test": 1}
    assert "train and test share 1 sequence (either strand)" in stated.report.lines()
    removed = load_task(files["train"], test=test, validation_share=0, on_leakage="remove")
    assert (len(removed.train), removed.report.shared["train and test"]) == (39, 0)
    assert removed.report.removed == {"train": 1}
    assert "removed from train: 1 sequence that a held-out part has too" in removed.report.lines()
    assert train[7] not in letters(removed.train)


def test_validation_in_training_is_stated_and_in_test_refused(tmp_path, files):
    train, test = (pl.read_csv(files[name])["sequence"].to_list() for name in ("train", "test"))
    own = write(tmp_path / "dev.csv", [*words(3), train[0]], [0, 1, 0, 1])
    assert load_task(files["train"], own, files["test"]).report.shared["train and validation"] == 1
    removed = load_task(files["train"], own, files["test"], on_leakage="remove")
    assert (len(removed.train), len(removed.validation)) == (39, 4)
    leaky = write(tmp_path / "leaky.csv", [*words(3), test[0]], [0, 1, 0, 1])
    with pytest.raises(
        InputError, match=r"test\.csv, line 2: the sequence is in validation too \(.*leaky\.csv, line 5"
    ):
        load_task(files["train"], leaky, files["test"])
    assert load_task(files["train"], leaky, files["test"], on_leakage="remove").report.removed == {
        "validation": 1
    }


def test_train_and_test_must_differ(files):
    for on_leakage in ("error", "state", "remove"):
        with pytest.raises(
            InputError, match=r"train and test are the same sequences; give a test set that training"
        ):
            load_task(files["train"], test=files["train"], on_leakage=on_leakage)


def test_nothing_left_to_train_on(tmp_path, files):
    some = pl.read_csv(files["train"])[:6]
    small = write(tmp_path / "small.csv", some["sequence"], some["label"])
    with pytest.raises(InputError, match=r"small\.csv: all its sequences are in test too; give others"):
        load_task(small, test=files["train"], on_leakage="remove")


def test_swapped_train_and_test_are_stated(files):
    report = load_task(files["test"], test=files["train"]).report
    assert report.warnings[0] == "are train and test swapped? test has 40 sequences, train 10"


BAD_PARTS = {
    "test without labels": (
        None,
        r"other\.csv: there are no labels, and test needs them; give them as in train, or use",
    ),
    "one class": (
        [1, 1, 1],
        r"other\.csv: every sequence of test has the label '1', so no score says anything",
    ),
    "unknown class": ([0, 1, 2], r"other\.csv, line 4: class '2' is not one of the task's, which are 0, 1"),
}


@pytest.mark.parametrize(("labels", "message"), BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_bad_test_parts_are_refused(tmp_path, files, labels, message):
    with pytest.raises(InputError, match=message):
        load_task(files["train"], test=write(tmp_path / "other.csv", words(3), labels))


CONSTANT = {
    "columns": (
        ("label_a,label_b", ["1,0", "0,1"], "1,0"),
        r"no label is given to some sequences of {split} and not to others, so no score says anything; give",
    ),
    "words": (("label", ["a;b", "b", ""], "b"), r"no label is given to some sequences of {split} and not"),
    "values": (
        ("label", ["0.5", "1.5"], "0.5"),
        r"'label' is 0\.5 for every sequence of {split}, so no score says anything; give sequences that",
    ),
    "two values": (
        ("label_a,label_b", ["0.5,1", "1.5,2"], "0.5,2"),
        r"'label_a', 'label_b' are 0\.5, 2 for every sequence of {split}, so no score says anything",
    ),
}


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(("labels", "message"), CONSTANT.values(), ids=CONSTANT.keys())
def test_parts_that_no_score_tells_apart_are_refused(tmp_path, labels, message, split):
    def rows(name, cells):
        lines = [f"{text},{cells[i % len(cells)]}" for i, text in enumerate(words(12))]
        (tmp_path / name).write_text("\n".join([f"sequence,{header}", *lines]) + "\n")
        return tmp_path / name

    header, cells, constant = labels
    train = rows("train.csv", cells)
    with pytest.raises(InputError, match=r"other\.csv: " + message.format(split=split)):
        load_task(train, **{split: rows("other.csv", [constant])})
    assert load_task(train, **{split: rows("other.csv", cells)}, validation_share=0)


def test_settings_reach_the_reader_and_the_labels(tmp_path):
    path = tmp_path / "a.csv"
    pl.DataFrame({"p": words(9), "q": ["a", "b", "c"] * 3}).write_csv(path)
    read = ReadSettings(sequence_column="p", label_columns=("q",), max_length_bp=5, too_long="keep-start")
    task = load_task(path, read=read, names=("c", "b", "a"), validation_share=0)
    assert task.train.labels.tolist() == [2, 1, 0] * 3
    assert set(task.train.ids.lengths) == {5}


def test_identical_sequences_never_end_on_both_sides():
    rng = np.random.default_rng(1)
    base = words(30, rng=rng)
    twins = [reverse_complement_text(word) for word in base[:20]]
    sequences = labelled(base + twins + base[:10], rng.integers(0, 2, 60))
    group = same_sequence_groups([sequences.ids])[0]
    for seed in range(5):
        held_out = draw_share(sequences, 0.3, seed)
        assert not set(group[held_out]) & set(group[~held_out])


def test_classes_keep_their_shares():
    rng = np.random.default_rng(1)
    sequences = labelled(words(300, rng=rng), np.repeat([0, 1, 2], [200, 80, 20]))
    held_out = draw_share(sequences, 0.1, seed=0)
    assert np.bincount(sequences.labels[held_out]).tolist() == [20, 8, 2]


@pytest.mark.parametrize("labels", [np.linspace(0, 1, 40, dtype=np.float32), np.eye(40, 3, dtype=np.float32)])
def test_values_and_independent_labels_are_drawn_at_random(labels):
    sequences = labelled(words(40), labels)
    assert draw_share(sequences, 0.25, seed=0).sum() == 10


def test_draws_that_cannot_be_made():
    two = labelled(["ACGT", "ACGT"], [0, 1])
    for share, message in [(0, "must be between 0 and 1, got 0"), (1.5, "got 1.5")]:
        with pytest.raises(InputError, match=message):
            draw_share(two, share, 0)
    with pytest.raises(
        InputError, match=r"0\.5 of 2 sequences \(1 different ones\) leaves nothing to train on or to"
    ):
        draw_share(two, 0.5, 0)


def test_strand_keys_match_bruteforce():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 5, rng.integers(1, 6)).astype(np.uint8) for _ in range(400)]
    keys = strand_keys(pack(sequences))
    for _ in range(400):
        i, j = rng.integers(0, 400, 2)
        a, b = decode(sequences[i]), decode(sequences[j])
        assert (keys[i] == keys[j]) == (a == b or decode(reverse_complement(sequences[i])) == b)
