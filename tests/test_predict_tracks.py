"""`convnova predict`: what is written equals `predict` on windows cut by hand."""

import io
import re
import tracemalloc

import numpy as np
import polars as pl
import pybigtools
import pytest
import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score
from stopping import counted, stopped_after
from tiny_task import NETWORK
from tiny_track_task import build_motifs, run_settings
from tiny_tracks import SIZES, write_bed, write_genome

from convnova.cli import main
from convnova.data.packed import pack
from convnova.data.tracks.data import TrackData
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.inference import predict_tracks as module
from convnova.inference.output_names import file_names
from convnova.inference.partial import Partial
from convnova.inference.predict import predict
from convnova.inference.predict_genome import predict_genome
from convnova.inference.predict_settings import PredictSettings
from convnova.inference.predict_tracks import bins_of, merged, of_track
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.saved_task import TASK_NAME
from convnova.inference.saved_tracks import SavedTracks, load_track_model
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.sequence import N
from convnova.training.track_task import finetune_tracks
from convnova.writing import write_json

QUIET = Console(quiet=True)
NAMES = ["A|x", "B", "b"]


def write_model(folder, **changes):
    """Write a model of three tracks with bins of 20 bp in windows of 50."""
    torch.manual_seed(0)
    problem = "regression" if changes.get("kind") == "signal" else "multi_label_classification"
    config = ConvNovaConfig(**NETWORK, num_labels=3, problem_type=problem)
    ConvNovaForSequenceClassification(config).save_pretrained(folder)
    values = {"kind": "peaks", "names": NAMES, "groups": [""] * 3, "bin_bp": 20, "window_bp": 50}
    values |= {"log1p": False, "metric": "auroc", "average_strands": True}
    write_json(folder / TASK_NAME, SavedTracks(**values | changes).to_dict())
    return folder


@pytest.fixture
def folder(tmp_path):
    write_genome(tmp_path, n=("chrII", 100, 300))
    write_model(tmp_path / "model")
    return tmp_path


def settings(folder, output="tracks", **changes):
    values = {"model": folder / "model", "genome": folder / "toy.fa", "output": folder / output}
    return PredictSettings(**values | changes)


def by_hand(folder, rows, step_bp=20, both_strands=True):
    """Return the predictions of bins that begin at places (chromosome, start), one after another."""
    genome, model = Genome.open(folder / "toy.fa"), load_track_model(folder / "model").model
    windows = [genome.fetch(Interval(name, start, start + step_bp).resize(50)) for name, start in rows]
    return predict(model, pack(windows), both_strands)


def is_known(folder, name, start, step_bp=20):
    """Return whether what is read around the centre of a bin, as wide as it, is more than N."""
    interval = Interval(name, start, start + step_bp).resize(min(step_bp, 50))
    return bool((Genome.open(folder / "toy.fa").fetch(interval) != N).any())


def runs_of(path):
    """Return all runs of a bigWig file: chromosome, start, end, value."""
    file = pybigtools.open(str(path))
    return [(name, *run) for name in file.chroms() for run in file.records(name)]


@pytest.mark.parametrize("changes", [{}, {"step_bp": 7}, {"step_bp": 64}, {"both_strands": False}])
@pytest.mark.parametrize("block", [1, 400, 2**20])
def test_every_bin_of_a_genome_is_the_prediction_of_its_window(folder, monkeypatch, changes, block):
    monkeypatch.setattr(module, "BLOCK_BASES", block)
    paths = predict_genome(settings(folder, **changes), QUIET)
    assert [path.name for path in paths] == ["A_x.bw", "B.bw", "b_2.bw"]
    step = changes.get("step_bp", 20)
    rows = [(name, start) for name, size in SIZES.items() for start in range(0, size, step)]
    rows = [row for row in rows if is_known(folder, *row, step)]
    expected = by_hand(folder, rows, step, changes.get("both_strands", True))
    for column, path in enumerate(paths):
        runs = runs_of(path)
        assert [run[:2] for run in runs] == rows
        assert [run[2] for run in runs] == [min(start + step, SIZES[name]) for name, start in rows]
        np.testing.assert_allclose([run[3] for run in runs], expected[:, column], atol=1e-6)
    assert sorted(path.name for path in (folder / "tracks").iterdir()) == ["A_x.bw", "B.bw", "b_2.bw"]


def test_intervals_are_covered_from_their_begin_and_those_that_touch_are_one(folder):
    bed = write_bed(folder / "i.bed", "chrIII 490 500", "chrI 55 100", "chrI 90 130", "chrI 130 135")
    paths = predict_genome(settings(folder, intervals=bed, tracks=["b", "A|x"]), QUIET)
    assert [path.name for path in paths] == ["b_2.bw", "A_x.bw"]
    rows = [*(("chrI", start) for start in (55, 75, 95, 115)), ("chrIII", 490)]
    expected = by_hand(folder, rows)
    for column, path in zip((2, 0), paths, strict=True):
        assert [run[:3] for run in runs_of(path)] == [
            *(("chrI", start, start + 20) for start in (55, 75, 95, 115)),
            ("chrIII", 490, 500),
        ]
        np.testing.assert_allclose([run[3] for run in runs_of(path)], expected[:, column], atol=1e-6)


def test_one_track_goes_to_one_file(folder):
    assert predict_genome(settings(folder, "new/b.bw", tracks=["B"]), QUIET) == [folder / "new/b.bw"]
    values = by_hand(folder, [("chrI", 0)])[0]
    assert runs_of(folder / "new/b.bw")[0][3] == pytest.approx(values[1], abs=1e-6)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("block", [60, 2**20])
def test_a_table_has_a_row_for_each_interval_in_their_order(folder, monkeypatch, ending, block):
    monkeypatch.setattr(module, "BLOCK_BASES", block)
    bed = write_bed(
        folder / "i.bed", "chrII 590 600 end -", "chrI 0 1010 whole", "chrI 0 1 first", "chrI 0 1 first"
    )
    predict_genome(settings(folder, f"o.{ending}", intervals=bed, tracks=["B"]), QUIET)
    path = folder / f"o.{ending}"
    separator = "\t" if ending == "tsv" else ","
    frame = pl.read_parquet(path) if ending == "parquet" else pl.read_csv(path, separator=separator)
    assert frame.columns == ["chromosome", "start", "end", "name", "probability_B"]
    assert frame["name"].to_list() == ["end", "whole", "first", "first"]
    centres = [("chrII", 595), ("chrI", 505), ("chrI", 0), ("chrI", 0)]
    expected = by_hand(folder, centres, step_bp=0)[:, 1]
    np.testing.assert_allclose(frame["probability_B"].to_numpy(), expected, atol=1e-5)


def test_the_test_bins_of_a_run_get_the_scores_that_it_wrote(tmp_path):
    build_motifs(tmp_path)
    run = run_settings(tmp_path, baseline=False)
    made = finetune_tracks(run, QUIET)
    data = TrackData.open(run.tracks)
    places = data.intervals().filter(pl.col("split") == "test")
    bed = write_bed(tmp_path / "test.bed", *(f"{c} {s} {e}" for c, s, e, _ in places.iter_rows()))
    model = {"model": run.output, "intervals": bed}
    predict_genome(settings(tmp_path, "o.parquet", **model), QUIET)
    predictions = pl.read_parquet(tmp_path / "o.parquet")[:, 4:].to_numpy()
    labels = data.part("test").labels
    aurocs = [roc_auc_score(labels[:, i], predictions[:, i]) for i in range(3)]
    assert made.test.by_metric["auroc"].tolist() == pytest.approx(aurocs)
    # The bins of the data set are those of the genome: chrIII is test, all of it.
    predict_genome(settings(tmp_path, model=run.output), QUIET)
    for column, name in enumerate(data.facts.names):
        on_chr3 = [run[3] for run in runs_of(tmp_path / f"tracks/{name}.bw") if run[0] == "chrIII"]
        np.testing.assert_allclose(on_chr3, predictions[:, column], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "3 tracks (probability of a peak)"),
        ({"kind": "signal"}, "3 tracks (signal)"),
        ({"kind": "signal", "log1p": True}, "3 tracks (log(1 + signal))"),
    ],
)
def test_what_was_written_is_told(folder, changes, words):
    write_model(folder / "model", **changes)
    text = io.StringIO()
    predict_genome(settings(folder), Console(file=text, width=200))
    assert text.getvalue() == f"toy.fa: 2,110 bp, {words} -> {folder / 'tracks'}\n"


def test_signals_may_be_below_zero_or_zero(folder):
    write_model(folder / "model", kind="signal")
    runs = runs_of(predict_genome(settings(folder), QUIET)[0])
    bins = [(name, start) for name, size in SIZES.items() for start in range(0, size, 20)]
    assert len(runs) == sum(is_known(folder, *one) for one in bins) == len(bins) - 10
    assert min(run[3] for run in runs) < 0


def test_hundreds_of_tracks_need_no_hundreds_of_files(folder, monkeypatch):
    opened = []
    real = module.bigwig_files

    def counting(paths, sizes):
        opened.append(len(paths))
        return real(paths, sizes)

    monkeypatch.setattr(module, "bigwig_files", counting)
    predict_genome(settings(folder), QUIET)
    assert opened == [1, 1, 1]


def test_a_stop_leaves_no_file_half_written(folder, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "predict", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_genome(settings(folder), QUIET)
    assert list((folder / "tracks").iterdir()) == []


def test_names_of_files_are_plain_and_differ():
    names = ["K562|CTCF|None", "K562 CTCF None", "a/b", "A_B", "a_b_2", "..", "é", "x-1.5"]
    assert file_names(names) == [
        *("K562_CTCF_None", "K562_CTCF_None_2", "a_b", "A_B_2", "a_b_2_2", "track", "_", "x-1.5"),
    ]


def test_regions_are_in_the_order_of_the_genome(folder):
    genome = Genome.open(folder / "toy.fa")
    rows = [("chrII", 5, 9), ("chrI", 8, 12), ("chrI", 0, 4), ("chrI", 2, 3), ("chrI", 4, 6)]
    regions = merged([Interval(*row) for row in rows], genome)
    assert [(one.chromosome, one.start, one.end) for one in regions] == [
        *(("chrI", 0, 6), ("chrI", 8, 12), ("chrII", 5, 9)),
    ]


@pytest.mark.parametrize("most", [1, 2, 100])
def test_bins_are_side_by_side_and_the_last_is_cut(most):
    blocks = list(bins_of([Interval("a", 3, 14), Interval("b", 0, 8)], 4, most))
    rows = [(one.chromosome, *pair) for one in blocks for pair in zip(one.starts, one.ends, strict=True)]
    assert rows == [("a", 3, 7), ("a", 7, 11), ("a", 11, 14), ("b", 0, 4), ("b", 4, 8)]
    assert max(len(one.starts) for one in blocks) <= most


@pytest.mark.parametrize("name", ["tracks", "table.csv"])
def test_a_run_that_was_stopped_goes_on(folder, monkeypatch, name):
    monkeypatch.setattr(module, "BLOCK_BASES", 400)  # of eight windows
    bed = write_bed(folder / "i.bed", *(f"chrI {start} {start + 20}" for start in range(0, 400, 20)))

    def run(output):
        made = settings(folder, f"{output}/{name}", intervals=bed if name == "table.csv" else None)
        screen = io.StringIO()
        predict_genome(made, Console(file=screen, width=200))
        return screen.getvalue()

    with counted(monkeypatch) as made:
        assert "goes on" not in run("whole")
    with stopped_after(2, monkeypatch):
        run("again")
    with counted(monkeypatch) as rest:
        assert "goes on where it was stopped" in run("again")
    assert len(made) > 2
    assert rest == made[2:]
    files = [
        sorted(path for path in (folder / one).rglob("*") if path.is_file()) for one in ("whole", "again")
    ]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_waiting_predictions_take_no_memory_for_each_bin(folder):
    regions, waiting = [Interval("chrI", 0, 10**6)], Partial(folder / "waiting", folder / "model")
    tracemalloc.start()
    for bins in bins_of(regions, 1, 1000):
        waiting.add(np.stack([bins.starts, -bins.starts]))
    del bins
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 20_000  # bytes, of 10^6 bins in 1,000 blocks
    for number, sign in enumerate((1, -1)):
        blocks = list(of_track(waiting, bins_of(regions, 1, 1000), number))
        assert len(blocks) == 1000
        starts = np.concatenate([bins.starts for bins, _ in blocks])
        assert np.array_equal(starts, np.arange(10**6))
        assert np.array_equal(np.concatenate([values for _, values in blocks]), sign * starts)


def run_command(folder, *flags):
    arguments = [
        "--model",
        folder / "model",
        "--genome",
        folder / "toy.fa",
        "--output",
        folder / "tracks",
        *flags,
    ]
    return main(["predict", *map(str, arguments)])


def test_the_command_line(folder):
    assert run_command(folder, "--tracks", "A|x,b", "--step_bp", "30") == 0
    assert sorted(path.name for path in (folder / "tracks").iterdir()) == ["A_x.bw", "b_2.bw"]


def gene_finder(folder):
    write_json(folder / "model" / TASK_NAME, SavedGeneFinder("bend", True, "mcc", True).to_dict())


def pretrained(folder):
    (folder / "model" / TASK_NAME).unlink()
    ConvNovaForMaskedLM(ConvNovaConfig(**NETWORK)).save_pretrained(folder / "model")


ERRORS = {
    "other labels": (gene_finder, [], r"the model has 3 outputs and task\.json 9"),
    "unknown task": (
        lambda folder: write_json(folder / "model" / TASK_NAME, {"task": "magic"}),
        [],
        "made for magic, and to .* it takes one for sequences; give a folder that",
    ),
    "bins of a pretrained one": (
        pretrained,
        ["--window_bp", "9"],
        "window_bp is for bins, and the",
    ),
    "bedgraph": (None, ["--format", "bedgraph"], "format is of models with an output for each base"),
    "zarr": (
        None,
        ["--output", "{folder}/o.zarr"],
        r"o\.zarr: Zarr is of models with an output",
    ),
    "no model": (None, ["--model", "{folder}/no"], "no: there is no such folder"),
    "damaged record": (
        lambda folder: write_json(folder / "model" / TASK_NAME, {"task": "tracks", "bins": 3}),
        [],
        r"task\.json cannot be read as that of many tracks; fine-tune again",
    ),
    "other outputs": (
        lambda folder: write_json(
            folder / "model" / TASK_NAME,
            SavedTracks("peaks", ["A"], [""], 20, 50, False, "auroc", True).to_dict(),
        ),
        [],
        r"the model has 3 outputs and task\.json 1; they are not of one run",
    ),
    "unknown track": (None, ["--tracks", "A|y"], r"there is no track 'A\|y'; did you mean 'A\|x'\?"),
    "strange track": (None, ["--tracks", "zzzz"], r"there is no track 'zzzz'; the model has A\|x, B, b"),
    "track twice": (None, ["--tracks", "B,B"], "track 'B' is named twice"),
    "no genome": (None, ["--genome", "{folder}/no.fa"], r"no\.fa: no such file"),
    "no intervals": (None, ["--intervals", "{folder}/no.bed"], r"no\.bed: no such file"),
    "outside": (
        lambda folder: write_bed(folder / "i.bed", "chrI 0 10", "chrI 1000 1011"),
        ["--intervals", "{folder}/i.bed"],
        r"i\.bed, line 2: end 1011 is past the end of chrI \(1010 bp\)",
    ),
    "below a file": (
        None,
        ["--output", "{folder}/toy.fa/tracks"],
        r"toy\.fa/tracks: cannot be used for output \(Not a directory\); choose another place",
    ),
    "a file": (
        lambda folder: (folder / "tracks").write_text(""),
        [],
        r"tracks: cannot be used for output \(File exists\); choose another place",
    ),
    "table of a genome": (
        None,
        ["--output", "{folder}/o.csv"],
        "a table has a row for each interval, so give",
    ),
    "step of a table": (
        None,
        ["--output", "{folder}/o.csv", "--intervals", "x.bed", "--step_bp", "5"],
        "step_bp is for bigWig files",
    ),
    "many in one": (None, ["--output", "{folder}/o.bw"], "one bigWig file holds one track, so name it by"),
    "step": (None, ["--step_bp", "0"], "step_bp must be at least 1, got 0"),
}


@pytest.mark.parametrize(("prepare", "flags", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_is_wrong_is_one_line(folder, capsys, prepare, flags, message):
    if prepare is not None:
        prepare(folder)
    try:
        status = run_command(folder, *(flag.format(folder=folder) for flag in flags))
    except SystemExit as stopped:  # settings that do not go together end in the parser
        status = stopped.code
    error = capsys.readouterr().err
    assert (status, error.count("\n")) == (2, 1)
    assert re.search(message, error)


def test_a_model_of_tracks_is_sent_from_other_commands_to_this_one(folder):
    from convnova.inference.saved_genes import load_gene_finder
    from convnova.inference.saved_task import load_task_model

    for load in (load_gene_finder, load_task_model):
        with pytest.raises(InputError, match=r"was made for tracks, .* use convnova predict for it, or give"):
            load(folder / "model")


def test_a_missing_library_is_told_before_anything_is_predicted(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pybigtools", None)
    with pytest.raises(InputError, match=r"pybigtools is needed for bigWig; install it with: pip install"):
        predict_genome(settings(folder), QUIET)
