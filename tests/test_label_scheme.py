"""Labels become numbers in one way for all parts; what does not fit is one line."""

import json

import numpy as np
import polars as pl
import pytest

from convnova.data.label_scheme import LabelScheme
from convnova.data.packed import pack
from convnova.data.table import Places, SequenceTable
from convnova.errors import InputError
from convnova.sequence import encode


def table(columns, name="train.csv"):
    frame = pl.DataFrame(columns)
    numbers = np.arange(len(frame)) + 2
    return SequenceTable(
        pack([encode("A")] * len(frame)), Places.of_file(name, "line", numbers), name, labels=frame
    )


GUESSED = {
    "numbers": ({"y": ["1", "0", "2"]}, "single-label", ["0", "1", "2"], [1, 0, 2]),
    "integers": ({"y": [1, 0]}, "single-label", ["0", "1"], [1, 0]),
    "booleans": ({"y": [True, False]}, "single-label", ["0", "1"], [1, 0]),
    "whole floats": ({"y": ["1.0", "0.0"]}, "single-label", ["0", "1"], [1, 0]),
    "signs": ({"y": ["+1", "-1"]}, "single-label", ["-1", "1"], [1, 0]),
    "words": ({"y": ["pos", "neg", "pos"]}, "single-label", ["neg", "pos"], [1, 0, 1]),
    "ten numbers": (
        {"y": [str(i) for i in range(11)]},
        "single-label",
        [str(i) for i in range(11)],
        list(range(11)),
    ),
    "values": ({"y": ["0.5", "-1e3", "2"]}, "regression", ["y"], [0.5, -1000, 2]),
    "two values": ({"y": [0.5, 1], "z": [2, 3]}, "regression", ["y", "z"], [[0.5, 2], [1, 3]]),
    "bits": ({"b": ["1", "0"], "a": ["0", "1"]}, "multi-label", ["b", "a"], [[1, 0], [0, 1]]),
    "names": ({"y": ["b;a", "a", None]}, "multi-label", ["a", "b"], [[1, 1], [1, 0], [0, 0]]),
}


@pytest.mark.parametrize(("columns", "kind", "names", "encoded"), GUESSED.values(), ids=GUESSED.keys())
def test_the_kind_is_found(columns, kind, names, encoded):
    train = table(columns)
    scheme = LabelScheme.infer(train)
    assert (scheme.kind, list(scheme.names), scheme.num_labels) == (kind, names, len(names))
    labels = scheme.encode(train)
    assert labels.tolist() == encoded
    assert labels.dtype == (np.int64 if kind == "single-label" else np.float32)
    assert LabelScheme.from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme


def test_the_kind_can_be_set():
    assert LabelScheme.infer(table({"y": [3, 7]}), "regression").encode(table({"y": [3, 7]})).tolist() == [
        3,
        7,
    ]
    one = LabelScheme.infer(table({"y": [0, 1]}), "multi-label")
    assert one.encode(table({"y": [1, 1]})).tolist() == [[1], [1]]
    assert one.problem_type == "multi_label_classification"
    assert LabelScheme.infer(table({"y": [0, 1]}), "regression").problem_type == "regression"


def test_names_of_classes_can_be_given():
    numbered = LabelScheme.infer(table({"y": [0, 2]}), names=("none", "weak", "strong"))
    assert numbered.encode(table({"y": [2, 1, 0]})).tolist() == [2, 1, 0]
    with pytest.raises(InputError, match=r"class 'weak' is not one of the task's, which are 0, 1, 2"):
        numbered.encode(table({"y": ["weak"]}))
    ordered = LabelScheme.infer(table({"y": ["b", "a"]}), names=("b", "a"))
    assert ordered.encode(table({"y": ["a", "b"]})).tolist() == [1, 0]


@pytest.mark.parametrize("train", [["x", "1.0"], ["7", "007x"], ["0.7", "1.0"]])
def test_classes_keep_their_names_among_words(train):
    scheme = LabelScheme.infer(table({"y": train}), "single-label")
    assert sorted(scheme.names) == sorted(train)
    assert [scheme.names[i] for i in scheme.encode(table({"y": train}))] == train


def test_columns_are_found_by_name_whatever_their_order():
    scheme = LabelScheme.infer(table({"a": [0, 1], "b": [1, 0]}))
    assert scheme.encode(table({"b": [1, 1], "a": [0, 0]})).tolist() == [[0, 1], [0, 1]]


COLUMNS = {
    "another order": (("a", "b"), None, ("b", "a"), [1, 0]),
    "more columns": (("a", "b"), None, ("c", "b", "a"), [2, 1]),
    "no header": (("2", "3"), None, ("3", "2"), [1, 0]),
    "no header in train": (("2", "3"), None, ("a", "b"), [0, 1]),
    "no header in test": (("a", "b"), None, ("2", "3"), [0, 1]),
    "named in the settings": (("a", "b"), ("liver", "heart"), ("b", "a"), [1, 0]),
    "by these names": (("a", "b"), ("liver", "heart"), ("heart", "liver"), [1, 0]),
    "one column": (("a",), None, ("z",), [0]),
    "others": (("a", "b"), None, ("b", "c"), None),
    "others than named": (("a", "b"), ("liver", "heart"), ("b", "c"), None),
}


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
@pytest.mark.parametrize(("train", "names", "test", "order"), COLUMNS.values(), ids=COLUMNS.keys())
def test_columns_are_never_matched_by_place_where_they_have_names(kind, train, names, test, order):
    rows = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 1]])
    found = LabelScheme.infer(table({name: rows[:, i] for i, name in enumerate(train)}), kind, names)
    scheme = LabelScheme.from_dict(json.loads(json.dumps(found.to_dict())))
    given = table({name: rows[:, i] for i, name in enumerate(test)}, "test.csv")
    if order is None:
        message = rf"test\.csv: label columns b, c, but the task has {', '.join(names or train)}; give these"
        with pytest.raises(InputError, match=message):
            scheme.encode(given)
    else:
        encoded = scheme.encode(given)
        np.testing.assert_array_equal(encoded.reshape(3, -1), rows[:, order])


def test_what_the_classes_are_is_stated():
    scheme = LabelScheme.infer(table({"y": ["pos", "neg"]}))
    assert scheme.notes == ("2 classes in sorted order: neg = 0, pos = 1",)


BAD_LABELS = {
    "one class": (
        {"y": ["1", "1"]},
        None,
        r"train\.csv: every sequence has the label '1'; give sequences of two",
    ),
    "gap": (
        {"y": [0, 2]},
        None,
        r"the labels are the numbers 0, 2; classes are numbered from 0 .* here 0 to 1; renum",
    ),
    "from one": (
        {"y": [1, 2]},
        None,
        r"the numbers 1, 2; .*write names, give the names of all classes, or set kind",
    ),
    "minus": ({"y": [1, 0, -1]}, None, r"the numbers -1, 0, 1; classes are numbered from 0 without gaps"),
    "empty": (
        {"y": ["1", "", "0"]},
        None,
        r"line 3: the label \(y\) is missing \(empty; 1 of 3 are\); give one, or",
    ),
    "NaN": ({"y": ["1", "0", "NaN"]}, None, r"line 4: the label \(y\) is missing \(NaN; 1 of 3 are\)"),
    "null": ({"y": [0.5, None]}, None, r"line 3: the label \(y\) is missing"),
    "NaN value": ({"y": [0.5, float("nan")]}, None, r"line 3: the label \(y\) is missing \(NaN"),
    "infinite": ({"y": ["0.5", "inf"]}, "regression", r"line 3: y 'inf' is not a finite number; correct it"),
    "word": ({"y": ["0.5", "high"]}, "regression", r"line 3: y 'high' is not a finite number"),
    "constant": ({"y": [2.5, 2.5]}, None, r"'y' is 2\.5 for every sequence, so there is nothing to learn"),
    "constant bit": ({"a": [0, 1], "b": [1, 1]}, None, r"'b' is 1 for every sequence"),
    "one name": (
        {"y": ["a", "a"]},
        "multi-label",
        r"multi-label needs columns of 0 and 1, or names separated by ';'",
    ),
    "no bit": (
        {"a": [0, 1], "b": [1, 2]},
        "multi-label",
        r"line 3: b is '2'; several label columns hold 0 or 1 each",
    ),
    "columns": (
        {"a": [0, 1], "b": [1, 2]},
        "single-label",
        r"2 label columns \(a, b\), but a single-label task has one",
    ),
    "names": (
        {"y": [str(i) + "x" for i in range(200)]},
        None,
        r"column 'y' has 200 different labels in 200 sequences",
    ),
}


@pytest.mark.parametrize(("columns", "kind", "message"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_bad_training_labels_are_refused(columns, kind, message):
    with pytest.raises(InputError, match=message) as caught:
        LabelScheme.infer(table(columns), kind)
    assert "\n" not in str(caught.value)


BAD_TESTS = {
    "class": (
        {"y": ["a", "b"]},
        {"y": ["a", "c"]},
        r"test\.csv, line 3: class 'c' is not one of the task's, which are a, b",
    ),
    "number": ({"y": ["a", "b"]}, {"y": ["0", "1"]}, r"line 2: class '0' is not one of the task's"),
    "label": (
        {"y": ["a;b", "b"]},
        {"y": ["b", "c"]},
        r"line 3: label 'c' is not one of the task's, which are a, b; cor",
    ),
    "columns": (
        {"a": [0, 1], "b": [1, 0]},
        {"a": [0, 1]},
        r"label columns a, but the task has a, b; give these columns",
    ),
    "missing": (
        {"y": ["a", "b"]},
        {"y": ["a", None]},
        r"line 3: the label \(y\) is missing \(empty; 1 of 2 are\)",
    ),
    "line of a class": (
        {"y": ["0", "1"]},
        {"y": ["0.0", "1.0", "0.7"]},
        r"test\.csv, line 4: class '0\.7' is not one of the task's, which are 0, 1",
    ),
    "bit": (
        {"a": [0, 1], "b": [1, 0]},
        {"a": [0, 3], "b": [1, 0]},
        r"line 3: a is '3'; several label columns hold 0",
    ),
}


@pytest.mark.parametrize(("train", "test", "message"), BAD_TESTS.values(), ids=BAD_TESTS.keys())
def test_test_labels_that_training_does_not_know_are_refused(train, test, message):
    with pytest.raises(InputError, match=message):
        LabelScheme.infer(table(train)).encode(table(test, "test.csv"))


def test_a_table_without_labels_names_its_columns():
    bare = SequenceTable(
        pack([encode("A")]), Places.of_file("x.csv", "line", np.array([2])), "x.csv", columns=("seq", "p")
    )
    with pytest.raises(
        InputError, match=r"x\.csv: there are no labels; its columns are 'seq', 'p'; name the columns in"
    ):
        LabelScheme.infer(bare)
