"""The demo in miniature, end to end: a genome of 40 kb with genes that begin after AAAA."""

import json
import re

import numpy as np
import pytest

from convnova.cli import main
from convnova.demo import report
from convnova.errors import InputError
from convnova.sequence import decode

RECIPE = """
model: {preset: pretraining, hidden_size: 8, kernel_size: 3, dilations: [1, 4], mlp_expansion: 1}
windows: {window_bp: 128, validation_chromosomes: [chrV], test_chromosomes: [chrT], windows_per_epoch: 16}
epochs: 1
batch_windows: 4
precision: fp32
log_steps: 1
evaluations: 1
evaluation_windows: 4
trackers: []
workers: 0
"""


def write_toy(folder):
    rng = np.random.default_rng(0)
    fasta, gff = [], ["##gff-version 3"]
    for name, genes in (("chrA", 60), ("chrV", 20), ("chrT", 20)):
        letters = list(decode(rng.integers(0, 4, 200 * genes).astype(np.uint8)))
        for number in range(genes):
            start = 200 * number + 80
            letters[start - 10 : start + 3] = "A" * 10 + "ATG"
            for type_, more in (
                ("gene", f"ID={name}g{number};Name=TOY{number}"),
                ("mRNA", f"ID={name}m{number};Parent={name}g{number}"),
                ("CDS", f"ID={name}c{number};Parent={name}m{number}"),
            ):
                gff.append(f"{name}\ttest\t{type_}\t{start + 1}\t{start + 60}\t.\t+\t.\t{more}")
        fasta.append(f">{name}\n{''.join(letters)}\n")
    (folder / "toy.fa").write_text("".join(fasta))
    (folder / "toy.gff3").write_text("\n".join(gff) + "\n")
    (folder / "toy.yaml").write_text(RECIPE)


def flags(folder, *more):
    given = {"output": "out", "genome": "toy.fa", "annotation": "toy.gff3", "recipe": "toy.yaml"}
    fixed = ["--flank_bp=20", "--mutated_starts=3", "--few_starts=20", "--few_epochs=1"]
    fixed += ["--finetuning.epochs=1", "--finetuning.precision=fp32"]
    return ["demo", *(f"--{name}={folder / path}" for name, path in given.items()), *fixed, *more]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_toy(folder)
    assert main(flags(folder)) == 0
    return folder


def test_the_report_stands_alone(first):
    html = (first / "out" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 5
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "majority class" in html
    assert "ConvNova, from scratch" in html
    pngs = {path.stem for path in (first / "out").glob("*.png")}
    assert pngs == {"pretraining", "finetuning", "roc", "mutagenesis", "importance"}


def test_results_are_kept_with_what_made_them(first):
    kept = json.loads((first / "out" / "test.json").read_text())
    assert len(kept["value"]["ConvNova, pretrained"]["probabilities"]) == 40
    assert kept["key"]["models"]["ConvNova, pretrained"]["flank_bp"] == 20


def test_a_second_run_reuses_what_is_there(first, capsys):
    before = (first / "out" / "start_codons" / "model.safetensors").stat().st_mtime_ns
    assert main(flags(first)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for stage in ("pretraining", "fine-tuning: ConvNova, from scratch", "baselines and test", "saturation"):
        assert f"reused from an earlier run: {stage}" in printed
    assert (first / "out" / "start_codons" / "model.safetensors").stat().st_mtime_ns == before


def test_a_changed_setting_is_not_reused(first, capsys):
    assert main(flags(first, "--finetuning.seed=1")) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "reused from an earlier run: pretraining" in printed
    assert "fine-tuning: ConvNova, pretrained: settings or inputs have changed, so it is done anew" in printed
    assert "baselines and test: settings or inputs have changed" in printed


def test_another_pretraining_in_the_same_folder_is_refused(first, capsys):
    other = RECIPE.replace("batch_windows: 4", "batch_windows: 8")
    (first / "other.yaml").write_text(other)
    assert main([*flags(first), f"--recipe={first / 'other.yaml'}"]) == 2
    assert "batch_windows" in capsys.readouterr().err


def test_a_missing_library_is_told_with_its_pip_line(monkeypatch):
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'convnova\[report\]'"):
        report.check_libraries()
