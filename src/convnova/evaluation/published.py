"""Published numbers, one a row as its source prints it, and each with its protocol.

``published.csv`` lies beside this file. Numbers of different protocols or sources are never merged: a value
that differs between sources stands twice, and a number read in a document that quotes the source says so.
"""

import csv
import io
import math
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from convnova.errors import InputError

COLUMNS = (
    *("suite", "task", "metric", "model", "parameters"),
    *("value", "spread", "protocol", "source", "note"),
)

_PER_HUNDRED = re.compile(r"\s*(x100|%)")
_METRICS = {
    "mcc": "mcc",
    "f1": "f1",
    "accuracy": "accuracy",
    "accuracy (or f1; source ambiguous)": "accuracy",
    "auroc": "auroc",
    "auc": "auroc",
    'auroc ("auc")': "auroc",
    "auroc (assumed; metric not printed)": "auroc",
    "auprc": "auprc",
    "aupr": "auprc",
    "pr auc": "auprc",
    "pearson r": "pearson",
    "spearman (meta)": "spearman",
    "r2": "r2",
}
"""What sources call the scores of `convnova.evaluation.scores`; others are kept, compared with nothing."""
_UNITS = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}


class Published(NamedTuple):
    """A published number."""

    suite: str
    """As the table of published numbers calls it, not the catalogue."""
    task: str
    metric: str | None
    """Name of the score in `convnova.evaluation.scores`; None where it has none."""
    model: str
    parameters: int | None
    """None where the source gives none, or none that is a number."""
    value: float
    """As a fraction, when printed in percent or times 100."""
    spread: float | None
    """What the source prints behind +-, on the scale of `value`; what it is a spread of, few say."""
    protocol: str
    source: str
    note: str
    printed_metric: str
    """The score in the words of the source."""
    is_second_hand: bool
    """Whether it was read in a document that quotes the source."""
    is_ambiguous: bool
    """Whether the source leaves open which score it is."""
    is_other_data: bool
    """Whether it was apparently measured on other data than the other numbers of the task."""


@cache
def read_published(path: Path | None = None) -> tuple[Published, ...]:
    """Return every published number, in the order of the file.

    Args:
        path: a table of the same columns; default the one of the package.

    Raises:
        InputError: at the first row without suite, task, model, metric or source, or with a value, spread or
            number of parameters that cannot be read, or a value that is no fraction on its scale, by line.
    """
    if path is None:
        name, text = "published.csv", files(__package__).joinpath("published.csv").read_text("utf-8")
    else:
        try:
            name, text = path.name, path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); give a CSV file in UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{name}, line 1: no column {', '.join(missing)}; write {', '.join(COLUMNS)}")
    rows = []
    try:
        for row in reader:
            rows.append(_published(row, f"{name}, line {reader.line_num}"))
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: {error}; quote cells that hold a comma") from None
    return tuple(rows)


def published_for(suite: str, task: str, metric: str, path: Path | None = None) -> tuple[Published, ...]:
    """Return the published numbers in one metric, by the suite's and task's published names."""
    return tuple(
        row for row in read_published(path) if (row.suite, row.task, row.metric) == (suite, task, metric)
    )


@cache
def frozen_names() -> dict[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Return the published suites and tasks of frozen embeddings, by suite and task of the catalogue.

    Only pairs that the names settle. Those of the human and mouse TF sets of the Nature Communications paper
    are counted from 1 and do not: AUROC there does not follow GUE's order.
    """
    named: dict[tuple[str, str], list[tuple[str, str]]] = {}
    text = files(__package__).joinpath("published_frozen.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        key = row["suite"], row["task"]
        named.setdefault(key, []).append((row["published_suite"], row["published_task"]))
    return {key: tuple(values) for key, values in named.items()}


def _published(row: dict[str, str | None], place: str) -> Published:
    cells = {column: (row[column] or "").strip() for column in COLUMNS}
    if None in row or None in row.values():
        raise InputError(f"{place}: not {len(COLUMNS)} columns; quote cells that hold a comma")
    for column in ("suite", "task", "metric", "model", "source"):
        if not cells[column]:
            advice = "say where the number is from" if column == "source" else "fill it in, or remove the row"
            raise InputError(f"{place}: no {column}; {advice}")
    printed = cells["metric"]
    scale = 0.01 if _PER_HUNDRED.search(printed) else 1.0
    metric = _METRICS.get(_PER_HUNDRED.sub("", printed).strip().lower())
    value = _number(cells["value"], "value", place) * scale
    if metric is not None and abs(value) > 1:
        raise InputError(
            f"{place}: value {cells['value']} is no {printed}; say in metric if it is times 100 (MCC x100)"
        )
    spread = cells["spread"].removeprefix("+-").strip()
    return Published(
        suite=cells["suite"],
        task=cells["task"],
        metric=metric,
        model=cells["model"],
        parameters=_parameters(cells["parameters"], place),
        value=value,
        spread=_number(spread, "spread", place) * scale if spread else None,
        protocol=cells["protocol"],
        source=cells["source"],
        note=cells["note"],
        printed_metric=printed,
        is_second_hand=_is_second_hand(**{name: cells[name] for name in ("model", "source", "note")}),
        is_other_data="DIFFERENT" in cells["note"],
        is_ambiguous=any(word in printed for word in ("ambiguous", "assumed")),
    )


def _is_second_hand(model: str, source: str, note: str) -> bool:
    """Return whether a number was read in a document that quotes its source, as the note says."""
    if note.startswith("baselines second-hand"):  # said of a whole table; its own model is no baseline
        return model.removesuffix(" method") not in source
    return any(words in note.lower() for words in ("second-hand", "reprint in", "transcription"))


def _number(text: str, column: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{place}: {column} {text!r} is no number; write digits, such as 58.54")
    return number


def _parameters(text: str, place: str) -> int | None:
    """Return the number of parameters; None where there is none, and for experts counted as 8x7B."""
    if not text or re.fullmatch(r"\d+x\d+(\.\d+)?[KMB]", text):
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB]?)", text)
    if found is None:
        raise InputError(f"{place}: parameters {text!r} cannot be read; write 117M, 2.5B, or digits")
    return round(float(found[1]) * _UNITS[found[2]])
