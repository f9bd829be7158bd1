"""Finished jobs as their result.json tells of them."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from convnova.errors import InputError
from convnova.evaluation.bootstrap import Interval

RESULT_NAME = "result.json"


class JobResult(NamedTuple):
    """One model on one task with one seed."""

    suite: str
    task: str
    model: str
    protocol: str
    metric: str
    """Name of the score that is reported."""
    seed: int
    score: float
    """On the test part, as a fraction."""
    interval: Interval | None
    """Bootstrap interval of the score over test sequences; None where there is none of this score."""
    parameters: int | None
    training_seconds: float | None
    protocol_sentence: str
    switches: str
    """Strands, pooling and grid in one sentence."""
    notes: tuple[str, ...]
    path: Path


def read_results(folder: Path, suite: str | None = None) -> tuple[JobResult, ...]:
    """Return the results of all finished jobs below a folder, by task, model and seed.

    Args:
        folder: anything above the jobs; every ``result.json`` below it is read.
        suite: of which suite; needed where there are several.

    Raises:
        InputError: when there is none, a file is no result, one job is there twice, or suites are mixed.
    """
    results = [read_result(path) for path in sorted(folder.glob(f"**/{RESULT_NAME}"))]
    suites = sorted({result.suite for result in results})
    if suite is not None:
        results = [result for result in results if result.suite == suite]
    elif len(suites) > 1:
        raise InputError(f"{folder}: results of several suites, {', '.join(suites)}; say which to report")
    if not results:
        of_suite = f" of {suite}" if suite else ""
        there = f" (there are results of {', '.join(suites)})" if suites else ""
        raise InputError(
            f"{folder}: no {RESULT_NAME}{of_suite} below it{there}; run convnova benchmark first"
        )
    seen: dict[tuple[Any, ...], JobResult] = {}
    for result in results:
        key = (result.task, result.model, result.protocol, result.metric, result.seed)
        if key in seen:
            raise InputError(
                f"{result.path}: the same task, model and seed as {seen[key].path}; remove one, or name the "
                "models apart"
            )
        seen[key] = result
    return tuple(results)


def read_result(path: Path) -> JobResult:
    """Return the result in a file.

    Raises:
        InputError: when the file is no JSON, or lacks something, or its score is no number.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it and run the job again") from None
    try:
        metric = str(record["metric"])
        result = JobResult(
            suite=str(record["suite"]),
            task=str(record["task"]),
            model=str(record["model"]),
            protocol=str(record["protocol"]),
            metric=metric,
            seed=int(record["seed"]),
            score=float(record["scores"][metric]),
            interval=_interval(record.get("interval"), metric),
            parameters=_optional(int, record.get("parameters")),
            training_seconds=_optional(float, record.get("training_seconds")),
            protocol_sentence=str(record.get("protocol_sentence", "")),
            switches=str(record.get("switches", "")),
            notes=tuple(map(str, record.get("notes", ()))),
            path=path,
        )
    except KeyError as error:
        raise InputError(f"{path}: no {error.args[0]!r} in it; remove it and run the job again") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is no result of a job ({error}); remove it and run the job again"
        ) from None
    if not math.isfinite(result.score):
        raise InputError(f"{path}: its {metric} is no number; remove it and run the job again")
    return result


def _interval(record: Any, metric: str) -> Interval | None:
    """Return the interval; None where it is of another score, or is none."""
    if record is None or record.get("metric", metric) != metric:
        return None
    interval = Interval(float(record["low"]), float(record["high"]), float(record.get("coverage", 0.95)))
    return interval if all(map(math.isfinite, interval)) else None


def _optional(kind: Any, value: Any) -> Any:
    return None if value is None else kind(value)
