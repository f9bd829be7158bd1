"""The demo from end to end. Each stage keeps its result, so that a second run goes on where the first ended.

genome, genes ─► pretrain ─► fine-tune ──┐
      └────────► start-codon windows ─► from scratch, baselines ─► test ─► mutagenesis ─► report.html
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jsonargparse import ArgumentParser
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

from convnova.data.labelled import LabelledSequences, without_duplicates
from convnova.demo.evidence import Effect, effects_by_kind, mean_importance
from convnova.demo.settings import DemoSettings
from convnova.demo.task import StartCodons, open_codons, start_codons
from convnova.errors import InputError, TerminatedError
from convnova.evaluation.classification import ClassificationScores, score_classifier
from convnova.evaluation.kmers import fit_kmer_classifier
from convnova.genome import Gene, Genome, read_gff3
from convnova.inference.mutagenesis import Mutagenesis, saturation_mutagenesis
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import one_hot
from convnova.training.finetune import Evaluation, finetune, predict_probabilities
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.pretrain import pretrain
from convnova.training.record import plain, run_record, write_json
from convnova.training.settings import PretrainSettings
from convnova.training.weights import WEIGHTS_NAME, pretrained_config

LOG_WIDTH = 110
PRETRAINED, SCRATCH = "ConvNova, pretrained", "ConvNova, from scratch"


class Arm(NamedTuple):
    """One of the networks that are compared."""

    folder: str
    is_pretrained: bool
    starts: int | None
    """Annotated starts that it learns from; None is all."""


class Step(NamedTuple):
    """One stage of the demo, for the table of times."""

    name: str
    seconds: float
    """When it was computed."""
    was_reused: bool


class Results(NamedTuple):
    """What the report shows."""

    settings: DemoSettings
    pretraining: PretrainSettings
    genome: Genome
    genes: list[Gene]
    splits: dict[str, StartCodons]
    duplicates: int
    """Training windows left out because they are in a held-out part too."""
    weights: str
    """What was loaded from the pretrained model."""
    evaluations: dict[str, list[Evaluation]]
    scores: dict[str, ClassificationScores]
    """On the test chromosome, by classifier."""
    probabilities: dict[str, NDArray[np.float64]]
    """Of a start, for each test sequence, by classifier."""
    shown: int
    """Index of the test sequence whose mutagenesis is drawn."""
    mutageneses: list[Mutagenesis]
    """Of the sequence shown, and then of those that are counted."""
    effects: list[Effect]
    importance: NDArray[np.float64]
    steps: list[Step]


def demo(settings: DemoSettings, console: Console | None = None) -> Path:
    """Run the demo and return the path of its report.

    Raises:
        InputError: when a library for the report is missing, or the output folder holds something else.
    """
    from convnova.demo.report import check_libraries, write_report

    console = console or _console()
    transformers_logging.disable_progress_bar()
    check_libraries()
    steps = Steps(settings.output, console)
    pretraining = pretrain_settings(settings, console)
    settings = _for_this_machine(settings)

    console.rule("1 of 6  The genome", align="left")
    began = time.perf_counter()
    genome = Genome.open(settings.genome, settings.output / "cache")
    genes = read_gff3(settings.annotation, genome)
    steps.add("index the genome, read the genes", time.perf_counter() - began, genome.was_cached)
    console.print(
        f"{len(genome.chromosome_sizes)} chromosomes, {genome.total_bp:,} bp, {len(genes):,} genes; "
        f"held out: {', '.join(_held_out(pretraining)['validation'])} to choose on, "
        f"{', '.join(_held_out(pretraining)['test'])} to test on"
    )

    console.rule("2 of 6  Pretraining: predict hidden bases from those around them", align="left")
    _pretrain(pretraining, steps, console)

    console.rule("3 of 6  A task: is this ATG where translation starts?", align="left")
    began = time.perf_counter()
    splits, duplicates = build_task(genome, genes, pretraining, settings)
    steps.add("build the task", time.perf_counter() - began, False)
    for name, part in splits.items():
        decoys, starts = part.sequences.class_counts
        console.print(
            f"  {name}: {starts:,} annotated starts, {decoys:,} other ATGs, "
            f"{2 * settings.flank_bp + 1} bp each"
        )

    console.rule("4 of 6  Fine-tuning, and the same network from scratch", align="left")
    trained = _finetune_all(settings, pretraining, splits, steps, console)

    console.rule("5 of 6  The test, once", align="left")
    tested = steps.stage(
        "baselines and test",
        settings.output / "test.json",
        {"models": trained["key"]},
        lambda: _test(settings, splits),
    )
    test = splits["test"].sequences
    chance = {name: np.array(row["probabilities"]) for name, row in tested.items()}
    scores = {name: ClassificationScores(**row["scores"]) for name, row in tested.items()}
    console.print(score_table(scores))

    console.rule("6 of 6  Which bases matter: saturation mutagenesis", align="left")
    shown, counted = choose_sequences(splits["test"], chance[PRETRAINED], settings.mutated_starts)
    effects = steps.stage(
        "saturation mutagenesis",
        settings.output / "mutagenesis.json",
        {"models": trained["key"], "sequences": [shown, *counted]},
        lambda: _mutate(settings, test, [shown, *counted]),
    )
    mutageneses = [
        Mutagenesis(test.ids[index], made["reference"], np.array(made["effects"], dtype=np.float32))
        for index, made in zip([shown, *counted], effects, strict=True)
    ]
    kinds = effects_by_kind(mutageneses[1:])
    console.print(effect_table(kinds, len(counted)))

    results = Results(
        settings,
        pretraining,
        genome,
        genes,
        splits,
        duplicates,
        trained["weights"],
        trained["evaluations"],
        scores,
        chance,
        shown,
        mutageneses,
        kinds,
        mean_importance(mutageneses[1:]),
        steps.done,
    )
    report = write_report(results, settings.output)
    facts = {"genome": genome.path.name, "genome_checksum": genome.checksum}
    write_json(settings.output / "demo.json", run_record(settings, facts, {}))
    _say_what_next(console, results, report, steps)
    return report


class Steps:
    """The stages of a run: what each took, and what was there already."""

    def __init__(self, output: Path, console: Console):
        self.console = console
        self.done: list[Step] = []
        output.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, seconds: float, was_reused: bool) -> None:
        """Note a stage."""
        self.done.append(Step(name, seconds, was_reused))
        if was_reused:
            self.console.print(f"  reused from an earlier run: {name}", style="green")

    def stage(self, name: str, path: Path, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what a stage gives: from its file if that was made under the same key, else computed."""
        key = json.loads(json.dumps(key, default=str))
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["key"] == key:
                self.add(name, kept["seconds"], True)
                return kept["value"]
            self.console.print(f"  {name}: settings or inputs have changed, so it is done anew")
        began = time.perf_counter()
        value = json.loads(json.dumps(compute()))
        seconds = time.perf_counter() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": key, "seconds": seconds, "value": value})
        self.add(name, seconds, False)
        return value


def pretrain_settings(settings: DemoSettings, console: Console) -> PretrainSettings:
    """Return the settings of the recipe, with the demo's genome and folders."""
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(PretrainSettings)
    flags = [f"--config={settings.recipe}", f"--genome={settings.genome}"]
    flags += [f"--output={settings.output / 'pretrained'}", f"--cache={settings.output / 'cache'}"]
    if torch.cuda.is_available():
        flags += ["--precision=auto"]
    elif not has_bf16():
        console.print("This processor has no bf16 instructions: fp32, and half the pretraining epochs.")
        flags += ["--precision=fp32", "--epochs=1"]
    values = vars(parser.instantiate_classes(parser.parse_args(flags)))
    return PretrainSettings(**{name: value for name, value in values.items() if name != "config"})


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware; elsewhere bf16 is slower than fp32."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return False
    flags = set(cpuinfo.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def build_task(
    genome: Genome, genes: list[Gene], pretraining: PretrainSettings, settings: DemoSettings
) -> tuple[dict[str, StartCodons], int]:
    """Return the windows of each split, and how many training windows were left out as duplicates."""
    held_out = _held_out(pretraining)
    others = {name for names in held_out.values() for name in names}
    chromosomes = {"train": [name for name in genome.chromosome_sizes if name not in others], **held_out}
    splits = {
        split: start_codons(
            genome, genes, names, settings.flank_bp, settings.decoys_per_start, settings.seed + number
        )
        for number, (split, names) in enumerate(chromosomes.items())
    }
    full = splits["train"].sequences
    train = without_duplicates(full, [splits["validation"].sequences, splits["test"].sequences])
    splits["train"] = splits["train"]._replace(sequences=train)
    return splits, len(full) - len(train)


def arms(settings: DemoSettings) -> dict[str, Arm]:
    """Return the networks that are compared, by name."""
    few = settings.few_starts
    return {
        PRETRAINED: Arm("start_codons", True, None),
        SCRATCH: Arm("start_codons_from_scratch", False, None),
        f"{PRETRAINED}, {few} starts": Arm("few_starts", True, few),
        f"{SCRATCH}, {few} starts": Arm("few_starts_from_scratch", False, few),
    }


def few_sequences(train: StartCodons, settings: DemoSettings) -> LabelledSequences:
    """Return a random part of the training windows: few starts, and as many times the decoys as in all."""
    rng, labels = np.random.default_rng(settings.seed), train.sequences.labels
    wanted = {1: settings.few_starts, 0: settings.few_starts * settings.decoys_per_start}
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:most] for label, most in wanted.items()]
    chosen = np.concatenate(drawn)
    return LabelledSequences(np.asarray(train.sequences.ids)[chosen], labels[chosen])


def choose_sequences(test: StartCodons, chance: NDArray[np.float64], most: int) -> tuple[int, list[int]]:
    """Return the test sequence to draw, and those to count over.

    Drawn is the annotated start with the highest score among genes with a name of their own (ACT1, not
    YFL039C). Counted are annotated starts that the model calls starts, evenly spread along the chromosome.
    """
    starts = np.flatnonzero(test.sequences.labels == 1)
    found = starts[chance[starts] > 0.5]
    found = found if len(found) else starts
    named = [index for index in found if not _is_systematic(test.sites[index].name)] or list(found)
    shown = int(max(named, key=lambda index: chance[index]))
    spread = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))
    return shown, [int(index) for index in found[spread]]


def score_table(scores: dict[str, ClassificationScores]) -> Table:
    """Return the test scores as a table for the terminal."""
    table = Table(title="test chromosome", title_justify="left")
    table.add_column("classifier")
    for name in ("AUROC", "95 % interval", "AUPRC", "MCC", "accuracy", "n"):
        table.add_column(name, justify="right")
    for name, s in scores.items():
        interval = f"{s.auroc_low:.3f} to {s.auroc_high:.3f}"
        numbers = [f"{s.auroc:.3f}", interval, f"{s.auprc:.3f}", f"{s.mcc:.3f}", f"{s.accuracy:.3f}"]
        table.add_row(name, *numbers, str(s.n))
    return table


def effect_table(effects: list[Effect], sequences: int) -> Table:
    """Return the effects by kind of substitution as a table for the terminal."""
    table = Table(title=f"every substitution in {sequences} start codons of the test chromosome")
    table.add_column("substitution")
    for name in ("number", "median change of log-odds", "lower it"):
        table.add_column(name, justify="right")
    for effect in effects:
        table.add_row(
            effect.kind, str(effect.substitutions), f"{effect.median:+.2f}", f"{effect.share_lower:.0%}"
        )
    return table


def _for_this_machine(settings: DemoSettings) -> DemoSettings:
    if torch.cuda.is_available() or has_bf16() or settings.finetuning.precision != "bf16":
        return settings
    return replace(settings, finetuning=replace(settings.finetuning, precision="fp32"))


def _held_out(pretraining: PretrainSettings) -> dict[str, list[str]]:
    windows = pretraining.windows
    if not windows.validation_chromosomes or not windows.test_chromosomes:
        raise InputError("the demo's recipe must name validation_chromosomes and test_chromosomes")
    return {"validation": windows.validation_chromosomes, "test": windows.test_chromosomes}


def _pretrain(settings: PretrainSettings, steps: Steps, console: Console) -> None:
    """Pretrain, go on with an interrupted run, or reuse a finished one."""
    timing = settings.output.parent / "pretraining.json"

    def run() -> list[dict[str, Any]]:
        has_begun = (settings.output / "run.json").exists()
        if has_begun:
            console.print("  going on with an interrupted run", style="green")
        try:
            return [row._asdict() for row in pretrain(replace(settings, resume=has_begun))]
        except TerminatedError:
            raise TerminatedError("stopped, and saved; the same command goes on from here") from None

    key = plain(settings) | {"genome": settings.genome.name, "data": _checksum(settings.genome)}
    steps.stage("pretraining", timing, key, run)


def _finetune_all(
    settings: DemoSettings,
    pretraining: PretrainSettings,
    splits: dict[str, StartCodons],
    steps: Steps,
    console: Console,
) -> dict[str, Any]:
    """Fine-tune the pretrained network and train its twin from scratch, with all starts and with few."""
    folder = pretraining.output
    key = {
        "flank_bp": settings.flank_bp,
        "decoys": [settings.decoys_per_start, settings.seed],
        "annotation": _checksum(settings.annotation),
        "pretrained": _checksum(folder / WEIGHTS_NAME),
    }
    keys, evaluations, weights = {}, {}, ""
    for name, arm in arms(settings).items():
        train = splits["train"].sequences if arm.starts is None else few_sequences(splits["train"], settings)
        finetuning = settings.finetuning
        if arm.starts is not None:
            finetuning = replace(finetuning, epochs=settings.few_epochs, evaluations_per_epoch=1)

        def run(arm: Arm = arm, train: LabelledSequences = train, s: FinetuneSettings = finetuning) -> Any:
            config = pretrained_config(folder, num_labels=2, pooling="center")
            source, place = folder if arm.is_pretrained else None, settings.output / arm.folder
            made = finetune(source, config, train, splits["validation"].sequences, s, place, console)
            rows = [evaluation._asdict() for evaluation in made.evaluations]
            return {"weights": str(made.weights), "evaluations": rows}

        console.print(f"[bold]{name}[/bold]: {len(train):,} windows, {finetuning.epochs} epochs")
        keys[name] = key | {"finetuning": asdict(finetuning), "starts": arm.starts}
        path = settings.output / f"{arm.folder}.json"
        value = steps.stage(f"fine-tuning: {name}", path, keys[name], run)
        evaluations[name] = [Evaluation(**row) for row in value["evaluations"]]
        if arm.is_pretrained and not weights:
            weights = value["weights"]
            console.print(f"  {weights}")
        best = max(evaluations[name], key=lambda e: getattr(e, settings.finetuning.selection))
        console.print(f"  chosen: epoch {best.epoch:.1f}, validation AUROC {best.auroc:.4f}")
    return {"key": keys, "evaluations": evaluations, "weights": weights}


def _load(settings: DemoSettings, arm: Arm) -> ConvNovaForSequenceClassification:
    return ConvNovaForSequenceClassification.from_pretrained(settings.output / arm.folder).eval()


def _test(settings: DemoSettings, splits: dict[str, StartCodons]) -> dict[str, Any]:
    """Return the probability of a start for each test sequence and the scores, by classifier."""
    from sklearn.linear_model import LogisticRegression

    train, validation, test = (splits[name].sequences for name in ("train", "validation", "test"))
    chance: dict[str, NDArray[np.floating]] = {}
    for name, arm in arms(settings).items():
        chance[name] = predict_probabilities(_load(settings, arm), test)[:, 1]
    # C was chosen on chrV among 0.001, 0.003, 0.01 and 0.1.
    by_position = LogisticRegression(C=0.003, max_iter=1000).fit(_flat(train), train.labels)
    chance["logistic regression, each position"] = by_position.predict_proba(_flat(test))[:, 1]
    few = few_sequences(splits["train"], settings)
    few_by_position = LogisticRegression(C=0.003, max_iter=1000).fit(_flat(few), few.labels)
    name = f"logistic regression, each position, {settings.few_starts} starts"
    chance[name] = few_by_position.predict_proba(_flat(test))[:, 1]
    kmers = fit_kmer_classifier(train, validation)
    chance[f"logistic regression, {kmers.k}-mers"] = kmers.probabilities(test.ids)[:, 1]
    by_frame = LogisticRegression().fit(_codons(train), train.labels)
    chance["codons before an in-frame stop"] = by_frame.predict_proba(_codons(test))[:, 1]
    chance["majority class"] = np.full(len(test), float(train.class_counts.argmax()))
    return {
        name: {
            "probabilities": [float(p) for p in values],
            "scores": score_classifier(test.labels, np.stack([1 - values, values], axis=1))._asdict(),
        }
        for name, values in chance.items()
    }


def _flat(sequences: LabelledSequences) -> NDArray[np.float32]:
    return one_hot(np.asarray(sequences.ids), 4).reshape(len(sequences), -1)


def _codons(sequences: LabelledSequences) -> NDArray[np.int64]:
    return open_codons(np.asarray(sequences.ids))[:, None]


def _mutate(settings: DemoSettings, test: LabelledSequences, indices: list[int]) -> list[dict[str, Any]]:
    model = _load(settings, arms(settings)[PRETRAINED])
    made = (saturation_mutagenesis(model, test.ids[index]) for index in indices)
    return [{"reference": m.reference, "effects": np.round(m.effects, 5).tolist()} for m in made]


def _is_systematic(name: str) -> bool:
    """Whether a name says only where the gene lies, as YAL068C does."""
    return not name or ":" in name or (len(name) >= 7 and name[0] == "Y" and name[3:6].isdigit())


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _console() -> Console:
    """Return the terminal; a file gets lines long enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def _say_what_next(console: Console, results: Results, report: Path, steps: Steps) -> None:
    reused = sum(step.was_reused for step in steps.done)
    console.rule("Done", align="left")
    for step in steps.done:
        how = "reused" if step.was_reused else f"{step.seconds:.0f} s"
        console.print(f"  {step.name}: {how}", highlight=False)
    if reused:
        console.print(
            f"  {reused} of {len(steps.done)} steps were reused; delete {report.parent} to start anew"
        )
    console.print(f"\n[bold]Open {report}[/bold]\n\nNext:")
    for line in next_commands(results):
        console.print(f"  {line}", highlight=False)


def next_commands(results: Results) -> list[str]:
    """Return commands that go on from here."""
    return [
        "convnova pretrain --genome your_genome.fa.gz --output runs/yours",
        "convnova pretrain --config recipes/yeast.yaml --genome sacCer3.fa.gz --output runs/yeast",
        "convnova demo --help",
    ]
