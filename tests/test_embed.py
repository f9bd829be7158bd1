"""Embeddings do not depend on what is batched or tiled with them; files hold them with their names."""

import io

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

from convnova.analysis import embed as module
from convnova.analysis.embed import embed_file
from convnova.analysis.embed_settings import EmbedSettings
from convnova.analysis.embedding_figure import embedding_figure
from convnova.baselines.architectures import any_preset, sequence_classifier
from convnova.cli import main
from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError
from convnova.inference import embeddings
from convnova.inference.embeddings import Reading, check_reading, embed
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM
from convnova.sequence import decode, encode, reverse_complement

torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}
LENGTHS = (40, 7, 91, 40, 23)
LEVELS = ("sequence", "window", "base")


def sequences(lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    return [decode(rng.integers(0, 5, length).astype(np.uint8)) for length in lengths]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ConvNovaForMaskedLM(ConvNovaConfig(**TOY)).eval()


def by_hand(model, text, reading):
    """Return what is read of one sequence by one pass over it."""

    def hidden(ids):
        with torch.no_grad():
            given = torch.from_numpy(ids[None].copy()).long()
            found = model.convnova(given, output_hidden_states=True)
        chosen = found.last_hidden_state if reading.layer is None else found.hidden_states[reading.layer]
        return chosen[0].numpy()

    ids = encode(text)
    values = hidden(ids)
    if reading.both_strands:
        values = (values + hidden(reverse_complement(ids))[::-1]) / 2
    if reading.level == "base":
        return values
    step = reading.window_bp if reading.level == "window" else len(ids)
    return np.stack([values[start : start + step].mean(0) for start in range(0, len(ids), step)])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layer", [None, 0, 3])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("tile", [2**16, 24])
def test_embeddings_are_those_of_one_pass_over_each_sequence(model, level, layer, both, tile, monkeypatch):
    monkeypatch.setattr(embeddings, "TILE_BP", tile)
    reading = Reading(level, 9, layer, both)
    for batch_bases in (1, 200):
        found = embed(model, sequences(), reading, batch_bases)
        for text, values in zip(sequences(), found, strict=True):
            np.testing.assert_allclose(np.atleast_2d(values), by_hand(model, text, reading), atol=1e-5)


@pytest.mark.parametrize("name", ["dnabert-3-0.5m", "hyenadna-0.5m", "cnn"])
def test_other_systems_have_embeddings_too(name):
    torch.manual_seed(0)
    changes = {"input_bp": 100} if name == "cnn" else {}
    system = sequence_classifier(any_preset(name, num_labels=2, **changes)).eval()
    found = embed(system, sequences())
    for text, values in zip(sequences(), found, strict=True):
        with torch.no_grad():
            alone = system.embed(torch.from_numpy(encode(text)[None]).long())[0].numpy()
        np.testing.assert_allclose(values, alone, atol=1e-4)
    if name == "cnn":
        with pytest.raises(
            InputError, match="cnn has a vector of each sequence alone; leave out level and layer"
        ):
            check_reading(system, Reading("base"))
    with pytest.raises(InputError, match=r"layers are of ConvNova|leave out level and layer"):
        check_reading(system, Reading(layer=0))


def test_the_model_is_left_as_it_was(model):
    model.train()
    embed(model, sequences())
    assert model.training
    model.eval()


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("embed")
    model.save_pretrained(folder / "lm")
    texts = sequences()
    (folder / "in.fa").write_text("".join(f">s{i} rest\n{one}\n" for i, one in enumerate(texts)))
    rows = [f"{one},{'ab'[i % 2]}" for i, one in enumerate(texts)]
    (folder / "in.csv").write_text("\n".join(["sequence,label", *rows, ""]))
    ids = np.random.default_rng(3).integers(0, 4, 200).astype(np.uint8)
    (folder / "g.fa").write_text(f">chrI\n{decode(ids)}\n")
    (folder / "in.bed").write_text("chrI\t10\t50\tx\t0\t+\nchrI\t60\t90\ty\t0\t-\n")
    return folder


def run(folder, output, **changes):
    screen = io.StringIO()
    values = {"model": folder / "lm", "input": str(folder / "in.fa"), "output": output} | changes
    return embed_file(EmbedSettings(**values), Console(file=screen, width=200)), screen.getvalue()


def read(path):
    """Return columns and embeddings of a file."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        return frame.drop("embedding"), frame["embedding"].to_numpy()
    if path.suffix == ".npy":
        return pl.read_csv(path.with_suffix(".names.csv"), schema_overrides={"name": pl.String}), np.load(
            path
        )
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="r")
    columns = {name: list(group[name][:]) for name in group if name != "embedding"}
    return pl.DataFrame(columns), group["embedding"][:]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["out.parquet", "out.npy", "out.zarr"])
def test_files_hold_embeddings_and_what_they_are_of(folder, tmp_path, model, name, level, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SEQUENCES", 2)
    count, said = run(folder, tmp_path / name, level=level, **{"window_bp": 9} if level == "window" else {})
    assert count == len(LENGTHS)
    assert "5 sequences, 8 numbers each ->" in said
    places, values = read(tmp_path / name)
    expected = [by_hand(model, text, Reading(level, 9)) for text in sequences()]
    np.testing.assert_allclose(values, np.concatenate(expected), atol=1e-5)
    names = np.repeat([f"s{i} rest" for i in range(5)], [len(one) for one in expected])
    assert places["name"].to_list() == names.tolist()
    if level == "window":
        rows = places.filter(pl.col("name") == "s2 rest")
        assert rows["window_start"].to_list() == list(range(0, 91, 9))
        assert rows["window_end"].to_list() == [*range(9, 91, 9), 91]


@pytest.mark.parametrize("level", ["window", "base"])
def test_long_sequences_are_written_tile_by_tile(folder, tmp_path, model, level, monkeypatch):
    monkeypatch.setattr(embeddings, "TILE_BP", 24)
    monkeypatch.setattr(module, "PART_NUMBERS", 8 * 50)
    run(folder, tmp_path / "out.parquet", level=level, **{"window_bp": 9} if level == "window" else {})
    places, values = read(tmp_path / "out.parquet")
    expected = np.concatenate([by_hand(model, text, Reading(level, 9)) for text in sequences()])
    np.testing.assert_allclose(values, expected, atol=1e-5)
    own = places.filter(pl.col("name") == "s2 rest")
    assert own["window_start"].to_list() == list(range(0, 91, 9 if level == "window" else 1))
    assert own["window_end"][-1] == 91


def test_an_output_that_exists_is_replaced_only_when_told(folder, tmp_path):
    for name in ("out.parquet", "out.zarr"):
        run(folder, tmp_path / name)
        with pytest.raises(InputError, match="already exists; give another name, or --overwrite"):
            run(folder, tmp_path / name)
        run(folder, tmp_path / name, overwrite=True)


def test_one_sequence_has_no_figure(folder, tmp_path):
    (tmp_path / "one.fa").write_text(">a\nACGTACGT\n")
    given = {"input": str(tmp_path / "one.fa"), "figure": tmp_path / "f.png"}
    _, said = run(folder, tmp_path / "out.npy", **given)
    assert "no figure: components are of two sequences and more" in said


def test_a_single_text_is_no_list_of_sequences(model):
    with pytest.raises(InputError, match="put a single one into a list"):
        embed(model, "ACGT")


def test_no_sequences_are_none_and_an_empty_one_is_told(model):
    assert embed(model, []).shape == (0, 8)
    assert embed(model, [], Reading(level="base")) == []
    with pytest.raises(InputError, match="a sequence is empty"):
        embed(model, ["", "ACGT"])


def test_names_of_intervals_that_come_again_are_kept(folder, tmp_path):
    (tmp_path / "in.bed").write_text("".join(f"chrI\t{i}\t{i + 9}\t{'xy'[i % 2]}\t0\t+\n" for i in range(9)))
    given = {"input": str(tmp_path / "in.bed"), "read": ReadSettings(genome=folder / "g.fa")}
    run(folder, tmp_path / "out.npy", **given)
    assert read(tmp_path / "out.npy")[0]["name"].to_list() == list("xyxyxyxyx")


def test_what_is_changed_in_sequences_is_said(folder, tmp_path):
    (tmp_path / "in.txt").write_text("ACGU\nACGT\n")
    assert "1 U read as T" in run(folder, tmp_path / "out.npy", input=str(tmp_path / "in.txt"))[1]


def test_what_is_wrong_far_into_a_file_is_told_before_work(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SEQUENCES", 2)
    monkeypatch.setattr(module, "embed", None)
    (tmp_path / "in.csv").write_text("sequence\n" + "ACGT\n" * 9 + "AC!T\n")
    with pytest.raises(InputError, match="line 11"):
        run(folder, tmp_path / "out.npy", input=str(tmp_path / "in.csv"))


def test_tables_and_intervals_keep_their_columns(folder, tmp_path):
    given = {"input": str(folder / "in.bed"), "read": {"genome": folder / "g.fa"}}
    arguments = [
        "--model",
        str(folder / "lm"),
        "--input",
        given["input"],
        "--read.genome",
        str(folder / "g.fa"),
    ]
    assert main(["embed", *arguments, "--output", str(tmp_path / "out.parquet")]) == 0
    places, values = read(tmp_path / "out.parquet")
    assert places.rows() == [("x", "chrI", 10, 50, "+"), ("y", "chrI", 60, 90, "-")]
    assert values.shape == (2, 8)


def test_half_precision_and_a_figure(folder, tmp_path):
    run(folder, tmp_path / "whole.npy", input=str(folder / "in.csv"))
    given = {"input": str(folder / "in.csv"), "half": True, "figure": tmp_path / "figure.png"}
    run(folder, tmp_path / "half.npy", **given)
    _, values = read(tmp_path / "half.npy")
    assert values.dtype == np.float16
    np.testing.assert_allclose(values, read(tmp_path / "whole.npy")[1], rtol=1e-2, atol=1e-3)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "labels", [["a", "b"], ["a", ""], [str(i) for i in range(25)], [f"c{i}" for i in range(25)]]
)
def test_a_figure_of_classes_or_values(labels):
    values = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    plain = embedding_figure(values, [""] * 50)
    coloured = embedding_figure(values, (labels * 25)[:50])
    assert coloured[:4] == b"\x89PNG"
    assert coloured != plain


def test_a_converted_system_is_embedded_with(folder, tmp_path):
    system = sequence_classifier(any_preset("hyenadna-0.5m", num_labels=2, hidden_size=8))
    system.save_pretrained(tmp_path / "hyenadna")
    run(folder, tmp_path / "out.npy", model=tmp_path / "hyenadna")
    np.testing.assert_allclose(read(tmp_path / "out.npy")[1], embed(system.eval(), sequences()), atol=1e-5)


def test_nothing_is_left_where_it_fails(folder, tmp_path):
    (tmp_path / "in.fa").write_text(">a\nACGT\n>b\nAC!T\n")
    for name in ("out.parquet", "out.npy", "out.zarr"):
        with pytest.raises(InputError, match=r"in\.fa, record 2.*'!' is not a nucleotide"):
            run(folder, tmp_path / name, input=str(tmp_path / "in.fa"))
    assert {path.name for path in tmp_path.iterdir()} == {"in.fa"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "out.csv"], "the name must end with one of .parquet, .npy, .zarr"),
        (["--layer", "4"], "the model has layers 0 (its stem) to 3, and no 4"),
        (["--window_bp", "0"], "window_bp must be at least 1"),
        (["--window_bp", "9"], "window_bp is of level window; leave it out"),
        (["--figure", "a.pdf"], "figure is a .png of level sequence"),
        (["--level", "base", "--figure", "a.png"], "figure is a .png of level sequence"),
        (["--input", "none.fa"], "none.fa: no such file"),
        (["--model", "nowhere"], "nowhere: no ConvNova model in it"),
    ],
)
def test_what_cannot_be_is_one_line(folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    given = ["--model", "lm", "--input", "in.fa", "--output", str(tmp_path / "out.npy")]
    assert main(["embed", *given, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_lies_beside_is_not_replaced(folder, tmp_path):
    for name in ("o.names.csv", "o.png"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"o\.names\.csv: already exists"):
        run(folder, tmp_path / "o.npy")
    with pytest.raises(InputError, match=r"o\.png: already exists"):
        run(folder, tmp_path / "o.parquet", figure=tmp_path / "o.png")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


def test_sequences_of_n_alone_are_told(folder, tmp_path):
    (tmp_path / "in.fa").write_text(">a\nNNNN\n>b\nACGT\n")
    _, said = run(folder, tmp_path / "o.npy", input=str(tmp_path / "in.fa"))
    assert "1 of 2 sequences are only N: what is embedded says nothing of them" in said
