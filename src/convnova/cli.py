"""The command line: each command is a function of the package, its settings are the flags."""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from convnova.benchmark.settings import BenchmarkSettings
from convnova.data.catalogue.settings import (
    CheckSettings,
    FetchSettings,
    ListSettings,
    PrepareSettings,
)
from convnova.demo.settings import DemoSettings
from convnova.errors import InputError, TerminatedError
from convnova.inference.settings import ClassifySettings, EvaluateSettings
from convnova.training.settings import PretrainSettings
from convnova.training.task_settings import FinetuneTaskSettings

DESCRIPTION = """DNA foundation models by convolution.

Take a genome, pretrain a model, and see what it learned beside what counting learns.

  convnova demo                                                    all of it on real yeast, in minutes
  convnova pretrain --genome sacCer3.fa.gz --output runs/yeast     your genome, published settings
  convnova pretrain --config recipe.yaml --genome sacCer3.fa.gz --output runs/yeast
  convnova convert released.ckpt models/released                   weights of the reference code

`convnova COMMAND --help` explains the settings of a command; `--print_config` prints them all as a recipe."""

S = TypeVar("S")

_SWITCHES = (bool, bool | None)
_NAME_LISTS = (list[str], list[str] | None, tuple[str, ...])

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class _HelpAsWritten(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help that keeps the line breaks of the description."""


class _Parser(ArgumentParser):
    """A parser whose errors are one line: all flags of a command would fill a screen."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong and exit with status 2."""
        sys.exit(
            _end(f"{' '.join(message.split())}; convnova COMMAND --help lists the settings", EXIT_BAD_INPUT)
        )


class Command(NamedTuple):
    """A command: its flags, and what runs with them."""

    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Any], None]


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


def _settings(settings: type[S], arguments: Namespace) -> S:
    """Return the settings that were given."""
    return settings(**{name: value for name, value in vars(arguments).items() if name != "config"})


def _add_pretrain(parser: ArgumentParser) -> None:
    _add_settings(parser, PretrainSettings)


def _run_pretrain(arguments: Namespace) -> None:
    from convnova.training.pretrain import pretrain

    pretrain(_settings(PretrainSettings, arguments))


def _add_finetune(parser: ArgumentParser) -> None:
    _add_settings(parser, FinetuneTaskSettings)


def _run_finetune(arguments: Namespace) -> None:
    from convnova.training.finetune_task import finetune_task

    finetune_task(_settings(FinetuneTaskSettings, arguments))


def _add_evaluate(parser: ArgumentParser) -> None:
    _add_settings(parser, EvaluateSettings)


def _run_evaluate(arguments: Namespace) -> None:
    from convnova.inference.classify import evaluate

    evaluate(_settings(EvaluateSettings, arguments))


def _add_classify(parser: ArgumentParser) -> None:
    _add_settings(parser, ClassifySettings)


def _run_classify(arguments: Namespace) -> None:
    from convnova.inference.classify import classify

    classify(_settings(ClassifySettings, arguments))


def _add_benchmark(parser: ArgumentParser) -> None:
    _add_settings(parser, BenchmarkSettings)


def _run_benchmark(arguments: Namespace) -> None:
    from convnova.benchmark.suite import benchmark

    benchmark(_settings(BenchmarkSettings, arguments))


_DATA_ACTIONS: dict[str, tuple[type, str]] = {
    "list": (ListSettings, "the suites of the catalogue, or the tasks of one"),
    "fetch": (FetchSettings, "download the files of a suite, each whole and checked or not at all"),
    "prepare": (
        PrepareSettings,
        "write tasks as Parquet; build Genomic Benchmarks from intervals",
    ),
    "check": (CheckSettings, "what is there, whether it is what was published, and what leaks into test"),
}


def _add_data(parser: ArgumentParser) -> None:
    actions = parser.add_subcommands(dest="action", required=True)
    for name, (settings, text) in _DATA_ACTIONS.items():
        subparser = _Parser(description=text)
        _add_settings(subparser, settings)
        actions.add_subcommand(name, subparser, help=text)


def _run_data(arguments: Namespace) -> None:
    from convnova.data.catalogue import commands

    run: dict[str, Callable[[Any], None]] = {
        "list": commands.list_data,
        "fetch": commands.fetch,
        "prepare": commands.prepare,
        "check": commands.check,
    }
    settings, _ = _DATA_ACTIONS[arguments.action]
    run[arguments.action](_settings(settings, arguments[arguments.action]))


def _add_demo(parser: ArgumentParser) -> None:
    parser.add_class_arguments(DemoSettings)


def _run_demo(arguments: Namespace) -> None:
    from convnova.demo.run import demo

    demo(DemoSettings(**vars(arguments)))


def _add_convert(parser: ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="released checkpoint (a file), or folder of a model")
    parser.add_argument("output", type=Path, help="what to write, the other of the two; must not exist yet")
    parser.add_argument(
        "--dilation_base", type=int | None, help="d of the schedule 1, 1, 1, d, d^2, ...; default 4"
    )
    parser.add_argument("--stacks", type=int | None, help="blocks in a row with the same dilation; default 1")
    parser.add_argument(
        "--dilations", type=list[int] | None, help="one dilation a block, written as [1,1,1,4,16]"
    )


def _run_convert(arguments: Namespace) -> None:
    from convnova.model.conversion import convert

    print(convert(**vars(arguments)))


COMMANDS = {
    "pretrain": Command(
        "train a masked language model on a genome, and score it on held-out chromosomes",
        _add_pretrain,
        _run_pretrain,
    ),
    "demo": Command(
        "do the main job on real yeast chromosomes that ship with the package: minutes, and a report",
        _add_demo,
        _run_demo,
    ),
    "finetune": Command(
        "train a model on labelled sequences, choose it on validation, and score it once on test",
        _add_finetune,
        _run_finetune,
    ),
    "evaluate": Command("score a fine-tuned model on labelled sequences", _add_evaluate, _run_evaluate),
    "classify": Command("predict labels and probabilities of new sequences", _add_classify, _run_classify),
    "benchmark": Command(
        "run a public suite, task x model x seed, and set it beside the published numbers",
        _add_benchmark,
        _run_benchmark,
    ),
    "data": Command("public data sets: list, fetch, prepare, check", _add_data, _run_data),
    "convert": Command(
        "turn a released checkpoint into a model's folder, or back; every tensor is accounted for",
        _add_convert,
        _run_convert,
    ),
}


def build_parser() -> ArgumentParser:
    """Return the parser of all commands."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = _Parser(prog="convnova", description=DESCRIPTION, formatter_class=_HelpAsWritten)
    parser.add_argument("--version", action="version", version=f"convnova {metadata.version('convnova')}")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparser = _Parser(description=command.help)
        commands.add_subcommand(name, subparser, help=command.help)
        command.add_arguments(subparser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM."""
    parser = build_parser()
    try:
        parsed = parser.parse_args(arguments)
        chosen = parser.instantiate(parsed)
        COMMANDS[chosen.command].run(chosen[chosen.command])
    except InputError as error:
        return _end(str(error), EXIT_BAD_INPUT)
    except OSError as error:  # a full disk, a folder that may not be written, a path that is not there
        place = f"{error.filename}: " if error.filename else ""
        return _end(f"{place}{error.strerror or error}", EXIT_BAD_INPUT)
    except TerminatedError as error:
        return _end(str(error), EXIT_TERMINATED)
    except KeyboardInterrupt:
        return _end(
            "stopped by Ctrl-C; a run goes on from its last checkpoint, if it has one, with --resume",
            EXIT_INTERRUPTED,
        )
    return 0


def _end(message: str, status: int) -> int:
    print(f"convnova: {message}", file=sys.stderr)
    return status
