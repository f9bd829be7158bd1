"""Every system that ConvNova is compared with answers to the same calls; a new one is missed here."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from convnova.baselines import caduceus, dnabert2, hyenadna, nucleotide_transformer, selective_scan
from convnova.baselines.architectures import any_config
from convnova.baselines.backbone import Tokens
from convnova.baselines.byte_pairs import BytePairs, train_byte_pairs
from convnova.baselines.heads import (
    BaselineForLanguageModel,
    BaselineForSequenceClassification,
    BaselineForTokenClassification,
    parameters_in_use,
)
from convnova.baselines.published import fill
from convnova.baselines.systems import CONFIGS, PRESETS, backbone_of, preset_config
from convnova.baselines.words import overlapping_words, words_side_by_side
from convnova.errors import InputError
from convnova.sequence import decode, encode

torch.set_num_threads(1)

N, PAD = 4, 4
WORDS = train_byte_pairs([decode(np.random.default_rng(0).integers(0, 4, 4000).astype(np.uint8))], 60)
SMALL_BERT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
SMALL = {"hidden_size": 8, "num_hidden_layers": 2}
TINY = {
    "dnabert": {"k": 3, "max_positions": 80, **SMALL_BERT},
    "dnabert2": {"vocab_size": 60, "tokenizer": WORDS, **SMALL_BERT},
    "nucleotide-transformer": {"max_positions": 40, **SMALL_BERT},
    "hyenadna": {"max_positions": 80, "filter_order": 8, **SMALL},
    "caduceus": SMALL,
    "deepsea": {"channels": (4, 6, 8), "hidden_size": 8, "input_bp": 170},
    "danq": {"channels": 4, "hidden_size": 8, "input_bp": 80},
    "deepatt": {"channels": 8, "hidden_size": 8, "attention_size": 8, "attention_heads": 2, "input_bp": 80},
    "cnn": {"embedding_size": 8, "hidden_size": 8, "input_bp": 80},
    "kmers": {"k": 2},
}
FORMS = TINY | {
    "caduceus, strands kept apart": SMALL | {"keeps_strands": True},
    "nucleotide-transformer, version 1": TINY["nucleotide-transformer"]
    | {"vocab_size": 4105, "is_gated": False},
}
PER_BASE = [
    name for name in FORMS if name.split(",")[0] not in ("deepsea", "danq", "deepatt", "cnn", "kmers")
]


def config_of(name, **changes):
    return CONFIGS[name.split(",")[0]](**FORMS[name] | changes)


def classifier(name, labels=3, **changes):
    torch.manual_seed(0)
    return BaselineForSequenceClassification(config_of(name, num_labels=labels, **changes)).eval()


def batch(lengths=(70, 41, 66), seed=0):
    """Return ids and mask of random sequences, one with N inside."""
    rng = np.random.default_rng(seed)
    ids, mask = torch.full((len(lengths), max(lengths)), PAD), torch.zeros(len(lengths), max(lengths)).long()
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.from_numpy(rng.integers(0, 4, length))
        mask[row, :length] = 1
    ids[0, lengths[0] // 2] = N
    return ids, mask


def test_no_system_is_missed():
    assert set(TINY) == set(CONFIGS)


@pytest.mark.parametrize("pooling", [{}, {"pooling": "segments", "pooling_segments": 7}])
@pytest.mark.parametrize("name", FORMS)
def test_a_sequence_has_an_embedding_and_logits(name, pooling):
    model, (ids, mask) = classifier(name, **pooling), batch()
    with torch.no_grad():
        assert model(ids, mask).logits.shape == (3, 3)
        assert model.embed(ids, mask).shape == (3, model.config.pooled_size)


@pytest.mark.parametrize("name", FORMS)
def test_batch_size_and_padding_change_nothing(name):
    model, (ids, mask) = classifier(name), batch()
    with torch.no_grad():
        together = model(ids, mask).logits
        alone = [model(ids[row : row + 1, : mask[row].sum()]).logits for row in range(len(ids))]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FORMS)
def test_a_step_of_training_lowers_the_loss_and_reaches_all_weights(name):
    model, (ids, mask) = classifier(name).train(), batch()
    labels = torch.tensor([0, 1, 2])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    torch.manual_seed(1)
    before = model(ids, mask, labels=labels).loss
    before.backward()
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    used = sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and n not in unused)
    assert used == parameters_in_use(model)
    for _ in range(5):
        optimizer.step()
        optimizer.zero_grad()
        torch.manual_seed(1)
        after = model(ids, mask, labels=labels).loss
        after.backward()
    assert after < before


@pytest.mark.parametrize("name", FORMS)
def test_a_saved_model_is_the_same_when_it_is_loaded(name, tmp_path):
    model, (ids, mask) = classifier(name), batch()
    model.save_pretrained(tmp_path)
    config = any_config(tmp_path)
    assert type(config) is type(model.config)
    for given in ({"config": config}, {}):
        loaded = BaselineForSequenceClassification.from_pretrained(tmp_path, **given).eval()
        with torch.no_grad():
            torch.testing.assert_close(loaded(ids, mask).logits, model(ids, mask).logits, atol=0, rtol=0)


@pytest.mark.parametrize("name", FORMS)
def test_only_n_gives_finite_numbers(name):
    with torch.no_grad():
        assert classifier(name)(torch.full((2, 18), N)).logits.isfinite().all()


@pytest.mark.parametrize("name", FORMS)
def test_a_sequence_beyond_the_longest_is_refused(name):
    model = classifier(name)
    longest = model.config.max_length_bp
    if longest is None:
        assert model.config.model_type in ("caduceus", "dnabert2", "kmers")
        return
    with torch.no_grad():
        assert model(torch.zeros(1, longest).long()).logits.isfinite().all()
        with pytest.raises(
            InputError, match=rf"a sequence of {longest + 1:,} bp is longer than .*{longest:,}"
        ):
            model(torch.zeros(1, longest + 1).long())


def test_a_sequence_of_too_many_words_is_refused():
    model = backbone_of(config_of("nucleotide-transformer"))
    with pytest.raises(InputError, match=r"a sequence of 60 bp has 60 words, .*; 37 can be read, so crop it"):
        model(torch.full((1, 60), N))


@pytest.mark.parametrize("name", FORMS)
def test_each_base_has_logits_where_a_system_has_an_output_for_it(name):
    config, (ids, mask) = config_of(name, num_labels=5), batch()
    if name not in PER_BASE:
        with pytest.raises(InputError, match="has no output for each base"):
            BaselineForTokenClassification(config)
        return
    model = BaselineForTokenClassification(config).eval()
    with torch.no_grad():
        output = model(ids, mask, labels=torch.where(mask.bool(), ids, -100))
    assert output.logits.shape == (*ids.shape, 5)
    assert output.loss.isfinite()


@pytest.mark.parametrize("name", FORMS)
def test_tokens_have_logits_and_a_loss_of_the_language_model(name):
    if name not in PER_BASE:
        with pytest.raises(InputError, match="has no output for each base"):
            BaselineForLanguageModel(config_of(name))
        return
    torch.manual_seed(0)
    model, (ids, mask) = BaselineForLanguageModel(config_of(name)).eval(), batch()
    tokens = model.tokenize(ids, mask)
    labels = torch.where(tokens.mask.bool(), tokens.ids, -100)
    output = model(tokens, labels)
    assert output.logits.shape == (*tokens.ids.shape, model.config.vocab_size)
    assert tokens.of_base.shape == ids.shape
    expected = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(output.loss, expected)
    output.loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_model_of_no_system_is_not_loaded(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="its model is a bert, and none of dnabert, "):
        BaselineForSequenceClassification.from_pretrained(tmp_path)


def test_a_tokenizer_that_passes_over_letters_is_refused():
    known = json.loads(train_byte_pairs(["ACGT" * 9], 12))
    known["model"]["unk_token"] = None
    known["model"]["vocab"].pop("N")
    ids = torch.from_numpy(encode("NNACGT").astype(np.int64))[None]
    with pytest.raises(InputError, match="passes over letters that it has no word for"):
        BytePairs(json.dumps(known))(ids, None, 1, 2, 3)


# Published models

COUNTS = {
    "dnabert-3": 86_095_941,
    "dnabert-4": 86_243_589,
    "dnabert-5": 86_834_181,
    "dnabert-6": 89_196_549,
    "dnabert2-117m": 120_219_136,
    "nt-500m": 485_698_825,
    "nt-2500m": 2_547_800_585,
    "nt-v2-50m": 54_855_179,
    "nt-v2-100m": 96_839_179,
    "nt-v2-250m": 233_545_995,
    "nt-v2-500m": 496_245_771,
    "hyenadna-tiny-1k": 436_096,
    "hyenadna-small-32k": 3_277_568,
    "hyenadna-medium-160k": 6_550_528,
    "hyenadna-medium-450k": 6_550_528,
    "hyenadna-large-1m": 6_550_528,
    "caduceus-ph-1k": 470_702,
    "caduceus-ps-1k": 470_702,
    "caduceus-ph-131k": 7_725_312,
    "caduceus-ps-131k": 7_725_312,
    "deepsea": 52_843_119,
    "danq": 46_926_479,
    "deepatt": 7_808_057,
    "cnn": 728_287,
}
"""Trained weights, with a head of 919 labels where a model was published with one."""
DECODERS = {"dnabert2-117m": 4096 * 768, "nt-500m": 4105 * 1280, "nt-2500m": 4105 * 2560}
"""Counted once by the authors: the last layer of the language model is that of the words."""
SCALES = {"K": 1e3, "M": 1e6}


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith(("-0.5m", "-1.7m"))])
def test_small_models_have_about_as_many_weights_as_they_are_called_after(name):
    with torch.device("meta"):
        model = BaselineForSequenceClassification(preset_config(name, num_labels=2))
    assert parameters_in_use(model) == pytest.approx(float(name[-4:-1]) * 1e6, rel=0.15)


@pytest.mark.parametrize("name", COUNTS)
def test_published_models_have_their_published_numbers_of_weights(name):
    with torch.device("meta"):
        if PRESETS[name].system in ("deepsea", "danq", "deepatt", "cnn"):
            model = BaselineForSequenceClassification(preset_config(name, num_labels=919))
        else:
            model = backbone_of(preset_config(name))
    count = model.num_parameters(only_trainable=True)
    assert count == COUNTS[name]
    published = PRESETS[name].published_parameters.replace(",", "")
    count -= DECODERS.get(name, 0)
    if published.isdecimal():
        assert count == int(published)
    elif published:
        tolerance = 0.1 if name.startswith("nt-v2") else 0.01  # these are named after round numbers
        assert count == pytest.approx(float(published[:-1]) * SCALES[published[-1]], rel=tolerance)


def test_an_unknown_model_is_refused_with_the_nearest_names():
    with pytest.raises(InputError, match=r"there is no model 'caduceus-ph-2k'; nearest are caduceus-ph-1k, "):
        preset_config("caduceus-ph-2k")


# Against the original implementations


def golden(name):
    shared = Path(os.environ.get("CONVNOVA_SHARED", Path(__file__).parents[2] / "shared"))
    for folder in (Path(__file__).parent / "golden", shared / "golden/baselines"):
        if (path := folder / f"{name}.safetensors").exists():
            tensors = load_file(path)
            weights = {n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")}
            return tensors, weights
    pytest.skip(f"{name} is not here; set CONVNOVA_SHARED to the folder that has golden/baselines")


def given_tokens(tensors):
    ids = tensors["input_ids"]
    return Tokens(ids, tensors.get("attention_mask", torch.ones_like(ids)), ids)


@pytest.mark.parametrize("strands", ["ph", "ps"])
def test_caduceus_agrees_with_the_original(strands):
    tensors, weights = golden(f"caduceus_{strands}_d24_l2")
    config = caduceus.CaduceusConfig(hidden_size=24, num_hidden_layers=2, keeps_strands=strands == "ps")
    model = caduceus.CaduceusModel(config)
    fill(model, caduceus.from_published(weights))
    torch.testing.assert_close(model.encode(given_tokens(tensors)), tensors["output"], atol=1e-5, rtol=0)


def test_hyenadna_agrees_with_the_original():
    tensors, weights = golden("hyenadna_d32_l2")
    config = hyenadna.HyenaDNAConfig(
        hidden_size=32, num_hidden_layers=2, intermediate_size=64, max_positions=258, filter_order=16
    )
    model = hyenadna.HyenaDNAModel(config).eval()
    fill(model, hyenadna.from_published(weights))
    torch.testing.assert_close(model.encode(given_tokens(tensors)), tensors["output"], atol=1e-5, rtol=0)
    assert model.num_parameters() == 20_832
    place, time = model.layers[0].mixer.filter._positions(258)
    stored = "backbone.layers.0.mixer.filter_fn.pos_emb"
    torch.testing.assert_close(place, weights[f"{stored}.z"][0], atol=1e-6, rtol=0)
    torch.testing.assert_close(time, weights[f"{stored}.t"][0], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["nucleotide_transformer_v2", "dnabert2"])
def test_bert_like_systems_agree_with_the_original(name):
    tensors, weights = golden(f"{name}_d32_l2")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if name == "dnabert2":
        model = dnabert2.DNABERT2Model(dnabert2.DNABERT2Config(**sizes)).eval()
        fill(model, dnabert2.from_published(weights))
    else:
        config = nucleotide_transformer.NucleotideTransformerConfig(**sizes)
        model = nucleotide_transformer.NucleotideTransformerModel(config).eval()
        fill(model, nucleotide_transformer.from_published(weights, config))
    tokens = given_tokens(tensors)
    is_real = tokens.mask.bool()
    hidden, logits = model.encode(tokens), model.token_logits(tokens)[..., :64]
    torch.testing.assert_close(hidden[is_real], tensors["last_hidden_state"][is_real], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits[is_real], tensors["logits"][is_real], atol=1e-5, rtol=0)


# The scan, the strands and the words


@pytest.mark.parametrize("segment_numbers", [2**20, 100, 1])
@pytest.mark.parametrize(
    ("batch", "length", "channels", "states"), [(2, 50, 3, 4), (1, 16, 2, 2), (3, 130, 4, 5)]
)
def test_the_scan_matches_one_position_after_the_other(
    monkeypatch, segment_numbers, batch, length, channels, states
):
    monkeypatch.setattr(selective_scan, "SEGMENT_NUMBERS", segment_numbers)
    torch.manual_seed(0)
    x, dt = torch.randn(batch, length, channels), torch.rand(batch, length, channels)
    a, b, c = (
        -3 * torch.rand(channels, states),
        torch.randn(batch, length, states),
        torch.randn(batch, length, states),
    )
    given = [one.double().requires_grad_() for one in (x, dt, a, b, c)]
    fast = selective_scan.selective_scan(*given)
    x, dt, a, b, c = given
    rows = (x.transpose(1, 2), dt.transpose(1, 2), a, b.transpose(1, 2), c.transpose(1, 2))
    slow = slow_scan(*given)
    torch.testing.assert_close(fast, slow, atol=1e-12, rtol=0)
    theirs = mamba_selective_scan(*(one.float() for one in rows)).transpose(1, 2)
    torch.testing.assert_close(fast.float(), theirs, atol=1e-4, rtol=1e-4)
    weight = torch.randn_like(slow)
    for ours, expected in zip(
        torch.autograd.grad(fast, given, weight), torch.autograd.grad(slow, given, weight), strict=True
    ):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


def slow_scan(x, dt, a, b, c):
    state, outputs = torch.zeros(len(x), *a.shape, dtype=x.dtype), []
    for place in range(x.shape[1]):
        entered = (dt[:, place] * x[:, place]).unsqueeze(-1) * b[:, place].unsqueeze(1)
        state = torch.exp(dt[:, place].unsqueeze(-1) * a) * state + entered
        outputs.append((state * c[:, place].unsqueeze(1)).sum(-1))
    return torch.stack(outputs, dim=1)


def test_caduceus_ps_is_equivariant():
    model = backbone_of(config_of("caduceus, strands kept apart")).eval()
    ids, _ = batch((60, 60))
    turned = torch.tensor([3, 2, 1, 0, 4])[ids].flip(1)
    with torch.no_grad():
        hidden, other = model(ids).last_hidden_state, model(turned).last_hidden_state
        torch.testing.assert_close(other.flip(1, 2), hidden, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.embed(turned), model.embed(ids), atol=1e-5, rtol=0)
        tokens = model.tokenize(ids, None)
        logits, reverse = model.token_logits(tokens), model.token_logits(model.tokenize(turned, None))
        swapped = torch.arange(model.config.vocab_size)
        swapped[7:11] = torch.tensor([10, 9, 8, 7])
        torch.testing.assert_close(reverse.flip(1)[..., swapped], logits, atol=1e-5, rtol=0)


def spelled(numbers, first, mask, k):
    """Return words of a row as text; N for a word of none."""
    letters = [
        "".join("ATCG"[number // 4**place % 4] for place in range(k - 1, -1, -1)) for number in numbers
    ]
    words = zip(numbers, first, letters, mask, strict=True)
    return [word if number >= 0 else "ACGTN"[base] for number, base, word, real in words if real]


def slow_side_by_side(text, k):
    words = []
    for index, stretch in enumerate(text.split("N")):
        words += ["N"] if index else []
        whole = len(stretch) // k * k
        words += [stretch[at : at + k] for at in range(0, whole, k)] + list(stretch[whole:])
    return words


@pytest.mark.parametrize("k", [2, 6])
def test_words_side_by_side_match_bruteforce(k):
    rng = np.random.default_rng(1)
    ids, mask = torch.from_numpy(rng.choice(5, (30, 41), p=[0.23] * 4 + [0.08])), torch.ones(30, 41).long()
    for row in range(30):
        mask[row, rng.integers(1, 42) :] = 0
    words = words_side_by_side(ids, mask, k)
    for row in range(30):
        text = decode(ids[row, : mask[row].sum()].numpy().astype(np.uint8))
        found = spelled(*(one[row].tolist() for one in (words.numbers, words.first_base, words.mask)), k)
        assert found == slow_side_by_side(text, k)
        places = np.repeat(np.arange(len(found)), [len(word) for word in found])
        assert words.of_base[row, : len(text)].tolist() == places.tolist()


def test_overlapping_words_match_bruteforce():
    ids, mask = batch((12, 5, 2))
    words = overlapping_words(ids, mask, 3)
    for row, length in enumerate((12, 5, 2)):
        text = decode(ids[row, :length].numpy().astype(np.uint8))
        expected = [text[at : at + 3] for at in range(max(1, length - 2))]
        expected = [word if "N" not in word and len(word) == 3 else word[0] for word in expected]
        assert (
            spelled(*(one[row].tolist() for one in (words.numbers, words.first_base, words.mask)), 3)
            == expected
        )
        centers = [min(max(0, place - 1), len(expected) - 1) for place in range(length)]
        assert words.of_base[row, :length].tolist() == centers


def test_kmers_are_counted_as_they_occur():
    model, (ids, mask) = backbone_of(config_of("kmers")), batch((9, 4, 1))
    expected = torch.zeros(3, 16)
    for row, length in enumerate(mask.sum(dim=1)):
        words = [ids[row, place : place + 2] for place in range(length - 1)]
        for word in (word for word in words if (word != N).all()):
            first, second = torch.tensor([0, 2, 3, 1])[word]  # words are numbered in the order A, T, C, G
            expected[row, 4 * first + second] += 1
    torch.testing.assert_close(
        model.embed(ids, mask), 16 * expected / expected.sum(1, keepdim=True).clamp(min=1)
    )
    with pytest.raises(InputError, match="hidden_size of kmers is one a word, 16 where k is 2; change k"):
        config_of("kmers", hidden_size=8)
