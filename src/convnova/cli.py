"""The command line: each command is a function of the package, its settings are the flags."""

import argparse
import re
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from convnova.analysis.ablation_settings import AblationSettings
from convnova.analysis.attribution_settings import AttributionSettings
from convnova.analysis.embed_settings import EmbedSettings
from convnova.analysis.field_settings import ReceptiveFieldSettings
from convnova.analysis.mutagenesis_settings import MutagenesisSettings
from convnova.benchmark.compare_settings import CompareSettings
from convnova.benchmark.settings import BenchmarkSettings
from convnova.data.catalogue.settings import (
    CheckSettings,
    FetchSettings,
    ListSettings,
    PrepareSettings,
)
from convnova.data.tracks.settings import TrackSettings
from convnova.demo.settings import DemoSettings
from convnova.errors import InputError, TerminatedError
from convnova.inference.annotate_settings import AnnotateSettings
from convnova.inference.export_settings import ExportSettings
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.settings import ClassifySettings, EvaluateSettings
from convnova.inference.variant_settings import VariantSettings
from convnova.training.gene_settings import GeneFindingSettings
from convnova.training.settings import PretrainSettings
from convnova.training.task_settings import FinetuneTaskSettings
from convnova.training.track_settings import TrackTaskSettings

DESCRIPTION = """DNA foundation models by convolution.

From a genome to a model, from labelled sequences to a test score, beside the published field.

  convnova demo                                                      all of it on real yeast, in minutes
  convnova pretrain --genome sacCer3.fa.gz --output runs/yeast       your genome, published settings
  convnova finetune --train train.csv --test test.csv --model runs/yeast --output runs/task
  convnova classify --model runs/task --input new.fa --output new.csv
  convnova embed --model runs/yeast --input seqs.fa --output embeddings.parquet
  convnova finetune --task gene-finding --genome g.fa --annotation g.gff3 --output runs/genes
  convnova annotate --genome new.fa --model runs/genes --output genes.gff3
  convnova tracks --tracks peaks/ --genome g.fa --output data
  convnova finetune --task tracks --tracks data --output runs/tracks
  convnova predict --genome g.fa --model runs/tracks --output tracks/
  convnova score-variants --input in.vcf.gz --genome g.fa --model runs/yeast --output out.vcf.gz
  convnova export --model runs/task --output model.onnx
  convnova benchmark --suite gue --data data --model preset:nt --output runs/gue
  convnova compare --models convnova,hyenadna,nt --output runs/compare
  convnova ablate --train train.csv --test test.csv --output runs/ablation
  convnova receptive-field --model runs/task --input test.csv --output runs/field
  convnova attribute --model runs/task --input test.csv --output runs/why
  convnova mutagenesis --model runs/yeast --genome g.fa --intervals chrI:1001-1200 --output runs/bases

`convnova COMMAND --help` explains the settings of a command; `--print_config` prints them all as a recipe,
which `--config` reads."""

_SWITCHES = (bool, bool | None)
_NAME_LISTS = (list[str], list[str] | None, tuple[str, ...])

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _HelpAsWritten(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help that keeps the line breaks of the description."""


class _Parser(ArgumentParser):
    """A parser whose errors are one line: all flags of a command would fill a screen.

    A flag has to be written whole: the begin of one may be that of another in the next version.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong and exit with status 2."""
        sys.exit(
            _end(f"{' '.join(message.split())}; convnova COMMAND --help lists the settings", EXIT_BAD_INPUT)
        )


class Command(NamedTuple):
    """A command: its flags are the fields of a settings class, which a function takes."""

    help: str
    settings: type
    function: str
    """MODULE:FUNCTION, imported when the command runs."""
    after_stop: str = ""
    """What to do after Ctrl-C."""

    def run(self, arguments: Namespace) -> None:
        """Call the function."""
        given = {name: value for name, value in vars(arguments).items() if name != "config"}
        module, _, function = self.function.partition(":")
        getattr(import_module(f"convnova.{module}"), function)(self.settings(**given))


def _add_settings(parser: ArgumentParser, settings: type) -> None:
    """Add the flags of a settings class, and --config for recipes of them."""
    parser.add_argument(
        "--config", action="config", help="recipe (YAML); flags after it change single settings"
    )
    parser.add_class_arguments(settings)
    action: Any
    for action in parser._actions:
        typehint = getattr(action, "_typehint", None)
        if action.option_strings and typehint in _SWITCHES:
            action.nargs, action.const = "?", True  # --resume is --resume
        if typehint in _NAME_LISTS:
            action._check_type = partial(_check_names, action._check_type)


def _check_names(check: Callable[..., Any], value: Any, **keywords: Any) -> Any:
    """Check a list of names, written as ``a,b`` or ``[a, b]``; a number is a name too."""
    if isinstance(value, str) and value != "null":
        value = [name.strip(" '\"") for name in value.strip("[] ").split(",")] if value.strip("[] ") else []
    return check([str(name) for name in value] if isinstance(value, list | tuple) else value, **keywords)


def _add_convert(parser: ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="released checkpoint (a file), or folder of a model")
    parser.add_argument("output", type=Path, help="what to write, the other of the two; must not exist yet")
    parser.add_argument(
        "--from",
        dest="system",
        type=str | None,
        help="source is the published folder of another system: dnabert, dnabert2, nt, hyenadna or caduceus",
    )
    parser.add_argument(
        "--dilation_base", type=int | None, help="d of the schedule 1, 1, 1, d, d^2, ...; default 4"
    )
    parser.add_argument("--stacks", type=int | None, help="blocks in a row with the same dilation; default 1")
    parser.add_argument(
        "--dilations", type=list[int] | None, help="one dilation a block, written as [1,1,1,4,16]"
    )


def _run_convert(arguments: Namespace) -> None:
    given = vars(arguments)
    if (system := given.pop("system")) is None:
        from convnova.model.conversion import convert

        print(convert(**given))
        return
    from convnova.baselines.conversion import convert_system

    if dilations := [name for name in ("dilation_base", "stacks", "dilations") if given[name] is not None]:
        raise InputError(f"{dilations[0]} is for checkpoints of ConvNova; leave it out")
    print(convert_system(system, given["source"], given["output"]))


COMMANDS = {
    "pretrain": Command(
        "train a masked language model on a genome, and score it on held-out chromosomes",
        PretrainSettings,
        "training.pretrain:pretrain",
        "; --resume goes on from the last checkpoint, if there is one",
    ),
    "demo": Command(
        "do the main job on real yeast chromosomes that ship with the package: minutes, and a report",
        DemoSettings,
        "demo.run:demo",
        "; the same command goes on where it was",
    ),
    "finetune": Command(
        "train a model on labelled sequences, choose it on validation, and score it once on test",
        FinetuneTaskSettings,
        "training.finetune_task:finetune_task",
        "; the same command begins anew (a search goes on with its next trial)",
    ),
    "annotate": Command(
        "find the genes of a genome with a fine-tuned gene finder: GFF3, and tracks of probabilities",
        AnnotateSettings,
        "inference.annotate:annotate",
    ),
    "evaluate": Command(
        "score a fine-tuned model on labelled sequences", EvaluateSettings, "inference.classify:evaluate"
    ),
    "classify": Command(
        "predict labels and probabilities of new sequences", ClassifySettings, "inference.classify:classify"
    ),
    "embed": Command(
        "sequences to vectors, of each, of windows or of each base, from any layer of a model",
        EmbedSettings,
        "analysis.embed:embed_file",
        "; the same command goes on where it was",
    ),
    "tracks": Command(
        "build a data set of many tracks from peaks, signals, or DeepSEA's files",
        TrackSettings,
        "data.tracks.build:build_tracks",
    ),
    "predict": Command(
        "predict a genome or intervals with any model: bigWig, bedGraph, Zarr, or a table",
        PredictSettings,
        "inference.predict_genome:predict_genome",
        "; the same command goes on where it was",
    ),
    "score-variants": Command(
        "what the variants of a VCF file do to the outputs of a model: a VCF with scores, or a table",
        VariantSettings,
        "inference.score_variants:score_variants",
        "; the same command goes on where it was",
    ),
    "export": Command(
        "write a model as ONNX, with 8 bits by option, or as a program of torch.export",
        ExportSettings,
        "inference.export:export",
    ),
    "benchmark": Command(
        "run a public suite, task x model x seed, and set it beside the published numbers",
        BenchmarkSettings,
        "benchmark.suite:benchmark",
        "; the same command goes on with the jobs that are missing",
    ),
    "compare": Command(
        "compare ConvNova with other systems: quality, size, speed and memory, in one table",
        CompareSettings,
        "benchmark.compare:compare",
        "; the same command goes on with what is missing",
    ),
    "ablate": Command(
        "which designs matter on a task: variants of the network against the full one, as table and figure",
        AblationSettings,
        "analysis.ablation:ablate",
        "; the same command goes on with the trainings that are missing",
    ),
    "attribute": Command(
        "what a fine-tuned model sees: contributions of single bases, seqlets, motifs, logos",
        AttributionSettings,
        "analysis.attribution_report:attribute_task",
    ),
    "mutagenesis": Command(
        "what every substitution in sequences does to the output of a model: effects, figures, a track",
        MutagenesisSettings,
        "analysis.mutagenesis:mutate",
    ),
    "receptive-field": Command(
        "how far a trained model looks; with --sweep, what it is worth to look farther",
        ReceptiveFieldSettings,
        "analysis.field_report:receptive_field",
        "; the same command goes on with the trainings that are missing",
    ),
}
SWEEP = COMMANDS["receptive-field"]._replace(function="analysis.field_sweep:sweep_fields")
"""What `convnova receptive-field` does with --sweep."""
TASKS = {
    "sequences": COMMANDS["finetune"],
    "gene-finding": Command(
        "train a model that labels each base of a genome by its genes, and score it once on test",
        GeneFindingSettings,
        "training.gene_finding:finetune_genes",
        "; --resume goes on from the last checkpoint, if there is one",
    ),
    "tracks": Command(
        "train a model of many tracks, choose it on validation, and score it once on test",
        TrackTaskSettings,
        "training.track_task:finetune_tracks",
        "; --resume goes on from the last checkpoint, if there is one",
    ),
}
"""What `convnova finetune` learns, by --task."""
DATA = {
    "list": Command(
        "the suites of the catalogue, or the tasks of one", ListSettings, "data.catalogue.commands:list_data"
    ),
    "fetch": Command(
        "download the files of a suite, each whole and checked or not at all",
        FetchSettings,
        "data.catalogue.commands:fetch",
    ),
    "prepare": Command(
        "write tasks as Parquet; build Genomic Benchmarks from intervals",
        PrepareSettings,
        "data.catalogue.commands:prepare",
    ),
    "check": Command(
        "what is there, whether it is what was published, and what leaks into test",
        CheckSettings,
        "data.catalogue.commands:check",
    ),
}


def build_parser(task: str = "sequences") -> ArgumentParser:
    """Return the parser of all commands.

    Args:
        task: what `convnova finetune` learns, a key of `TASKS`.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = _Parser(prog="convnova", description=DESCRIPTION, formatter_class=_HelpAsWritten)
    parser.add_argument("--version", action="version", version=f"convnova {metadata.version('convnova')}")
    subparsers = parser.add_subcommands(dest="command", required=True)
    _add_commands(subparsers, COMMANDS | {"finetune": TASKS[task]})
    data = _Parser(description="public data sets")
    subparsers.add_subcommand("data", data, help="public data sets: list, fetch, prepare, check")
    _add_commands(data.add_subcommands(dest="action", required=True), DATA)
    convert = _Parser(
        description="turn a released checkpoint into a model's folder, or back, or weights of another system "
        "(--from) into one; every tensor is accounted for"
    )
    subparsers.add_subcommand("convert", convert, help=convert.description)
    _add_convert(convert)
    return parser


def _add_commands(subparsers: Any, commands: dict[str, Command]) -> None:
    for name, command in commands.items():
        parser = _Parser(description=command.help)
        subparsers.add_subcommand(name, parser, help=command.help)
        _add_settings(parser, command.settings)


def _run(chosen: Namespace, task: str) -> None:
    """Run the command that was chosen; `task` is that of finetune."""
    arguments = chosen[chosen.command]
    if chosen.command == "convert":
        _run_convert(arguments)
    elif chosen.command == "data":
        DATA[arguments.action].run(arguments[arguments.action])
    elif chosen.command == "receptive-field" and arguments.sweep:
        SWEEP.run(arguments)
    else:
        (COMMANDS | {"finetune": TASKS[task]})[chosen.command].run(arguments)


def _with_underscores(argument: str) -> str:
    """Return a flag with underscores: --ray-address is --ray_address."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return f"--{flag[2:].replace('-', '_')}{equals}{value}"


def _task(given: list[str]) -> str:
    """Return what `convnova finetune` shall learn: --task, or `task` of its recipe."""
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--task", nargs="?")  # that a value is missing, the parser of all flags tells
    flags.add_argument("--config", nargs="?", action="append", default=[])
    found, _ = flags.parse_known_args(given)
    recipes = [Path(path) for path in reversed(found.config) if path is not None]
    tasks = [found.task, *map(_task_of_recipe, recipes), "sequences"]
    task = next(task for task in tasks if task is not None)
    if task not in TASKS:
        raise InputError(f"there is no task {task!r} to fine-tune for; choose one of {', '.join(TASKS)}")
    return task


def _task_of_recipe(path: Path) -> str | None:
    """Return the task of a recipe; None where it names none, or cannot be read, which the parser tells."""
    try:
        recipe = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    task = recipe.get("task") if isinstance(recipe, dict) else None
    return None if task is None else str(task)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM."""
    given = [_with_underscores(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
    command = COMMANDS.get(given[0]) if given else None
    try:
        task = _task(given) if given[:1] == ["finetune"] else "sequences"
        command = TASKS[task] if given[:1] == ["finetune"] else command
        parser = build_parser(task)
        _run(parser.instantiate(parser.parse_args(given)), task)
    except InputError as error:
        return _end(_with_flags(str(error), command), EXIT_BAD_INPUT)
    except OSError as error:  # a full disk, a folder that may not be written, a path that is not there
        place = f"{error.filename}: " if error.filename else ""
        return _end(f"{place}{error.strerror or error}", EXIT_BAD_INPUT)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # of torch, which the command line does not import
            raise
        said = ". ".join(str(error).split(". ")[:3])
        return _end(f"{said}; give smaller batches or shorter sequences", EXIT_BAD_INPUT)
    except TerminatedError as error:
        return _end(str(error), error.status)
    except KeyboardInterrupt:
        return _end(f"stopped by Ctrl-C{command.after_stop if command else ''}", EXIT_INTERRUPTED)
    return 0


def _with_flags(message: str, command: Command | None) -> str:
    """Return a message with settings named as they are typed: label_columns is --read.label_columns."""
    if command is None:
        return message
    flags = {name.rpartition(".")[2]: name for name in _setting_names(command.settings)}
    words = "|".join(name for name in flags if "_" in name)  # a single word may just be a word
    if not words:
        return message
    return re.sub(rf"(?<![\w./'\"-])({words})(?![\w./'\"])", lambda found: f"--{flags[found[0]]}", message)


def _setting_names(settings: type, prefix: str = "") -> Iterator[str]:
    """Yield the names of all settings, those of a group with its name before them."""
    for field in fields(settings):
        if isinstance(field.type, type) and is_dataclass(field.type):
            yield from _setting_names(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _end(message: str, status: int) -> int:
    print(f"convnova: {message}", file=sys.stderr)
    return status
