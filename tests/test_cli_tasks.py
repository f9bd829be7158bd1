"""What `convnova finetune` learns: --task, recipes that name a task, and the flags of gene finding."""

import pytest
from test_cli import outcome

from convnova import cli
from convnova.training.gene_settings import GeneFindingSettings
from convnova.training.task_settings import FinetuneTaskSettings

GENES = ["finetune", "--task", "gene-finding", "--genome", "g.fa", "--annotation", "g.gff3", "--output=run"]


def settings_of(arguments, monkeypatch):
    """Return what the function of `convnova finetune` is called with."""
    taken = []
    monkeypatch.setattr("convnova.training.gene_finding.finetune_genes", taken.append)
    monkeypatch.setattr("convnova.training.finetune_task.finetune_task", taken.append)
    assert cli.main(arguments) == 0
    (settings,) = taken
    return settings


def test_gene_finding_takes_its_flags(monkeypatch):
    flags = [
        "--windows.window-bp",
        "512",
        "--training.optimizer.learning_rate=0.01",
        "--labels.label_set=frame",
    ]
    flags += ["--network.receptive_field_bp", "900", "--test_chromosomes", "1,X", "--resume"]
    settings = settings_of([*GENES, *flags], monkeypatch)
    assert isinstance(settings, GeneFindingSettings)
    assert (settings.windows.window_bp, settings.training.optimizer.learning_rate) == (512, 0.01)
    assert (settings.labels.label_set, settings.network.receptive_field_bp) == ("frame", 900)
    assert (settings.test_chromosomes, settings.resume) == (["1", "X"], True)
    assert settings.training.optimizer.weight_decay == 0.1


@pytest.mark.parametrize("flags", [[], ["--task", "sequences"], ["--task=sequences"]])
def test_sequences_are_what_is_learned_by_default(flags, monkeypatch):
    arguments = ["finetune", *flags, "--train", "a.csv", "--output", "run"]
    assert isinstance(settings_of(arguments, monkeypatch), FinetuneTaskSettings)


RECIPE = "task: gene-finding\nannotation: g.gff3\ngenome: g.fa\nwindows:\n  window_bp: 300\n"


def test_a_recipe_names_its_task(monkeypatch, tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    for flag in (["--config", str(tmp_path / "r.yaml")], [f"--config={tmp_path / 'r.yaml'}"]):
        settings = settings_of(["finetune", *flag, "--output", "run", "--resume=false"], monkeypatch)
        assert isinstance(settings, GeneFindingSettings)
        assert settings.windows.window_bp == 300


def test_a_recipe_that_is_printed_is_read_again(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main([*GENES, "--training.epochs", "7", "--print_config"])
    (tmp_path / "r.yaml").write_text(capsys.readouterr().out)
    again = settings_of(["finetune", "--config", str(tmp_path / "r.yaml")], monkeypatch)
    assert again == settings_of([*GENES, "--training.epochs", "7"], monkeypatch)


def test_help_is_that_of_the_task(capsys):
    texts = {}
    for task in cli.TASKS:
        with pytest.raises(SystemExit) as end:
            cli.main(["finetune", "--task", task, "--help"])
        assert end.value.code == 0
        texts[task] = capsys.readouterr().out
        for name in cli._setting_names(cli.TASKS[task].settings):
            assert f"--{name}" in texts[task]
    assert "--windows.context_bp" in texts["gene-finding"]
    assert "--windows.context_bp" not in texts["sequences"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--task", "genes"],
            "there is no task 'genes' to fine-tune for; choose one of sequences, gene-finding",
        ),
        (["--task="], "there is no task '' to fine-tune for"),
        (["--task"], "expected one argument"),
        (["--output", "run", "--config"], "expected one argument"),
        (["--config", "list.yaml"], "there is no task \"['a']\" to fine-tune for; choose one of sequences"),
        (["--config", "three.yaml"], "there is no task '3' to fine-tune for"),
        (["--config", "no.yaml", "--output", "run"], "no.yaml"),
        (["--task", "sequences", "--config", "genes.yaml", "--output", "run"], "task"),
        ([*GENES[1:], "--windows.windw", "3"], "windows.windw"),
        ([*GENES[1:], "--windows.context_bp", "-3"], "--windows.context_bp must be at least 0, got -3"),
        ([*GENES[1:], "--labels.label_set", "runes"], "label_set"),
        ([*GENES[1:], "--training.evaluations", "0"], "evaluations must be at least 1, got 0"),
        (
            [*GENES[1:], "--network.dilations", "[1]", "--network.blocks", "3"],
            "and --network.receptive_field_bp",
        ),
        (
            ["--task", "gene-finding", "--output", "run"],
            "give an annotation and its genome, or --base_labels",
        ),
        (["--output", "run", "--train", "a.csv", "--windows.window_bp", "3"], "windows.window_bp"),
    ],
)
def test_a_wrong_task_is_one_line_and_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("list", "task: [a]\n"), ("three", "task: 3\n"), ("genes", RECIPE)):
        (tmp_path / f"{name}.yaml").write_text(text)
    status, errors = outcome(["finetune", *arguments], capsys)
    assert status == 2
    assert errors.startswith("convnova: ")
    assert errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("lower batch_windows or raise epochs", "lower --training.batch_windows or raise epochs"),
        ("window_bp must be", "--windows.window_bp must be"),
        ("give test_genome", "give --test_genome"),
        ("use label set or label_set", "use label set or --labels.label_set"),
        ("windows.intervals and a max_length_bp", "windows.intervals and a max_length_bp"),
    ],
)
def test_settings_of_gene_finding_are_named_as_they_are_typed(message, expected):
    assert cli._with_flags(message, cli.TASKS["gene-finding"]) == expected


def test_ctrl_c_says_how_the_task_goes_on(capsys, monkeypatch):
    def stop(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("convnova.training.gene_finding.finetune_genes", stop)
    assert outcome(GENES, capsys) == (
        130,
        "convnova: stopped by Ctrl-C; --resume goes on from the last checkpoint, if there is one\n",
    )


def test_annotate_takes_its_flags(monkeypatch):
    taken = []
    monkeypatch.setattr("convnova.inference.annotate.annotate", taken.append)
    arguments = ["annotate", "--genome", "g.fa", "--model", "run", "--output", "genes.gff3", "--tracks", "bw"]
    arguments += ["--chromosomes", "I,II", "--both_strands", "--decoder.min-intron-bp", "40"]
    assert cli.main(arguments) == 0
    (settings,) = taken
    assert (settings.chromosomes, settings.both_strands) == (["I", "II"], True)
    assert settings.decoder.min_intron_bp == 40
