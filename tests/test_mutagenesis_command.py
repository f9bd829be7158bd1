"""`convnova mutagenesis`: effects of intervals are those on the whole chromosome; files, wrong input."""

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

from convnova.analysis.mutagenesis import mutate
from convnova.analysis.mutagenesis_settings import MutagenesisSettings
from convnova.baselines.architectures import any_preset, sequence_classifier
from convnova.cli import main
from convnova.data.label_scheme import LabelScheme
from convnova.inference.any_model import load_any
from convnova.inference.mutagenesis import by_full_passes, log_odds
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.saved_task import SavedTask
from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)
from convnova.sequence import decode, encode, reverse_complement

torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}
SEQUENCES = ["ACGTTGCATGCATGCAANTT", "TTTTACGATCGATCGACTAG"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutagenesis")
    ids = np.random.default_rng(0).integers(0, 4, 160).astype(np.uint8)
    (folder / "g.fa").write_text(f">chrI\n{decode(ids)}\n>chrII\n{decode(ids[:50])}\n")
    (folder / "in.fa").write_text("".join(f">s{i}\n{one}\n" for i, one in enumerate(SEQUENCES)))
    (folder / "places.bed").write_text("chrII\t10\t20\tfirst\nchrI\t5\t9\tsecond\n")
    torch.manual_seed(0)
    ConvNovaForMaskedLM(ConvNovaConfig(**TOY)).save_pretrained(folder / "lm")
    unet = ConvNovaConfig(**TOY | {"dilations": (1, 1, 1)}, downsampling=(1, 2, 1))
    ConvNovaForMaskedLM(unet).save_pretrained(folder / "unet")
    for name, strands in (("task", False), ("both", True)):
        config = ConvNovaConfig(**TOY, num_labels=2, problem_type="single_label_classification")
        ConvNovaForSequenceClassification(config).save_pretrained(folder / name)
        task = SavedTask(LabelScheme("single-label", ("no", "yes")), "mcc", strands)
        (folder / name / "task.json").write_text(json.dumps(task.to_dict()))
    sequence_classifier(any_preset("cnn", input_bp=80, num_labels=2)).save_pretrained(folder / "cnn")
    (folder / "cnn/task.json").write_text((folder / "both/task.json").read_text())
    ConvNovaForTokenClassification(ConvNovaConfig(**TOY, num_labels=17)).save_pretrained(folder / "genes")
    genes = SavedGeneFinder("frame", True, "mcc", True)
    (folder / "genes/task.json").write_text(json.dumps(genes.to_dict()))
    return folder


def run(folder, output, **changes):
    screen = io.StringIO()
    values = {"model": folder / "lm", "output": output} | changes
    if "input" not in values:
        values = {"genome": folder / "g.fa"} | values
    return mutate(MutagenesisSettings(**values), Console(file=screen, width=200)), screen.getvalue()


def chromosome(folder, name):
    text = (folder / "g.fa").read_text().split(">")
    return encode(next(one.split("\n")[1] for one in text if one.startswith(f"{name}\n")))


def log_p(folder, ids):
    model = load_any(folder / "lm").model
    with torch.no_grad():
        return (
            model(input_ids=torch.from_numpy(ids[None].copy()).long())
            .logits[0, :, :4]
            .log_softmax(-1)
            .numpy()
        )


@pytest.mark.parametrize("strands", [False, True])
@pytest.mark.parametrize("score", ["masked", "unmasked", "pseudo-likelihood"])
def test_effects_of_an_interval_are_those_on_the_whole_chromosome(folder, tmp_path, score, strands):
    places = ["chrI:1-4", "chrI:70-73", "chrII:47-50"]
    made, _ = run(folder, tmp_path, intervals=places, score=score, both_strands=strands)
    for one in made:
        ids, region = chromosome(folder, one.region.chromosome), one.region
        for place in range(region.start, region.start + len(region.changed)):
            for base in {0, 1, 2, 3} - {int(ids[place])}:
                found = [_effect(folder, ids, place, base, score)]
                if strands:
                    turned = reverse_complement(ids)
                    found.append(_effect(folder, turned, len(ids) - 1 - place, 3 - base, score))
                value = one.substitutions[place - region.start, base]
                assert value == pytest.approx(np.mean(found), abs=2e-4)


def _effect(folder, ids, place, base, score):
    if score == "pseudo-likelihood":
        mutant = ids.copy()
        mutant[place] = base
        after, before = (
            np.take_along_axis(log_p(folder, one), one[:, None].astype(int), 1).sum() for one in (mutant, ids)
        )
        return after - before
    read = ids.copy()
    if score == "masked":
        read[place] = 4
    found = log_p(folder, read)[place]
    return found[base] - found[ids[place]]


@pytest.mark.parametrize("model", ["task", "both", "cnn"])
def test_a_head_of_sequences_reads_each_sequence(folder, tmp_path, model):
    given = {"input": str(folder / "in.fa"), "model": folder / model, "deletions": True, "html": True}
    made, said = run(folder, tmp_path, **given)
    assert "change of the output of yes: every base of 2 sequences, 40 bp" in said
    loaded = load_any(folder / model).model
    for text, one in zip(SEQUENCES, made, strict=True):
        expected = by_full_passes(loaded, encode(text), log_odds, deletions=True)
        substitutions, deletions = expected.effects, expected.deletions
        if model != "task":
            other = by_full_passes(loaded, reverse_complement(encode(text)), log_odds, deletions=True)
            substitutions = (substitutions + other.effects[::-1, ::-1]) / 2
            deletions = (deletions + other.deletions[::-1]) / 2
        is_n = encode(text) == 4
        substitutions[is_n], deletions[is_n] = np.nan, np.nan  # what is not known is not changed
        np.testing.assert_allclose(one.substitutions, substitutions, atol=2e-5)
        np.testing.assert_allclose(one.deletions, deletions, atol=2e-5)
    frame = pl.read_parquet(tmp_path / "effects.parquet")
    assert len(frame) == sum(3 * len(one) + one.count("N") + len(one) for one in SEQUENCES)
    row = frame.filter((pl.col("name") == "s1") & (pl.col("position") == 3) & (pl.col("alternate") == "G"))
    assert row["effect"][0] == pytest.approx(made[1].substitutions[2, 2])
    np.testing.assert_array_equal(np.load(tmp_path / "s1.npy"), made[1].substitutions)
    assert (tmp_path / "s0.png").stat().st_size > 10_000
    page = (tmp_path / "s0.html").read_text()
    assert "plotly" in page[:5000]
    assert '"y":["A","C","G","T","deleted"]' in page  # the rows of the heat map


def test_a_head_of_sequences_reads_the_window_around_an_interval(folder, tmp_path):
    made, _ = run(folder, tmp_path, model=folder / "task", intervals=["1:6-9"], window_bp=30)
    assert made[0].region.chromosome == "chrI"  # by another name
    padded = np.concatenate([np.full(15, 4, np.uint8), chromosome(folder, "chrI")])
    window = padded[15 + 7 - 15 : 15 + 7 + 15]
    expected = by_full_passes(load_any(folder / "task").model, window, log_odds).effects[13:17]
    np.testing.assert_allclose(made[0].substitutions, expected, atol=2e-5)


def test_no_more_sequences_are_looked_at_than_told(folder, tmp_path):
    made, said = run(folder, tmp_path, input=str(folder / "in.fa"), most_sequences=1, model=folder / "task")
    assert len(made) == 1
    assert "the first 1 of 2 sequences" in said


def test_n_has_no_odds_for_a_language_model(folder, tmp_path):
    run(folder, tmp_path, input=str(folder / "in.fa"))
    frame = pl.read_parquet(tmp_path / "effects.parquet")
    assert frame.filter(pl.col("reference") == "N")["effect"].null_count() == 4
    assert frame.filter(pl.col("reference") != "N")["effect"].null_count() == 0


@pytest.mark.parametrize("changes", [{"score": "pseudo-likelihood"}, {"model": "task"}])
def test_n_is_not_changed(folder, tmp_path, changes):
    if "model" in changes:
        changes = {"model": folder / changes["model"]}
    made, _ = run(folder, tmp_path, input=str(folder / "in.fa"), deletions=True, **changes)
    assert sum((one.region.changed == 4).sum() for one in made) == 1
    for one in made:
        is_n = one.region.changed == 4
        np.testing.assert_array_equal(np.isnan(one.substitutions).all(1), is_n)
        np.testing.assert_array_equal(np.isnan(one.deletions), is_n)


def test_a_label_of_bases_is_read_where_it_changes_most(folder, tmp_path):
    made, said = run(folder, tmp_path, model=folder / "genes", intervals=["chrI:60-62"])
    assert "largest change of the probability of " in said
    assert np.abs(made[0].substitutions).max() > 0


def test_a_bed_file_names_its_intervals_and_the_track_has_the_importance(folder, tmp_path):
    bigwig = pytest.importorskip("pybigtools")
    made, _ = run(folder, tmp_path, intervals=[str(folder / "places.bed"), "chrI:8-12"])
    assert [one.region.name for one in made] == ["first", "second", "chrI_8-12"]
    assert {path.name for path in tmp_path.glob("*.npy")} == {"first.npy", "second.npy", "chrI_8-12.npy"}
    values = bigwig.open(str(tmp_path / "importance.bw")).values("chrI", 0, 20)
    second, third = (-one.substitutions.sum(1) / 3 for one in made[1:])
    np.testing.assert_allclose(values[5:9], second, rtol=1e-5)
    np.testing.assert_allclose(values[9:12], third[2:], rtol=1e-5)  # of what overlaps the first one counts
    assert np.isnan(values[:5]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either input, sequences, or genome with intervals"),
        (["--genome", "g.fa"], "give intervals of the genome, as chrI:1001-2000 or a BED file"),
        (["--input", "in.fa", "--intervals", "chrI:1-5"], "intervals are of a genome; give it too"),
        (
            ["--genome", "g.fa", "--intervals", "chrI:5-1"],
            "is no BED file, and no place: write",
        ),
        (
            ["--genome", "g.fa", "--intervals", "chrI:150-170"],
            "chrI:150-170: end 170 is past the end",
        ),
        (["--genome", "g.fa", "--intervals", "chrX:1-5"], "chromosome 'chrX' is not in g.fa"),
        (["--input", "in.fa", "--window_bp", "9"], "window_bp is of intervals of a genome; leave it out"),
        (["--input", "long.fa"], "long: 100,001 bp, and at most 100,000 are changed at once; split it"),
        (["--input", "in.fa", "--compile"], "compile is of whole passes"),
        (["--input", "unknown.fa"], "there is only N, so there is no base to change; give others"),
        (
            ["--genome", "g.fa", "--intervals", "chrI:1-5", "--window_bp", "9"],
            "window_bp is of models of sequences",
        ),
        (
            ["--genome", "g.fa", "--intervals", "chrI:1-50", "--window_bp", "9", "--model", "task"],
            "chrI:1-50 is longer than the 9 bp that the model reads",
        ),
        (["--input", "in.fa", "--model", "unet"], "the network downsamples, so a change moves"),
        (["--input", "in.fa", "--label", "yes"], "is a masked language model, which has no label"),
        (["--input", "in.fa", "--deletions"], "score masked is of substitutions; for deletions take"),
        (["--input", "in.fa", "--model", "task", "--score", "masked"], "is of a masked language model"),
        (["--input", "in.fa", "--model", "task", "--label", "yess"], "has no label 'yess'; nearest are yes"),
    ],
)
def test_what_cannot_be_is_one_line(folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "unknown.fa").write_text(">a\nNNNN\n")
    (folder / "long.fa").write_text(f">long\n{'A' * 100_001}\n")
    output = tmp_path / "out"
    assert main(["mutagenesis", "--model", "lm", "--output", str(output), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()
