"""How trained models compute: in bf16, compiled, with so many threads."""

import numpy as np
import polars as pl
import pytest
import torch

from convnova.cli import main
from convnova.data.packed import pack
from convnova.errors import InputError
from convnova.evaluation.mode import evaluating
from convnova.inference import compute
from convnova.inference.any_model import load_any
from convnova.inference.compute import make_ready
from convnova.inference.compute_settings import ComputeSettings
from convnova.inference.effects import output_change, pseudo_likelihood_change
from convnova.inference.embeddings import Reading, embed
from convnova.inference.mutagenesis import all_effects, log_odds, masked_effects
from convnova.inference.predict import predict
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM, ConvNovaForSequenceClassification

TOY = dict(hidden_size=16, dilations=[1, 2], kernel_size=5)
IDS = np.random.default_rng(3).integers(0, 4, 60).astype(np.uint8)


def masked_lm():
    torch.manual_seed(1)
    return ConvNovaForMaskedLM(ConvNovaConfig(**TOY))


def classifier():
    torch.manual_seed(1)
    return ConvNovaForSequenceClassification(ConvNovaConfig(**TOY, num_labels=2))


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (classifier, lambda model: predict(model, pack([IDS, IDS[:40]]), both_strands=True)),
        (masked_lm, lambda model: embed(model, pack([IDS, IDS[:40]]), Reading(both_strands=True))),
        (masked_lm, lambda model: embed(model, pack([IDS]), Reading(level="base", layer=1))[0]),
        (masked_lm, lambda model: masked_effects(model, IDS)),
        (masked_lm, lambda model: all_effects(model, IDS, pseudo_likelihood_change(model)).substitutions),
        (classifier, lambda model: all_effects(model, IDS, output_change(model, log_odds), True).deletions),
    ],
    ids=["predict", "embed", "embed layer", "masked", "pseudo-likelihood", "head"],
)
def test_bf16_is_close_to_fp32_and_not_the_same(make, read):
    model = make()
    whole = read(model)
    make_ready(model, ComputeSettings(precision="bf16"))
    half = read(model)
    assert half.dtype == whole.dtype == np.float32
    assert 0 < np.nanmax(np.abs(half - whole)) < 0.03 * max(1.0, np.nanmax(np.abs(whole)))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("pooling", ["mean", "segments", "max"])
def test_small_effects_of_a_head_are_not_rounded_away(pooling):
    torch.manual_seed(1)
    config = ConvNovaConfig(**TOY, pooling=pooling, pooling_segments=3, num_labels=2)
    model, ids = ConvNovaForSequenceClassification(config), np.tile(IDS, 20)
    with torch.no_grad():  # a head whose logits are far from zero beside what one base changes
        model.classifier.bias.copy_(torch.tensor([-8.0, 8.0]))

    def effects():
        found = all_effects(model, ids, output_change(model, log_odds), within=slice(500, 540))
        return found.substitutions[..., 0].ravel()

    whole = effects()
    make_ready(model, ComputeSettings(precision="bf16"))
    assert np.abs(effects() - whole).max() < 0.1 * np.abs(whole).max()


def test_fp32_is_fp32_on_a_gpu_too(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # PyTorch's default
    make_ready(masked_lm(), ComputeSettings(precision="fp32"))
    assert not torch.backends.cudnn.allow_tf32


def test_bf16_ends_with_the_pass():
    model = masked_lm()
    make_ready(model, ComputeSettings(precision="bf16"))
    with evaluating(model):
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")


def test_threads_are_as_they_are_wanted():
    before = torch.get_num_threads()
    try:
        make_ready(masked_lm(), ComputeSettings(threads=2))
        assert torch.get_num_threads() == 2
        make_ready(masked_lm(), ComputeSettings())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_compiled_network_gives_the_same_numbers(monkeypatch):
    model, compiled = masked_lm(), []
    sequences = pack([IDS, IDS[:40]])
    plain = embed(model, sequences)

    def backend(graph, inputs):
        compiled.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", _with_backend(torch.compile, backend))
    make_ready(model, ComputeSettings(compile=True))
    compiled.clear()
    np.testing.assert_allclose(embed(model, sequences), plain, atol=1e-6)
    assert compiled


def _with_backend(plain, backend):
    return lambda call, **settings: plain(call, backend=backend, **settings)


def test_where_nothing_can_be_compiled_it_is_said(monkeypatch):
    def refuse(graph, inputs):
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr(torch, "compile", _with_backend(torch.compile, refuse))
    with pytest.raises(InputError, match=r"torch\.compile does not work here.*leave out compile"):
        make_ready(masked_lm(), ComputeSettings(compile=True))


def test_a_precision_that_the_gpu_has_not_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(InputError, match="precision bf16 is not known to this GPU"):
        compute.make_ready(masked_lm(), ComputeSettings(precision="bf16"))


def test_the_commands_take_it(tmp_path):
    masked_lm().save_pretrained(tmp_path / "model")
    (tmp_path / "in.fa").write_text(">one\nACGTTGCAACGGTTTACA\n>two\nGGGCCATTAA\n")
    found = []
    for name, more in (("whole", []), ("half", ["--precision", "bf16", "--threads", "1"])):
        output = tmp_path / f"{name}.parquet"
        given = ["--model", tmp_path / "model", "--input", tmp_path / "in.fa", "--output", output]
        assert main(["embed", *map(str, given), *more]) == 0
        found.append(np.stack(pl.read_parquet(output)["embedding"].to_list()))
    assert 0 < np.abs(found[0] - found[1]).max() < 0.03
    assert load_any(tmp_path / "model").kind == "masked-lm"
