import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from convnova.baselines.architectures import any_config
from convnova.data.augmentation import AugmentationSettings
from convnova.data.labelled import LabelledSequences, collate, pad, without_duplicates
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.evaluation.classification import score_classifier
from convnova.evaluation.scores import score
from convnova.inference.predict import predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import (
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    SameConv,
)
from convnova.model.tokenization_convnova import ConvNovaTokenizer
from convnova.sequence import encode, reverse_complement
from convnova.training.checkpoints import write_model
from convnova.training.finetune import finetune
from convnova.training.finetune_settings import FinetuneSettings
from convnova.training.label_scale import LabelScale
from convnova.training.settings import OptimizerSettings
from convnova.training.weights import load_pretrained

TINY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2)}
MOTIF = encode("TGACTCA")


def planted(n, seed, length=40):
    """Return random sequences, half of them with a motif somewhere."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, (n, length)).astype(np.uint8)
    labels = np.arange(n) % 2
    for row in np.flatnonzero(labels):
        start = rng.integers(0, length - len(MOTIF))
        ids[row, start : start + len(MOTIF)] = MOTIF
    return LabelledSequences(pack(ids), labels)


SETTINGS = FinetuneSettings(
    optimizer=OptimizerSettings(learning_rate=1e-2, weight_decay=0.1),
    epochs=6,
    batch_sequences=16,
    selection="auroc",
    precision="fp32",
    augmentation=AugmentationSettings(reverse_complement=False),
    average_strands=False,
)


@pytest.fixture
def masked_lm(tmp_path):
    torch.manual_seed(1)
    model = ConvNovaForMaskedLM(ConvNovaConfig(**TINY))
    model.save_pretrained(tmp_path / "lm")
    return tmp_path / "lm"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    output = tmp_path_factory.mktemp("motif")
    config = ConvNovaConfig(**TINY, num_labels=2, pooling="max")
    made = finetune(None, config, planted(400, 0), planted(100, 1), SETTINGS)
    write_model(made.model, output)
    return made, output


def test_learns_a_planted_motif(trained):
    test = planted(200, 2)
    scores = score_classifier(test.labels, predict(trained[0].model, test.ids))
    assert scores.auroc > 0.9
    assert scores.auroc_low <= scores.auroc <= scores.auroc_high
    assert scores.n == 200


def test_the_model_returned_and_saved_is_the_best_one(trained):
    made, output = trained
    validation = planted(100, 1)
    assert made.best.scores["auroc"] == max(evaluation.scores["auroc"] for evaluation in made.evaluations)
    assert len(made.evaluations) == SETTINGS.epochs
    saved = ConvNovaForSequenceClassification.from_pretrained(output)
    for model in (made.model, saved):
        scores = score_classifier(validation.labels, predict(model, validation.ids), resamples=0)
        assert scores.auroc == pytest.approx(made.best.scores["auroc"], abs=1e-6)
    assert {path.name for path in output.iterdir()} == {
        *("config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
        *(
            "configuration_convnova.py",
            "layers_convnova.py",
            "modeling_convnova.py",
            "tokenization_convnova.py",
        ),
    }


def test_the_tokenizer_lies_beside_the_model(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained[1])
    assert isinstance(tokenizer, ConvNovaTokenizer)
    assert tokenizer("GATTACA")["input_ids"] == encode("GATTACA").tolist()


def test_one_seed_gives_the_same_weights(tmp_path):
    config = ConvNovaConfig(**TINY, num_labels=2)
    settings = FinetuneSettings(epochs=1, batch_sequences=16)
    first, second = (
        finetune(None, config, planted(64, 0), planted(32, 1), settings).model.state_dict() for name in "ab"
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_patience_ends_training_early(tmp_path):
    settings = FinetuneSettings(
        optimizer=OptimizerSettings(learning_rate=1e-9), epochs=9, selection="accuracy", patience=2
    )
    config = ConvNovaConfig(**TINY, num_labels=2)
    made = finetune(None, config, planted(64, 0), planted(32, 1), settings)
    assert len(made.evaluations) == 3


def test_every_tensor_is_reported(masked_lm):
    model = ConvNovaForSequenceClassification(any_config(masked_lm, num_labels=3))
    report = load_pretrained(model, masked_lm)
    assert set(report.new) == {"classifier.weight", "classifier.bias"}
    assert set(report.dropped) == {"lm_head.weight", "lm_head.bias"}
    saved = load_file(masked_lm / "model.safetensors")
    assert set(report.loaded) | set(report.dropped) == set(saved)
    assert all(torch.equal(model.state_dict()[name], saved[name]) for name in report.loaded)
    assert "lm_head.weight" in str(report)


def foreign(tensors):
    tensors["convnova.extra.weight"] = torch.zeros(1)


def missing(tensors):
    del tensors["convnova.stem.weight"]


def reshaped(tensors):
    tensors["convnova.stem.bias"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (foreign, "convnova.extra.weight is not in the model"),
        (missing, "convnova.stem.weight is missing"),
        (reshaped, r"convnova.stem.bias is \(3,\), not \(8,\)"),
    ],
)
def test_unexplained_tensors_are_refused(masked_lm, change, message):
    tensors = load_file(masked_lm / "model.safetensors")
    change(tensors)
    save_file(tensors, masked_lm / "model.safetensors")
    model = ConvNovaForSequenceClassification(any_config(masked_lm, num_labels=2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        load_pretrained(model, masked_lm)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_another_architecture_is_refused_where_no_tensor_tells(masked_lm):
    model = ConvNovaForSequenceClassification(ConvNovaConfig(**TINY | {"dilations": (1, 4)}, num_labels=2))
    with pytest.raises(InputError, match=r"has dilations \(1, 2\), and the one to train has \(1, 4\)"):
        load_pretrained(model, masked_lm)


def test_a_folder_without_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no ConvNova model in it"):
        any_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "convnova", "hiden_size": 3}))
    with pytest.raises(InputError, match="hiden_size"):
        any_config(tmp_path)


def test_labels_outside_the_classes_are_refused(tmp_path):
    config = ConvNovaConfig(**TINY, num_labels=2)
    three = LabelledSequences(planted(4, 0).ids, np.array([0, 1, 2, 0]))
    with pytest.raises(InputError, match="validation labels run from 0 to 2, and the model has 2 classes"):
        finetune(None, config, planted(8, 0), three, SETTINGS)


def test_padding_invariance(trained):
    model = trained[0].model
    ids = [planted(1, seed, length).ids[0] for seed, length in enumerate((9, 40, 23))]
    together = predict(model, pack(ids))
    alone = [predict(model, pack([row])) for row in ids]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_collation_pads_on_the_right():
    batch = collate([(encode("ACG"), np.int64(1)), (encode("T"), np.int64(0))])
    assert batch["input_ids"].tolist() == [[0, 1, 2], [3, 4, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [1, 0]
    assert "attention_mask" not in collate([(encode("ACN"), 1), (encode("TTT"), 0)])
    assert pad([encode("AC")])[1].tolist() == [[1, 1]]


def test_duplicates_on_either_strand_are_left_out():
    a, b, c = encode("AACG"), encode("TTTT"), encode("ACCC")
    train = LabelledSequences(pack([a, b, c]), np.array([0, 1, 0]))
    held_out = LabelledSequences(pack([reverse_complement(a), c]), np.array([1, 1]))
    assert without_duplicates(train, [held_out]).ids.stacked().tolist() == [b.tolist()]


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        ([encode("A")], [0, 1], "1 sequences, but 2 labels"),
        ([], [], "no labelled sequences"),
        ([encode("A"), encode("")], [0, 1], "is empty"),
    ],
)
def test_bad_labelled_sequences_are_refused(ids, labels, message):
    with pytest.raises(InputError, match=message):
        LabelledSequences(pack(ids), np.array(labels, dtype=int))


def test_scores_of_several_classes_and_of_one():
    labels = np.array([0, 1, 2, 2])
    scores = score_classifier(labels, np.eye(3)[labels], resamples=20)
    assert (scores.auroc, scores.auprc, scores.mcc, scores.accuracy) == (1, 1, 1, 1)
    with pytest.raises(InputError, match="only one class"):
        score_classifier(np.zeros(3, dtype=int), np.eye(3))


def test_the_last_step_is_looked_at_too(tmp_path):
    config = ConvNovaConfig(**TINY, num_labels=2)
    settings = FinetuneSettings(epochs=9, most_steps=6, batch_sequences=16)
    made = finetune(None, config, planted(64, 0), planted(32, 1), settings)
    assert [evaluation.epoch for evaluation in made.evaluations] == [1, 1.5]


def test_scores_are_of_single_precision_whatever_training_was():
    validation = planted(64, 1)
    settings = replace(SETTINGS, precision="bf16", epochs=2)
    made = finetune(None, ConvNovaConfig(**TINY), planted(64, 0), validation, settings)
    probabilities = predict(made.model, validation.ids)
    again = score("single_label_classification", validation.labels, probabilities)
    assert again == made.best.scores
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = predict(made.model, validation.ids)
    assert np.abs(half - probabilities).max() > 0


def test_of_equal_scores_the_one_with_the_lower_loss_is_kept(tmp_path):
    settings = replace(SETTINGS, selection="mcc", epochs=4)
    settings = replace(
        settings, optimizer=OptimizerSettings(learning_rate=1e-4)
    )  # calls one class throughout
    made = finetune(None, ConvNovaConfig(**TINY), planted(64, 0), planted(64, 1), settings)
    assert {evaluation.scores["mcc"] for evaluation in made.evaluations} == {0.0}
    losses = [evaluation.scores["loss"] for evaluation in made.evaluations]
    assert made.best is made.evaluations[int(np.argmin(losses))]
    assert losses[0] != min(losses)


@pytest.mark.parametrize("method", ["whole-model", "logistic-regression"])
def test_values_of_any_unit_are_learned_alike(method):
    train, validation = planted(128, 0), planted(64, 1)
    settings = replace(SETTINGS, selection="r2", method=method)
    made = {}
    for unit, shift in ((1.0, 0.0), (1000.0, -5e4)):
        parts = [
            replace(part, labels=np.stack([part.labels * unit + shift, part.ids.lengths + part.labels], 1))
            for part in (train, validation)
        ]
        config = ConvNovaConfig(**TINY, num_labels=2, problem_type="regression")
        made[unit] = finetune(None, config, *parts, settings)
        predictions = predict(made[unit].model, validation.ids)
        scores = score("regression", parts[1].labels, predictions)
        assert scores == pytest.approx(made[unit].best.scores, rel=1e-3, abs=2e-3)
        assert abs(predictions.mean(axis=0) - parts[1].labels.mean(axis=0)) == pytest.approx(
            0, abs=0.2 * unit
        )
    one, other = made.values()
    assert one.best.scores["r2"] == pytest.approx(other.best.scores["r2"], abs=0.02)


def test_a_value_that_never_changes_keeps_its_unit():
    labels = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    part = LabelledSequences(pack(np.zeros((2, 4), np.uint8)), labels)
    scale = LabelScale.of(part)
    assert (scale.mean.tolist(), scale.sd.tolist()) == ([2.0, 5.0], [1.0, 1.0])
    assert scale.standardise(part).labels.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert scale.restore(scale.standardise(part).labels).tolist() == labels.tolist()


def test_gradient_checkpointing_gives_the_same_losses(monkeypatch):
    forward, calls, losses = SameConv.forward, [], []

    def counting(self, *arguments):
        calls.append(self.training)
        return forward(self, *arguments)

    monkeypatch.setattr(SameConv, "forward", counting)
    config = {**TINY, "num_labels": 2, "dropout": 0.2}
    for is_checkpointed in (False, True):
        calls.clear()
        settings = replace(SETTINGS, epochs=2, gradient_checkpointing=is_checkpointed)
        made = finetune(None, ConvNovaConfig(**config), planted(64, 0), planted(32, 1), settings)
        losses.append([one.training_loss for one in made.evaluations])
        # In each of eight steps two stems, and two blocks with two convolutions each, once or twice.
        assert sum(calls) == 8 * (2 + (8 if is_checkpointed else 4))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_batch_that_does_not_fit_into_memory_is_refused_before_training():
    train = LabelledSequences(
        pack([np.zeros(40, np.uint8)] * 63 + [np.zeros(10**8, np.uint8)]), np.arange(64) % 2
    )
    message = (
        r"a batch of 16 sequences of 100,000,000 bp needs 768 GB or more, and .* free; crop .*, or set grad"
    )
    with pytest.raises(InputError, match=message):
        finetune(None, ConvNovaConfig(**TINY), train, planted(64, 1), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "problem", "message"),
    [
        (
            {"label_smoothing": 0.1},
            "multi_label_classification",
            "label_smoothing is for one class a sequence",
        ),
        (
            {"gradient_checkpointing": True, "method": "frozen-backbone"},
            "single_label_classification",
            "gradient_checkpointing is for the whole model",
        ),
        ({"mixup": 0.4, "method": "logistic-regression"}, "single_label_classification", "has no mixup"),
    ],
)
def test_what_would_be_left_out_is_refused(changes, problem, message):
    config = ConvNovaConfig(**TINY, problem_type=problem, num_labels=2)
    with pytest.raises(InputError, match=message):
        finetune(None, config, planted(8, 0), planted(8, 1), replace(SETTINGS, selection="auroc", **changes))
