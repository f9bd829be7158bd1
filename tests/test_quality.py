"""The report says what is suspicious about labelled parts, and nothing where nothing is."""

import json
import re

import numpy as np
import pytest

from convnova.data.label_scheme import LabelScheme
from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.data.quality import check_quality, told_by
from convnova.sequence import encode

CLASSES = LabelScheme("single-label", ("neg", "pos"))


def part(sequences, labels):
    return LabelledSequences(pack([encode(word) for word in sequences]), np.array(labels))


def random_part(number, lengths, seed=0, scheme=(0, 1)):
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % len(scheme)
    return part(["".join(rng.choice(list("ACGT"), lengths(label, rng))) for label in labels], labels)


def test_counts_of_a_small_task():
    train = part(["AACG", "CGTT", "AACG", "TTTTNNNN"], [0, 0, 1, 1])
    test = part(["CCCC", "AACG"], [0, 1])
    report = check_quality({"train": train, "test": test}, CLASSES)
    quality = report.parts["train"]
    assert quality.all == (4, 4, 4.0, 8, 4 / 20)
    assert quality.classes["pos"].longest_bp == 8
    assert (quality.repeats, quality.conflicts, quality.mostly_n) == (2, 1, 0)
    assert report.shared == {"train and test": 1}
    assert report.shared_conflicts == {"train and test": 1}
    shown = "\n".join(report.lines())
    assert (
        "train: 4 sequences of 4 to 8 bp (median 4); neg: 2, pos: 2; 20.00% N; 2 repeat an earlier one"
        in shown
    )
    assert "train and test share 1 sequence (either strand), 1 with another label" in shown
    assert "look: train has 1 sequence with more than one label" in shown
    assert "look: 20.0% of the bases of train are N" in shown


def test_a_sound_task_has_no_warning():
    train = random_part(400, lambda label, rng: 30 + rng.integers(0, 20))
    test = random_part(100, lambda label, rng: 30 + rng.integers(0, 20), seed=1)
    report = check_quality({"train": train, "test": test}, CLASSES)
    assert report.warnings == ()
    assert report.lines()[-1] == "no sequence is in two parts, on either strand"


def test_the_report_is_json():
    report = check_quality({"train": part(["AA", "CC"], [0, 1])}, CLASSES, removed={"train": 3})
    saved = json.loads(json.dumps(report.as_dict()))
    assert saved["parts"]["train"]["sequences"] == 2
    assert saved["parts"]["train"]["classes"]["pos"]["n_share"] == 0
    assert saved["removed"] == {"train": 3}


WARNINGS = {
    "length": (
        lambda: random_part(200, lambda label, rng: 30 + 10 * label),
        r"length alone tells the classes of train",
    ),
    "lengths": (
        lambda: random_part(600, lambda label, rng: 30 + int(rng.normal(20 * label + 40, 10) % 100)),
        r"length alone tells the classes of train apart \(balanced accuracy 0\.[789]",
    ),
    "N": (
        lambda: part(
            ["ACGT" * 9 + "NN" * (i % 2) + "A" * (i % 7) + "CGTACGTA"[i % 5 :] for i in range(200)],
            np.arange(200) % 2,
        ),
        r"the number of N alone tells the classes of train apart",
    ),
    "mostly N": (lambda: part(["ACGNNNNN", "ACGT"], [0, 1]), r"train has 1 sequence of more than half N"),
    "scarce": (
        lambda: part(["ACG", "ACGT"] * 20 + ["AC"], [0] * 40 + [1]),
        r"train has 1 sequence of 'pos', of 41",
    ),
    "absent": (lambda: part(["ACG", "AC"], [0, 0]), r"train has 0 sequences of 'pos', of 2"),
}


@pytest.mark.parametrize(("make", "warning"), WARNINGS.values(), ids=WARNINGS.keys())
def test_what_gives_the_label_away_is_named(make, warning):
    report = check_quality({"train": make()}, CLASSES)
    assert any(re.search(warning, each) for each in report.warnings), report.warnings


def test_parts_of_other_lengths_or_larger_than_train():
    train, test = (random_part(n, lambda label, rng, bp=bp: bp) for n, bp in ((40, 20), (60, 50)))
    warnings = check_quality({"train": train, "test": test}, CLASSES).warnings
    assert "test is larger than train (60 to 40): swapped?" in warnings
    assert "sequences of test have 50 bp, those of train 20 bp: cut in another way?" in warnings


def test_regression_and_independent_labels():
    values = LabelScheme("regression", ("y",))
    report = check_quality({"train": part(["AA", "CC", "GG"], np.float32([0.5, 1, 2]))}, values)
    assert report.parts["train"].classes == {}
    assert report.parts["train"].conflicts == 1  # CC and GG are one sequence with two values
    labels = LabelScheme("multi-label", ("a", "b"))
    report = check_quality({"train": part(["AA", "CC"], np.float32([[1, 1], [0, 1]]))}, labels)
    assert {name: each.sequences for name, each in report.parts["train"].classes.items()} == {"a": 1, "b": 2}


def test_one_number_tells_classes_apart_only_when_it_does():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 4
    told, chance = told_by(rng.integers(0, 500, 1000), labels, 4)
    assert told < chance + 0.05
    assert told_by(labels * 10 + rng.integers(0, 9, 1000), labels, 4)[0] > 0.8
    assert told_by(np.full(1000, 7), labels, 4) == (0.25, 0.25)
    rare = (np.arange(1000) % 20 == 0).astype(int)
    assert told_by(rare * 5 + 10, rare, 2)[0] == 1
