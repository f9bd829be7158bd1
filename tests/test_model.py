"""The network: published sizes, what an output depends on, padding, batches, gradients, settings."""

import re

import pytest
import torch
from torch import nn

from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaModel,
    layers_convnova,
    paper_dilations,
    preset,
    released_dilations,
)
from convnova.model.configuration_convnova import POOLINGS, VOCABULARY
from convnova.sequence import complement, reverse_complement

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2), "use_final_conv": True}
LENGTH = 40


def toy(model_class=ConvNovaModel, **settings):
    torch.manual_seed(0)
    return model_class(ConvNovaConfig(**TOY | settings)).eval()


def random_ids(*shape, seed=0):
    return torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(seed))


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


PUBLISHED = {
    "pretraining": (ConvNovaForMaskedLM, 1_772_933, 193),
    "nt": (ConvNovaModel, 1_688_448, 193),
    "genomic-benchmarks": (ConvNovaModel, 377_920, 101),
    "genomic-benchmarks-386k": (ConvNovaModel, 386_240, 101),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_have_the_published_parameters_and_receptive_field(name):
    model_class, count, receptive_field = PUBLISHED[name]
    config = preset(name)
    with torch.device("meta"):
        assert parameters(model_class(config)) == count
    assert config.receptive_field == receptive_field


@pytest.mark.parametrize(
    ("schedule", "levels", "base", "repeats", "expected"),
    [
        (paper_dilations, 5, 4, 1, (1, 1, 4, 16, 64)),
        (paper_dilations, 3, 2, 2, (1, 1, 1, 1, 2, 2)),
        (released_dilations, 5, 4, 1, (1, 1, 1, 4, 16)),
        (released_dilations, 4, 2, 2, (1, 1, 1, 1, 1, 1, 2, 2)),
        (released_dilations, 9, 4, 1, (1, 1, 1, 4, 16, 64, 256, 1024, 1024)),
    ],
)
def test_dilation_schedules(schedule, levels, base, repeats, expected):
    assert schedule(levels, base, repeats) == expected


@pytest.mark.parametrize(
    ("strand", "is_what_it_reads"),
    [(complement, True), (reverse_complement, False)],
    ids=("complement", "reverse"),
)
def test_the_second_branch_reads_the_complement_and_not_the_reverse_complement(strand, is_what_it_reads):
    model = toy()
    read = {}
    model.stem.register_forward_pre_hook(lambda _, given: read.update(forward=given[0]))
    model.complement_stem.register_forward_pre_hook(lambda _, given: read.update(second=given[0]))
    ids = random_ids(1, LENGTH)
    model(ids)
    other = torch.from_numpy(strand(ids.numpy().astype("uint8"))).long()
    assert torch.equal(read["forward"].argmax(-1), ids)
    assert torch.equal(read["second"].argmax(-1), other) is is_what_it_reads


def test_ids_and_their_one_hot_give_the_same():
    model, ids = toy(), random_ids(2, LENGTH)
    one_hot = nn.functional.one_hot(ids, 5).float()
    assert torch.equal(model(ids).last_hidden_state, model(inputs_embeds=one_hot).last_hidden_state)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_padding_invariance(side, pooling):
    classifier = toy(ConvNovaForSequenceClassification, pooling=pooling)
    language_model = toy(ConvNovaForMaskedLM)
    lengths = (LENGTH, 17, 1)
    alone = [random_ids(1, length, seed=length) for length in lengths]
    padded, mask = torch.full((3, LENGTH), 4), torch.zeros(3, LENGTH, dtype=torch.long)
    spans = [slice(LENGTH - n, LENGTH) if side == "left" else slice(0, n) for n in lengths]
    for row, (ids, span) in enumerate(zip(alone, spans, strict=True)):
        padded[row, span], mask[row, span] = ids[0], 1

    together = language_model(padded, mask, output_hidden_states=True)
    backbone = language_model.convnova(padded, mask).last_hidden_state
    logits = classifier(padded, mask).logits
    for row, (ids, span) in enumerate(zip(alone, spans, strict=True)):
        expected = language_model(ids, output_hidden_states=True)
        torch.testing.assert_close(together.logits[row, span], expected.logits[0], rtol=0, atol=1e-5)
        last = language_model.convnova(ids).last_hidden_state[0]
        torch.testing.assert_close(backbone[row, span], last, rtol=0, atol=1e-5)
        assert len(together.hidden_states) == len(expected.hidden_states) == 3
        for ours, theirs in zip(together.hidden_states, expected.hidden_states, strict=True):
            torch.testing.assert_close(ours[row, span], theirs[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(logits[row], classifier(ids).logits[0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_batch_size_invariance():
    model, ids = toy(), random_ids(5, LENGTH)
    alone = torch.cat([model(row[None]).last_hidden_state for row in ids])
    torch.testing.assert_close(model(ids).last_hidden_state, alone, rtol=0, atol=1e-5)


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for is_checkpointed in (False, True):
        model = toy(ConvNovaForMaskedLM).train()
        if is_checkpointed:
            model.activation_checkpointing_enable()
        ids = random_ids(2, LENGTH)
        model(ids, torch.ones_like(ids), labels=ids).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_each_activation_is_a_module_of_its_own_and_used_once():
    model, uses = toy(), []
    for name, module in model.named_modules():
        if isinstance(module, (nn.GELU, nn.Sigmoid)):
            module.register_forward_hook(lambda *_, name=name: uses.append(name))
    model(random_ids(1, LENGTH))
    assert len(uses) == len(set(uses)) == 2 + 2 * 3 + 2 + 1


def test_activations_stay_channels_last():
    model, outputs = toy(), []
    for module in model.modules():
        if isinstance(module, nn.Conv1d):
            module.register_forward_hook(lambda _module, _given, output: outputs.append(output))
    model(random_ids(2, LENGTH))
    assert outputs
    assert all(output.shape == (2, LENGTH, 8) and output.is_contiguous() for output in outputs)


@torch.no_grad()
def test_hidden_states_are_kept_only_when_asked_for():
    model, ids = toy(), random_ids(1, LENGTH)
    assert model(ids).hidden_states is None
    states = model(ids, output_hidden_states=True).hidden_states
    assert [tuple(state.shape) for state in states] == [(1, LENGTH, 8)] * 3


@torch.no_grad()
def test_outputs_as_tuples():
    model, ids = toy(ConvNovaForMaskedLM), random_ids(1, LENGTH)
    logits = model(ids).logits
    assert torch.equal(model(ids, return_dict=False)[0], logits)
    model.config.return_dict = False
    assert torch.equal(model(ids)[0], logits)


@torch.no_grad()
def test_the_network_can_be_exported_for_any_batch_and_length():
    model, ids = toy(ConvNovaForMaskedLM), random_ids(2, LENGTH)
    auto = torch.export.Dim.AUTO
    shapes = {"input_ids": {0: auto, 1: auto}}
    exported = torch.export.export(model, (), {"input_ids": ids}, dynamic_shapes=shapes).module()
    other = random_ids(3, LENGTH + 7)
    torch.testing.assert_close(exported(input_ids=other).logits, model(other).logits)


@pytest.mark.parametrize("given", [{}, {"input_ids": random_ids(1, 4), "inputs_embeds": torch.ones(1, 4, 5)}])
def test_ids_and_embeddings_exclude_each_other(given):
    with pytest.raises(ValueError, match=r"either input_ids \(B, L\) or inputs_embeds \(B, L, 5\), not both"):
        toy()(**given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_sise": 8}, "has no setting 'hidden_sise'; did you mean 'hidden_size'?"),
        ({"num_label": 8}, "has no setting 'num_label'; did you mean 'num_labels'?"),
        ({"d_model": 8}, "has no setting 'd_model'"),
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1; got 0"),
        ({"hidden_size": 8.0}, "hidden_size must be a whole number of at least 1; got 8.0"),
        ({"hidden_size": True}, "hidden_size must be a whole number of at least 1; got True"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
        ({"dilations": ()}, "dilations must be one whole number of at least 1 for each block"),
        ({"dilations": (1, 0)}, "dilations must be one whole number of at least 1 for each block"),
        ({"dilations": 4}, "dilations must be one whole number of at least 1 for each block"),
        ({"dilations": "14"}, "dilations must be one whole number of at least 1 for each block"),
        ({"mlp_expansion": 0}, "mlp_expansion must be a whole number of at least 1"),
        ({"use_ffn": "false"}, "use_ffn must be true or false; got 'false'"),
        ({"dropout": 1.0}, "dropout must be a number in [0, 1); got 1.0"),
        ({"classifier_dropout": "0.1"}, "classifier_dropout must be a number in [0, 1); got '0.1'"),
        ({"layer_norm_eps": 0}, "layer_norm_eps must be a positive number; got 0"),
        ({"pooling": "cls"}, "pooling must be one of mean, max, center, segments; got 'cls'"),
        ({"vocab_size": 16}, "vocab_size must be 5"),
        ({"pad_token_id": 0}, "pad_token_id must be 4, which is N; got 0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ConvNovaConfig(**settings)


def test_settings_changed_on_loading_are_checked(tmp_path):
    ConvNovaConfig(**TOY).save_pretrained(tmp_path)
    assert ConvNovaConfig.from_pretrained(tmp_path, dilations=[1, 3], num_labels=4).dilations == (1, 3)
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        ConvNovaConfig.from_pretrained(tmp_path, kernel_size=4)


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(ValueError, match="no preset 'base'; choose one of pretraining, nt"):
        preset("base")
    with pytest.raises(ValueError, match="model: kernel_size must be odd"):
        preset("pretraining", kernel_size=2)


def test_the_alphabet_is_that_of_the_package():
    from convnova.sequence import ALPHABET

    assert "".join(VOCABULARY) == ALPHABET


@pytest.mark.parametrize("length", [63, 64, 65, 200])
def test_a_long_sequence_convolved_in_pieces_matches_one_pass(monkeypatch, length):
    torch.manual_seed(0)
    convolution = layers_convnova.SameConv(3, 4, kernel_size=5, dilation=7)
    outputs, gradients = [], []
    for longest in (10**9, 64):
        monkeypatch.setattr(layers_convnova, "LONGEST_CONVOLUTION_BP", longest)
        x = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
        out = convolution(x)
        outputs.append(out)
        gradients.append(torch.autograd.grad(out.square().sum(), [x, *convolution.parameters()]))
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.1, 26 / 256), (0.5, 0.5), (0.001, 0.0), (0.999, 255 / 256)]
)
def test_dropout_drops_its_share_and_keeps_the_mean(rate, expected):
    torch.manual_seed(0)
    x = torch.ones(512, 1023, requires_grad=True)
    y = layers_convnova.Dropout(rate)(x)
    share = (y == 0).float().mean().item()
    deviation = (expected * (1 - expected) / x.numel()) ** 0.5
    assert abs(share - expected) <= 5 * deviation
    assert abs(y.mean().item() - 1) <= 5 * deviation / (1 - expected) + 1e-6
    y.sum().backward()
    assert torch.equal(x.grad, y)  # of ones: what is kept has the gradient that scales it


def test_dropout_does_nothing_at_rate_0_or_in_evaluation():
    x = torch.randn(4, 5)
    assert torch.equal(layers_convnova.Dropout(0.0)(x), x)
    assert torch.equal(layers_convnova.Dropout(0.5).eval()(x), x)
