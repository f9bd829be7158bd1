"""The effective receptive field, against a gradient a position, and what the command writes."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from tiny_suite import NETWORK, TRAINING, write_data

from convnova.analysis import study_figures
from convnova.analysis import trials as module
from convnova.analysis.field_report import load_backbone
from convnova.analysis.field_settings import ReceptiveFieldSettings
from convnova.analysis.field_sweep import sweep_fields, sweep_table
from convnova.analysis.receptive_field import FieldProfile, effective_field
from convnova.analysis.study_tasks import study_tasks
from convnova.cli import main
from convnova.errors import InputError
from convnova.evaluation.statistics import compare_paired
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.sequence import decode

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 4), "mlp_expansion": 1}


def toy(model_class=ConvNovaForMaskedLM, **settings):
    torch.manual_seed(0)
    return model_class(ConvNovaConfig(**TOY | settings)).eval()


def sequences(n, length, seed=0):
    return list(np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8))


@pytest.mark.parametrize("settings", [{}, {"downsampling": (1, 2, 1)}])
def test_influence_is_zero_outside_the_receptive_field_exactly(settings):
    model = toy(**settings)
    profile = effective_field(model, sequences(20, 90))
    assert profile.receptive_field_bp == model.config.receptive_field
    outside = np.abs(profile.offsets) > model.config.receptive_field // 2
    assert (profile.influence[outside] == 0).all()
    assert (profile.influence[~outside] > 0).sum() > 0.9 * (~outside).sum()
    assert profile.influence.sum() == pytest.approx(1)


@pytest.mark.parametrize(("length", "first", "last"), [(60, 11, 48), (23, 11, 11), (22, 0, 21), (9, 0, 8)])
def test_influence_is_the_mean_of_gradients_taken_one_by_one(length, first, last):
    """Of outputs whose field of 23 bp lies within the sequences; of all, where these are shorter."""
    model, found = toy(), sequences(3, length)
    reach = min(12, length - 1)
    profile = effective_field(model, found, positions=5, seed=5, reach=12)
    rng = np.random.default_rng(5)
    sums, counts, seen = torch.zeros(2 * reach + 1), torch.zeros(2 * reach + 1), set()
    for _ in range(5):
        places = rng.integers(first, last + 1, 3)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], 8)).float()
        for ids, place in zip(found, places, strict=True):
            bases = F.one_hot(torch.from_numpy(ids).long()[None], 5).float().requires_grad_()
            (model.convnova(inputs_embeds=bases).last_hidden_state[0, place] * signs).sum().backward()
            around = slice(place, place + 2 * reach + 1)
            sums += F.pad(bases.grad[0].norm(dim=1), (reach, reach))[around]
            counts += F.pad(torch.ones(length), (reach, reach))[around]
            seen.add(int(place))
    means = (sums / counts.clamp(min=1)).numpy()
    np.testing.assert_allclose(profile.influence, means / means.sum(), rtol=1e-5, atol=1e-9)
    assert profile.places == len(seen)


def test_in_sequences_shorter_than_the_field_outputs_are_at_all_bases():
    profile = effective_field(toy(), sequences(40, 9))
    assert profile.places == 9
    assert profile.influence.min() > 0  # both ends are looked at from the other


def test_widths_hold_their_share():
    offsets = np.arange(-3, 4)
    profile = FieldProfile(7, offsets, np.array([0.05, 0.0, 0.2, 0.5, 0.1, 0.1, 0.05]), 1)
    assert [profile.width(share) for share in (0.4, 0.5, 0.8, 0.85, 0.9, 1.0)] == [1, 1, 3, 5, 5, 7]


def test_sequences_must_be_there_and_of_one_length():
    for given in ([], [*sequences(1, 20), *sequences(1, 30)]):
        with pytest.raises(ValueError, match="one or more, all of the same length"):
            effective_field(toy(), given)


@pytest.fixture
def model_and_input(tmp_path):
    toy(ConvNovaForSequenceClassification).save_pretrained(tmp_path / "model")
    lines = [f">{i}\n{decode(ids)}\n" for i, ids in enumerate(sequences(6, 70) + sequences(2, 30, seed=1))]
    (tmp_path / "input.fa").write_text("".join(lines))
    return tmp_path


def test_the_command_writes_profile_widths_and_figure(model_and_input, capsys):
    folder, out = model_and_input, model_and_input / "out"
    arguments = ["--model", str(folder / "model"), "--input", str(folder / "input.fa"), "--output", str(out)]
    assert main(["receptive-field", *arguments]) == 0
    assert "receptive field of the network" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "receptive_field.csv").read_text().splitlines()))
    profile = FieldProfile(
        23,
        np.array([int(row["distance_bp"]) for row in rows]),
        np.array([float(r["influence"]) for r in rows]),
        0,
    )
    assert profile.influence.sum() == pytest.approx(1, rel=1e-4)
    text = (out / "receptive_field.md").read_text()
    assert f"| holds 90% of the influence | {profile.width(0.9)} |" in text
    assert "4 outputs each, at 24 different positions of a window" in text
    assert (out / "receptive_field.png").stat().st_size > 10_000


def test_windows_are_those_that_half_of_the_sequences_have(model_and_input, capsys):
    folder, out = model_and_input, model_and_input / "out"
    arguments = ["--model", str(folder / "model"), "--input", str(folder / "input.fa"), "--output", str(out)]
    assert main(["receptive-field", *arguments, "--window_bp", "9", "--most_sequences", "3"]) == 0
    assert "windows of 9 bp are shorter than the receptive field (23 bp)" in capsys.readouterr().out
    text = (out / "receptive_field.md").read_text()
    assert "over 3 windows of 9 bp in " in text
    assert "Note: windows of 9 bp are shorter than the receptive field (23 bp): what lies beyond" in text
    assert "at 7 different positions of a window. An output is a sum of all channels" in text


@pytest.fixture
def drawn(monkeypatch):
    """Figures as matplotlib has them, not as PNG."""
    monkeypatch.setattr(study_figures, "png", lambda figure: figure)
    return study_figures


@pytest.mark.parametrize(("influence", "end"), [([0, 0, 1, 2, 1, 0, 0], 1), ([1, 1, 2, 3, 2, 1, 1], 3)])
def test_a_profile_is_drawn_where_there_is_influence(drawn, influence, end):
    share = np.array(influence) / sum(influence)
    (axes,) = drawn.profile_figure(FieldProfile(3, np.arange(-3, 4), share, 1), "toy").axes
    assert axes.get_xlim() == (-end, end)
    curve, *widths = axes.lines
    assert (curve.get_ydata() > 0).all()
    assert len({(line.get_color(), line.get_linestyle()) for line in widths}) == 3
    assert len(axes.get_legend_handles_labels()[1]) == 3


def test_a_profile_of_one_base_is_drawn():
    assert study_figures.profile_figure(FieldProfile(1, np.array([0]), np.ones(1), 1), "toy")[1:4] == b"PNG"


def test_the_seed_draws_windows_and_outputs(model_and_input):
    folder = model_and_input
    arguments = ["--model", str(folder / "model"), "--input", str(folder / "input.fa"), "--window_bp", "30"]
    written = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main(["receptive-field", *arguments, "--output", str(folder / name), "--seed", seed]) == 0
        written.append((folder / name / "receptive_field.csv").read_text())
    assert written[0] == written[1] != written[2]


def test_what_is_there_is_not_replaced_unasked_and_n_alone_says_nothing(model_and_input, tmp_path, capsys):
    arguments = ["receptive-field", "--model", str(model_and_input / "model"), "--output", str(tmp_path)]
    given = ["--input", str(model_and_input / "input.fa"), "--window_bp", "30"]
    assert main([*arguments, *given]) == 0
    written = (tmp_path / "receptive_field.md").read_bytes()
    assert main([*arguments, *given, "--seed", "1"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert (tmp_path / "receptive_field.md").read_bytes() == written
    (tmp_path / "N.fa").write_text(">a\n" + "N" * 60 + "\n")
    assert main([*arguments, "--input", str(tmp_path / "N.fa"), "--overwrite", "true"]) == 2
    assert "its sequences are only N" in capsys.readouterr().err
    assert main([*arguments, *given, "--seed", "1", "--overwrite", "true"]) == 0
    assert (tmp_path / "receptive_field.csv").exists()


def test_a_backbone_loads_whatever_its_head(model_and_input):
    model = toy(ConvNovaForSequenceClassification)
    ids = torch.from_numpy(np.stack(sequences(2, 40))).long()
    found = load_backbone(str(model_and_input / "model"))(ids).last_hidden_state
    torch.testing.assert_close(found, model.convnova(ids).last_hidden_state)


def sweep_settings(folder, **changes):
    data = folder / "data"
    if not data.exists():
        data.mkdir()
        write_data(data)
    values = {"suite": "gue", "tasks": "mouse/2", "data": data, "seeds": 2, "shares": [0.5, 2.0]}
    values |= {"network": NETWORK, "training": TRAINING, "threads": 1, "model": "preset:nt-0.5m"}
    return ReceptiveFieldSettings(output=folder / "out", sweep=True, **values | changes)


def sweep(folder, **changes):
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    return sweep_fields(sweep_settings(folder, **changes), console), screen.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_sweep_trains_at_growing_fields_and_goes_on_where_it_was(tmp_path):
    scores, text = sweep(tmp_path)
    assert "too small to match" not in text
    assert [one.share for one in scores] == [0.5, 2.0]
    assert [one.length_bp for one in scores] == [24, 24]
    assert scores[0].field_bp < scores[1].field_bp
    assert all(one.scores.n == 2 and one.interval[0] <= one.scores.mean <= one.interval[1] for one in scores)
    header, rows = sweep_table(scores)
    assert all(len(row) == len(header) for row in rows)
    for name in ("sweep.md", "sweep.csv", "sweep.png"):
        assert (tmp_path / "out" / name).exists()
    results = sorted((tmp_path / "out/trials").rglob("result.json"))
    assert len(results) == 4
    before = [path.stat().st_mtime_ns for path in results]
    assert repr(sweep(tmp_path)[0]) == repr(scores)
    assert [path.stat().st_mtime_ns for path in results] == before


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fields_that_no_network_has_are_not_trained_twice(tmp_path):
    scores, text = sweep(tmp_path, shares=[0.01, 0.05, 2.0], seeds=1)
    assert "mouse/2: no network has a field of 5%" in text
    assert [one.share for one in scores] == [0.01, 2.0]
    assert len({one.field_bp for one in scores}) == 2


def made_up(trial):
    """Return the result of a training that never was: fields differ by their share, seeds by chance."""
    share = float(trial.name.removeprefix("field-"))
    score = 0.5 + 0.1 * share + np.random.default_rng([trial.seed, int(100 * share)]).normal(0, 0.02)
    network = trial.network
    return {
        **{"task": trial.task.name, "name": trial.name, "seed": trial.seed, "metric": "mcc"},
        **{"score": score, "validation": score, "parameters": 1000, "receptive_field_bp": int(100 * share)},
        **{"hidden_size": network.hidden_size, "kernel_size": network.kernel_size, "seconds": 1},
        "job": trial.record(),
    }


@pytest.mark.parametrize(
    ("shares", "whole", "column"),
    [([0.5, 1.0, 2.0], "1", "minus full length"), ([0.5, 2.0, 3.0], "3", "minus widest")],
)
@pytest.mark.parametrize("seeds", [5, 6])
def test_fields_are_set_against_the_full_length_seed_by_seed(
    tmp_path, monkeypatch, shares, whole, column, seeds
):
    monkeypatch.setattr(module, "run_trial", made_up)
    scores, _ = sweep(tmp_path, shares=shares, seeds=seeds)
    results = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").rglob("result.json"))]
    by_name = {name: {} for name in (f"field-{share:g}" for share in shares)}
    for one in results:
        by_name[one["name"]][one["seed"]] = one["score"]
    header, rows = sweep_table(scores)
    written = list(csv.DictReader((tmp_path / "out/sweep.csv").read_text().splitlines()))
    for share, score, row, numbers in zip(shares, scores, rows, written, strict=True):
        shown = dict(zip(header, row, strict=True))
        assert shown["dilations"] == numbers["dilations"] == " ".join(map(str, score.dilations))
        if f"{share:g}" == whole:
            assert (score.against_full_length, shown[column], shown["p"]) == (None, "", "")
            assert numbers["p_t"] == numbers["p_signs"] == numbers["difference"] == ""
            continue
        expected = compare_paired(by_name[f"field-{share:g}"], by_name[f"field-{whole}"])
        assert score.against_full_length == expected
        assert expected.pairs == seeds
        assert shown[column] == f"{100 * expected.difference:+.1f}"
        low, high = expected.interval
        assert shown["95 % interval"] == f"{100 * low:+.1f} to {100 * high:+.1f}"
        assert shown["p"] == f"{expected.p_t if seeds == 5 else expected.p_signs:.3f}"
        assert expected.p_t != pytest.approx(expected.p_signs, abs=1e-3)
        assert float(numbers["p_t"]) == pytest.approx(expected.p_t)
        assert float(numbers["p_signs"]) == pytest.approx(expected.p_signs)
        assert float(numbers["difference_high"]) == pytest.approx(high)
    assert f"| {column} |" in (tmp_path / "out/sweep.md").read_text()


def test_networks_that_are_not_as_large_as_the_full_model_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_trial", made_up)
    _, text = sweep(tmp_path, network=replace(NETWORK, hidden_size=4, kernel_size=9))
    line = "hidden_size 4 is too small to match parameters within 5 %: field-0.5 differs by -12%\n"
    assert text.count(line) == 1


def test_the_data_of_a_task_are_read_once_a_seed(tmp_path, monkeypatch):
    read = []
    tasks = study_tasks(sweep_settings(tmp_path))
    watched = tasks[0]._replace(load=lambda seed: read.append(seed) or tasks[0].load(seed))
    monkeypatch.setattr("convnova.analysis.field_sweep.study_tasks", lambda settings: [watched])
    monkeypatch.setattr(module, "run_trial", lambda trial: trial.task.load(trial.seed) and made_up(trial))
    sweep(tmp_path)
    assert read == [0, 1]


def test_fields_are_drawn_at_the_shares_that_were_trained(tmp_path, monkeypatch, drawn):
    monkeypatch.setattr(module, "run_trial", made_up)
    monkeypatch.setattr("convnova.analysis.field_sweep.write_report", lambda *given: None)
    scores, _ = sweep(tmp_path)
    (axes,) = drawn.sweep_figure([*scores, *(one._replace(task="tf/3") for one in scores)]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50 %", "200 %"]
    assert list(axes.get_xticks()) == [0.5, 2.0]
    assert len(axes.get_xticks(minor=True)) == 0
    first, second = (bars.lines[0].get_xdata() for bars in axes.containers)
    assert second / first == pytest.approx([1.2**0.5] * 2)
    assert len(axes.collections) == 2  # the bars


def test_the_flag_chooses_what_the_command_does(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr("convnova.analysis.field_sweep.sweep_fields", lambda given: called.append("sweep"))
    monkeypatch.setattr("convnova.analysis.field_report.receptive_field", lambda given: called.append("look"))
    assert main(["receptive-field", "--output", str(tmp_path), "--sweep", "--suite", "gue"]) == 0
    assert main(["receptive-field", "--output", str(tmp_path), "--model", "x", "--input", "a.fa"]) == 0
    assert called == ["sweep", "look"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "runs/x"], "give input, the sequences that gradients are averaged over, or --sweep"),
        (["--input", "a.fa", "--suite", "gue"], "suite is for the sweep; add --sweep"),
        (["--input", "a.fa", "--test", "b.csv"], "test is for the sweep; add --sweep"),
        (["--input", "a.fa", "--seeds", "5"], "seeds is for the sweep; add --sweep"),
        (["--input", "a.fa", "--network.gating", "none"], "network is for the sweep; add --sweep"),
        (["--input", "a.fa", "--training.epochs", "3"], "training is for the sweep; add --sweep"),
        (["--input", "a.fa", "--training.seed", "3"], "training is for the sweep; add --sweep"),
        (["--sweep", "--suite", "gue", "--seed", "3"], "seed is for a trained model, without --sweep"),
        (["--sweep", "--suite", "gue", "--training.seed", "3"], "training.seed is 3, but it is set by seeds"),
        (
            ["--sweep", "--suite", "gue", "--positions", "9"],
            "positions is for a trained model, without --sweep",
        ),
        (["--input", "a.fa"], "model is preset:nt-0.5m, which is not trained; give the folder"),
        (["--sweep"], "give either suite, or train with sequences of your own"),
        (["--sweep", "--suite", "gue", "--input", "a.fa"], "input is for a trained model, without --sweep"),
        (["--sweep", "--suite", "gue", "--shares", "[2,1]"], "shares must be ascending"),
        (["--sweep", "--suite", "gue", "--model", "runs/x"], "so it must be preset:NAME, or scratch:FOLDER"),
        (["--model", "x", "--input", "a.fa", "--positions", "0"], "positions must be at least 1"),
        (["--input", "a.fa", "--model", "nowhere"], "nowhere: no ConvNova model in it"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["receptive-field", "--output", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_models_that_read_tokens_are_refused(tmp_path):
    from convnova.baselines.architectures import any_preset, sequence_classifier

    sequence_classifier(any_preset("hyenadna-0.5m")).save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match="its model is hyenadna, and gradients of single bases are of ConvNova"
    ):
        load_backbone(str(tmp_path))
