"""`convnova annotate`: the genes of a toy genome, and tracks of their probabilities."""

import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny_task import letters
from toy_genes import TINY_NETWORK, coding, make_genome, settings, training, write_all, write_fasta

from convnova import cli
from convnova.data.base_labels import LABEL_SETS
from convnova.data.label_scheme import LabelScheme
from convnova.errors import InputError
from convnova.genome import read_gff3
from convnova.genome.bigwig import BigWigFile
from convnova.inference.annotate import annotate, decoder_input
from convnova.inference.annotate_settings import AnnotateSettings
from convnova.inference.classify import classify
from convnova.inference.genes import Decoder, DecoderSettings
from convnova.inference.saved_genes import SavedGeneFinder, load_gene_finder
from convnova.inference.saved_task import SavedTask
from convnova.inference.settings import ClassifySettings
from convnova.inference.tiles import predict_bases
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import (
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)
from convnova.sequence import encode
from convnova.training.gene_finding import finetune_genes

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
QUIET = Console(quiet=True)
LETTERS, GENES = make_genome()
LABELS = LABEL_SETS["bend"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with a genome and, in `run`, a model that has learned it."""
    folder = tmp_path_factory.mktemp("toy")
    write_all(folder)
    finetune_genes(settings(folder, folder / "run", test_chromosomes=[], training=training()), QUIET)
    return folder


@pytest.fixture(scope="module")
def expected(toy):
    """Probabilities of each chromosome, in one pass."""
    model = load_gene_finder(toy / "run").model
    made = {}
    for name, text in LETTERS.items():
        ids = encode(text)
        (tile,) = predict_bases(model, lambda a, b, ids=ids: ids[a:b], len(ids), np.array(LABELS.opposite))
        made[name] = tile.probabilities
    return made


def annotated(toy, folder, console=QUIET, **changes):
    values = {"genome": toy / "g.fa", "model": toy / "run", "output": folder / "genes.gff3"}
    return annotate(AnnotateSettings(**values | changes), console)


def plain(genes):
    return [(g.chromosome, g.strand, tuple((e.start, e.end) for e in g.coding_exons)) for g in genes]


def test_the_genes_of_the_toy_genome_are_found_and_read_back(toy, expected, tmp_path):
    screen = io.StringIO()
    proteins = tmp_path / "other/proteins.faa"
    genes = annotated(toy, tmp_path / "new", Console(file=screen, width=200), proteins=proteins)
    records = proteins.read_text().split(">")[1:]
    assert len(records) == len(genes)
    assert all(record.split()[1].startswith("M") and "*" not in record for record in records)
    right = set(plain(genes)) & {tuple(gene) for gene in GENES}
    assert len(right) > 0.8 * len(GENES)
    assert coding(read_gff3(tmp_path / "new/genes.gff3")) == plain(genes)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["genes.gff3"]
    exons = sum(len(gene.coding_exons) for gene in genes)
    assert (
        f"g.fa: {len(genes)} genes with {exons} exons -> {tmp_path / 'new/genes.gff3'}" in screen.getvalue()
    )
    by_hand = []
    for name, text in LETTERS.items():
        decoder = Decoder(name)
        decoder.feed(decoder_input(expected[name], LABELS.labels), encode(text))
        by_hand += decoder.finish()
    assert plain(genes) == plain(by_hand)


@pytest.mark.parametrize("tile_bp", [64, 500, 1699])
def test_the_tile_size_changes_nothing(toy, tmp_path, tile_bp):
    changes = {"chromosomes": ["chr1"]}
    whole = annotated(toy, tmp_path, **changes)
    tiled = annotated(toy, tmp_path / "tiled", tile_bp=tile_bp, **changes)
    assert plain(whole) == plain(tiled)
    assert [gene.score for gene in tiled] == pytest.approx([gene.score for gene in whole], abs=0.01)


def read_track(path):
    import pybigtools

    with pybigtools.open(str(path)) as file:
        sizes = file.chroms()
        values = {name: np.nan_to_num(np.asarray(file.values(name, 0, size))) for name, size in sizes.items()}
    return {name: values.get(name, np.zeros(len(text))) for name, text in LETTERS.items()}


@pytest.mark.parametrize(("step", "tile_bp"), [(0.01, 2**15), (0.25, 333)])
def test_tracks_are_the_probabilities_rounded(toy, expected, tmp_path, step, tile_bp):
    pytest.importorskip("pybigtools")
    tracks = tmp_path / "some/tracks"
    genes = annotated(toy, tmp_path, tracks=tracks, track_step=step, tile_bp=tile_bp)
    assert plain(genes) == plain(annotated(toy, tmp_path))
    names = [label.replace("+", "_plus").replace("-", "_minus") for label in LABELS.labels]
    assert sorted(path.name for path in tracks.iterdir()) == sorted(f"{name}.bw" for name in names)
    assert "exon_plus" in names
    for column, name in enumerate(names):
        for chromosome, values in read_track(tracks / f"{name}.bw").items():
            truth = expected[chromosome][:, column]
            np.testing.assert_allclose(values, truth, atol=step / 2 + 1e-5)
            np.testing.assert_allclose(values / step, np.round(values / step), atol=1e-4)


def test_some_chromosomes_are_annotated_alone(toy, tmp_path):
    every = annotated(toy, tmp_path)
    some = annotated(toy, tmp_path, chromosomes=["chr3", "chr10", "chr3"])
    assert sorted(plain(some)) == sorted(gene for gene in plain(every) if gene[0] in ("chr3", "chr10"))
    text = (tmp_path / "genes.gff3").read_text()
    assert text.splitlines()[1].startswith("##sequence-region chr3 ")
    assert "chr2" not in text


def test_one_strand_or_both(toy, tmp_path, monkeypatch):
    seen = []

    def predict(model, fetch, length, opposite, tile_bp):
        seen.append(opposite)
        return predict_bases(model, fetch, length, opposite, tile_bp)

    monkeypatch.setattr("convnova.inference.annotate.predict_bases", predict)
    for both in (None, True, False):
        annotated(toy, tmp_path, chromosomes=["chr1"], both_strands=both)
    assert [opposite is not None for opposite in seen] == [True, True, False]


def test_decoder_settings_reach_the_decoder(toy, tmp_path):
    assert annotated(toy, tmp_path, decoder=DecoderSettings(min_coding_bp=10_000)) == []
    assert (tmp_path / "genes.gff3").read_text().count("\n") == 1 + len(LETTERS)


def test_known_genes_are_compared_with(toy, tmp_path):
    screen = io.StringIO()
    given = {"annotation": toy / "g.gff3", "chromosomes": ["chr1"]}
    annotated(toy, tmp_path, Console(file=screen, width=100), **given)
    assert f"against {toy / 'g.gff3'}" in " ".join(screen.getvalue().split())
    annotated_genes = sum(gene.chromosome == "chr1" for gene in GENES)
    (row,) = (line.split() for line in screen.getvalue().splitlines() if line.strip().startswith("gene "))
    assert row[1] == str(annotated_genes)


# Models


def save(folder, saved, labels=9):
    torch.manual_seed(0)
    ConvNovaForTokenClassification(ConvNovaConfig(**TINY_NETWORK, num_labels=labels)).save_pretrained(folder)
    (folder / "task.json").write_text(json.dumps(saved.to_dict()))
    return folder


SAVED = SavedGeneFinder("bend", True, "mcc", True)


def test_a_model_with_untranslated_exons_is_refused(toy, tmp_path):
    folder = save(tmp_path / "model", replace(SAVED, has_coding_exons=False))
    message = "its exons hold untranslated regions, so genes have no reading frame to decode; fine-tune with"
    with pytest.raises(InputError, match=message):
        annotated(toy, tmp_path, model=folder)
    assert not (tmp_path / "genes.gff3").exists()


@pytest.mark.parametrize(
    ("given", "costs"),
    [(DecoderSettings(), (-5.0, -4.0, 0.1)), (DecoderSettings(intron_score=1), (-5.0, 1, 0.1))],
)
def test_costs_are_those_of_the_model_where_none_are_given(toy, tmp_path, monkeypatch, given, costs):
    made = []
    monkeypatch.setattr(
        "convnova.inference.annotate.Decoder", lambda name, settings: made.append(settings) or Decoder(name)
    )
    folder = save(tmp_path / "model", replace(SAVED, gene_score=-5.0, intron_score=-4.0, content_weight=0.1))
    annotated(toy, tmp_path, model=folder, decoder=given, chromosomes=["chr1"])
    assert tuple(made[0].costs) == costs


@pytest.mark.parametrize("name", LABEL_SETS)
def test_each_label_set_is_decoded(toy, tmp_path, name):
    folder = save(tmp_path / "model", replace(SAVED, label_set=name), len(LABEL_SETS[name].labels))
    annotated(toy, tmp_path, model=folder, chromosomes=["chr1"])
    assert (tmp_path / "genes.gff3").exists()


def sequence_model(folder):
    scheme = LabelScheme("single-label", ("a", "b"))
    config = ConvNovaConfig(**TINY_NETWORK, num_labels=2, problem_type=scheme.problem_type)
    ConvNovaForSequenceClassification(config).save_pretrained(folder)
    (folder / "task.json").write_text(json.dumps(SavedTask(scheme, "mcc", True).to_dict()))
    return folder


def test_a_model_of_sequences_is_refused(toy, tmp_path):
    folder = sequence_model(tmp_path / "model")
    message = (
        "its model was made for sequences, and to annotate it takes one for gene-finding; "
        "use convnova classify for it, or give a folder that `convnova finetune --task gene-finding` wrote"
    )
    with pytest.raises(InputError, match=message):
        annotated(toy, tmp_path, model=folder)


def test_a_gene_finder_does_not_classify_sequences(toy, tmp_path):
    (tmp_path / "new.txt").write_text("\n".join(letters(3, 0)))
    message = (
        "its model was made for gene-finding, and to evaluate or classify it takes one for sequences; "
        "use convnova annotate for it, or give a folder that `convnova finetune --task sequences` wrote"
    )
    with pytest.raises(InputError, match=message):
        classify(ClassifySettings(toy / "run", str(tmp_path / "new.txt"), tmp_path / "new.csv"), QUIET)
    assert not (tmp_path / "new.csv").exists()


BAD_FOLDERS = {
    "unknown labels": (
        json.dumps(SAVED.to_dict() | {"label_set": "ancient"}),
        "task.json cannot be read as a gene finder's; fine-tune again",
    ),
    "a key is missing": ('{"task": "gene-finding"}', "task.json cannot be read as a gene finder's"),
    "a key too many": (json.dumps(SAVED.to_dict() | {"x": 1}), "task.json cannot be read as a gene finder's"),
    "no JSON": ("{", "cannot be read as the record of a task; fine-tune again"),
    "a list": ("[]", "cannot be read as the record of a task; fine-tune again"),
    "other labels": (
        json.dumps(SAVED.to_dict() | {"label_set": "frame"}),
        "the model has 9 outputs and task.json 17; they are not of one run",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_folders_that_are_broken_are_refused(tmp_path, text, message):
    folder = save(tmp_path / "model", SAVED)
    (folder / "task.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_gene_finder(folder)
    assert "\n" not in str(caught.value)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        load_gene_finder(tmp_path / "no")
    ConvNovaForMaskedLM(ConvNovaConfig(**TINY_NETWORK)).save_pretrained(tmp_path / "lm")
    with pytest.raises(InputError, match=r"its model is a ConvNovaForMaskedLM, and no task\.json"):
        load_gene_finder(tmp_path / "lm")
    folder = save(tmp_path / "model", SAVED)
    ConvNovaForMaskedLM(ConvNovaConfig(**TINY_NETWORK)).save_pretrained(folder)
    with pytest.raises(InputError, match=r"config\.json and the weights are not of one model"):
        load_gene_finder(folder)


# What cannot be read or written


def test_an_unknown_chromosome_is_told_before_anything_is_predicted(toy, tmp_path):
    with pytest.raises(InputError, match=r"chromosome 'chrQ' is not in g\.fa, which has chr2, chr10, chr1"):
        annotated(toy, tmp_path, chromosomes=["chr1", "chrQ"], tracks=tmp_path / "tracks")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["output", "proteins"])
def test_an_input_is_never_written_over(toy, tmp_path, setting):
    before = (toy / "g.fa").read_bytes()
    for path in (toy / "g.fa", toy / "g.gff3"):
        with pytest.raises(InputError, match=r"is named twice, to read and write or to write; name another"):
            annotated(toy, tmp_path, annotation=toy / "g.gff3", **{setting: path})
    assert (toy / "g.fa").read_bytes() == before


def test_an_output_that_cannot_be_written_is_told_before_anything_is_predicted(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("convnova.inference.annotate.predict_bases", None)
    (tmp_path / "genes.gff3").mkdir()
    with pytest.raises(InputError, match=r"genes\.gff3: is a folder; give the name of a file"):
        annotated(toy, tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"new: cannot be used for output \(no permission to write\)"):
        annotated(toy, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["genes.gff3", "new"]


def test_a_folder_that_cannot_be_made_is_one_line(toy, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for flags in (["--output", str(tmp_path / "file/genes.gff3")], []):
        flags = flags or ["--output", str(tmp_path / "genes.gff3"), "--tracks", str(tmp_path / "file")]
        assert cli.main(["annotate", "--genome", str(toy / "g.fa"), "--model", str(toy / "run"), *flags]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith(f"convnova: {tmp_path / 'file'}")
        assert errors.endswith("; choose another place\n")
        assert errors.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_an_error_on_the_way_leaves_nothing_half_written(toy, tmp_path, monkeypatch, error):
    pytest.importorskip("pybigtools")
    add, calls = BigWigFile.add, []

    def fail(file, *given):
        calls.append(given)
        if len(calls) == 12:
            raise error("")
        add(file, *given)

    monkeypatch.setattr(BigWigFile, "add", fail)
    (tmp_path / "genes.gff3").write_text("what was there")
    with pytest.raises(error):
        annotated(toy, tmp_path, tracks=tmp_path / "tracks", tile_bp=500)
    assert (tmp_path / "genes.gff3").read_text() == "what was there"
    assert list((tmp_path / "tracks").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["genes.gff3", "tracks"]


def test_a_genome_that_is_not_there_is_one_line(toy, tmp_path):
    with pytest.raises(InputError, match=r"no\.fa: no such file; give the path of a FASTA file"):
        annotated(toy, tmp_path, genome=tmp_path / "no.fa")
    assert not (tmp_path / "genes.gff3").exists()


def test_the_cache_is_where_it_is_wanted(toy, tmp_path):
    write_fasta(tmp_path / "g.fa", {"chr1": LETTERS["chr1"]})
    annotated(toy, tmp_path, genome=tmp_path / "g.fa", cache=tmp_path / "cache")
    assert (tmp_path / "cache").is_dir()
    assert not any("convnova" in path.name for path in tmp_path.iterdir())
