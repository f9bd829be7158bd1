"""The regression on frozen embeddings is scikit-learn's own, folded into the model's head."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from convnova.data.labelled import LabelledSequences
from convnova.data.packed import pack
from convnova.inference.predict import pooled_embeddings, predict
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.sequence import reverse_complement
from convnova.training import probe
from convnova.training.probe import fit_head

N = 60
RNG = np.random.default_rng(0)
IDS = pack([RNG.integers(0, 4, RNG.integers(20, 40)).astype(np.uint8) for _ in range(N)])
SHARES = np.array([np.bincount(ids, minlength=4)[:4] / len(ids) for ids in IDS])
OPPOSITE = pack([reverse_complement(ids) for ids in IDS])
KINDS = {
    "binary": (2, "single_label_classification", (SHARES[:, 0] > np.median(SHARES[:, 0])).astype(np.int64)),
    "three classes": (3, "single_label_classification", SHARES[:, :3].argmax(1)),
    "multi-label": (4, "multi_label_classification", (SHARES > 0.25).astype(np.float32)),
    "regression": (2, "regression", SHARES[:, :2].astype(np.float32)),
    "one value": (1, "regression", SHARES[:, 0].astype(np.float32)),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def task(request):
    classes, problem, labels = request.param
    return make_model(classes, problem), LabelledSequences(IDS, labels)


def make_model(classes, problem):
    torch.manual_seed(0)
    config = ConvNovaConfig(
        hidden_size=8, kernel_size=3, dilations=(1, 2), num_labels=classes, problem_type=problem
    )
    return ConvNovaForSequenceClassification(config)


def sklearn_predictions(model, train, strength, both_strands):
    """Return what scikit-learn itself predicts for the training sequences from their embeddings, (n, K)."""
    embeddings = pooled_embeddings(model, train.ids).astype(np.float64)
    x, labels = embeddings, train.labels
    if both_strands:
        x = np.concatenate([x, pooled_embeddings(model, OPPOSITE)])
        labels = np.concatenate([labels, labels])
    mean, scale = x.mean(0), x.std(0) + 1e-12
    x, embeddings = (x - mean) / scale, (embeddings - mean) / scale
    if model.config.problem_type == "regression":
        return Ridge(alpha=1 / strength).fit(x, labels).predict(embeddings).reshape(N, -1)
    if labels.ndim == 1:
        return LogisticRegression(C=strength, max_iter=2000).fit(x, labels).predict_proba(embeddings)
    fitted = [LogisticRegression(C=strength, max_iter=2000).fit(x, column) for column in labels.T]
    return np.stack([one.predict_proba(embeddings)[:, 1] for one in fitted], axis=1)


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_the_head_equals_sklearn(task, strength, both_strands, monkeypatch):
    model, train = task
    monkeypatch.setattr(probe, "STRENGTHS", (strength,))
    expected = sklearn_predictions(model, train, strength, both_strands)
    fit_head(model, train, both_strands, lambda: 0.0)
    np.testing.assert_allclose(predict(model, IDS), expected, atol=1e-4)


def test_the_strength_that_does_best_is_taken(task):
    model, train = task
    values = iter([0.1, 0.3, 0.9, 0.9, 0.2])  # the first of the best
    expected = sklearn_predictions(model, train, probe.STRENGTHS[2], False)
    fit_head(model, train, False, lambda: next(values))
    np.testing.assert_allclose(predict(model, IDS), expected, atol=1e-4)


def test_only_the_head_changes(task):
    model, train = task
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_head(model, train, False, lambda: 0.0)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("present", [[0, 2], [1, 2], [0, 1, 3]])
def test_a_class_without_members_is_never_called(present):
    labels = np.array(present)[np.arange(N) % len(present)]
    model = make_model(4, "single_label_classification")
    fit_head(model, LabelledSequences(IDS, labels), False, lambda: 0.0)
    made = predict(model, IDS)
    assert set(made.argmax(1)) <= set(present)
    assert np.delete(made, present, axis=1).max() < 1e-6


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_is_always_the_same_stays_so(value):
    labels = (SHARES > 0.25).astype(np.float32)
    labels[:, 2] = value
    model = make_model(4, "multi_label_classification")
    fit_head(model, LabelledSequences(IDS, labels), False, lambda: 0.0)
    np.testing.assert_allclose(predict(model, IDS)[:, 2], value, atol=1e-6)
