"""Whole genomes base by base: tiles of any size, gaps, contigs and files give the numbers of one pass."""

import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from rich.console import Console

from convnova.data.label_scheme import LabelScheme
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference import predict_genome as module
from convnova.inference.any_model import load_any
from convnova.inference.base_track_files import runs_of
from convnova.inference.base_tracks import groups_of, known_stretches, tile_length, tiles_of
from convnova.inference.predict_genome import predict_genome
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.saved_task import SavedTask
from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)
from convnova.sequence import decode, reverse_complement

torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}
FIELD = 17


def bases():
    """Return chromosomes with gaps long and short, at ends and inside, tiny contigs, and one of N alone."""
    rng = np.random.default_rng(0)
    ids = {"chrI": rng.integers(0, 4, 400), "chrII": rng.integers(0, 4, 150), "gap": np.full(60, 4)}
    ids |= {f"c{size}": rng.integers(0, 4, size) for size in (1, 3, 30, 31, 29, 80)}
    for first, last in ((0, 40), (100, 102), (200, 260), (300, 317)):
        ids["chrI"][first:last] = 4
    ids["chrII"][120:] = 4
    return {name: one.astype(np.uint8) for name, one in ids.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    (folder / "g.fa").write_text("".join(f">{name}\n{decode(ids)}\n" for name, ids in bases().items()))
    torch.manual_seed(0)
    ConvNovaForMaskedLM(ConvNovaConfig(**TOY)).save_pretrained(folder / "lm")
    model = ConvNovaForTokenClassification(ConvNovaConfig(**TOY, num_labels=9))
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(folder / "genes")
    saved = SavedGeneFinder("bend", False, "mcc", True)
    (folder / "genes/task.json").write_text(json.dumps(saved.to_dict()))
    config = ConvNovaConfig(**TOY, num_labels=2, problem_type="single_label_classification")
    ConvNovaForSequenceClassification(config).save_pretrained(folder / "task")
    task = SavedTask(LabelScheme("single-label", ("no", "yes")), "mcc", False)
    (folder / "task/task.json").write_text(json.dumps(task.to_dict()))
    return folder


def one_pass(folder, name, strands):
    """Return the probabilities of whole chromosomes, NaN where they are N."""
    loaded = load_any(folder / name)

    def read(ids):
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.from_numpy(ids[None].copy()).long()).logits
        return logits[0, :, : len(loaded.names)].softmax(-1).numpy()

    found = {}
    for chromosome, ids in bases().items():
        values = read(ids)
        if strands:
            values = (values + read(reverse_complement(ids))[::-1, list(loaded.opposite)]) / 2
        values[ids == 4] = np.nan
        found[chromosome] = values
    return found


def run(folder, output, **changes):
    screen = io.StringIO()
    values = {"model": folder / "lm", "genome": folder / "g.fa", "output": output, "decimals": 9} | changes
    return predict_genome(PredictSettings(**values), Console(file=screen, width=200)), screen.getvalue()


def read_zarr(path):
    group = pytest.importorskip("zarr").open_group(path, mode="r")
    return {name: group[name][:] for name in group}, group.attrs["labels"]


@pytest.mark.parametrize("strands", [False, True])
@pytest.mark.parametrize("tile", [17, 33, 64, 10**6])
@pytest.mark.parametrize("name", ["lm", "genes"])
def test_tiles_of_any_size_give_the_numbers_of_one_pass(folder, tmp_path, name, tile, strands, monkeypatch):
    monkeypatch.setattr(module, "tile_length", lambda model, memory_mb: tile)
    _, said = run(folder, tmp_path / "out.zarr", model=folder / name, both_strands=strands)
    found, labels = read_zarr(tmp_path / "out.zarr")
    expected = one_pass(folder, name, strands)
    assert list(labels) == list(load_any(folder / name).names)
    assert set(found) == set(expected)
    for chromosome, values in expected.items():
        np.testing.assert_allclose(found[chromosome], values, atol=1e-5)
    assert "bp of N passed over" in said


def test_memory_decides_on_the_length_of_tiles(folder):
    model = load_any(folder / "lm").model
    assert tile_length(model, 1) == 2**20 // (40 * 8) - FIELD
    assert tile_length(model, 0.001) == FIELD


@pytest.mark.parametrize("gap", [1, 2, 3, 17, 60])
@pytest.mark.parametrize("scanned", [7, 2**24])
def test_stretches_without_gaps_match_bruteforce(folder, gap, scanned, monkeypatch):
    from convnova.inference import base_tracks

    monkeypatch.setattr(base_tracks, "_SCANNED_BP", scanned)
    genome = Genome.open(folder / "g.fa")
    for chromosome, ids in bases().items():
        text, expected, begin = decode(ids), [], None
        place = 0
        while place < len(text):
            end = place
            while end < len(text) and text[end] == "N":
                end += 1
            if end - place >= gap or (end > place and end == len(text)):
                if begin is not None:
                    expected.append((begin, place))
                begin, place = None, end
                continue
            if begin is None and end == place:
                begin = place
            place = max(end, place + 1)
        if begin is not None:
            expected.append((begin, len(text)))
        region = Interval(chromosome, 0, len(ids))
        assert list(known_stretches(genome, region, gap)) == expected, chromosome


def test_small_contigs_are_read_together(folder):
    genome = Genome.open(folder / "g.fa")
    names = ["c1", "c3", "c30", "c31", "c29", "c80"]
    regions = [Interval(name, 0, genome.chromosome_sizes[name]) for name in names]
    groups = list(groups_of(tiles_of(genome, regions, 100, 17), 100, 0))
    assert [[tile.chromosome for tile in group] for group in groups] == [
        ["c1", "c3", "c30"],
        ["c31", "c29"],
        ["c80"],
    ]


def test_runs_of_equal_values_leave_out_what_is_none():
    values = np.array([np.nan, 0.0, 0.0, 0.11, 0.12, np.nan, np.nan, 0.1], np.float32)
    starts, ends, found = runs_of(values, 100, 1)
    assert list(zip(starts, ends, strict=True)) == [(101, 103), (103, 105), (107, 108)]
    np.testing.assert_allclose(found, [0.0, 0.1, 0.1])


def test_bigwig_and_bedgraph_have_the_same_values(folder, tmp_path):
    library = pytest.importorskip("pybigtools")
    expected = one_pass(folder, "lm", False)
    paths, _ = run(folder, tmp_path / "bw", decimals=4)
    assert [path.name for path in paths] == ["A.bw", "C.bw", "G.bw", "T.bw"]
    texts, _ = run(folder, tmp_path / "bg", decimals=4, format="bedgraph")
    assert [path.name for path in texts] == [f"{base}.bedgraph.gz" for base in "ACGT"]
    for column, (path, text) in enumerate(zip(paths, texts, strict=True)):
        file = library.open(str(path))
        written = {name: np.full(len(one), np.nan) for name, one in expected.items()}
        for line in gzip.decompress(text.read_bytes()).decode().splitlines():
            chromosome, start, end, value = line.split("\t")
            written[chromosome][int(start) : int(end)] = float(value)
        for chromosome, values in expected.items():
            np.testing.assert_allclose(written[chromosome], values[:, column], atol=6e-5)
            if not np.isnan(values).all():
                found = file.values(chromosome, 0, len(values))
                np.testing.assert_allclose(found, values[:, column], atol=6e-5)


def test_bedgraph_has_as_many_decimals_as_are_wanted(folder, tmp_path):
    expected = one_pass(folder, "lm", False)["chrI"][:, 0]
    texts, _ = run(folder, tmp_path / "bg", decimals=8, format="bedgraph")
    first = gzip.decompress(texts[0].read_bytes()).decode().splitlines()[0].split("\t")
    assert float(first[3]) == pytest.approx(float(expected[int(first[1])]), abs=1e-7)
    assert len(first[3]) > 8


def test_intervals_and_labels_are_chosen(folder, tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "i.bed").write_text("chrI\t150\t180\nchrII\t5\t9\n")
    run(folder, tmp_path / "o.zarr", intervals=tmp_path / "i.bed", tracks=["T", "A"])
    found, labels = read_zarr(tmp_path / "o.zarr")
    assert list(labels) == ["T", "A"]
    expected = one_pass(folder, "lm", False)
    np.testing.assert_allclose(found["chrI"][150:180], expected["chrI"][150:180][:, [3, 0]], atol=1e-5)
    assert np.isnan(found["chrI"][:150]).all()
    assert np.isfinite(found["chrII"]).sum() == 8


def test_a_model_of_sequences_predicts_bins(folder, tmp_path):
    library = pytest.importorskip("pybigtools")
    with pytest.raises(InputError, match="give window_bp, the length of the sequences that the model"):
        run(folder, tmp_path / "out", model=folder / "task", decimals=4)
    run(folder, tmp_path / "out", model=folder / "task", window_bp=30, step_bp=10, decimals=4)
    model, ids = load_any(folder / "task").model, bases()["chrII"]
    with torch.no_grad():
        window = torch.from_numpy(ids[None, 40:70].copy()).long()
        expected = float(model(input_ids=window).logits[0].softmax(-1)[1])
    assert library.open(str(tmp_path / "out/yes.bw")).values("chrII", 50, 60)[0] == pytest.approx(
        expected, abs=1e-5
    )


def test_ray_gives_the_numbers_of_this_process(folder, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(module, "tile_length", lambda model, memory_mb: 64)
    run(folder, tmp_path / "here.zarr")
    run(folder, tmp_path / "there.zarr", engine="ray")
    here, there = (read_zarr(tmp_path / f"{name}.zarr")[0] for name in ("here", "there"))
    for chromosome, values in here.items():
        np.testing.assert_allclose(there[chromosome], values, atol=1e-6)


@pytest.mark.parametrize("name", ["o.zarr", "o.bw"])
def test_an_output_that_exists_is_replaced_only_when_told(folder, tmp_path, name):
    pytest.importorskip("zarr")
    given = {"tracks": ["A"]}
    run(folder, tmp_path / name, **given)
    with pytest.raises(InputError, match=r"already exists; give another name, or --overwrite"):
        run(folder, tmp_path / name, **given)
    run(folder, tmp_path / name, **given, overwrite=True)
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(InputError, match=r"mine\.zarr: is no Zarr group, and is not replaced by one"):
        run(folder, tmp_path / "mine.zarr", overwrite=True)


def test_a_stop_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    def fails(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("convnova.inference.base_tracks._probabilities", fails)
    for name in ("o.zarr", "folder"):
        with pytest.raises(KeyboardInterrupt):
            run(folder, tmp_path / name)
    assert not (tmp_path / "o.zarr").exists()
    assert not list((tmp_path / "folder").iterdir())


def test_sigterm_leaves_nothing_half_written(folder, tmp_path):
    pytest.importorskip("pybigtools")
    ids = np.random.default_rng(1).integers(0, 4, 3_000_000).astype(np.uint8)
    (tmp_path / "long.fa").write_text(f">a\n{decode(ids)}\n")
    output = tmp_path / "out"
    command = [sys.executable, "-m", "convnova", "predict", "--model", str(folder / "lm"), "--memory_mb", "1"]
    command += ["--genome", str(tmp_path / "long.fa"), "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not (output.exists() and list(output.iterdir())):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (143, "convnova: stopped by SIGTERM\n")
    assert {path.suffix for path in output.iterdir()} <= {".partial"}  # from which the next run goes on


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracks": ["X"]}, "there is no label 'X'; the model has A, C, G, T"),
        ({"output": "o.csv", "intervals": "i.bed"}, r"o\.csv: a table is of bins; name a folder"),
        ({"output": "o.bw"}, "one bigWig file holds one track"),
        ({"memory_mb": 0.5}, "memory_mb must be at least 1"),
        ({"ray_address": "auto"}, "ray_address is of engine ray; leave it out"),
        ({"output": "o.zarr", "format": "bedgraph"}, r"o\.zarr: its name says what it is; leave format out"),
        ({"output": "o.ZARR"}, r"o\.ZARR: write its ending in lower case, \.zarr"),
        ({"decimals": 10}, "decimals must be 0 to 9"),
        ({"engine": "ray", "ray_address": "127.0.0.1:1"}, "no Ray cluster answers"),
    ],
)
def test_what_cannot_be_is_refused(folder, tmp_path, changes, message):
    if changes.get("engine") == "ray":
        pytest.importorskip("ray")
    changes = {
        name: tmp_path / one if name in ("output", "intervals") else one for name, one in changes.items()
    }
    with pytest.raises(InputError, match=message):
        run(folder, changes.pop("output", tmp_path / "out"), **changes)


def test_chromosomes_that_zarr_cannot_name_are_refused(folder, tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "odd.fa").write_text(">a/b\nACGT\n>a\nACGTA\n")
    with pytest.raises(InputError, match=r"o\.zarr: 'a/b' can be no array of Zarr; rename the chromosome"):
        run(folder, tmp_path / "o.zarr", genome=tmp_path / "odd.fa")
    assert not (tmp_path / "o.zarr").exists()


def test_a_model_of_sequences_of_one_length_knows_its_window(folder, tmp_path):
    pytest.importorskip("pybigtools")
    shutil.copytree(folder / "task", tmp_path / "task")
    record = json.loads((tmp_path / "task/task.json").read_text()) | {"window_bp": 30}
    (tmp_path / "task/task.json").write_text(json.dumps(record))
    given = {"model": tmp_path / "task", "step_bp": 10, "decimals": 4}
    known, _ = run(folder, tmp_path / "known", **given)
    given |= {"model": folder / "task", "window_bp": 30}
    told, _ = run(folder, tmp_path / "told", **given)
    assert [path.read_bytes() for path in known] == [path.read_bytes() for path in told]


def test_bins_of_n_alone_are_missing(folder, tmp_path):
    library = pytest.importorskip("pybigtools")
    (tmp_path / "gap.fa").write_text(f">a\n{'ACGT' * 10}{'N' * 60}{'GATTACA' * 5}\n")
    given = {"model": folder / "task", "window_bp": 30, "step_bp": 10, "decimals": 4}
    run(folder, tmp_path / "out", genome=tmp_path / "gap.fa", **given)
    values = library.open(str(tmp_path / "out/yes.bw")).values("a", 0, 135)
    assert list(np.flatnonzero(np.isnan(values))) == list(range(40, 100))
    with pytest.raises(InputError, match=r"no\.bw: already exists; give another name, or --overwrite"):
        run(folder, tmp_path / "out", genome=tmp_path / "gap.fa", **given)
    run(folder, tmp_path / "out", genome=tmp_path / "gap.fa", overwrite=True, **given)
