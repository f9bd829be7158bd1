"""The command line: exit statuses, and one line for whatever goes wrong."""

import errno
import subprocess
import sys
from importlib import import_module
from typing import get_type_hints

import pytest
import torch
from pretraining import write_genome

from convnova import cli
from convnova.__main__ import wants_huge_pages
from convnova.data.catalogue.tables import references
from convnova.errors import InputError, TerminatedError


def outcome(arguments, capsys):
    """Return exit status and standard error."""
    try:
        status = cli.main(arguments)
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "--output", "run"], "genome"),
        (["pretrain", "--genome", "g.fa", "--output", "r", "--batchwindows", "3"], "batchwindows"),
        (
            ["pretrain", "--genome", "g.fa", "--output", "r", "--epoch", "3"],
            "unrecognized arguments: --epoch 3",
        ),
        (["pretrain", "--genome", "g.fa", "--output", "r", "--epochs", "many"], "epochs"),
        (
            ["pretrain", "--genome", "g.fa", "--output", "r", "--epochs", "0"],
            "epochs must be at least 1, got 0",
        ),
        (
            ["pretrain", "--genome", "g.fa", "--output", "r", "--masking.rate", "2"],
            "masking rate must be between",
        ),
        (["pretrain", "--genome", "g.fa", "--output", "r", "--precision", "fp8"], "precision"),
        (["pretrain", "--genome", "no.fa", "--output", "r"], r"no.fa"),
        (["pretrain", "--config", "no.yaml", "--genome", "g.fa", "--output", "r"], "no.yaml"),
        (["pretrian"], "pretrian"),
        ([], "command"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_genome(tmp_path / "g.fa")
    status, errors = outcome(arguments, capsys)
    assert status == 2
    assert errors.startswith("convnova: ")
    assert errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(
    ("recipe", "message"),
    [("windows:\n  window: 3\n", "window"), ("epochs: ten\n", "epochs"), ("epochs: [\n", "config")],
)
def test_wrong_recipe(recipe, message, capsys, tmp_path):
    (tmp_path / "r.yaml").write_text(recipe)
    arguments = ["pretrain", "--config", str(tmp_path / "r.yaml"), "--genome", "g.fa", "--output", "r"]
    status, errors = outcome(arguments, capsys)
    assert status == 2
    assert errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("genome.fa: wrong"), 2, "convnova: genome.fa: wrong"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.csv"),
            2,
            "convnova: x.csv: No space left on device",
        ),
        (OSError(errno.EACCES, "Permission denied"), 2, "convnova: Permission denied"),
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 47.69 GiB. GPU 0 has a total capacity of 139.80 GiB "
                "of which 44.25 GiB is free. Process 1 has 828.00 MiB memory in use. See documentation."
            ),
            2,
            "convnova: CUDA out of memory. Tried to allocate 47.69 GiB. GPU 0 has a total capacity of "
            "139.80 GiB of which 44.25 GiB is free; give smaller batches or shorter sequences\n",
        ),
        (TerminatedError("stopped by SIGTERM", 143), 143, "convnova: stopped by SIGTERM"),
        (
            KeyboardInterrupt(),
            130,
            "convnova: stopped by Ctrl-C; --resume goes on from the last checkpoint, if there is one",
        ),
    ],
)
def test_exit_status(error, status, line, capsys, tmp_path, monkeypatch):
    def fail(arguments):
        raise error

    monkeypatch.setattr("convnova.training.pretrain.pretrain", fail)
    got, errors = outcome(["pretrain", "--genome", "g.fa", "--output", str(tmp_path)], capsys)
    assert got == status
    assert errors.startswith(line)
    assert errors.count("\n") == 1


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, command in cli.COMMANDS.items():
        assert f"{name} {command.help}" in text


@pytest.mark.parametrize("command", [*cli.COMMANDS.values(), *cli.DATA.values(), *cli.TASKS.values()])
def test_the_function_of_a_command_takes_its_settings(command):
    module, _, name = command.function.partition(":")
    function = getattr(import_module(f"convnova.{module}"), name)
    assert next(iter(get_type_hints(function).values())) is command.settings


def test_flags_may_have_hyphens_and_values_keep_theirs(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr("convnova.benchmark.suite.benchmark", taken.append)
    flags = ["--ray-address=head-node:6379", "--engine", "ray", "--first-seed", "2"]
    flags += ["--model", "preset:genomic-benchmarks", "--suite", "gue", "--output", str(tmp_path)]
    assert cli.main(["benchmark", *flags]) == 0
    (settings,) = taken
    assert (settings.ray_address, settings.first_seed) == ("head-node:6379", 2)
    assert settings.model == "preset:genomic-benchmarks"


@pytest.mark.parametrize("names", [*([name] for name in references()), list(references())], ids=str)
def test_data_prepare_takes_every_assembly_of_the_catalogue(names, monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(
        "convnova.data.catalogue.commands.prepare_task", lambda *given: taken.append(given) or {}
    )
    (tmp_path / "a.fa").write_text(">chr1\nACGT\n")
    given = ",".join(f"{name}={tmp_path / 'a.fa'}" for name in names)
    flags = ["--suite", "genomic-benchmarks", "--tasks", "demo_human_or_worm", "--data", str(tmp_path)]
    assert cli.main(["data", "prepare", *flags, "--genome", given]) == 0
    assert taken[0][2] == dict.fromkeys(names, tmp_path / "a.fa")


@pytest.mark.parametrize(
    ("flags", "is_resumed"), [([], False), (["--resume"], True), (["--resume", "false"], False)]
)
def test_a_switch_needs_no_value(flags, is_resumed):
    arguments = ["pretrain", "--genome", "g.fa", "--output", "run", *flags, "--epochs", "3"]
    assert cli.build_parser().parse_args(arguments).pretrain.resume is is_resumed


@pytest.mark.parametrize(
    ("command", "message", "expected"),
    [
        ("finetune", "name it in label_columns", "name it in --read.label_columns"),
        ("finetune", "set on_leakage to state", "set --on_leakage to state"),
        ("classify", "raise max_length_bp, or", "raise --read.max_length_bp, or"),
        ("pretrain", "raise max_length_bp, or", "raise max_length_bp, or"),
        (
            "finetune",
            "'label_columns' x.test_share a/test_share.csv",
            "'label_columns' x.test_share a/test_share.csv",
        ),
        ("finetune", "the model has a kind and a seed", "the model has a kind and a seed"),
    ],
)
def test_settings_are_named_as_they_are_typed(command, message, expected):
    assert cli._with_flags(message, cli.COMMANDS[command]) == expected


def test_help_needs_no_torch():
    code = "import sys, convnova.cli; convnova.cli.build_parser(); print({'torch'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("library", "environment", "is_wanted"),
    [
        (("glibc", "2.36"), {}, True),
        (("glibc", "2.31"), {}, False),
        (("glibc", "2.36"), {"GLIBC_TUNABLES": "glibc.malloc.check=0"}, False),
        (("", ""), {}, False),
    ],
)
def test_huge_pages_are_asked_for_once(monkeypatch, library, environment, is_wanted):
    monkeypatch.setattr("platform.libc_ver", lambda: library)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_huge_pages() == is_wanted


def test_the_command_runs_with_huge_pages_and_its_status():
    run = [sys.executable, "-m", "convnova", "pretrain", "--genome", "no.fa"]
    answer = subprocess.run(run, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
