"""The demo from end to end. Each stage keeps its result, so that a second run goes on where the first ended.

genome, genes ─► pretrain ─► fine-tune ──┐
      └────────► start-codon windows ─► from scratch, baselines ─► test ─► mutagenesis ─► report.html
"""

import time
from pathlib import Path

from rich.console import Console
from transformers.utils import logging as transformers_logging

from convnova.console import log_console
from convnova.demo.mutations import mutate
from convnova.demo.networks import PRETRAINED, finetune_all
from convnova.demo.pretraining import held_out, pretrain_once, pretrain_settings
from convnova.demo.report import Results, check_libraries, write_report
from convnova.demo.scores import score_on_test
from convnova.demo.settings import DemoSettings
from convnova.demo.splits import build_task
from convnova.demo.steps import Steps
from convnova.demo.tables import say_what_next
from convnova.genome import Gene, Genome, read_gff3
from convnova.training.record import run_record
from convnova.writing import write_json


def demo(settings: DemoSettings, console: Console | None = None) -> Path:
    """Run the demo and return the path of its report.

    Raises:
        InputError: when a library for the report is missing, or the output folder holds something else.
    """
    console = console or log_console()
    transformers_logging.disable_progress_bar()
    check_libraries()
    steps = Steps(settings.output, console)
    pretraining = pretrain_settings(settings, console)

    console.rule("1 of 6  The genome", align="left")
    genome, genes = _read_genome(settings, steps)
    others = held_out(pretraining)
    console.print(
        f"{len(genome.chromosome_sizes)} chromosomes, {genome.total_bp:,} bp, {len(genes):,} genes; "
        f"held out: {', '.join(others['validation'])} to choose on, {', '.join(others['test'])} to test on"
    )

    console.rule("2 of 6  Pretraining: predict hidden bases from those around them", align="left")
    pretrain_once(pretraining, steps)

    console.rule("3 of 6  A task: is this ATG where translation starts?", align="left")
    task = build_task(genome, genes, others, settings, steps)

    console.rule("4 of 6  Fine-tuning, and the same network from scratch", align="left")
    trained = finetune_all(settings, pretraining.output, task.splits, steps)

    console.rule("5 of 6  The test, once", align="left")
    tested = score_on_test(settings, task.splits, trained.key, steps)

    console.rule("6 of 6  Which bases matter: saturation mutagenesis", align="left")
    chance = tested.probabilities[PRETRAINED]
    mutated = mutate(settings, task.splits["test"], chance, trained.key, steps)

    results = Results(settings, pretraining, genome, task, trained, tested, mutated, steps.done)
    report = write_report(results, settings.output)
    facts = {"genome": genome.path.name, "genome_checksum": genome.checksum}
    write_json(settings.output / "demo.json", run_record(settings, facts, {}))
    say_what_next(console, report, steps.done)
    return report


def _read_genome(settings: DemoSettings, steps: Steps) -> tuple[Genome, list[Gene]]:
    began = time.perf_counter()
    genome = Genome.open(settings.genome, settings.output / "cache")
    genes = read_gff3(settings.annotation, genome)
    steps.add("index the genome, read the genes", time.perf_counter() - began, genome.was_cached)
    return genome, genes
