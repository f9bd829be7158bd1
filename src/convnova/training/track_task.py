"""`convnova finetune --task tracks`: a data set of many tracks to a model of them and its test scores."""

from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from convnova.baselines.architectures import SequenceClassifier
from convnova.console import log_console, say
from convnova.data.label_scheme import Kind, LabelScheme
from convnova.data.tracks.build import summary
from convnova.data.tracks.data import TrackData, TrackPart
from convnova.data.tracks.folder import FACTS_NAME, TARGETS_NAME
from convnova.errors import InputError
from convnova.evaluation.track_kmers import fit_kmer_regression
from convnova.evaluation.track_scores import score_tracks
from convnova.genome import Genome
from convnova.genome.files import file_checksum
from convnova.inference.predict import predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.precision import resolve_precision
from convnova.training.arguments import quiet_libraries
from convnova.training.checkpoints import remove_incomplete, sole_writer
from convnova.training.finetune import Checkpoints, Finetuned
from convnova.training.learn import learn, starting_point
from convnova.training.record import keep_record, model_facts, run_record
from convnova.training.run_folder import is_finished, is_main_process, open_run
from convnova.training.start import check_model, field_of
from convnova.training.task_output import effort, protocol
from convnova.training.track_output import TrackResult, report_tracks, write_tracks
from convnova.training.track_settings import TrackTaskSettings
from convnova.training.weights import WeightsReport

CHANGEABLE = ("tracks", "genome", "cache", "output", "baseline", "save_minutes", "resume")
"""Settings that a resumed run may have changed, which change no weights: what the files hold is compared by
checksum."""


class TrackTask(NamedTuple):
    """What a model of many tracks learns from, is chosen on, and is tested on; rows are read on demand."""

    data: TrackData
    train: TrackPart
    validation: TrackPart
    test: TrackPart | None
    """Read once; None where there is none."""
    scheme: LabelScheme


def finetune_tracks(settings: TrackTaskSettings, console: Console | None = None) -> TrackResult | None:
    """Train on a track data set, choose on validation, and score once on test; all lands in the output.

    Returns what was reached; None in other processes than the first, and for a run that was finished before.

    Raises:
        InputError: for a data set, a genome, a model or an output folder that cannot be used.
        TerminatedError: after SIGTERM, with a checkpoint saved.
    """
    console = (console or log_console()) if is_main_process() else Console(quiet=True)
    quiet_libraries()
    resolve_precision(settings.training.precision)
    check_model(settings.model, settings.network)
    task = load_track_task(settings)
    checksums = _checksums(task.data)
    checkpoint = open_run(settings.output, settings, settings.resume, checksums, CHANGEABLE)
    if is_finished(settings.output, console):
        return None

    def record(model: SequenceClassifier, weights: WeightsReport | None) -> None:
        facts = task.data.facts
        data = checksums | {"rows": facts.rows, "notes": facts.notes}
        keep_record(settings.output, run_record(settings, data, model_facts(model, weights)), checkpoint)

    with sole_writer(settings.output) if is_main_process() else nullcontext():
        if is_main_process():
            remove_incomplete(settings.output)
        _describe(console, settings, task, starting_point(settings.model, settings.network, task).config)
        checkpoints = Checkpoints(settings.output, settings.save_minutes, checkpoint, record)
        made = learn(task, settings.model, settings.network, settings.training, console, checkpoints)
        if made.weights is not None:
            say(console, f"weights: {made.weights}")
        if not is_main_process():
            return None
        result = measure_tracks(made, task, settings)
        write_tracks(settings, task.data, protocol(settings.training, task), result)
        report_tracks(console, settings.output, result)
        return result


def _checksums(data: TrackData) -> dict[str, str | None]:
    """Return what identifies a data set."""
    checksums = {f"{name}_checksum": file_checksum(data.folder / name) for name in (FACTS_NAME, TARGETS_NAME)}
    return checksums | ({} if data.genome is None else {"genome_checksum": data.genome.checksum})


def load_track_task(settings: TrackTaskSettings) -> TrackTask:
    """Return the parts of a track data set.

    Raises:
        InputError: when it is none, the genome is missing or another one, or nothing is there to train or to
            choose on.
    """
    genome = None if settings.genome is None else Genome.open(settings.genome, settings.cache)
    data = TrackData.open(settings.tracks, genome, settings.window_bp)
    kind: Kind = "multi-label" if data.facts.kind == "peaks" else "regression"
    test = data.part("test") if data.facts.rows["test"] else None
    scheme = LabelScheme(kind, tuple(data.facts.names))
    task = TrackTask(data, data.part("train"), data.part("validation"), test, scheme)
    for part in (task.validation, test):
        if part is not None and kind == "multi-label":
            _check_scorable(settings.tracks, part)
    return task


def _check_scorable(folder: Path, part: TrackPart) -> None:
    if not ((part.label_totals > 0) & (part.label_totals < len(part))).any():
        raise InputError(
            f"{folder}: no track is positive in some bins of {part.split} and not in others, so no score "
            "says anything; build it with other chromosomes for it, or with negatives"
        )


def measure_tracks(made: Finetuned, task: TrackTask, settings: TrackTaskSettings) -> TrackResult:
    """Score a model, and a baseline where it is wanted, on the test part; do it once, when all is chosen."""
    if task.test is None:
        return TrackResult(made)
    facts, problem, labels = task.data.facts, task.scheme.problem_type, task.test.labels
    predictions = predict(made.model, task.test.ids, settings.training.average_strands)
    result = TrackResult(made, score_tracks(facts.names, facts.groups, labels, predictions, problem))
    if not settings.baseline:
        return result
    regression = fit_kmer_regression(problem, task.train, task.validation, settings.training.seed)
    predictions = regression.predict(task.test.ids)
    scores = score_tracks(facts.names, facts.groups, labels, predictions, problem)
    return result._replace(baseline=scores, regression=regression)


def _describe(console: Console, settings: TrackTaskSettings, task: TrackTask, config: ConvNovaConfig) -> None:
    """Print what the data set holds, and what will be done with it."""
    for line in summary(task.data.facts):
        say(console, line)
    say(console, protocol(settings.training, task))
    say(
        console,
        f"{settings.model}: {field_of(config)}, windows of "
        f"{task.data.window_bp:,} bp; {effort(settings.training)} -> {settings.output}",
    )
