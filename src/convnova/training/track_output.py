"""What a model of many tracks reached, and the folder that holds it.

run.json                settings, data, versions, machine; there first
checkpoint-*            where --resume goes on
task.json               names and groups of the tracks, bins and windows
test_tracks.csv         scores of each track on test
scores.json             validation by epoch, test once
*.png                   learning curve, scores by group, each track beside the baseline
model.safetensors, ...  the model; there last, so where it is, the run is finished
"""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console

from convnova.console import plain_table, say
from convnova.data.table import counted, some
from convnova.data.tracks.data import TrackData
from convnova.evaluation.scores import METRIC_NAMES
from convnova.evaluation.track_kmers import K, KmerRegression
from convnova.evaluation.track_scores import ALL, TrackScores, by_group
from convnova.inference.saved_task import TASK_NAME
from convnova.inference.saved_tracks import SavedTracks
from convnova.inference.tables import write_table
from convnova.training.checkpoints import write_model
from convnova.training.finetune import Finetuned
from convnova.training.record import SCORES_NAME
from convnova.training.task_figures import LEARNING_NAME, TEST_NAME, learning_figure
from convnova.training.task_output import curve_row
from convnova.training.track_figures import baseline_figure, track_figure
from convnova.training.track_settings import TrackTaskSettings
from convnova.writing import write_json

TRACKS_NAME, BASELINE_NAME = "test_tracks.csv", "test_baseline.png"
BASELINE = f"regression on {K}-mers"


class TrackResult(NamedTuple):
    """What was reached."""

    made: Finetuned
    """The model, and its scores on validation, which it was chosen by."""
    test: TrackScores | None = None
    """Read once; None where there is no test part."""
    baseline: TrackScores | None = None
    """Of the regression on k-mers, on the same bins; None where it was not wanted."""
    regression: KmerRegression | None = None


def write_tracks(settings: TrackTaskSettings, data: TrackData, protocol: str, result: TrackResult) -> None:
    """Write what a run came to, the weights last.

    Raises:
        InputError: when it cannot be written, as on a full disk.
    """
    output, made = settings.output, result.made
    facts, average_strands = data.facts, settings.training.average_strands
    saved = SavedTracks(
        facts.kind,
        facts.names,
        facts.groups,
        facts.settings["bin_bp"],
        data.window_bp,
        facts.settings["log1p"],
        made.selection,
        average_strands,
    )
    write_json(output / TASK_NAME, saved.to_dict())
    curve = [curve_row(evaluation) for evaluation in made.evaluations]
    scores: dict[str, Any] = {
        "metric": made.selection,
        "protocol": protocol,
        "training_seconds": made.seconds,
        "validation": curve[made.evaluations.index(made.best)],
    }
    if result.test is not None:
        write_table(track_table(result), output / TRACKS_NAME)
        scores["test"] = _test_scores(result.test)
    if result.baseline is not None and result.regression is not None:
        chosen = {"penalty": result.regression.penalty, "windows": result.regression.windows}
        scores["baseline"] = {"model": BASELINE} | chosen | _test_scores(result.baseline)
    write_json(output / SCORES_NAME, scores | {"evaluations": curve})
    _write_figures(output, result)
    write_model(made.model, output)


def track_table(result: TrackResult) -> pl.DataFrame:
    """Return a row a track: its scores on test, and those of the baseline."""
    assert result.test is not None
    frame = result.test.table()
    if result.baseline is None:
        return frame
    other = result.baseline.table().select(*result.baseline.by_metric)
    return frame.hstack(other.rename(lambda name: f"baseline_{name}"))


def report_tracks(console: Console, output: Path, result: TrackResult) -> None:
    """Print what was reached, and what to do next."""
    made = result.made
    chosen = made.best.scores[made.selection]
    say(
        console,
        f"validation (chosen, epoch {made.best.epoch:g}): {METRIC_NAMES[made.selection]} {chosen:.4f}",
    )
    if result.test is None:
        say(console, "the data set has no row for test, so there is no test score")
    else:
        say(console, f"test (read once), {result.test.bins:,} bins:")
        console.print(_score_table(result.test, result.baseline))
        if names := result.test.left_out:
            what = f"{counted(len(names), 'track')} could not be scored, the same in all of these bins"
            say(console, f"{what}: {some(names)}")
    say(console, f"The model, {SCORES_NAME} and figures are in {output}. For the tracks of a genome:")
    say(console, f"  convnova predict --model {output} --genome genome.fa --output tracks/")


def _score_table(test: TrackScores, baseline: TrackScores | None) -> Any:
    """Return the scores of each group, those of the baseline below those of the model."""
    models = {"model": test} if baseline is None else {"model": test, BASELINE: baseline}
    columns = [f"{METRIC_NAMES[metric]} {what}" for metric in test.by_metric for what in ("mean", "median")]
    rows = []
    for groups in zip(*map(by_group, models.values()), strict=True):
        for name, one in zip(models, groups, strict=True):
            values = [f"{by[metric]:.4f}" for metric in test.by_metric for by in (one.mean, one.median)]
            tracks = f"{ALL} tracks" if one.group == ALL else one.group
            rows.append([tracks, name, f"{one.tracks:,}", *values])
    return plain_table(["group", "", "tracks", *columns], rows, words=2)


def _test_scores(scores: TrackScores) -> dict[str, Any]:
    groups = [one._asdict() for one in by_group(scores)]
    return {"bins": scores.bins, "groups": groups, "left_out": scores.left_out}


def _write_figures(output: Path, result: TrackResult) -> None:
    """Draw what there is to see; nothing where matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    if len(result.made.evaluations) > 1:
        (output / LEARNING_NAME).write_bytes(learning_figure(result.made))
    if result.test is not None:
        (output / TEST_NAME).write_bytes(track_figure(result.test))
        if result.baseline is not None:
            figure = baseline_figure(result.test, result.baseline, BASELINE)
            (output / BASELINE_NAME).write_bytes(figure)
