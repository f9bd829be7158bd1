"""Published folders of other systems to ours: the same numbers, every tensor explained, every wrong input."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_baselines import WORDS, batch
from transformers import BertConfig, BertForMaskedLM, EsmConfig, EsmForMaskedLM

from convnova.baselines import dnabert2, nucleotide_transformer
from convnova.baselines.architectures import any_config
from convnova.baselines.backbone import Tokens
from convnova.baselines.conversion import READERS, WEIGHT_FILES, convert_system
from convnova.baselines.systems import backbone_of
from convnova.cli import main
from convnova.errors import InputError

GOLDEN = Path(__file__).parent / "golden"
BERT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def write(folder, sizes, state, name="model.safetensors"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(sizes))
    if name.endswith("safetensors"):
        save_file({key: value.contiguous().clone() for key, value in state.items()}, folder / name)
    else:
        torch.save({"state_dict": state} if name.endswith("ckpt") else state, folder / name)
    return folder


def golden(name):
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    return tensors, {n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")}


def publish_dnabert(folder):
    """By Transformers itself, as the authors did."""
    model = BertForMaskedLM(BertConfig(vocab_size=69, max_position_embeddings=80, **BERT))
    model.eval().save_pretrained(folder)
    return lambda tokens: model(tokens.ids, tokens.mask).logits


def publish_nt(folder):
    """Version 1, by Transformers itself."""
    model = EsmForMaskedLM(
        EsmConfig(
            vocab_size=4105,
            pad_token_id=1,
            mask_token_id=2,
            max_position_embeddings=40,
            position_embedding_type="absolute",
            token_dropout=True,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            **BERT,
        )
    )
    model.eval().save_pretrained(folder)
    return lambda tokens: model(tokens.ids, tokens.mask).logits


def publish_nt_v2(folder):
    """Version 2: names of ESM, gated layers, positions that nobody reads."""
    config = nucleotide_transformer.NucleotideTransformerConfig(**BERT)
    model = nucleotide_transformer.NucleotideTransformerModel(config).eval()
    state = model.state_dict()
    frequencies = state.pop("esm.rotary_embeddings.inv_freq")
    for layer in range(2):
        state[f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"] = frequencies
    state["esm.embeddings.position_embeddings.weight"] = torch.zeros(2050, 8)
    state["esm.contact_head.regression.weight"] = torch.zeros(1, 4)
    sizes = BERT | {"vocab_size": 4107, "max_position_embeddings": 2050, "layer_norm_eps": 1e-12}
    write(folder, sizes | {"position_embedding_type": "rotary"}, state)
    return model.token_logits


def publish_dnabert2(folder):
    """Names of MosaicBERT."""
    config = dnabert2.DNABERT2Config(vocab_size=60, tokenizer=WORDS, **BERT)
    model = dnabert2.DNABERT2Model(config).eval()
    names = [
        (r"word_embeddings\.weight", "bert.embeddings.word_embeddings.weight"),
        (r"norm\.(.+)", r"bert.embeddings.LayerNorm.\1"),
        (r"layers\.(\d)\.qkv\.(.+)", r"bert.encoder.layer.\1.attention.self.Wqkv.\2"),
        (r"layers\.(\d)\.attention_out\.(.+)", r"bert.encoder.layer.\1.attention.output.dense.\2"),
        (r"layers\.(\d)\.attention_norm\.(.+)", r"bert.encoder.layer.\1.attention.output.LayerNorm.\2"),
        (r"layers\.(\d)\.gated\.weight", r"bert.encoder.layer.\1.mlp.gated_layers.weight"),
        (r"layers\.(\d)\.out\.(.+)", r"bert.encoder.layer.\1.mlp.wo.\2"),
        (r"layers\.(\d)\.norm\.(.+)", r"bert.encoder.layer.\1.mlp.layernorm.\2"),
        (r"(transform|decoder)\.(.+)", r"cls.predictions.\1.\2"),
    ]
    state = {"bert.embeddings.token_type_embeddings.weight": torch.zeros(2, 8)}
    state |= {"bert.pooler.dense.weight": torch.zeros(8, 8)}
    for name, tensor in model.state_dict().items():
        for pattern, published in names:
            if match := re.fullmatch(pattern, name):
                state[match.expand(published)] = tensor
    write(folder, BERT | {"vocab_size": 60, "layer_norm_eps": 1e-12}, state, "pytorch_model.bin")
    (folder / "tokenizer.json").write_text(WORDS)
    return model.token_logits


def publish_hyenadna(folder):
    tensors, weights = golden("hyenadna_d32_l2")
    write(
        folder, {"d_model": 32, "n_layer": 2}, {f"model.{n}": t for n, t in weights.items()}, "weights.ckpt"
    )
    return tensors


def publish_caduceus(folder):
    tensors, weights = golden("caduceus_ps_d24_l2")
    state = {f"caduceus.backbone.{name}": tensor for name, tensor in weights.items()}
    state["lm_head.lm_head.weight"] = weights["embeddings.word_embeddings.embedding.weight"]
    sizes = {"d_model": 24, "n_layer": 2, "rcps": True, "ssm_cfg": {"d_state": 16, "d_conv": 4, "expand": 2}}
    write(folder, sizes, state)
    return tensors


PUBLISHERS = {
    "dnabert": publish_dnabert,
    "dnabert2": publish_dnabert2,
    "nt": publish_nt,
    "nt, version 2": publish_nt_v2,
    "hyenadna": publish_hyenadna,
    "caduceus": publish_caduceus,
}


def test_no_system_is_missed():
    assert {name.partition(",")[0] for name in PUBLISHERS} == set(READERS)


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_published_folder_gives_the_same_numbers(name, tmp_path):
    torch.manual_seed(0)
    expected = PUBLISHERS[name](tmp_path / "published")
    done = convert_system(name.partition(",")[0], tmp_path / "published", tmp_path / "ours")
    assert "tensors, all accounted for" in str(done)
    config = any_config(tmp_path / "ours")
    model = type(backbone_of(config)).from_pretrained(tmp_path / "ours", config=config).eval()
    with torch.no_grad():
        if callable(expected):
            tokens = model.tokenize(*batch())
            is_real = tokens.mask.bool()
            torch.testing.assert_close(
                model.token_logits(tokens)[is_real], expected(tokens)[is_real], atol=1e-5, rtol=0
            )
        else:
            ids = expected["input_ids"]
            hidden = model.encode(Tokens(ids, torch.ones_like(ids), ids))
            torch.testing.assert_close(hidden, expected["output"], atol=1e-5, rtol=0)


def test_the_command_says_what_was_read(tmp_path, capsys):
    publish_hyenadna(tmp_path / "published")
    paths = [str(tmp_path / "published"), str(tmp_path / "ours")]
    assert main(["convert", "--from", "hyenadna", *paths]) == 0
    assert "59 tensors, all accounted for: hyenadna with 20,832 parameters in" in capsys.readouterr().out
    assert main(["convert", "--from", "hyenadna", *paths]) == 2
    assert "already exists; give a new name, nothing is overwritten" in capsys.readouterr().err


def broken(folder, change):
    publish_caduceus(folder)
    sizes, state = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    change(sizes, state)
    write(folder, sizes, state)


REFUSED = {
    "a tensor too many": (
        lambda sizes, state: state.update(x=torch.zeros(1)),
        r"1 tensors are not of this .* \(x\)",
    ),
    "a tensor too few": (
        lambda sizes, state: state.pop("caduceus.backbone.norm_f.submodule.weight"),
        r"do not fit the configuration: norm\.weight is missing",
    ),
    "another size": (
        lambda sizes, state: sizes.update(d_model=32),
        r"is \(16, 24\), not \(16, 32\)",
    ),
    "no size": (
        lambda sizes, state: sizes.pop("n_layer"),
        r"no 'n_layer' in config\.json or the",
    ),
    "untied": (
        lambda sizes, state: state["lm_head.lm_head.weight"].add_(1),
        r"embeddings\.weight is there twice, with other numbers; its published weights are tied",
    ),
    "another strategy": (
        lambda sizes, state: sizes.update(bidirectional_strategy="ew_multiply"),
        r"its directions are not added up with shared projections",
    ),
    "a size in words": (
        lambda sizes, state: sizes.update(d_model="two"),
        r"config\.json and the weights are not of a caduceus",
    ),
    "settings that are none": (
        lambda sizes, state: sizes.update(ssm_cfg="no"),
        r"config\.json and the weights are not of a caduceus",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_explained_is_refused_and_nothing_is_written(case, tmp_path):
    change, message = REFUSED[case]
    broken(tmp_path / "published", change)
    with pytest.raises(InputError, match=message) as caught:
        convert_system("caduceus", tmp_path / "published", tmp_path / "ours")
    assert str(caught.value).startswith(str(tmp_path / "published"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("system", "missing", "message"),
    [
        (
            "caduceus",
            "config.json",
            r"config\.json: no such file; give the folder with config",
        ),
        ("caduceus", "model.safetensors", r"there are no weights in it; download one of model\.safetensors"),
        ("dnabert2", "tokenizer.json", r"tokenizer\.json: no such file; DNABERT-2 needs the tokenizer\.json"),
        ("hyenas", "", r"there is no system 'hyenas' to convert from; use one of dnabert"),
    ],
)
def test_a_missing_file_is_named(system, missing, message, tmp_path):
    PUBLISHERS.get(system, publish_caduceus)(tmp_path / "published")
    if missing:
        (tmp_path / "published" / missing).unlink()
    with pytest.raises(InputError, match=message):
        convert_system(system, tmp_path / "published", tmp_path / "ours")


def test_weights_of_another_system_are_refused(tmp_path):
    publish_caduceus(tmp_path / "published")
    with pytest.raises(InputError, match="tensors are not of this architecture"):
        convert_system("hyenadna", tmp_path / "published", tmp_path / "ours")


def test_a_file_that_is_cut_short_or_holds_code_is_refused(tmp_path):
    publish_dnabert2(tmp_path / "published")
    path = tmp_path / "published/pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"pytorch_model\.bin: is cut short, or holds more than weights"):
        convert_system("dnabert2", tmp_path / "published", tmp_path / "ours")


def test_weights_in_parts_are_read_as_one(tmp_path):
    published = tmp_path / "published"
    tensors = publish_caduceus(published)
    state = load_file(published / "model.safetensors")
    (published / "model.safetensors").unlink()
    names, index = sorted(state), {}
    for part in range(2):
        file = f"model-0000{part + 1}-of-00002.safetensors"
        own = {name: state[name] for name in names[part::2]}
        save_file(own, published / file)
        index |= dict.fromkeys(own, file)
    (published / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    done = convert_system("caduceus", published, tmp_path / "ours")
    assert done.tensors == len(state)
    assert tensors
    (published / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"model-00002-of-00002\.safetensors is not there; download all 2 parts"
    ):
        convert_system("caduceus", published, tmp_path / "again")


@pytest.mark.parametrize(
    ("system", "change", "message"),
    [
        ("hyenadna", lambda sizes, state: _without(state, "pos_emb.t"), r"no 'pos_emb\.t' in config\.json"),
        (
            "hyenadna",
            lambda sizes, state: state.update({"model.lm_head.weight": torch.ones(16, 32)}),
            r"embeddings\.weight is there twice, with other numbers",
        ),
        ("dnabert", lambda sizes, state: sizes.update(vocab_size=5), "are not of a dnabert"),
        ("dnabert", lambda sizes, state: sizes.update(num_hidden_layers="two"), "are not of a dnabert"),
        ("dnabert", lambda sizes, state: sizes.update(num_attention_heads=3), "not a multiple of the number"),
    ],
)
def test_what_is_odd_in_a_published_folder_is_one_line(system, change, message, tmp_path):
    published = tmp_path / "published"
    PUBLISHERS[system](published)
    path = next(published / name for name in WEIGHT_FILES if (published / name).exists())
    state = torch.load(path)["state_dict"] if path.suffix == ".ckpt" else load_file(path)
    sizes = json.loads((published / "config.json").read_text())
    change(sizes, state)
    write(published, sizes, state, path.name)
    with pytest.raises(InputError, match=message) as caught:
        convert_system(system, published, tmp_path / "ours")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ours").exists()


def _without(state, ending):
    for name in [name for name in state if name.endswith(ending)]:
        del state[name]


def test_a_published_folder_that_is_not_converted_is_told_apart(tmp_path):
    publish_caduceus(tmp_path / "published")
    with pytest.raises(InputError, match="published weights of another system; convert them first"):
        any_config(tmp_path / "published")
