"""The systems that ConvNova is compared with, through the same commands."""

import io

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tiny_task import letters, settings, training, write_rows

from convnova.baselines.architectures import any_config, any_preset, sequence_classifier
from convnova.baselines.systems import CONFIGS, PRESETS, backbone_of
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.inference.predict import pooled_embeddings, predict
from convnova.inference.saved_task import load_task_model
from convnova.sequence import encode
from convnova.training.finetune_task import finetune_task
from convnova.training.gene_finding import starting_point
from convnova.training.gene_settings import GeneFindingSettings
from convnova.training.task_settings import TaskNetworkSettings
from convnova.training.weights import load_pretrained

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

LENGTH = 180
SMALL = {"num_hidden_layers": 1}
BERT = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
MODELS = {
    "dnabert-3": BERT,
    "dnabert2-117m": BERT | {"vocab_size": 40},
    "nt-v2-50m": BERT,
    "hyenadna-tiny-1k": SMALL,
    "caduceus-ps-1k": SMALL,
    "deepsea": {},
    "danq": {"channels": 4},
    "deepatt": {"channels": 4, "attention_size": 8},
    "cnn": {"embedding_size": 4},
    "kmers": {"k": 2, "hidden_size": 16},
}


def write_task(folder):
    for name, n, seed in (("train", 40, 1), ("test", 16, 2)):
        rows = [f"{text},{index % 2}" for index, text in enumerate(letters(n, seed, LENGTH))]
        write_rows(folder / f"{name}.csv", rows)


def test_no_system_is_missed():
    assert {PRESETS[name].system for name in MODELS} == set(CONFIGS)


@pytest.mark.parametrize("name", MODELS)
def test_a_system_is_trained_scored_saved_and_used(name, tmp_path):
    write_task(tmp_path)
    screen = io.StringIO()
    given = {
        "network": TaskNetworkSettings(hidden_size=8, system=MODELS[name]),
        "model": f"preset:{name}",
    }
    result = finetune_task(settings(tmp_path, **given), Console(file=screen, width=200))
    assert "each output reads all bases" in screen.getvalue()
    assert 0 <= result.test.scores["accuracy"] <= 1
    model, task = load_task_model(tmp_path / "run")
    ids = [encode(text) for text in letters(16, 2, LENGTH)]
    probabilities = predict(model, pack(ids), task.average_strands)
    assert probabilities == pytest.approx(result.test.predictions, abs=1e-5)
    assert pooled_embeddings(model, pack(ids)).shape == (16, model.config.pooled_size)


@pytest.mark.parametrize("method", ["frozen-backbone", "logistic-regression", "whole-model"])
def test_a_trained_system_is_started_from(method, tmp_path):
    write_task(tmp_path)
    given = {"network": TaskNetworkSettings(hidden_size=8, system=SMALL), "model": "preset:caduceus-ph-1k"}
    finetune_task(settings(tmp_path, **given), Console(quiet=True))
    screen = io.StringIO()
    again = settings(
        tmp_path,
        model=str(tmp_path / "run"),
        output=tmp_path / "again",
        network=TaskNetworkSettings(),
        training=training(method=method),
    )
    finetune_task(again, Console(file=screen, width=400))
    assert "new: classifier.weight, classifier.bias; dropped: classifier" in screen.getvalue()


@pytest.mark.parametrize("name", MODELS)
def test_a_system_without_a_head_is_started_from_and_every_tensor_is_told(name, tmp_path):
    config = any_preset(name, **{"hidden_size": 8} | MODELS[name])
    backbone = backbone_of(config)
    if not list(backbone.parameters()):
        return  # counts of words have no weights
    backbone.save_pretrained(tmp_path)
    model = sequence_classifier(any_config(tmp_path, num_labels=2))
    report = load_pretrained(model, tmp_path)
    own = backbone.state_dict()
    assert all(torch.equal(tensor, own[key]) for key, tensor in model.backbone.state_dict().items())
    assert {key.partition(".")[0] for key in report.new} <= {"classifier"}
    assert set(report.loaded) == {f"backbone.{key}" for key in own}


@pytest.mark.parametrize("name", ["dnabert-3", "caduceus-ps-1k"])
def test_tensors_that_do_not_fit_a_system_are_refused(name, tmp_path):
    config = any_preset(name, **{"hidden_size": 8} | MODELS[name])
    backbone_of(config).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    dropped = next(key for key in tensors if "layer" in key)
    changed = next(key for key in tensors if "embeddings" in key)
    rows = len(tensors[changed]) - 1
    given = {key: one for key, one in tensors.items() if key != dropped}
    given |= {"strange": torch.zeros(1), changed: tensors[changed][:rows].clone()}
    save_file(given, tmp_path / "model.safetensors")
    model = sequence_classifier(any_config(tmp_path, num_labels=2))
    with pytest.raises(InputError, match=r"do not fit: .*strange is not in the model.* is missing.*is \("):
        load_pretrained(model, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "preset:dnabert-3-0.5m", "network": TaskNetworkSettings(hidden_size=97)},
            r"dnabert: The hidden size \(97\) is not a multiple of the number of attention heads",
        ),
        ({"model": "preset:caduceus-ph-2k"}, r"there is no preset 'caduceus-ph-2k'; nearest are caduceus-ph"),
        (
            {"network": TaskNetworkSettings(kernel_size=3)},
            r"caduceus has no setting kernel_size; it has hidden_size, .*, num_hidden_layers, ",
        ),
        ({"training": training(mixup=0.4)}, r"mixup is for ConvNova, and not for caduceus; leave it out"),
        ({"network": TaskNetworkSettings(receptive_field="sequence")}, r"receptive_field is for ConvNova"),
    ],
)
def test_what_a_system_has_not_is_refused(tmp_path, changes, message):
    write_task(tmp_path)
    given = {"network": TaskNetworkSettings(), "model": "preset:caduceus-ph-1k"} | changes
    with pytest.raises(InputError, match=message):
        finetune_task(settings(tmp_path, **given), Console(quiet=True))


def test_longer_sequences_than_a_system_reads_are_refused_in_one_line(tmp_path):
    write_task(tmp_path)
    system = {"num_hidden_layers": 1, "max_positions": 100}
    given = {"network": TaskNetworkSettings(hidden_size=8, system=system), "model": "preset:hyenadna-tiny-1k"}
    with pytest.raises(InputError, match=r"bp is longer than hyenadna reads \(100 bp\); crop it"):
        finetune_task(settings(tmp_path, **given), Console(quiet=True))


def test_gene_finding_is_for_a_finite_receptive_field(tmp_path):
    given = GeneFindingSettings(
        output=tmp_path, annotation=tmp_path / "a", genome=tmp_path / "g", model="preset:caduceus-ph-1k"
    )
    with pytest.raises(InputError, match=r"gene finding reads genomes in tiles, .*; use ConvNova"):
        starting_point(given, ("a", "b"))
