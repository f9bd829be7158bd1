"""`convnova finetune --task gene-finding`: a genome and its genes to a model that labels each base."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from convnova.console import log_console, say
from convnova.data.base_windows import BaseWindows, label_weights
from convnova.data.gene_task import GeneTask, load_gene_task
from convnova.data.table import counted, some
from convnova.errors import InputError
from convnova.genome.files import file_checksum
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForTokenClassification
from convnova.model.presets import growing_dilations
from convnova.precision import resolve_precision
from convnova.training.arguments import quiet_libraries, tracker_callbacks, training_arguments
from convnova.training.callbacks import ProgressReport, SaveByTheClock, train_to_end
from convnova.training.checkpoints import remove_incomplete, sole_writer
from convnova.training.gene_output import GeneResult, report_genes, write_genes
from convnova.training.gene_settings import GeneFindingSettings
from convnova.training.gene_test import MOST_TUNING_BP, choose_decoder, test_genes
from convnova.training.gene_trainer import GeneTrainer
from convnova.training.label_weights import base_logits, begin_at
from convnova.training.memory import check_memory
from convnova.training.metrics import METRICS_NAME
from convnova.training.record import keep_record, model_facts, run_record
from convnova.training.run_folder import is_finished, is_main_process, open_run
from convnova.training.start import check_model, start
from convnova.training.weights import WeightsReport, load_pretrained

CHANGEABLE = (
    *("annotation", "genome", "test_annotation", "test_genome", "intervals", "base_labels", "cache"),
    *("output", "resume"),
    *("training.log_steps", "training.save_minutes", "training.trackers", "training.workers"),
)
"""Settings that a resumed run may have changed: what the files hold is compared by checksum."""


class Trained(NamedTuple):
    """A gene finder, chosen on validation."""

    trainer: GeneTrainer
    weights: WeightsReport | None
    """What was taken from the pretrained model; None from scratch."""


def finetune_genes(settings: GeneFindingSettings, console: Console | None = None) -> GeneResult | None:
    """Label the genome, train, choose on validation, and score once on test; all lands in the output folder.

    Returns what was reached; None in other processes than the first, and for a run that was finished before.

    Raises:
        InputError: for files, labels, a model or an output folder that cannot be used.
        TerminatedError: after SIGTERM, with a checkpoint saved.
    """
    console = (console or log_console()) if is_main_process() else Console(quiet=True)
    quiet_libraries()
    resolve_precision(settings.training.precision)
    check_model(settings.model, settings.network)
    checksums = {
        f"{name}_checksum": file_checksum(path, f"the {name.replace('_', ' ')}")
        for name, path in settings.files().items()
    }
    checkpoint = open_run(settings.output, settings, settings.resume, checksums, CHANGEABLE)
    if is_finished(settings.output, console):
        return None
    with sole_writer(settings.output) if is_main_process() else nullcontext():
        task = load_gene_task(settings, settings.labels, settings.training.seed)
        trained = _train(settings, task, checkpoint, checksums, console)
        if not is_main_process():
            return None
        choice = trained.trainer.choice
        model = trained.trainer.accelerator.unwrap_model(trained.trainer.model, keep_fp32_wrapper=False)
        model.load_state_dict(choice.weights)
        saved = SavedGeneFinder(
            task.label_set.name,
            task.has_coding_exons,
            choice.selection,
            settings.training.average_strands,
            _seen(task),
        )
        if saved.has_coding_exons:
            say(console, "choosing on validation what a gene and an intron cost ...")
        saved = choose_decoder(model.eval(), saved, task)
        if saved.has_coding_exons and saved.gene_score is None:
            say(
                console,
                f"no gene lies whole in the {MOST_TUNING_BP:,} bp of validation that costs are chosen on, so "
                "there are none; hold out other chromosomes",
            )
        test = test_genes(model, saved, task, settings.labels) if "test" in task.parts else None
        assert choice.best is not None
        result = GeneResult(choice.best, choice.evaluations, test)
        write_genes(settings.output, saved, model, task, result)
        report_genes(console, settings.output, saved, result)
        return result


def _seen(task: GeneTask) -> dict[str, str]:
    """Return the chromosomes of train and validation, by their checksums."""
    parts = (task.parts["train"], task.parts["validation"])
    names = {region.chromosome: part.genome for part in parts for region in part.regions}
    return {genome.chromosome_checksum(name): name for name, genome in names.items()}


def starting_point(
    settings: GeneFindingSettings, labels: Sequence[str]
) -> tuple[Path | None, ConvNovaConfig]:
    """Return the configuration of a gene finder, and where its weights come from.

    Raises:
        InputError: for an unknown preset, a folder without model, or a change that it cannot have.
    """
    network = settings.network
    found = start(settings.model, network, labels)
    if not isinstance(found.config, ConvNovaConfig):
        raise InputError(
            f"{settings.model}: gene finding reads genomes in tiles, which takes a finite receptive field; "
            "use ConvNova"
        )
    if found.config.downsampling:
        raise InputError(
            "downsampling counts its cells from the begin of a sequence, so a genome cannot be read in "
            "tiles; leave it out"
        )
    if network.blocks is not None or network.receptive_field_bp is not None:
        config = found.config
        field = network.receptive_field_bp or config.receptive_field
        config.dilations = growing_dilations(
            field, config.kernel_size, network.blocks or config.num_hidden_layers
        )
    return found.pretrained, found.config


def _train(
    settings: GeneFindingSettings,
    task: GeneTask,
    checkpoint: str | None,
    checksums: dict[str, str | None],
    console: Console,
) -> Trained:
    """Train from the start or from a checkpoint."""
    if is_main_process():
        remove_incomplete(settings.output)
    training, labels = settings.training, task.label_set.labels
    pretrained, config = starting_point(settings, labels)
    set_seed(training.seed)
    model = ConvNovaForTokenClassification(config)
    weights = None if pretrained is None else load_pretrained(model, pretrained)
    if training.gradient_checkpointing:
        model.activation_checkpointing_enable()
    counts = task.parts["train"].counts(len(labels))
    opposite = np.array(task.label_set.opposite) if settings.windows.reverse_complement else None
    begin_at(model.classifier, base_logits(counts, training.weighting_power, opposite))
    data = BaseWindows(
        task.parts["train"],
        task.label_set,
        settings.windows,
        config.receptive_field // 2 if settings.windows.context_bp is None else settings.windows.context_bp,
        label_weights(counts, training.weighting_power) if training.weighting_power else None,
        training.seed,
        training.epochs,
    )
    if not training.gradient_checkpointing:
        batch, length = training.batch_windows // training.accumulation_steps, data.width_bp
        check_memory(config, batch, length, "set gradient_checkpointing, accumulation_steps or window_bp")
    _describe(console, settings, task, counts, data, model, weights)
    validation = task.parts["validation"].spread(training.evaluation_bp)
    if not np.delete(validation.counts(len(labels)), task.label_set.background).any():
        say(console, f"no gene lies in the {validation.total_bp:,} bp of validation that are scored")
    arguments = training_arguments(settings.output, training, len(data), has_validation=True)
    clock = SaveByTheClock(training.save_minutes)
    bp_per_step = training.batch_windows * settings.windows.window_bp
    shown = {"eval_mcc": "MCC", "eval_f1": "F1", "eval_accuracy": "accuracy"}
    progress = ProgressReport(settings.output / METRICS_NAME, bp_per_step, training.epochs, console, shown)
    trainer = GeneTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        callbacks=[progress, clock, *tracker_callbacks(settings.output, training.trackers)],
        optimizer_settings=training.optimizer,
        validation=validation,
        label_set=task.label_set,
        selection=training.selection,
        averaging=training.weight_averaging,
        patience=training.patience,
        both_strands=training.average_strands,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.args.should_save:
        facts: dict[str, Any] = dict(checksums)
        facts |= {split: [str(region) for region in part.regions[:100]] for split, part in task.parts.items()}
        facts |= {"notes": task.notes, "bases": dict(zip(labels, counts.tolist(), strict=True))}
        network = model_facts(model, weights) | {"dilations": config.dilations}
        resolved = {"precision": resolve_precision(training.precision), "context_bp": data.context}
        keep_record(settings.output, run_record(settings, facts, network, resolved), checkpoint)
    train_to_end(trainer, progress, clock, checkpoint)
    return Trained(trainer, weights)


def _describe(
    console: Console,
    settings: GeneFindingSettings,
    task: GeneTask,
    counts: NDArray[np.int64],
    data: BaseWindows,
    model: ConvNovaForTokenClassification,
    weights: WeightsReport | None,
) -> None:
    """Print what was found in the files, and what will be done with it."""
    for note in task.notes:
        say(console, note)
    for split, part in task.parts.items():
        genes = f", {len(task.genes[split]):,} genes" if split in task.genes else ""
        where = counted(len(part.regions), "region")
        if split != "train":
            where += f" ({some([str(region) for region in part.regions], most=3)})"
        say(console, f"{split}: {where}, {part.total_bp:,} bp{genes}")
    shares = zip(task.label_set.labels, counts / counts.sum(), strict=True)
    share = ", ".join(f"{name} {n:.2%}" for name, n in shares)
    say(console, f"labels ({task.label_set.name}) in train: {share}")
    if weights is not None:
        say(console, f"weights: {weights}")
    config = model.config
    say(
        console,
        f"{settings.model}: {model.num_parameters():,} parameters, {config.num_hidden_layers} blocks, "
        f"receptive field {config.receptive_field:,} bp; an epoch is {data.windows_per_epoch:,} windows of "
        f"{settings.windows.window_bp:,} bp with {data.context:,} bp of context on either side; "
        f"{settings.training.epochs} epochs -> {settings.output}",
    )
