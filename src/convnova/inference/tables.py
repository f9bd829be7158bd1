"""Predictions as tables: CSV, TSV, Parquet, or BED where the sequences are intervals of a genome.

n sequences, K classes, labels or values.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.data.label_scheme import SEPARATOR, LabelScheme
from convnova.data.table import SequenceTable
from convnova.errors import InputError
from convnova.writing import whole_file

FORMATS = (".csv", ".tsv", ".parquet", ".bed")
_BED_COLUMNS = ("chromosome", "start", "end", "prediction", "score", "strand")


def prediction_table(
    table: SequenceTable,
    scheme: LabelScheme,
    predictions: NDArray[np.float32],
    truth: NDArray[np.generic] | None = None,
) -> pl.DataFrame:
    """Return one row a sequence: its name or place, the prediction, and the probability of each class.

    Args:
        table: the n sequences.
        scheme: what the columns of the predictions mean.
        predictions: as `predict` returns them, (n, K).
        truth: labels as the scheme encodes them, for a column beside the prediction.
    """
    names = table.names or [str(index + 1) for index in range(len(table))]
    frame = pl.DataFrame({"name": names})
    if table.intervals is not None:
        frame = frame.hstack(table.intervals)
    if truth is not None:
        frame = frame.hstack(_called(scheme, truth, "label"))
    if scheme.kind == "single-label":
        frame = frame.hstack(_called(scheme, predictions.argmax(axis=1), "prediction"))
    elif scheme.kind == "multi-label":
        frame = frame.hstack(_called(scheme, predictions > 0.5, "prediction"))
    prefix = "predicted_" if scheme.kind == "regression" else "probability_"
    columns = {f"{prefix}{name}": predictions[:, column] for column, name in enumerate(scheme.names)}
    return frame.hstack(pl.DataFrame(columns))


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table in the format that the name ends with, whole or not at all.

    Raises:
        InputError: for another ending, BED without intervals, or a place that cannot be written to.
    """
    check_format(path)
    if path.suffix == ".bed":
        frame = _as_bed(frame, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as staging:
            if path.suffix == ".parquet":
                frame.write_parquet(staging)
            else:
                frame.write_csv(staging, separator="," if path.suffix == ".csv" else "\t", float_precision=6)
    except (OSError, pl.exceptions.PolarsError) as error:  # a full disk is the one or the other
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: cannot be written ({reason}); free some space, or choose another place"
        ) from None


def check_format(path: Path) -> None:
    """Check the ending of a file that is to be written, before hours of work.

    Raises:
        InputError: when it is none of `FORMATS`.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: the name must end with one of {', '.join(FORMATS)}")


def _called(scheme: LabelScheme, values: NDArray[np.generic], name: str) -> pl.DataFrame:
    """Return the words of labels: class ids (n,), 0 and 1 (n, K); or columns of values."""
    if scheme.kind == "single-label":
        return pl.DataFrame({name: np.array(scheme.names)[values.astype(np.int64)].tolist()})
    if scheme.kind == "multi-label":
        rows = values.astype(bool)
        words = [SEPARATOR.join(np.array(scheme.names)[row].tolist()) for row in rows]
        return pl.DataFrame({name: words})
    columns = values.reshape(len(values), -1)
    return pl.DataFrame({f"{name}_{word}": columns[:, i] for i, word in enumerate(scheme.names)})


def _as_bed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return BED6 and the probabilities or values behind it.

    The score is 1000 times the highest probability, and 0 for values.
    """
    if "chromosome" not in frame.columns:
        raise InputError(f"{path}: BED needs intervals of a genome, and these are sequences; write .csv")
    columns = [name for name in frame.columns if name.startswith(("probability_", "predicted_"))]
    if "prediction" in frame.columns:
        score = (pl.max_horizontal(columns) * 1000).round().cast(pl.Int64)
        word = pl.col("prediction").replace(
            "", "."
        )  # no label at all: an empty field would end the line early
    else:
        score, word = pl.lit(0), pl.col("name")
    chosen = frame.with_columns(prediction=word, score=score).select(*_BED_COLUMNS, *columns)
    return chosen.rename({"chromosome": "#chromosome", "prediction": "name"})
