"""The test: networks and baselines on the chromosome that none of them has seen."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.labelled import LabelledSequences
from convnova.demo.networks import arms, load
from convnova.demo.settings import DemoSettings
from convnova.demo.splits import few_sequences
from convnova.demo.steps import Steps
from convnova.demo.tables import score_table
from convnova.demo.task import StartCodons, open_codons
from convnova.evaluation.classification import ClassificationScores, score_classifier
from convnova.evaluation.kmers import fit_kmer_classifier
from convnova.inference.predict import predict
from convnova.sequence import one_hot


class Tested(NamedTuple):
    """What each classifier says of the test sequences."""

    scores: dict[str, ClassificationScores]
    """On the test chromosome, by classifier."""
    probabilities: dict[str, NDArray[np.float64]]
    """Of a start, for each test sequence, by classifier."""


def score_on_test(
    settings: DemoSettings, splits: dict[str, StartCodons], networks: dict[str, Any], steps: Steps
) -> Tested:
    """Return the scores of all classifiers, and print them.

    Args:
        settings: of the demo.
        splits: windows by split.
        networks: the key of the networks.
        steps: keeps the result.
    """

    def score() -> dict[str, Any]:
        chance = _network_probabilities(settings, splits) | _baseline_probabilities(settings, splits)
        return {name: _score(splits["test"].sequences.labels, values) for name, values in chance.items()}

    kept = settings.output / "test.json"
    rows = steps.stage("baselines and test", kept, {"models": networks}, score)
    scores = {name: ClassificationScores(**row["scores"]) for name, row in rows.items()}
    steps.console.print(score_table(scores))
    return Tested(scores, {name: np.array(row["probabilities"]) for name, row in rows.items()})


def _network_probabilities(
    settings: DemoSettings, splits: dict[str, StartCodons]
) -> dict[str, NDArray[np.floating]]:
    test = splits["test"].sequences
    return {name: predict(load(settings, arm), test.ids)[:, 1] for name, arm in arms(settings).items()}


def _baseline_probabilities(
    settings: DemoSettings, splits: dict[str, StartCodons]
) -> dict[str, NDArray[np.floating]]:
    """Return the probability of a start for each test sequence, by baseline."""
    from sklearn.linear_model import LogisticRegression

    train, validation, test = (splits[name].sequences for name in ("train", "validation", "test"))
    few = few_sequences(splits["train"], settings)
    kmers = fit_kmer_classifier(train, validation)
    by_frame = LogisticRegression().fit(_codons(train), train.labels)
    # C was chosen on chrV among 0.001, 0.003, 0.01 and 0.1.
    by_position, few_by_position = (
        LogisticRegression(C=0.003, max_iter=1000).fit(_flat(part), part.labels) for part in (train, few)
    )
    name = "logistic regression, each position"
    return {
        name: by_position.predict_proba(_flat(test))[:, 1],
        f"{name}, {settings.few_starts} starts": few_by_position.predict_proba(_flat(test))[:, 1],
        f"logistic regression, {kmers.k}-mers": kmers.probabilities(test.ids)[:, 1],
        "codons before an in-frame stop": by_frame.predict_proba(_codons(test))[:, 1],
        "majority class": np.full(len(test), float(train.class_counts.argmax())),
    }


def _score(labels: NDArray[np.integer], chance: NDArray[np.floating]) -> dict[str, Any]:
    return {
        "probabilities": [float(p) for p in chance],
        "scores": score_classifier(labels, np.stack([1 - chance, chance], axis=1))._asdict(),
    }


def _flat(sequences: LabelledSequences) -> NDArray[np.float32]:
    return one_hot(sequences.ids.stacked(), 4).reshape(len(sequences), -1)


def _codons(sequences: LabelledSequences) -> NDArray[np.int64]:
    return open_codons(sequences.ids.stacked())[:, None]
