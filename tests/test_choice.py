"""What is chosen on validation: the best score, then the lower loss, with a copy of its weights."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from convnova.training.choice import Choice, Evaluation, last_loss


def looks(*scores, selection="mcc"):
    """Return a choice after looks with these scores and losses; the weight of each is its number."""
    choice, model = Choice(selection), nn.Linear(1, 1, bias=False)
    for number, (score, loss) in enumerate(scores):
        nn.init.constant_(model.weight, number)
        choice.add(Evaluation(float(number), 0.5, {"mcc": score, "loss": loss}), model)
    nn.init.constant_(model.weight, -1)
    return choice


@pytest.mark.parametrize(
    ("scores", "selection", "best", "since"),
    [
        ([(0.1, 1.0), (0.3, 2.0), (0.2, 0.5)], "mcc", 1, 1),
        ([(0.1, 1.0), (0.3, 2.0), (0.2, 0.5)], "loss", 2, 0),
        ([(0.3, 1.0), (0.3, 0.5), (0.3, 0.5)], "mcc", 1, 2),  # as good, with less loss; no better score
        ([(-0.2, 1.0)], "mcc", 0, 0),
    ],
)
def test_the_best_look_keeps_its_weights(scores, selection, best, since):
    choice = looks(*scores, selection=selection)
    assert choice.best is choice.evaluations[best]
    assert choice.weights["weight"].item() == best
    assert choice.looks_since_best == since
    assert choice.best_value == max(choice.value(one) for one in choice.evaluations)


def test_a_choice_goes_on_where_it_was(tmp_path):
    choice = looks((0.1, 1.0), (0.3, 2.0), (0.2, 0.5))
    choice.evaluations[0] = choice.evaluations[0]._replace(training_loss=math.nan)
    torch.save(choice.state(), tmp_path / "choice.pt")
    again = Choice("mcc")
    again.restore(torch.load(tmp_path / "choice.pt", weights_only=True))
    assert again.best == choice.best
    assert again.evaluations[1:] == choice.evaluations[1:]
    assert torch.equal(again.weights["weight"], choice.weights["weight"])
    assert again.looks_since_best == 1


def test_a_choice_before_its_first_look_goes_on(tmp_path):
    again = Choice("mcc")
    again.restore(Choice("mcc").state())
    assert (again.best, again.evaluations, again.weights) == (None, [], {})


@pytest.mark.parametrize(
    ("history", "expected"),
    [([{"loss": 2.0}, {"eval_loss": 1.0}], 2.0), ([{"loss": 2.0}, {"loss": 1.5}], 1.5)],
)
def test_the_last_training_loss(history, expected):
    assert last_loss(SimpleNamespace(log_history=history)) == expected
    assert math.isnan(last_loss(SimpleNamespace(log_history=history[2:])))
