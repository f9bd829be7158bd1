"""Pretraining: from a genome to a masked language model and its scores on held-out chromosomes."""

from contextlib import nullcontext
from typing import Any

import torch
from rich.console import Console
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from convnova.data.splits import SPLITS, Split, split_regions
from convnova.data.windows import PretrainingWindows, WindowTable, tile
from convnova.errors import InputError
from convnova.evaluation.masked_lm import Summary, compare_with_counting, evaluation_masking
from convnova.genome import Genome, Interval
from convnova.genome.files import file_checksum
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.model.presets import preset
from convnova.precision import resolve_precision
from convnova.training.arguments import quiet_libraries, tracker_callbacks, training_arguments
from convnova.training.callbacks import ProgressReport, SaveByTheClock, train_to_end
from convnova.training.checkpoints import check_finite, remove_incomplete, sole_writer, write_model
from convnova.training.figures import FIGURE_NAME, write_learning_curve
from convnova.training.metrics import METRICS_NAME
from convnova.training.record import (
    SCORES_NAME,
    keep_record,
    read_scores,
    run_record,
)
from convnova.training.report import describe_run, print_next_steps, print_scores
from convnova.training.run_folder import is_finished, is_main_process, open_run
from convnova.training.settings import ModelSettings, PretrainSettings
from convnova.training.trainer import PretrainingTrainer
from convnova.writing import write_json

# Settings that a resumed run may have changed: none of them touches the weights it ends with. What genome
# and windows.intervals hold is compared by checksum.
CHANGEABLE = (
    *("genome", "windows.intervals", "output", "cache", "resume"),
    *("log_steps", "save_minutes", "trackers", "workers"),
)


def pretrain(settings: PretrainSettings) -> list[Summary]:
    """Train a masked language model on a genome and return its scores on the held-out test part.

    The output folder holds the model as `from_pretrained` reads it, `run.json`, `metrics.csv`,
    `scores.json`, TensorBoard logs, and the last checkpoints. A run that is resumed after its end is not
    trained again.

    Raises:
        InputError: for wrong input, an output folder that holds another run, or a full disk.
        TerminatedError: after SIGTERM, with a checkpoint saved.
    """
    console = Console(quiet=not is_main_process())
    quiet_libraries()
    model_config(settings.model)
    resolve_precision(settings.precision)
    genome = Genome.open(settings.genome, settings.cache)
    checksums = {
        "genome_checksum": genome.checksum,
        "intervals_checksum": file_checksum(settings.windows.intervals, "a BED file"),
    }
    checkpoint = open_run(settings.output, settings, settings.resume, checksums, CHANGEABLE)
    with sole_writer(settings.output) if is_main_process() else nullcontext():
        return _pretrain(settings, genome, checkpoint, checksums, console)


def _pretrain(
    settings: PretrainSettings,
    genome: Genome,
    checkpoint: str | None,
    checksums: dict[str, str | None],
    console: Console,
) -> list[Summary]:
    regions = split_regions(genome, settings.windows)
    data = {split: _windows(genome, regions[split], settings, split) for split in SPLITS if regions[split]}
    if "train" not in data:
        raise InputError(f"no part of {genome.path.name} is left to train on; hold out less")
    if not is_finished(settings.output, console):
        _train(settings, genome, regions, data, checkpoint, checksums, console)
    if not is_main_process():
        return []
    tables = _scores(settings, genome, regions, data)
    print_scores(console, tables, settings.masking.rate)
    figure = settings.output / FIGURE_NAME
    if not figure.exists():
        write_learning_curve(settings.output)
    print_next_steps(console, settings.output, figure)
    return tables.get("test", tables.get("validation", []))


def model_config(settings: ModelSettings) -> Any:
    """Return the ConvNovaConfig of a preset with the given changes."""
    return preset(settings.preset, **settings.changes())


def _windows(
    genome: Genome, regions: list[Interval], settings: PretrainSettings, split: Split
) -> PretrainingWindows:
    try:
        table = tile(genome, regions, settings.windows)
    except InputError as error:
        held_out = [*settings.windows.validation_chromosomes, *settings.windows.test_chromosomes]
        is_automatic = split != "train" and not held_out and settings.windows.intervals is None
        hint = "; held out automatically, choose with --windows.validation_chromosomes and test_chromosomes"
        raise InputError(f"{split}: {error}{hint if is_automatic else ''}") from None
    if split == "train":
        return PretrainingWindows(
            genome, table, settings.windows, settings.masking, settings.seed, settings.epochs
        )
    masking = evaluation_masking(settings.masking)
    table = _spread(table, settings.evaluation_windows)
    return PretrainingWindows(genome, table, settings.windows, masking, settings.seed, is_training=False)


def _spread(table: WindowTable, most: int) -> WindowTable:
    """Return at most so many rows, evenly spread."""
    return table if len(table) <= most else table.rows(torch.linspace(0, len(table) - 1, most).long().numpy())


def _train(
    settings: PretrainSettings,
    genome: Genome,
    regions: dict[Split, list[Interval]],
    data: dict[Split, PretrainingWindows],
    checkpoint: str | None,
    checksums: dict[str, str | None],
    console: Console,
) -> None:
    """Train from the start or from a checkpoint, and write the model into the output folder."""
    if is_main_process():
        remove_incomplete(settings.output)
    arguments = training_arguments(settings.output, settings, len(data["train"]), "validation" in data)
    precision = resolve_precision(settings.precision)
    set_seed(settings.seed)
    model = ConvNovaForMaskedLM(model_config(settings.model))
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    model_facts = _model_facts(model)
    describe_run(console, genome, regions, data, model_facts, settings.output)

    clock = SaveByTheClock(settings.save_minutes)
    bp_per_step = settings.batch_windows * settings.windows.window_bp
    scores = {"eval_bits_per_base": "bits per base", "eval_accuracy": "accuracy"}
    progress = ProgressReport(settings.output / METRICS_NAME, bp_per_step, settings.epochs, console, scores)
    trainer = PretrainingTrainer(
        model=model,
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data.get("validation"),
        callbacks=[progress, clock, *tracker_callbacks(settings.output, settings.trackers)],
        optimizer_settings=settings.optimizer,
    )
    trainer.remove_callback(PrinterCallback)
    # By now all processes have met, so none of them still looks whether the output folder is empty.
    if trainer.args.should_save:
        facts: dict[str, Any] = {"genome": genome.path.name} | checksums
        facts |= {split: [str(region) for region in regions[split][:100]] for split in data}
        resolved = {"precision": precision, "shift_bp": settings.windows.shift_bp}
        keep_record(settings.output, run_record(settings, facts, model_facts, resolved), checkpoint)
    train_to_end(trainer, progress, clock, checkpoint)
    if trainer.args.should_save:
        check_finite(trainer.model, trainer.state.global_step)
        write_model(trainer.model, settings.output)
    trainer.accelerator.end_training()


def _scores(
    settings: PretrainSettings,
    genome: Genome,
    regions: dict[Split, list[Interval]],
    data: dict[Split, PretrainingWindows],
) -> dict[str, list[Summary]]:
    """Return the scores of the saved model on validation and, once, on test; they are kept in scores.json."""
    path = settings.output / SCORES_NAME
    if not path.exists():
        # What a user will load: in single precision, not compiled.
        model = ConvNovaForMaskedLM.from_pretrained(settings.output)
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        ids = {split: [genome.fetch(region) for region in regions[split]] for split in SPLITS}
        tables = {
            split: compare_with_counting(model, ids["train"], ids["validation"], data[split])
            for split in SPLITS[1:]
            if split in data
        }
        rows = {split: [row._asdict() for row in table] for split, table in tables.items()}
        write_json(path, rows)
    return read_scores(settings.output)


def _model_facts(model: ConvNovaForMaskedLM) -> dict[str, Any]:
    shape = (
        "hidden_size",
        "kernel_size",
        "dilations",
        "mlp_expansion",
        "use_ffn",
        "use_final_conv",
        "dropout",
    )
    facts = {"parameters": model.num_parameters(), "receptive_field": model.config.receptive_field}
    return facts | {name: getattr(model.config, name) for name in shape}
