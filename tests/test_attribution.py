"""Contributions add up: DeepLIFT/SHAP, integrated gradients, on all variants, with padding and N; motifs."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_task import settings, write_csv

from convnova.analysis import attribution
from convnova.analysis.attribution import Output, _factors_kept, _gated_sum_rule, attribute
from convnova.analysis.attribution_report import _places
from convnova.analysis.motifs import HIGHEST_E, Motif, find_motifs, match_known, read_known, write_meme
from convnova.cli import main
from convnova.errors import InputError
from convnova.inference.mutagenesis import saturation_mutagenesis
from convnova.model import ConvNovaConfig, ConvNovaForSequenceClassification
from convnova.model.layers_convnova import GatedSum
from convnova.sequence import decode, encode, reverse_complement
from convnova.training.finetune_task import finetune_task

pytest.importorskip("tangermeme")
pytestmark = pytest.mark.filterwarnings("ignore")

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1, "use_ffn": True}
KINDS = {
    "ConvNova": {},
    "without ffn, final convolution": {"use_ffn": False, "use_final_conv": True},
    "single gate": {"gating": "single", "second_branch": "none"},
    "no gate": {"gating": "none"},
    "U-Net": {"downsampling": (1, 2, 1)},
    "segments": {"pooling": "segments", "pooling_segments": 3},
    "center": {"pooling": "center"},
    "dropout": {"dropout": 0.1, "classifier_dropout": 0.3},
    "max": {"pooling": "max"},
}


def toy(**changes):
    torch.manual_seed(0)
    model = ConvNovaForSequenceClassification(ConvNovaConfig(**TOY | changes)).eval()
    with torch.no_grad():  # as far from linear as trained weights are
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(2)
    return model


def sequences(lengths=(50, 43, 50), unknown=True, seed=0):
    rng = np.random.default_rng(seed)
    made = [rng.integers(0, 4, length).astype(np.uint8) for length in lengths]
    if unknown:
        made[-1][20:23] = 4
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["deep-lift-shap", "integrated-gradients"])
def test_contributions_add_up(method, kind):
    """Below 1e-3 of the difference, padding and N included; the rescale rule is exact but for rounding."""
    if (method, kind) == ("integrated-gradients", "max"):
        pytest.skip(
            "the gradient jumps where another position becomes the largest: it takes many more points"
        )
    found = attribute(toy(**KINDS[kind]), sequences(), method=method, shuffles=4)
    assert found.deltas.shape == (3, 4)
    assert found.deltas.max() < 1e-3
    assert np.median(found.deltas) < (1e-3 if method == "integrated-gradients" else 1e-5)
    assert (found.hypothetical[1, 43:] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_padding_is_no_maximum(seed):
    """Where the largest value of all lies in padding, it is not that of the sequence."""
    torch.manual_seed(seed)
    model = ConvNovaForSequenceClassification(ConvNovaConfig(**TOY, pooling="max")).eval()
    found = attribute(model, sequences((80, 20, 30), unknown=False, seed=seed), shuffles=4)
    assert found.deltas.max() < 1e-3


def test_sequences_with_a_single_shuffle_are_attributed_too():
    made = [encode(text) for text in ("A" * 30, "AT" * 15, "N" * 30, "ACG", "A" * 10 + "C" + "T" * 19)]
    found = attribute(toy(), made, shuffles=3)
    assert (found.contributions[0] == 0).all()  # it is its own only shuffle
    assert np.isfinite(found.hypothetical).all()


def test_sequences_in_several_turns_are_those_in_one(monkeypatch):
    model, made, seen = toy(), sequences((50, 43, 50, 30, 44)), []
    together = attribute(model, made, shuffles=2, both_strands=True)
    monkeypatch.setattr(attribution, "AT_ONCE", 2)
    apart = attribute(model, made, shuffles=2, both_strands=True, advance=seen.append)
    np.testing.assert_allclose(apart.hypothetical, together.hypothetical, atol=1e-7)
    assert (apart.ids == together.ids).all()
    assert seen == [2, 2, 1]


def test_no_contribution_is_no_motif_and_the_generator_is_left_as_it_was():
    found = attribute(toy(), sequences((30,) * 3), shuffles=2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert find_motifs(found._replace(hypothetical=np.zeros_like(found.hypothetical))) == []
    find_motifs(found)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_contributions_are_the_mean_over_shuffles_of_what_they_add_up_to():
    model, (ids,) = toy(), sequences((60,), unknown=False)
    found = attribute(model, [ids], shuffles=6, seed=3)
    from tangermeme.ersatz import dinucleotide_shuffle

    bases = torch.nn.functional.one_hot(torch.from_numpy(ids).long(), 4).T[None].double()
    shuffles = [dinucleotide_shuffle(bases, n=1, random_state=3 * 6 + i)[0, 0] for i in range(6)]
    with torch.no_grad():
        logits = [model(shuffle.argmax(0)[None]).logits[0] for shuffle in shuffles]
        own = model(torch.from_numpy(ids).long()[None]).logits[0]
    expected = (own[1] - own[0]) - torch.stack([one[1] - one[0] for one in logits]).mean()
    assert found.contributions.sum() == pytest.approx(expected.item(), rel=1e-3)


def test_padding_and_company_change_nothing():
    model, made = toy(), sequences()
    together = attribute(model, made, shuffles=3)
    alone = attribute(model, [made[1]], shuffles=3, seed=1)  # shuffles are drawn by seed and row
    np.testing.assert_allclose(together.hypothetical[1, :43], alone.hypothetical[0], rtol=1e-4, atol=1e-7)


def test_both_strands_are_averaged():
    model, (ids,) = toy(), sequences((40,), unknown=False)
    both = attribute(model, [ids], both_strands=True, shuffles=3).hypothetical[0]
    one = attribute(model, [ids], shuffles=3).hypothetical[0]
    other = attribute(model, [reverse_complement(ids)], shuffles=3).hypothetical[0][::-1, ::-1]
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-6)


def test_mutagenesis_is_every_substitution_less_their_mean():
    model, (ids,) = toy(), sequences((30,), unknown=False)
    effects = saturation_mutagenesis(model, ids).effects
    found = attribute(model, [ids], method="mutagenesis")
    assert found.deltas is None
    np.testing.assert_allclose(
        found.hypothetical[0], effects - effects.mean(1, keepdims=True), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("problem", "outputs", "expected"),
    [
        ("single_label_classification", 3, lambda logits: logits[:, 2] - (logits[:, 0] + logits[:, 1]) / 2),
        ("multi_label_classification", 3, lambda logits: logits[:, 2]),
        ("regression", 3, lambda logits: logits[:, 2]),
    ],
)
def test_the_output_that_is_explained(problem, outputs, expected):
    output = Output(toy(num_labels=outputs, problem_type=problem), 2)
    logits = torch.randn(4, outputs)
    torch.testing.assert_close(output.of_logits(logits), expected(logits))


def test_a_product_is_shared_between_its_factors_exactly():
    module = GatedSum()
    features, hidden, gate = torch.randn(3, 2, 5, 4, dtype=torch.double)
    module.factors = (hidden, gate)
    passed = torch.randn(1, 5, 4, dtype=torch.double).expand(2, -1, -1)
    multipliers = _gated_sum_rule(module, (), (passed,))
    change = sum(
        (m[0] * (x[0] - x[1])).sum() for m, x in zip(multipliers, (features, hidden, gate), strict=True)
    )
    out = module(features, hidden, gate)
    torch.testing.assert_close(change, (passed[0] * (out[0] - out[1])).sum())


def test_the_model_is_left_as_it_was():
    model = toy().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attribute(model, sequences(), shuffles=2)
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_a_gated_sum_remembers_is_gone_afterwards():
    model, seen = toy(), []
    sums = [one for one in model.modules() if isinstance(one, GatedSum)]
    with _factors_kept(model):
        model(torch.zeros(1, 5, dtype=torch.long))
        seen += [hasattr(one, "factors") for one in sums]
    model(torch.zeros(1, 5, dtype=torch.long))
    assert seen == [True] * 3
    assert not any(hasattr(one, "factors") for one in sums)


def test_an_output_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="outputs 0 to 1, and not 2"):
        attribute(toy(), sequences(), target=2)


def planted(n=240, length=60, motif="TGACTCA", seed=0):
    """Return contributions: noise, a motif in every other sequence, and a negative one in the rest."""
    from convnova.analysis.attribution import Attributions

    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, (n, length)).astype(np.uint8)
    hypothetical = rng.normal(0, 0.05, (n, length, 4)).astype(np.float32)
    places = rng.integers(15, length - 25, n)
    for row, place in enumerate(places):
        letters = encode(motif if row % 2 else "GGCGCCA")
        ids[row, place : place + 7] = letters
        hypothetical[row, place + np.arange(7), letters] += 1 if row % 2 else -1
    return Attributions(ids, np.full(n, length), hypothetical, None), places


@pytest.fixture(scope="module")
def planted_motifs():
    found, places = planted()
    return found, places, find_motifs(found)


def test_a_planted_motif_is_found_where_it_was_planted(planted_motifs):
    found, places, motifs = planted_motifs
    by_sign = {motif.name: motif for motif in motifs}
    assert set(by_sign) == {"pos_0", "neg_0"}
    for motif, known, is_odd in ((by_sign["pos_0"], "TGACTCA", 1), (by_sign["neg_0"], "GGCGCCA", 0)):
        assert len(motif.starts) > 90
        assert (motif.sequences % 2 == is_odd).all()
        reverse = decode(reverse_complement(encode(known)))
        assert known in motif.consensus or reverse in motif.consensus
        # Where a seqlet is turned, what is read forward is the complement of the consensus from its end.
        hits = [
            known in decode(found.ids[row, start : start + len(motif.frequencies)])
            for row, start in zip(motif.sequences, motif.starts, strict=True)
        ]
        assert np.mean(hits) > 0.95
        offset = motif.consensus.find(known)
        if offset >= 0:
            forward = ~motif.is_reverse
            assert (motif.starts[forward] + offset == places[motif.sequences[forward]]).mean() > 0.95


def test_a_motif_at_the_ends_is_found_where_all_contributions_raise_the_output():
    found, _ = planted(n=200)
    length, letters = found.ids.shape[1], encode("TGACTCA")
    hypothetical = np.abs(found.hypothetical).clip(max=0.1)
    for row in range(len(found.ids)):
        start = 0 if row % 2 else length - 7
        found.ids[row, start : start + 7] = letters
        hypothetical[row, start + np.arange(7), letters] = 1
    motifs = find_motifs(found._replace(hypothetical=hypothetical))
    assert [motif.consensus for motif in motifs[:2]] == ["TGACTCA"] * 2
    assert {int(start) for motif in motifs[:2] for start in motif.starts} == {0, length - 7}
    assert sum(len(motif.starts) for motif in motifs[:2]) > 150


def test_known_motifs_that_resemble_one_are_named(planted_motifs, tmp_path):
    motifs = [motif for motif in planted_motifs[2] if motif.name == "pos_0"]
    known = [
        motifs[0]._replace(
            name=name, contributions=np.eye(4)[encode(text)], frequencies=np.eye(4)[encode(text)]
        )
        for name, text in (("AP1", "TGACTCA"), ("TATA", "TATAAAAG"), ("CACG", "CACGTGAC"))
    ]
    path = tmp_path / "known.meme"
    path.write_text(write_meme(known))
    matches = match_known(motifs, read_known(path))[0].matches
    assert [name for name, _ in matches] == ["TGACTCA"]  # a name is the last word: here the consensus
    assert matches[0][1] < 1e-3 < HIGHEST_E
    other, known = np.eye(4)[encode("TGACTCAA")].T, read_known(path)
    again = match_known(motifs, {"MA2 TGACTCA": other, **known, "MA3 TGACTCA": other})[0].matches
    assert again == ((("TGACTCA", pytest.approx(matches[0][1] * 5 / 3, rel=0.5))),)  # its best matrix alone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file"),
        ("MEME version 4\n", "cannot be read as motifs in MEME's format"),
        ("MOTIF a\nletter-probability matrix: alength= 4 w= 2 nsites= 1 E= 0\n1 0 0\n", "cannot be read as"),
        ("sequence,label\nACGT,1\n", "cannot be read as"),
    ],
)
def test_known_motifs_that_cannot_be_read(tmp_path, text, message):
    if text is not None:
        (tmp_path / "known.meme").write_text(text)
    with pytest.raises(InputError, match=rf"known\.meme: {message}"):
        read_known(tmp_path / "known.meme")


def test_a_motif_knows_its_letters_and_its_weight():
    letters = np.eye(4)[encode("TATA")]
    motif = Motif("pos_0", letters, 2 * letters, np.arange(3), np.arange(3), np.zeros(3, bool))
    assert motif.consensus == "TATA"
    assert motif.weight == 24


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_csv(folder / "train.csv", 64, 0)
    write_csv(folder / "test.csv", 80, 1)
    finetune_task(settings(folder))
    return folder


def test_the_command_writes_contributions_motifs_and_figures(run, capsys):
    out = run / "why"
    arguments = ["--model", str(run / "run"), "--input", str(run / "test.csv"), "--output", str(out)]
    assert main(["attribute", *arguments, "--shuffles", "2"]) == 0
    text = capsys.readouterr().out
    assert "1: 40 sequences, deep-lift-shap" in text
    assert "convergence deltas, relative: median" in text
    saved = np.load(out / "contributions.npz")
    assert saved["hypothetical"].shape == (*saved["ids"].shape, 4)
    labelled = list(csv.DictReader((run / "test.csv").read_text().splitlines()))
    rows = [row for row, one in enumerate(labelled) if one["label"] == "1"]
    assert saved["names"].tolist() == [str(row + 1) for row in rows]  # of the input, as in classify
    real = [decode(ids[:length]) for ids, length in zip(saved["ids"], saved["lengths"], strict=True)]
    assert real == [labelled[row]["sequence"] for row in rows]
    report = (out / "motifs.md").read_text()
    assert f"Model {run / 'run'}, sequences {run / 'test.csv'}, 2 shuffles of each, seed 0." in report
    for name in ("motifs.png", "profile.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert main(["attribute", *arguments]) == 2  # what is there is not replaced unasked
    assert "already exists" in capsys.readouterr().err
    assert main(["attribute", *arguments, "--shuffles", "1", "--overwrite", "true"]) == 0
    assert "1 shuffles of each" in (out / "motifs.md").read_text()


def test_places_of_motifs_have_the_bases_as_the_motif_reads_them(planted_motifs):
    found, _, motifs = planted_motifs
    names = [f"s{row}" for row in range(len(found.ids))]
    letters = [decode(ids) for ids in found.ids]
    places = list(_places(motifs, found, names))
    assert {strand for *_, strand, _ in places} == {"+", "-"}
    for _, name, start, end, strand, bases in places:
        there = letters[int(name[1:])][max(0, start) : end]
        assert bases == (there if strand == "+" else decode(reverse_complement(encode(there))))
    of_first = [bases for motif, *_, bases in places if motif == motifs[0].name]
    assert np.mean([motifs[0].consensus[1:-1] in bases for bases in of_first]) > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--label", "2"], "the task has no label '2'; it has 0, 1"),
        (["--shuffles", "0"], "shuffles must be at least 1"),
        (["--window_bp", "3"], "--window_bp must be at least 4"),
        (["--known", "nowhere.meme"], "nowhere.meme"),
        (["--input", "nowhere.csv"], "nowhere.csv"),
        (["--model", "nowhere"], "nowhere"),
        (["--input", "N.csv"], "its sequences are only N"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(run, tmp_path, capsys, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    Path("N.csv").write_text("sequence,label\n" + "NNNNNNNNNN,1\n" * 3)
    given = {"--model": str(run / "run"), "--input": str(run / "test.csv"), "--output": str(tmp_path / "out")}
    given |= dict([changes])
    assert main(["attribute", *(word for pair in given.items() for word in pair)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
