"""`convnova finetune --task gene-finding` on a toy genome: what it learns, its folder, and how it goes on."""

import importlib.util
import io
import json
import math
import re
import shutil
from dataclasses import replace

import polars as pl
import pytest
import torch
from interrupting import ctrl_c, interrupted, sigterm
from pretraining import metrics, weights
from rich.console import Console
from safetensors.torch import load_file
from toy_genes import (
    TINY_NETWORK,
    make_genome,
    settings,
    training,
    write_all,
    write_fasta,
    write_genbank,
    write_gff3,
)

from convnova import cli
from convnova.data.base_labels import GeneLabelSettings
from convnova.data.gene_task import load_gene_task
from convnova.errors import InputError, TerminatedError
from convnova.genome import Genome, read_gff3
from convnova.inference.annotate import annotate
from convnova.inference.annotate_settings import AnnotateSettings
from convnova.inference.genes import Decoder
from convnova.inference.saved_genes import COSTS, load_gene_finder
from convnova.inference.score_bases import score_bases
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM, ConvNovaForTokenClassification
from convnova.model.presets import growing_dilations
from convnova.training import memory
from convnova.training.choice import Choice
from convnova.training.gene_finding import finetune_genes, starting_point
from convnova.training.gene_settings import GeneNetworkSettings
from convnova.training.gene_test import COUNTING, NETWORK
from convnova.training.gene_trainer import GeneTrainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
QUIET = Console(quiet=True)
SHORT = training(epochs=1, evaluations=1)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    output, screen = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    result = finetune_genes(settings(toy, output), Console(file=screen, width=100))
    return output, result, screen.getvalue()


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures take a third of a run, and are drawn in that of `finished`."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else find(name, *more)
    )


def run(toy, output, **changes):
    return finetune_genes(settings(toy, output, **changes), QUIET)


def strict_json(path):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


# What is learned


def test_the_genes_of_a_toy_genome_are_learned(finished):
    _, result, _ = finished
    assert result.test.bases.scores["mcc"] > 0.8
    network = result.test.decoded[NETWORK]
    assert network.mcc > 0.9
    assert network.agreement.nucleotide.sensitivity > 0.9
    assert network.agreement.nucleotide.specificity > 0.9
    assert network.agreement.gene.found >= 6
    assert network.agreement.gene.annotated == 8


def test_the_model_that_is_kept_is_the_best_one_and_scores_the_same_when_it_is_loaded(toy, finished):
    output, result, _ = finished
    assert [one.scores["mcc"] for one in result.evaluations] != []
    assert result.best.scores["mcc"] == max(one.scores["mcc"] for one in result.evaluations)
    finder = load_gene_finder(output)
    task = load_gene_task(settings(toy, output), GeneLabelSettings())
    for split, expected in (("validation", result.best.scores), ("test", result.test.bases.scores)):
        scores = score_bases(
            finder.model, task.parts[split], task.label_set, finder.saved.average_strands
        ).scores
        assert scores == pytest.approx(expected, abs=1e-6)


# The folder


FIGURES = {"learning_curve.png", "test_confusion.png"}


def test_figures_are_drawn(finished):
    pytest.importorskip("matplotlib")
    for name in FIGURES:
        assert (finished[0] / name).read_bytes().startswith(b"\x89PNG")


def test_run_folder(finished):
    output, result, _ = finished
    names = {path.name for path in output.iterdir()}
    assert names - FIGURES == {
        *("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"),
        *(
            "configuration_convnova.py",
            "layers_convnova.py",
            "modeling_convnova.py",
            "tokenization_convnova.py",
        ),
        *("run.json", "metrics.csv", "scores.json", "task.json", ".lock"),
        *("test_labels.csv", "test_genes.gff3"),
    }
    assert strict_json(output / "task.json") == {
        "task": "gene-finding",
        "label_set": "bend",
        "has_coding_exons": True,
        "metric": "mcc",
        "average_strands": True,
        "seen": strict_json(output / "task.json")["seen"],
        "gene_score": result.test.decoded[NETWORK].settings.gene_score,
        "intron_score": result.test.decoded[NETWORK].settings.intron_score,
        "content_weight": result.test.decoded[NETWORK].settings.content_weight,
    }
    config = ConvNovaConfig.from_pretrained(output)
    assert config.id2label[0] == "exon+"
    assert config.label2id["intergenic"] == 8


def test_scores_are_json_that_others_can_read(finished):
    output, result, _ = finished
    scores = strict_json(output / "scores.json")
    assert scores["metric"] == "mcc"
    assert scores["validation"] == result.best._asdict()
    assert scores["evaluations"] == [one._asdict() for one in result.evaluations]
    bases = result.test.bases.scores  # in BEND's nine labels, so that the MCC of all labels is that of nine
    assert scores["test"]["scores"] == bases | {"bend_mcc": pytest.approx(bases["mcc"])}
    assert scores["test"]["bases"] == sum(map(sum, scores["test"]["confusion"])) == 1700
    assert set(scores["test"]["decoded"]) == {NETWORK, COUNTING}
    for source, decoded in scores["test"]["decoded"].items():
        assert decoded["mcc"] == result.test.decoded[source].mcc
        for level in ("nucleotide", "exon", "intron", "gene"):
            one = decoded[level]
            assert one["sensitivity"] == one["found"] / one["annotated"]
            assert one["specificity"] == (one["right"] / one["predicted"] if one["predicted"] else None)


def test_the_table_of_labels(finished):
    output, result, _ = finished
    table = pl.read_csv(output / "test_labels.csv")
    assert table.columns == ["label", "precision", "recall", "f1", "bases"]
    assert table["label"].to_list() == [one.name for one in result.test.bases.by_label]
    assert table["bases"].sum() == 1700


def test_the_genes_of_the_test_part_are_read_back(finished):
    output, result, _ = finished
    read = read_gff3(output / "test_genes.gff3")
    found = [gene.transcripts[0].coding_exons for gene in read]
    assert found == [gene.coding_exons for gene in result.test.decoded[NETWORK].genes]
    assert {gene.interval.chromosome for gene in read} == {"chr1"}


def test_the_record_says_what_was_settled(finished):
    record = strict_json(finished[0] / "run.json")
    assert record["resolved"] == {"precision": "fp32", "context_bp": 18}
    assert record["settings"]["windows"]["context_bp"] is None
    assert record["model"]["receptive_field"] == 37
    assert record["model"]["weights"] is None
    assert record["data"]["annotation_checksum"].startswith("sha256:")
    assert record["data"]["test_annotation_checksum"] is None
    assert record["data"]["test"] == ["chr1:1-1700"]
    assert sum(record["data"]["bases"].values()) == 3194
    assert len(record["data"]["notes"]) == 5


def test_metrics_hold_each_look(finished):
    rows = metrics(finished[0])
    assert [int(row["step"]) for row in rows if row["loss"]] == [5, 10, 15, 20, 25, 30, 35, 37]
    looks = [row for row in rows if row["eval_mcc"]]
    assert [int(row["step"]) for row in looks] == [19, 37]
    assert [float(row["eval_mcc"]) for row in looks] == [one.scores["mcc"] for one in finished[1].evaluations]
    assert all(row["eval_loss"] and row["eval_f1"] and row["eval_accuracy"] for row in looks)


def test_the_screen_tells_what_was_found_and_what_to_do_next(finished):
    output, _, screen = finished
    flat = " ".join(screen.split())
    assert "train: 2 regions, 3,194 bp, 15 genes" in flat
    assert "validation: 1 region (" in flat
    assert "labels (bend) in train: exon+ 18.88%" in flat
    assert (
        "receptive field 37 bp; an epoch is 50 windows of 64 bp with 18 bp of context on either side" in flat
    )
    assert "test (read once), 1,700 bases: MCC 0." in flat
    assert "sensitivity: share of the annotated that was found" in flat
    assert f"convnova annotate --model {output} --genome genome.fa --output genes.gff3" in flat


def test_what_is_not_defined_is_null_in_json_and_not_nan(toy, tmp_path, monkeypatch):
    """No training loss before the first line of the log, no specificity where nothing is predicted."""
    monkeypatch.setattr(Decoder, "finish", lambda self: [])
    result = run(toy, tmp_path / "run", training=training(epochs=1, evaluations=3, log_steps=1000))
    assert math.isnan(result.best.training_loss + result.test.decoded[NETWORK].agreement.gene.specificity)
    scores = strict_json(tmp_path / "run/scores.json")
    assert [look["training_loss"] is None for look in scores["evaluations"]] == [True, True, False]
    gene = scores["test"]["decoded"][NETWORK]["gene"]
    assert (gene["predicted"], gene["specificity"]) == (0, None)


def test_without_a_test_part_nothing_is_tested(toy, tmp_path):
    result = run(toy, tmp_path / "run", test_chromosomes=[], training=SHORT)
    assert result.test is None
    costs = vars(load_gene_finder(tmp_path / "run").saved)
    assert None not in [costs[name] for name in COSTS]  # chosen on validation all the same
    assert "test" not in strict_json(tmp_path / "run/scores.json")
    assert not any(path.name.startswith("test_") for path in (tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("labels", "has_genes"),
    [
        (GeneLabelSettings(exons="annotated"), False),
        (GeneLabelSettings("frame"), True),
    ],
    ids=["annotated exons", "frame"],
)
def test_other_labels_are_learned_and_decoded_where_it_says_what_codes(toy, tmp_path, labels, has_genes):
    result = run(toy, tmp_path / "run", labels=labels, training=SHORT)
    assert bool(result.test.decoded) is has_genes
    assert (tmp_path / "run/test_genes.gff3").exists() is has_genes
    assert strict_json(tmp_path / "run/task.json")["has_coding_exons"] is has_genes
    assert load_gene_finder(tmp_path / "run").model.config.num_labels == len(result.test.bases.by_label)


def test_a_sample_of_validation_without_genes_is_told(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("convnova.training.gene_test.MOST_TUNING_BP", 500)
    screen, short = io.StringIO(), replace(SHORT, evaluation_bp=500)
    *rest, last = (gene for gene in write_all(toy) if gene.chromosome == "chr10")
    few = write_gff3(tmp_path / "few.gff3", [gene for gene in write_all(toy) if gene not in rest])
    assert last.exons[0][0] > 1400
    given = settings(toy, tmp_path / "run", annotation=few, training=short, test_chromosomes=[])
    finetune_genes(given, Console(file=screen, width=200))
    assert "no gene lies in the 411 bp of validation that are scored" in screen.getvalue()
    assert "no gene lies whole in the 1,000,000 bp of validation that costs are" in screen.getvalue()
    saved = vars(load_gene_finder(tmp_path / "run").saved)
    assert [saved[name] for name in COSTS] == [None] * 3


def test_genbank_records_from_end_to_end(tmp_path):
    pytest.importorskip("Bio")
    path = write_genbank(tmp_path / "train.gb", 10)
    given = {"genome": None, "annotation": path, "validation_chromosomes": [], "test_chromosomes": []}
    result = run(tmp_path, tmp_path / "run", **given, training=training(epochs=2))
    assert result.test is not None
    assert strict_json(tmp_path / "run/run.json")["data"]["genome_checksum"] is None


def test_windows_that_do_not_fit_into_memory_are_refused(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "STEP_BYTES", 10**9)
    with pytest.raises(InputError, match=r"a batch of 8 sequences of 100 bp needs 19,200 GB .* window_bp$"):
        run(toy, tmp_path / "run", training=SHORT)


def test_patience_ends_training(toy, tmp_path):
    optimizer = replace(SHORT.optimizer, learning_rate=1e-9)
    given = training(epochs=1, evaluations=6, patience=2, optimizer=optimizer, weight_averaging=0.0)
    result = run(toy, tmp_path / "run", training=given, test_chromosomes=[])
    assert len(result.evaluations) == 3


@pytest.mark.parametrize(
    "changes", [{"workers": 1}, {"gradient_checkpointing": True}], ids=["worker", "checkpointing"]
)
def test_the_same_weights_in_another_way(toy, finished, tmp_path, changes):
    run(toy, tmp_path / "run", training=training(**changes))
    ours, theirs = (load_gene_finder(folder).model.state_dict() for folder in (tmp_path / "run", finished[0]))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 2e-4


def test_annotate_scores_chromosomes_that_were_seen_in_training_apart(toy, finished, tmp_path):
    saved = load_gene_finder(finished[0]).saved
    assert list(saved.seen.values()) == ["chr2", "chr3", "chr10"]
    screen = io.StringIO()
    given = AnnotateSettings(toy / "g.fa", finished[0], tmp_path / "g.gff3", annotation=toy / "g.gff3")
    annotate(given, Console(file=screen, width=250))
    said = screen.getvalue()
    new = said.index("1 chromosome new to the model")
    seen = said.index("3 chromosomes trained or chosen on, so no test")
    of_part = [re.findall(r"gene +(\d+)", part)[0] for part in (said[new:seen], said[seen:])]
    names = [gene.chromosome for gene in write_all(toy)]
    assert of_part == [str(names.count("chr1")), str(len(names) - names.count("chr1"))]
    screen = io.StringIO()
    annotate(replace(given, chromosomes=["chr1"]), Console(file=screen, width=250))
    assert "new to the model" not in screen.getvalue()
    assert re.findall(r"gene +(\d+)", screen.getvalue()) == of_part[:1]


def test_what_was_seen_is_known_in_lower_case_under_another_name_and_by_itself(toy, finished, tmp_path):
    letters, _ = make_genome()
    write_fasta(tmp_path / "lower.fa", {name: text.lower() for name, text in letters.items()})
    write_fasta(tmp_path / "one.fa", {"III": letters["chr3"]})
    write_fasta(tmp_path / "other.fa", {"chr3": letters["chr3"][1:]})
    saved = load_gene_finder(finished[0]).saved
    expected = {"lower": ["chr2", "chr10", "chr3"], "one": ["III"], "other": []}
    for name, seen in expected.items():
        genome = Genome.open(tmp_path / f"{name}.fa")
        assert saved.seen_of(genome, genome.chromosome_sizes) == seen
    old = replace(saved, seen={genome.checksum: ["chr3"]})  # by the checksum of the genome
    assert old.seen_of(Genome.open(toy / "g.fa"), ["chr2", "chr3"]) == []


# What it starts from


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory):
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("lm")
    ConvNovaForMaskedLM(ConvNovaConfig(**TINY_NETWORK)).save_pretrained(folder)
    return folder


def test_a_pretrained_start_begins_with_its_weights_and_reports_every_tensor(toy, tmp_path, masked_lm):
    still = replace(SHORT.optimizer, learning_rate=1e-12, weight_decay=0.0)
    given = {"model": str(masked_lm), "network": GeneNetworkSettings(dropout=0.0)}
    run(toy, tmp_path / "run", **given, training=replace(SHORT, optimizer=still))
    report = strict_json(tmp_path / "run/run.json")["model"]["weights"]
    theirs = ConvNovaForMaskedLM.from_pretrained(masked_lm).state_dict()
    ours = load_gene_finder(tmp_path / "run").model.state_dict()
    assert set(report["new"]) == {"classifier.weight", "classifier.bias"} == set(ours) - set(theirs)
    assert set(report["dropped"]) == {"lm_head.weight", "lm_head.bias"} == set(theirs) - set(ours)
    assert set(report["loaded"]) == set(ours) & set(theirs)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in report["loaded"])
    assert ConvNovaConfig.from_pretrained(tmp_path / "run").dropout == 0.0


def test_the_architecture_of_a_folder_is_taken_without_its_weights(toy, tmp_path, masked_lm):
    changes = GeneNetworkSettings(classifier_dropout=0.2, kernel_size=5)
    given = {"model": f"scratch:{masked_lm}", "network": changes}
    pretrained, config = starting_point(settings(toy, tmp_path, **given), ("a", "b"))
    assert pretrained is None
    assert (config.hidden_size, config.kernel_size, config.dilations) == (8, 5, (1, 2, 4))
    assert (config.num_labels, config.classifier_dropout, config.id2label[1]) == (2, 0.2, "b")


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"blocks": 3}, "blocks"), ({"hidden_size": 16}, "hidden_size"), ({"receptive_field_bp": 99}, "recept")],
)
def test_the_architecture_of_a_folder_is_settled(toy, tmp_path, masked_lm, changes, named):
    given = {"model": str(masked_lm), "network": GeneNetworkSettings(**changes)}
    with pytest.raises(InputError, match=rf"the architecture of a folder is settled, so {named}.* cannot be"):
        run(toy, tmp_path / "run", **given)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("preset:genes", "there is no preset 'genes'; choose one of .*gene-finding"),
        ("no/folder", "no/folder: no ConvNova model in it"),
        ("scratch:no/folder", "no/folder: no ConvNova model in it"),
    ],
)
def test_a_start_that_is_not_there_is_refused(toy, tmp_path, model, message):
    with pytest.raises(InputError, match=message):
        run(toy, tmp_path / "run", model=model, network=GeneNetworkSettings())


@pytest.mark.parametrize(
    ("network", "dilations"),
    [
        (GeneNetworkSettings(), (1, 2, 5, 11, 25, 55, 124, 276)),
        (GeneNetworkSettings(receptive_field_bp=1000), growing_dilations(1000, 9, 8)),
        (GeneNetworkSettings(blocks=5), growing_dilations(4001, 9, 5)),
        (GeneNetworkSettings(blocks=5, receptive_field_bp=200, kernel_size=5), growing_dilations(200, 5, 5)),
    ],
)
def test_blocks_and_field_grow_the_dilations(toy, tmp_path, network, dilations):
    pretrained, config = starting_point(settings(toy, tmp_path, network=network), ("a", "b"))
    assert pretrained is None
    assert config.dilations == dilations
    assert ConvNovaForTokenClassification(config).classifier.out_features == 2


def test_a_network_that_downsamples_is_refused(toy, tmp_path):
    network = GeneNetworkSettings(dilations=[1, 1, 1], downsampling=[1, 2, 1])
    with pytest.raises(InputError, match="downsampling counts its cells from the begin of a sequence"):
        starting_point(settings(toy, tmp_path, network=network), ("a", "b"))


# How it goes on


def same_looks(run_folder, other):
    """The first training loss that is logged after a resumption is a mean over fewer steps."""
    ours, theirs = (strict_json(folder / "scores.json")["evaluations"] for folder in (run_folder, other))
    return [(one["epoch"], one["scores"]) for one in ours] == [
        (one["epoch"], one["scores"]) for one in theirs
    ]


@pytest.mark.parametrize(
    ("stop", "error", "at"), [(sigterm, TerminatedError, 12), (ctrl_c, KeyboardInterrupt, 25)]
)
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    toy, finished, tmp_path, monkeypatch, stop, error, at
):
    output, saving = tmp_path / "run", training(save_minutes=0)
    with pytest.raises(error), interrupted(monkeypatch, GeneTrainer, at, stop):
        run(toy, output, training=saving)
    assert any(output.glob("checkpoint-*"))
    assert not (output / "model.safetensors").exists()
    result = run(toy, output, training=saving, resume=True)
    assert weights(output) == weights(finished[0])
    assert result.test.bases.scores == finished[1].test.bases.scores
    assert same_looks(output, finished[0])
    assert len(strict_json(output / "run.json")["sessions"]) == 2
    assert [row["step"] for row in metrics(output) if row["eval_mcc"]] == ["19", "37"]


def test_the_best_weights_of_before_come_back(toy, tmp_path, monkeypatch):
    """With a choice of the first look, what is kept is from before the checkpoint."""
    monkeypatch.setattr(Choice, "value", lambda self, evaluation: -evaluation.epoch)
    with pytest.raises(TerminatedError), interrupted(monkeypatch, GeneTrainer, 30, sigterm):
        run(toy, tmp_path / "run")
    (checkpoint,) = (tmp_path / "run").glob("checkpoint-*")
    saved = torch.load(checkpoint / "choice.pt", weights_only=True)["choice"]["weights"]
    last = load_file(checkpoint / "model.safetensors")
    result = run(toy, tmp_path / "run", resume=True)
    assert result.best is result.evaluations[0]
    kept = load_file(tmp_path / "run/model.safetensors")
    assert all(torch.equal(kept[name], saved[name]) for name in kept)
    assert not any(torch.equal(kept[name], last[name]) for name in kept)


def test_a_run_that_was_stopped_in_its_last_step_only_writes(toy, finished, tmp_path, monkeypatch):
    output = tmp_path / "run"
    message = "at step 37 of 37, checkpoint saved"
    with (
        pytest.raises(TerminatedError, match=message),
        interrupted(monkeypatch, GeneTrainer, 37, sigterm),
    ):
        run(toy, output)
    result = run(toy, output, resume=True)
    assert weights(output) == weights(finished[0])
    assert result.test.bases.scores == finished[1].test.bases.scores


def test_a_finished_run_is_not_trained_again(toy, finished, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(finished[0], output)
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    screen = io.StringIO()
    again = finetune_genes(settings(toy, output, resume=True), Console(file=screen, width=200))
    assert again is None
    assert "this run is finished; its model is not trained again" in screen.getvalue()
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "holds a run already; go on with it by --resume, or choose another output folder"),
        (
            {"resume": True, "training": training(epochs=7)},
            "holds a run with training.epochs 6, and now it is 7",
        ),
        (
            {"resume": True, "training": training(label_weighting="none")},
            "holds a run with training.label_weighting sqrt, and now it is none",
        ),
        ({"resume": True, "labels": GeneLabelSettings("frame")}, "holds a run with labels.label_set bend"),
        ({"resume": True, "test_chromosomes": ["chr3"]}, r"holds a run with test_chromosomes \['chr1'\]"),
        (
            {"resume": True, "annotation": "other.gff3"},
            "holds a run on another annotation than the one given",
        ),
    ],
)
def test_another_run_is_refused(toy, finished, changes, message):
    genes = write_all(toy)
    write_gff3(toy / "other.gff3", genes[:-1])
    if "annotation" in changes:
        changes = changes | {"annotation": toy / changes["annotation"]}
    with pytest.raises(InputError, match=message):
        run(toy, finished[0], **changes)


def test_what_does_not_change_the_weights_may_change(toy, finished, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    write_all(moved)
    changed = training(log_steps=7, save_minutes=3, workers=1)
    assert run(moved, finished[0], resume=True, training=changed, cache=tmp_path / "cache") is None


def test_a_folder_with_something_else_in_it_is_refused(toy, tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(InputError, match="is not an empty folder, nor a run; choose another output folder"):
        run(toy, tmp_path)


def test_a_refused_run_leaves_no_lock(toy, tmp_path):
    with pytest.raises(InputError, match="give --genome"):
        run(toy, tmp_path / "run", genome=None)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_missing_file_is_told_before_anything_is_made(toy, tmp_path, capsys):
    arguments = ["finetune", "--task", "gene-finding", "--genome", str(toy / "g.fa"), "--annotation"]
    assert cli.main([*arguments, str(tmp_path / "no.gff3"), "--output", str(tmp_path / "run")]) == 2
    errors = capsys.readouterr().err
    assert (
        errors
        == f"convnova: {tmp_path / 'no.gff3'}: no such file; give the path of the annotation, plain or gzip\n"
    )
    assert not (tmp_path / "run").exists()
