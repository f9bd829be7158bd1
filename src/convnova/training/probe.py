"""The honest baseline of a pretrained model: a regression on its frozen embeddings, without fine-tuning.

It is folded into the model's own head, so the result is an ordinary model.

n sequences, C channels, K classes, labels or values.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.data.labelled import LabelledPart
from convnova.data.packed import join, pack
from convnova.inference.predict import pooled_embeddings
from convnova.sequence import reverse_complement

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse regularisation strengths that are tried."""
_NEVER = -30.0  # a logit that makes a class as good as impossible: e^-30 = 1e-13


def fit_head(model: Any, train: LabelledPart, both_strands: bool, value: Callable[[], float]) -> None:
    """Fit a model's linear head on its frozen embeddings, in place.

    Args:
        model: a sequence model; its head is replaced by the regression that does best.
        train: n sequences to fit on.
        both_strands: whether to fit on the reverse complements too.
        value: how good the model with its present head is, on validation; the higher the better.
    """
    ids, labels, config = pack(train.ids), train.labels, model.config
    if both_strands:
        ids = join([ids, pack(reverse_complement(one) for one in ids)])
        labels = np.concatenate([labels, labels])
    embeddings = pooled_embeddings(model, ids).astype(np.float64)
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-12
    standardised = (embeddings - mean) / scale
    fitted = []
    for strength in STRENGTHS:
        weight, bias = _fit(standardised, labels, config.problem_type, config.num_labels, strength)
        head = weight / scale, bias - (weight / scale) @ mean
        _put(model.classifier, *head)
        fitted.append((value(), head))
    _put(model.classifier, *max(fitted, key=lambda pair: pair[0])[1])


def _fit(
    x: NDArray[np.floating], labels: NDArray[Any], problem: str, classes: int, strength: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return weight (K, C) and bias (K,) of a linear head."""
    from sklearn.linear_model import Ridge

    if problem == "regression":
        made = Ridge(alpha=1 / strength).fit(x, labels.reshape(len(x), -1))
        return np.atleast_2d(made.coef_), np.atleast_1d(made.intercept_)
    if problem == "single_label_classification":
        return _fit_classes(x, labels, classes, strength)
    heads = [_fit_classes(x, column, 2, strength) for column in labels.astype(np.int64).T]
    # A sigmoid is the softmax over two classes of the difference between their logits.
    return np.stack([weight[1] - weight[0] for weight, _ in heads]), np.array([b[1] - b[0] for _, b in heads])


def _fit_classes(
    x: NDArray[np.floating], labels: NDArray[np.integer], classes: int, strength: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return weight (K, C) and bias (K,) of a softmax; a class that no sequence has is never called."""
    from sklearn.linear_model import LogisticRegression

    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, _NEVER)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0
        return weight, bias
    made = LogisticRegression(C=strength, max_iter=2000).fit(x, labels)
    if len(present) == 2:
        weight[present] = np.concatenate([-made.coef_, made.coef_]) / 2
        bias[present] = np.concatenate([-made.intercept_, made.intercept_]) / 2
    else:
        weight[present], bias[present] = made.coef_, made.intercept_
    return weight, bias


@torch.no_grad()
def _put(layer: torch.nn.Linear, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))
