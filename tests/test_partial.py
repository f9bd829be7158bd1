"""Runs that were stopped go on where they were, and end with the files of a run that was not."""

import io
import shutil

import numpy as np
import pytest
import torch
from rich.console import Console
from stopping import counted, stopped_after

from convnova.analysis import embed as embed_module
from convnova.analysis.embed import embed_file
from convnova.analysis.embed_settings import EmbedSettings
from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.inference import embeddings, predict_genome
from convnova.inference.partial import Partial
from convnova.inference.predict_settings import PredictSettings
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM
from convnova.sequence import decode

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("partial")
    torch.manual_seed(0)
    model = ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2, 1)))
    model.save_pretrained(folder / "lm")
    rng = np.random.default_rng(0)
    letters = [decode(rng.integers(0, 4, size).astype(np.uint8)) for size in (150, 40, 90)]
    (folder / "g.fa").write_text("".join(f">c{i}\n{one}\n" for i, one in enumerate(letters)))
    return folder


def test_arrays_are_kept_and_one_that_was_cut_short_is_made_again(tmp_path, folder):
    arrays = [np.arange(6, dtype=np.float32).reshape(3, 2), np.empty((0, 2), np.float32), np.ones((1, 2))]
    first = Partial(tmp_path / "out.vcf", folder / "lm", [1, None])
    assert not list(tmp_path.iterdir())  # nothing is written before there is something
    for one in arrays:
        first.add(one)
    path = tmp_path / "out.vcf.partial"
    whole = path.read_bytes()
    for cut in (0, 1, 8, 9):  # bytes of the last array, of 8, and of its shape
        path.write_bytes(whole[: len(whole) - cut])
        again = Partial(tmp_path / "out.vcf", folder / "lm", [1, None])
        assert (len(again), again.rows) == ((3, 4) if not cut else (2, 3))
        for one, kept in zip(arrays, again, strict=False):
            np.testing.assert_array_equal(one, kept)
    made = []
    found = [values.copy() for _, values in again.filled(range(3), lambda n: made.append(n) or arrays[n])]
    assert made == [2]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(arrays))
    assert path.read_bytes() == whole
    again.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changed", ["a setting", "config.json", "model.safetensors"])
def test_arrays_of_another_model_or_other_settings_are_made_anew(tmp_path, folder, changed):
    model, output = shutil.copytree(folder / "lm", tmp_path / "lm"), tmp_path / "out"
    Partial(output, model, 1).add(np.ones((1, 2)))
    assert len(Partial(output, model, 1)) == 1
    if changed != "a setting":
        with (model / changed).open("ab") as file:
            file.write(b" ")
    made_of = 2 if changed == "a setting" else 1
    assert len(Partial(output, model, made_of)) == 0
    Partial(output, model, made_of).add(np.ones((1, 2)))  # what was there is gone
    assert Partial(output, model, made_of).rows == 1


def test_what_is_there_of_other_settings_stays_until_there_is_something_else(tmp_path, folder):
    output, screen = tmp_path / "out", io.StringIO()
    Partial(output, folder / "lm", 1).add(np.ones((3, 2)))
    for made_of, said in ((1, "goes on after 3 rows"), (2, "begins anew: out.partial is of another model")):
        Partial(output, folder / "lm", made_of).tell(Console(file=screen), "row")
        assert said in screen.getvalue()
    assert Partial(output, folder / "lm", 1).rows == 3


def test_two_runs_of_one_output_do_not_mix(tmp_path, folder):
    first, second = (Partial(tmp_path / "out", folder / "lm", 1) for _ in range(2))
    first.add(np.ones((1, 2)))
    with pytest.raises(InputError, match=r"out\.partial: another run writes it too; end one of them"):
        second.add(np.zeros((1, 2)))
    first.add(np.full((1, 2), 2))
    third = Partial(tmp_path / "out", folder / "lm", 1)
    third.add(np.full((1, 2), 3))
    with pytest.raises(InputError, match="another run"):
        first.add(np.zeros((1, 2)))
    assert [float(one[0, 0]) for one in third] == [1, 2, 3]


def run(command, settings):
    screen = io.StringIO()
    command(settings, Console(file=screen, width=200))
    return screen.getvalue()


def contents(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [(file.name.replace(path.stem, ""), file.read_bytes()) for file in files if file.is_file()]


@pytest.mark.parametrize("output", ["out", "out.zarr"])
def test_a_genome_goes_on(folder, tmp_path, monkeypatch, output):
    pytest.importorskip("zarr" if output == "out.zarr" else "pybigtools")
    monkeypatch.setattr(predict_genome, "tile_length", lambda model, memory_mb: 30)
    given = {"model": folder / "lm", "genome": folder / "g.fa"}

    def settings(name):
        return PredictSettings(output=tmp_path / name / output, **given)

    with counted(monkeypatch) as made:
        assert "goes on" not in run(predict_genome.predict_genome, settings("whole"))
    assert sum(made) == 280
    with stopped_after(4, monkeypatch):
        run(predict_genome.predict_genome, settings("again"))
    with counted(monkeypatch) as rest:
        assert f"goes on after {sum(made[:4])} bases" in run(predict_genome.predict_genome, settings("again"))
    assert rest == made[4:]
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


@pytest.mark.parametrize("level", ["sequence", "window", "base"])
@pytest.mark.parametrize("output", ["out.npy", "out.zarr"])
def test_embeddings_go_on(folder, tmp_path, monkeypatch, level, output):
    if output == "out.zarr":
        pytest.importorskip("zarr")
    monkeypatch.setattr(embed_module, "BLOCK_SEQUENCES", 1)
    monkeypatch.setattr(embeddings, "TILE_BP", 50)
    given = {"model": folder / "lm", "input": str(folder / "g.fa"), "level": level}
    given |= {"window_bp": 20} if level == "window" else {}

    def settings(name):
        return EmbedSettings(output=tmp_path / name / output, **given)

    with counted(monkeypatch) as made:
        run(embed_file, settings("whole"))
    assert len(made) == {"sequence": 3, "window": 4 + 1 + 3, "base": 3 + 1 + 2}[level]
    with stopped_after(2, monkeypatch):
        run(embed_file, settings("again"))
    with counted(monkeypatch) as rest:
        assert f"goes on after {sum(made[:2])} vectors" in run(embed_file, settings("again"))
    assert rest == made[2:]
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


@pytest.mark.parametrize("changed", ["g.fa", "b.txt"])
def test_embeddings_of_another_input_begin_anew(folder, tmp_path, monkeypatch, changed):
    monkeypatch.setattr(embed_module, "BLOCK_SEQUENCES", 1)
    shutil.copy(folder / "g.fa", tmp_path / "g.fa")
    for name, text in (("a.txt", "ACGTACGT\n"), ("b.txt", "ACCCACGT\nAAACCCGG\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "in.bed").write_text("c0\t5\t50\tx\t0\t+\nc1\t5\t30\ty\t0\t+\n")
    source = "in.bed" if changed == "g.fa" else f"a.txt,{tmp_path}/b.txt"
    given = {"model": folder / "lm", "input": f"{tmp_path}/{source}", "output": tmp_path / "out.npy"}
    settings = EmbedSettings(**given, read=ReadSettings(genome=tmp_path / "g.fa"))
    with stopped_after(1, monkeypatch):
        run(embed_file, settings)
    text = (tmp_path / changed).read_text()
    (tmp_path / changed).write_text(text.replace("ACC", "AGC").replace("GTA", "GTC") + text[-1:])
    assert "begins anew" in run(embed_file, settings)
    again = np.load(tmp_path / "out.npy")
    (tmp_path / "out.npy").unlink()
    (tmp_path / "out.names.csv").unlink()
    run(embed_file, settings)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), again)
