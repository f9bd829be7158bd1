"""tangermeme's experiments and designs work on ConvNova as it is."""

import numpy as np
import pytest
import torch

from convnova.inference.one_hot import OneHot
from convnova.model import ConvNovaConfig, ConvNovaForSequenceClassification

pytestmark = pytest.mark.filterwarnings("ignore")
torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return OneHot(ConvNovaForSequenceClassification(ConvNovaConfig(**TOY, num_labels=2)).eval())


def ids(n=3, length=40):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 4, (n, length)))


def one_hot(given):
    return torch.nn.functional.one_hot(given, 5)[..., :4].transpose(1, 2).float()


def logits(model, given):
    with torch.no_grad():
        return model.model(input_ids=given).logits


def test_one_hot_bases_are_read_as_their_ids(model):
    given = ids()
    given[0, 5:8] = 4
    with torch.no_grad():
        torch.testing.assert_close(model(one_hot(given)), logits(model, given))


def test_marginalize(model):
    marginalize = pytest.importorskip("tangermeme.marginalize").marginalize
    given = ids()
    before, after = marginalize(model, one_hot(given), "TATAAAA", start=16, device="cpu")[:2]
    changed = given.clone()
    changed[:, 16:23] = torch.tensor([3, 0, 3, 0, 0, 0, 0])
    torch.testing.assert_close(before, logits(model, given), atol=1e-5, rtol=0)
    torch.testing.assert_close(after, logits(model, changed), atol=1e-5, rtol=0)


def test_ablate_and_space(model):
    ablate = pytest.importorskip("tangermeme.ablate").ablate
    space = pytest.importorskip("tangermeme.space").space
    before, after = ablate(model, one_hot(ids()), 10, 20, n=4, random_state=0, device="cpu")[:2]
    torch.testing.assert_close(before, logits(model, ids()), atol=1e-5, rtol=0)
    assert after.shape == (3, 4, 2)
    before, after = space(model, one_hot(ids()), ["TATA", "CACG"], [[3], [6]], device="cpu")[:2]
    assert after.shape == (3, 2, 2)


def test_greedy_substitution_comes_nearer_to_what_is_wanted(model):
    greedy_substitution = pytest.importorskip("tangermeme.design").greedy_substitution
    given = one_hot(ids(1))
    wanted = logits(model, ids(1)) + torch.tensor([[0.0, 1.0]])
    designed = greedy_substitution(model, given, wanted, max_iter=2, device="cpu", verbose=False)
    with torch.no_grad():
        distances = [((model(one.float()) - wanted) ** 2).sum() for one in (given, designed)]
    assert distances[1] < distances[0]
    assert 1 <= int((designed.argmax(1) != given.argmax(1)).sum()) <= 2
