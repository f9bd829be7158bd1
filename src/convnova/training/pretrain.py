"""Pretraining: from a genome to a masked language model and its scores on held-out chromosomes."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging as transformers_logging

from convnova.data.windows import SPLITS, PretrainingWindows, Split, WindowTable, split_regions, tile
from convnova.errors import InputError
from convnova.evaluation.masked_lm import Summary, compare_with_counting, evaluation_masking
from convnova.genome import Genome, Interval
from convnova.model.modeling_convnova import ConvNovaForMaskedLM
from convnova.model.presets import preset
from convnova.model.tokenization_convnova import ConvNovaTokenizer
from convnova.training.callbacks import ProgressReport, SaveByTheClock
from convnova.training.record import RECORD_NAME, check_same_run, run_record, write_json
from convnova.training.settings import ModelSettings, PretrainSettings
from convnova.training.trainer import PretrainingTrainer

KEPT_CHECKPOINTS = 2
# Settings that a resumed run may have changed: none of them touches the weights it ends with.
CHANGEABLE = ("genome", "output", "cache", "resume", "log_steps", "save_minutes", "trackers", "workers")


class Terminated(Exception):
    """The run was asked to end by SIGTERM and has saved a checkpoint."""


def pretrain(settings: PretrainSettings) -> list[Summary]:
    """Train a masked language model on a genome and return its scores on the held-out test part.

    The output folder holds the model as `from_pretrained` reads it, `run.json`, `metrics.csv`,
    `scores.json`, TensorBoard logs, and the last checkpoints.

    Raises:
        InputError: for wrong input, an output folder that holds another run, or a full disk.
        Terminated: after SIGTERM, with a checkpoint saved.
    """
    console = Console(quiet=not _is_main_process())
    _quiet_libraries()
    genome = Genome.open(settings.genome, settings.cache)
    checkpoint = _prepare_output(settings, genome)
    regions = split_regions(genome, settings.windows)
    data = {split: _windows(genome, regions[split], settings, split) for split in SPLITS if regions[split]}
    if "train" not in data:
        raise InputError(f"no part of {genome.path.name} is left to train on; hold out less")
    set_seed(settings.seed)
    model = ConvNovaForMaskedLM(model_config(settings.model))
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    _describe(console, settings, genome, regions, data, model)

    trainer, clock, progress = _trainer(settings, model, data, console)
    if trainer.args.should_save and checkpoint is None:
        facts = {"genome": genome.path.name, "genome_checksum": genome.checksum}
        facts |= {split: [str(region) for region in regions[split][:100]] for split in data}
        write_json(settings.output / RECORD_NAME, run_record(settings, facts, _model_facts(model)))
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        progress.close()
    if clock.was_terminated:
        step = trainer.state.global_step
        raise Terminated(
            f"stopped by SIGTERM at step {step} of {trainer.state.max_steps}; go on with --resume true"
        )
    if not trainer.args.should_save:
        return []
    trainer.save_model(str(settings.output))
    ConvNovaTokenizer().save_pretrained(settings.output)
    return _score(settings, genome, regions, data, model, console)


def model_config(settings: ModelSettings) -> Any:
    """Return the ConvNovaConfig of a preset with the given changes."""
    changes = {
        name: value for name, value in vars(settings).items() if name != "preset" and value is not None
    }
    return preset(settings.preset, **changes)


def _prepare_output(settings: PretrainSettings, genome: Genome) -> str | None:
    """Make the output folder, and return the checkpoint to go on from."""
    output = settings.output
    has_run = (output / RECORD_NAME).exists()
    if settings.resume and has_run:
        check_same_run(output, settings, genome.checksum, CHANGEABLE)
        return get_last_checkpoint(output)
    if has_run:
        raise InputError(
            f"{output} holds another run; go on with it by --resume true, or choose another output folder"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is not an empty folder; choose another output folder")
    output.mkdir(parents=True, exist_ok=True)
    return None


def _windows(
    genome: Genome, regions: list[Interval], settings: PretrainSettings, split: Split
) -> PretrainingWindows:
    table = tile(genome, regions, settings.windows)
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


def _trainer(
    settings: PretrainSettings,
    model: ConvNovaForMaskedLM,
    data: dict[Split, PretrainingWindows],
    console: Console,
) -> tuple[PretrainingTrainer, SaveByTheClock, ProgressReport]:
    processes = int(os.environ.get("WORLD_SIZE", 1))
    per_pass, remainder = divmod(settings.batch_windows, processes * settings.accumulation_steps)
    if remainder:
        raise InputError(
            f"batch_windows {settings.batch_windows} is not a multiple of processes x accumulation_steps, "
            f"{processes} x {settings.accumulation_steps}"
        )
    steps = len(data["train"]) // settings.batch_windows
    if steps == 0:
        raise InputError(
            f"{len(data['train'])} training windows in all do not fill one batch of {settings.batch_windows}; "
            "lower batch_windows or raise epochs"
        )
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(settings.output / "tensorboard"))
    arguments = TrainingArguments(
        output_dir=str(settings.output),
        max_steps=steps,
        per_device_train_batch_size=per_pass,
        per_device_eval_batch_size=max(per_pass, 16),
        gradient_accumulation_steps=settings.accumulation_steps,
        learning_rate=settings.optimizer.learning_rate,
        weight_decay=settings.optimizer.weight_decay,
        adam_beta1=settings.optimizer.adam_beta1,
        adam_beta2=settings.optimizer.adam_beta2,
        max_grad_norm=settings.optimizer.max_gradient_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        torch_compile=settings.compile,
        dataloader_num_workers=settings.workers,
        dataloader_persistent_workers=settings.workers > 0,
        remove_unused_columns=False,
        logging_steps=settings.log_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if "validation" in data and settings.evaluations else "no",
        eval_steps=max(1, -(-steps // max(settings.evaluations, 1))),
        save_strategy="no",  # by the clock, see SaveByTheClock
        save_total_limit=KEPT_CHECKPOINTS,
        report_to=settings.trackers or "none",
        disable_tqdm=True,
        seed=settings.seed,
        ddp_backend="gloo" if processes > 1 and not torch.cuda.is_available() else None,
        ddp_find_unused_parameters=False,
    )
    clock = SaveByTheClock(settings.save_minutes)
    bp_per_step = settings.batch_windows * settings.windows.window_bp
    progress = ProgressReport(settings.output / "metrics.csv", bp_per_step, settings.epochs, console)
    trainer = PretrainingTrainer(
        model=model,
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data.get("validation"),
        callbacks=[progress, clock],
        optimizer_settings=settings.optimizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, clock, progress


def _score(
    settings: PretrainSettings,
    genome: Genome,
    regions: dict[Split, list[Interval]],
    data: dict[Split, PretrainingWindows],
    model: ConvNovaForMaskedLM,
    console: Console,
) -> list[Summary]:
    """Score the final model on validation and, once, on test; write scores.json."""
    ids = {split: [genome.fetch(region) for region in regions[split]] for split in data}
    tables = {
        split: compare_with_counting(model, ids["train"], ids["validation"], data[split])
        for split in SPLITS[1:]
        if split in data and "validation" in data
    }
    for split, rows in tables.items():
        console.print(
            score_table(f"{split}: every scored base hidden, {settings.masking.rate:.0%} at once", rows)
        )
    write_json(
        settings.output / "scores.json",
        {split: [row._asdict() for row in rows] for split, rows in tables.items()},
    )
    return tables.get("test", tables.get("validation", []))


def score_table(title: str, rows: list[Summary]) -> Table:
    """Return the scores as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for name in ("nats/base", "bits/base", "perplexity", "accuracy", "median window bits", "bases"):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = [row.nats_per_base, row.bits_per_base, row.perplexity, row.accuracy, row.median_window_bits]
        table.add_row(row.model, *(f"{number:.4f}" for number in numbers), str(row.bases))
    return table


def _describe(
    console: Console,
    settings: PretrainSettings,
    genome: Genome,
    regions: dict[Split, list[Interval]],
    data: dict[Split, PretrainingWindows],
    model: ConvNovaForMaskedLM,
) -> None:
    facts = _model_facts(model)
    console.print(
        f"[bold]{genome.path.name}[/bold]: {len(genome.chromosome_sizes)} chromosomes, {genome.total_bp:,} bp "
        f"(index {'reused' if genome.was_cached else 'built'})"
    )
    for split, windows in data.items():
        names = ", ".join(str(region) for region in regions[split][:3]) + (
            ", ..." if len(regions[split]) > 3 else ""
        )
        console.print(
            f"  {split}: {windows.windows_per_epoch:,} windows of {settings.windows.window_bp} bp from {names}"
        )
    console.print(
        f"ConvNova: {facts['parameters']:,} parameters, {len(facts['dilations'])} blocks, "
        f"receptive field {facts['receptive_field']} bp -> {settings.output}"
    )


def _model_facts(model: ConvNovaForMaskedLM) -> dict[str, Any]:
    config = json.loads(model.config.to_json_string(use_diff=False))
    keys = (
        "hidden_size",
        "kernel_size",
        "dilations",
        "mlp_expansion",
        "use_ffn",
        "use_final_conv",
        "dropout",
    )
    facts = {"parameters": model.num_parameters(), "receptive_field": model.config.receptive_field}
    return facts | {key: config[key] for key in keys}


def _is_main_process() -> bool:
    return int(os.environ.get("RANK", 0)) == 0


def _quiet_libraries() -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def read_scores(run: Path) -> dict[str, list[Summary]]:
    """Return the scores that a finished run wrote, by split."""
    content = json.loads((run / "scores.json").read_text())
    return {split: [Summary(**row) for row in rows] for split, rows in content.items()}
