import numpy as np
import pytest
import torch
from torch import nn

from convnova.training.averaging import WeightAverage


def stepped(average, model, steps, seed=0):
    """Move the weights at random so many times, and return every state after a step."""
    generator = torch.Generator().manual_seed(seed)
    states = [[p.detach().clone() for p in model.parameters()]]
    average.on_train_begin(None, None, None, model=model)
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(parameter.shape, generator=generator)
        average.on_step_end(None, None, None)
        states.append([p.detach().clone() for p in model.parameters()])
    return states


def slow_average(states, decay):
    """Return the average of one run, step by step, in double precision."""
    average = [tensor.double().numpy() for tensor in states[0]]
    for step, state in enumerate(states[1:], start=1):
        weight = min(decay, step / (9 + step))
        average = [weight * old + (1 - weight) * new.numpy() for old, new in zip(average, state, strict=True)]
    return average


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("steps", [0, 1, 30])
def test_matches_a_slow_average(model, decay, steps):
    average = WeightAverage(decay)
    expected = slow_average(stepped(average, model, steps), decay)
    with average.applied():
        for parameter, values in zip(model.parameters(), expected, strict=True):
            np.testing.assert_allclose(parameter.detach(), values, atol=1e-5)


def test_the_own_weights_come_back_exactly_also_after_an_error(model):
    average = WeightAverage(0.9)
    own = stepped(average, model, 5)[-1]
    with average.applied():
        assert not any(torch.equal(now, was) for now, was in zip(model.parameters(), own, strict=True))
    assert all(torch.equal(now, was) for now, was in zip(model.parameters(), own, strict=True))
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert all(torch.equal(now, was) for now, was in zip(model.parameters(), own, strict=True))


def test_frozen_parameters_take_no_part(model):
    model[0].requires_grad_(False)
    average = WeightAverage(0.9)
    average.on_train_begin(None, None, None, model=model)
    assert len(average.average) == 2


def test_a_second_run_begins_anew(model):
    average = WeightAverage(0.9)
    stepped(average, model, 7)
    expected = slow_average(stepped(average, model, 3, seed=1), 0.9)
    with average.applied():
        for parameter, values in zip(model.parameters(), expected, strict=True):
            np.testing.assert_allclose(parameter.detach(), values, atol=1e-5)
