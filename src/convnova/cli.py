"""The command line: each command is a function of the package, its settings are the flags."""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from convnova.errors import InputError
from convnova.training.settings import PretrainSettings

DESCRIPTION = """DNA foundation models by convolution.

Take a genome, pretrain; take labels, fine-tune and get an honest score; then use the model.

  convnova pretrain --genome sacCer3.fa.gz --output runs/yeast
  convnova pretrain --config recipes/yeast.yaml --genome sacCer3.fa.gz --output runs/yeast
  convnova convert released.ckpt models/released

`convnova COMMAND --help` explains the settings of a command; `--print_config` prints them all as a recipe."""

EXIT_BAD_INPUT = 2
EXIT_TERMINATED = 143


class _HelpAsWritten(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help that keeps the line breaks of the description."""


class Command(NamedTuple):
    """A command: its flags, and what runs with them."""

    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Any], None]


def _add_pretrain(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config", action="config", help="recipe (YAML); flags after it change single settings"
    )
    parser.add_class_arguments(PretrainSettings)


def _run_pretrain(arguments: Namespace) -> None:
    from convnova.training.pretrain import pretrain

    values = vars(arguments)
    pretrain(PretrainSettings(**{name: value for name, value in values.items() if name != "config"}))


COMMANDS = {
    "pretrain": Command(
        "train a masked language model on a genome, and score it on held-out chromosomes",
        _add_pretrain,
        _run_pretrain,
    ),
}


def build_parser() -> ArgumentParser:
    """Return the parser of all commands."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog="convnova", description=DESCRIPTION, formatter_class=_HelpAsWritten)
    parser.add_argument("--version", action="version", version=f"convnova {metadata.version('convnova')}")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparser = ArgumentParser(description=command.help)
        command.add_arguments(subparser)
        commands.add_subcommand(name, subparser, help=command.help)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for bad input, 143 after SIGTERM."""
    parser = build_parser()
    try:
        parsed = parser.parse_args(arguments)
        chosen = parser.instantiate_classes(parsed)
        COMMANDS[chosen.command].run(chosen[chosen.command])
    except InputError as error:
        print(f"convnova: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0
