"""The variants of ablations: what each is, its size and its receptive field, padding, and old models."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convnova.errors import InputError
from convnova.model import ConvNovaConfig, ConvNovaForSequenceClassification, ConvNovaModel, preset
from convnova.model.variants import STUDIES, changed, field_changes, parameters, unet, unmatched, variants

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1, "use_ffn": False}
KINDS = {
    "dual": {},
    "copy": {"second_branch": "copy"},
    "single": {"gating": "single", "second_branch": "none"},
    "added": {"gating": "none"},
    "one branch": {"gating": "none", "second_branch": "none"},
    "ffn": {"use_ffn": True},
    "unet": {"downsampling": (1, 2, 1)},
    "unet of one branch": {"downsampling": (1, 2, 1), "gating": "single", "second_branch": "none"},
    "deep unet": {"dilations": (1,) * 7, "downsampling": (2, 2, 4, 8, 4, 2, 1)},
}
LENGTH = 64


def toy(model_class=ConvNovaModel, **settings):
    torch.manual_seed(0)
    return model_class(ConvNovaConfig(**TOY | settings)).eval()


def random_ids(*shape, seed=0):
    return torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))


def by_hand(block, features, gates):
    """Return what a block gives, written out from its drawing."""

    def branch(norm, conv, x):
        return F.conv1d(norm(x).transpose(1, 2), conv.weight, conv.bias, padding="same").transpose(1, 2)

    hidden = F.gelu(branch(block.feature_norm, block.feature_conv, features))
    if block.gate_conv is None:
        return features + hidden, None
    other = branch(block.gate_norm, block.gate_conv, features if gates is None else gates)
    if isinstance(block.gate_activation, nn.Sigmoid):
        gate = other.sigmoid()
        return features + hidden * gate, None if gates is None else gates + gate
    gate = F.gelu(other)
    return features + hidden + gate, gates + gate


@pytest.mark.parametrize("name", ["dual", "copy", "single", "added", "one branch"])
def test_a_block_computes_what_its_drawing_says(name):
    model = toy(**KINDS[name])
    features, gates = torch.randn(2, 2, 20, 8)
    if model.config.second_branch == "none":
        gates = None
    found, expected = model.blocks[0](features, gates), by_hand(model.blocks[0], features, gates)
    torch.testing.assert_close(found[0], expected[0])
    assert (found[1] is None) == (gates is None)
    if gates is not None:
        torch.testing.assert_close(found[1], expected[1])


def test_the_second_branch_reads_the_same_strand_when_told_to():
    model = toy(second_branch="copy")
    seen = []
    model.complement_stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(random_ids(1, LENGTH))
    assert torch.equal(*seen)


def test_a_unet_computes_what_its_drawing_says():
    """Down: a linear layer on pairs; up: one to pairs, and the finer scale is added."""
    model = toy(**KINDS["unet of one branch"])
    ids = random_ids(1, 21)
    x = F.gelu(model.stem(F.one_hot(ids, 5).float()))
    fine, _ = by_hand(model.blocks[0], x, None)
    pairs = torch.cat([fine, torch.zeros(1, 1, 8)], dim=1).view(1, 11, 16)
    dilated = F.gelu(
        F.conv1d(
            model.blocks[1]
            .feature_norm(coarse := F.linear(pairs, *model.rescaling["1"].of_features.parameters()))
            .transpose(1, 2),
            model.blocks[1].feature_conv.weight,
            model.blocks[1].feature_conv.bias,
            padding="same",
            dilation=2,
        ).transpose(1, 2)
    )
    gate = F.conv1d(
        model.blocks[1].gate_norm(coarse).transpose(1, 2),
        model.blocks[1].gate_conv.weight,
        model.blocks[1].gate_conv.bias,
        padding="same",
        dilation=2,
    ).transpose(1, 2)
    coarse = coarse + dilated * gate.sigmoid()
    up = F.linear(coarse, *model.rescaling["2"].of_features.parameters()).reshape(1, 22, 8)[:, :21]
    x, _ = by_hand(model.blocks[2], fine + up, None)
    x = x + model.output_mlp(x)
    torch.testing.assert_close(model(ids).last_hidden_state, x)


@pytest.mark.parametrize("name", KINDS)
def test_an_output_depends_on_its_receptive_field_and_on_nothing_beyond(name):
    """Gradients of a random model: zero outside, exactly, and not zero for any base within."""
    model = toy(**KINDS[name])
    field = model.config.receptive_field
    reach, length = field // 2, 2 * field + 16
    seen = set()
    for place in range(length // 2, length // 2 + max(model.config.downsampling, default=1)):
        bases = F.one_hot(random_ids(1, length), 5).float().requires_grad_()
        model(inputs_embeds=bases).last_hidden_state[0, place].sum().backward()
        touched = bases.grad[0].abs().sum(dim=1).nonzero().flatten() - place
        seen.update(touched.tolist())
    assert seen == set(range(-reach, reach + 1))


@pytest.mark.parametrize("pooling", ["mean", "max", "segments"])
@pytest.mark.parametrize("name", KINDS)
def test_padding_changes_nothing(name, pooling):
    model = toy(ConvNovaForSequenceClassification, **KINDS[name], pooling=pooling, pooling_segments=3)
    for length in (40, 41, 43):
        ids = random_ids(2, length)
        padded = F.pad(ids, (0, 9), value=4)
        mask = (torch.arange(length + 9) < length).expand(2, -1)
        torch.testing.assert_close(
            model(padded, attention_mask=mask).logits, model(ids).logits, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", KINDS)
def test_padding_on_the_left_changes_nothing_or_is_refused(name):
    model = toy(**KINDS[name])
    ids = random_ids(2, 40)
    padded, mask = F.pad(ids, (3, 0), value=4), (torch.arange(43) >= 3).expand(2, -1)
    if model.config.downsampling:
        with pytest.raises(ValueError, match="padding on the right alone"):
            model(padded, mask)
    else:
        found = model(padded, mask).last_hidden_state[:, 3:]
        torch.testing.assert_close(found, model(ids).last_hidden_state, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_gradient_checkpointing_gives_the_same_gradients(name):
    gradients = []
    for is_checkpointed in (False, True):
        model = toy(**KINDS[name]).train()
        if is_checkpointed:
            model.activation_checkpointing_enable()
        model(random_ids(2, LENGTH)).last_hidden_state.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", KINDS)
def test_every_weight_is_used_and_saved(name, tmp_path):
    model = toy(ConvNovaForSequenceClassification, **KINDS[name])
    model(random_ids(2, LENGTH), labels=torch.tensor([0, 1])).loss.backward()
    unused = [name for name, one in model.named_parameters() if one.grad is None]
    # Of the last block the second branch's state goes nowhere; its gate does.
    assert not unused
    model.save_pretrained(tmp_path)
    again = ConvNovaForSequenceClassification.from_pretrained(tmp_path).eval()
    assert again.config.receptive_field == model.config.receptive_field
    ids = random_ids(2, LENGTH, seed=1)
    torch.testing.assert_close(again(ids).logits, model(ids).logits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gating": "double"}, "gating must be one of dual, single, none; got 'double'"),
        ({"second_branch": "both"}, "second_branch must be one of complement, copy, none; got 'both'"),
        ({"gating": "single"}, "gating dual needs a second_branch, complement or copy, and gating single"),
        ({"second_branch": "none"}, "gating dual needs a second_branch"),
        ({"downsampling": (1, 2)}, "downsampling must be one whole number for each block"),
        ({"downsampling": (1, 2, 2)}, "and 1 at the last; got (1, 2, 2)"),
        ({"downsampling": (1, 4, 1)}, "or twice or half of the one before"),
        ({"downsampling": (1, 0, 1)}, "downsampling must be one whole number"),
        ({"downsampling": 2}, "downsampling must be one whole number"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ConvNovaConfig(**TOY | settings)


def test_a_configuration_of_before_is_convnova():
    saved = {name: value for name, value in ConvNovaConfig(**TOY).to_dict().items()}
    for name in ("gating", "second_branch", "downsampling"):
        saved.pop(name)
    again = ConvNovaConfig.from_dict(saved)
    assert (again.gating, again.second_branch, again.downsampling) == ("dual", "complement", ())


FULL = preset("nt-0.5m")


SIZES = {
    "full": (426_432, 64, 193),
    "same-strand": (426_432, 64, 193),
    "single-gate": (423_488, 64, 193),
    "no-gate": (426_432, 64, 193),
    "one-branch": (427_936, 86, 193),
    "downsampling": (419_431, 59, 95),
    "deep-downsampling": (429_777, 51, 199),
    "plain": (426_432, 64, 49),
    "kernel-3": (425_007, 99, 195),
    "kernel-5": (427_958, 82, 189),
    "kernel-7": (422_947, 71, 207),
    "kernel-11": (432_647, 59, 199),
    "kernel-15": (428_247, 51, 205),
    "dilation-1": (426_432, 64, 49),
    "dilation-2": (426_432, 64, 81),
    "dilation-3": (426_432, 64, 129),
    "dilation-6": (426_432, 64, 369),
    "dilation-8": (426_432, 64, 609),
    "blocks-2": (426_033, 93, 193),
    "blocks-3": (421_623, 79, 193),
    "blocks-4": (420_630, 70, 193),
    "blocks-5": (426_432, 64, 193),
    "blocks-6": (426_039, 59, 193),
    "blocks-8": (429_780, 52, 193),
    "blocks-12": (429_183, 43, 193),
    "ffn": (420_608, 62, 193),
}
"""Parameters, channels and receptive field of each variant, as docs/analysis.md has them."""


def test_every_variant_is_as_large_as_the_documentation_says():
    found = {
        variant.name: changed(FULL, variant.changes) for study in STUDIES for variant in variants(study, FULL)
    }
    assert {
        name: (parameters(config), config.hidden_size, config.receptive_field)
        for name, config in found.items()
    } == SIZES
    text = (Path(__file__).parents[1] / "docs/analysis.md").read_text()
    for name, (size, channels, field) in SIZES.items():
        assert re.search(rf"\| {name} \|.*\| {size:,} \| {channels} \| {field} \|", text), name


@pytest.mark.parametrize("channels", [32, 48, 64, 128])
@pytest.mark.parametrize("study", STUDIES)
def test_variants_have_the_parameters_of_the_full_model(study, channels):
    full = changed(FULL, {"hidden_size": channels})
    found = variants(study, full)
    assert found[0].name == "full"
    assert found[0].changes == {}
    wanted = parameters(full)
    for variant in found[1:]:
        config = changed(full, variant.changes)
        assert parameters(config) == pytest.approx(wanted, rel=0.05), variant.name
        if study in ("gate", "ffn"):
            assert config.receptive_field == full.receptive_field
        if study in ("kernel", "depth") or variant.name == "deep-downsampling":
            assert config.receptive_field == pytest.approx(full.receptive_field, rel=0.1), variant.name


def test_variants_of_a_small_network_that_miss_its_parameters_are_found():
    full = changed(FULL, {"hidden_size": 8})
    networks = {one.name: one.changes for study in STUDIES for one in variants(study, full)}
    shares = {name: parameters(changed(full, one)) / parameters(full) - 1 for name, one in networks.items()}
    found = unmatched(full, networks)
    assert found == {name: share for name, share in shares.items() if not -0.05 <= share <= 0.05}
    assert found["ffn"] == pytest.approx(0.06, abs=0.005)
    assert "no-gate" not in found
    assert unmatched(FULL, {one.name: one.changes for one in variants("kernel", FULL)}) == {}


def test_which_strand_the_second_branch_reads_is_an_order_of_its_inputs():
    """So the variant same-strand differs from the full model by the draw of its weights alone."""
    torch.manual_seed(0)
    small = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2)}
    full, copy = (ConvNovaModel(changed(FULL, small | {"second_branch": b})) for b in ("complement", "copy"))
    state = full.state_dict()
    state["complement_stem.weight"] = state["complement_stem.weight"][:, [3, 2, 1, 0, 4]]
    copy.load_state_dict(state)
    ids = torch.randint(0, 5, (2, 40))
    with torch.no_grad():
        assert torch.equal(full(ids).last_hidden_state, copy(ids).last_hidden_state)


def test_variants_as_large_as_they_come():
    for variant in variants("gate", FULL, match=False)[1:]:
        assert changed(FULL, variant.changes).hidden_size == FULL.hidden_size


@pytest.mark.parametrize(
    ("blocks", "scales"),
    [
        (1, (1,)),
        (2, (1, 1)),
        (3, (1, 2, 1)),
        (4, (1, 2, 2, 1)),
        (5, (1, 2, 4, 2, 1)),
        (6, (1, 2, 4, 4, 2, 1)),
    ],
)
def test_the_scales_of_a_unet(blocks, scales):
    assert unet(blocks) == scales


@pytest.mark.parametrize("wanted", [25, 50, 75, 125, 250, 500, 1000])
def test_a_wanted_field_is_about_reached_at_equal_parameters(wanted):
    config = changed(FULL, field_changes(FULL, wanted))
    assert config.receptive_field == pytest.approx(wanted, rel=0.15)
    assert parameters(config) == pytest.approx(parameters(FULL), rel=0.05)
    assert len(config.dilations) == len(FULL.dilations)


def test_what_is_no_study_and_what_is_no_full_model_is_refused():
    with pytest.raises(InputError, match="there is no study 'gates'; choose of gate, context"):
        variants("gates", FULL)
    with pytest.raises(InputError, match="ablations begin at the full model"):
        variants("gate", changed(FULL, {"second_branch": "copy"}))
