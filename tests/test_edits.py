"""What is recomputed around an edit is what a pass over the whole edited sequence gives."""

import pytest
import torch

from convnova.errors import InputError
from convnova.inference.edits import Edits, ReferencePass
from convnova.inference.effects import (
    base_log_p,
    both_strands,
    embedding_distance,
    largest_base_change,
    masked_log_odds,
    masked_log_probabilities,
    output_change,
    pseudo_likelihood_change,
    unmasked_log_odds,
)
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import (
    COMPLEMENT,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)

torch.set_num_threads(1)

N = 4
LENGTHS = (60, 41)
SIZES = [(1, 1), (2, 2), (1, 0), (5, 0), (0, 3), (1, 4), (3, 1)]
"""Bases that are removed and inserted."""
NETWORKS = {
    "ConvNova": {},
    "with a final convolution": {"use_final_conv": True, "use_ffn": False},
    "gated by itself": {"gating": "single", "second_branch": "none"},
    "two plain branches": {"gating": "none", "second_branch": "copy"},
    "one plain branch": {"gating": "none", "second_branch": "none"},
}


def network(kind, **changes):
    torch.manual_seed(0)
    config = ConvNovaConfig(hidden_size=6, kernel_size=3, dilations=(1, 1, 4), **changes)
    return kind(config).eval()


def references():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 5, (2, max(LENGTHS)), generator=generator), torch.tensor(LENGTHS)


def cases(removed, inserted):
    """Yield edits one by one, all over both sequences, their ends included, and the edited sequences."""
    ids, _ = references()
    generator = torch.Generator().manual_seed(2)
    for row, length in enumerate(LENGTHS):
        places = {
            *range(0, length - removed + 1, 7),
            *range(4),
            *range(length - removed - 3, length - removed + 1),
        }
        for start in sorted(places):
            new = torch.randint(0, 5, (inserted,), generator=generator)
            edits = Edits(torch.tensor([row]), torch.tensor([start]), removed, new[None])
            yield (
                edits,
                ids[row, :length],
                torch.cat([ids[row, :start], new, ids[row, start + removed : length]]),
            )


def opposite(ids):
    return torch.tensor(COMPLEMENT)[ids.flip(0)]


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
@torch.inference_mode()
def test_hidden_states_match_a_full_pass(changes, removed, inserted):
    model = network(ConvNovaForSequenceClassification, **changes).convnova
    reference = ReferencePass(model, *references())
    for edits, _, edited in cases(removed, inserted):
        expected = model(edited[None]).last_hidden_state[0]
        changed = reference.edited(edits)
        start, width, row = int(changed.starts), changed.hidden.shape[1], int(edits.rows)
        first, last = max(start, 0), min(start + width, len(edited))
        kept = reference.hidden[row, : LENGTHS[row]]
        whole = torch.cat(
            [kept[:first], changed.hidden[0][changed.is_inside[0]], kept[last - edits.growth :]]
        )
        torch.testing.assert_close(whole, expected, atol=2e-5, rtol=0)
        inside = reference.edited_ids(edits, changed)[0][changed.is_inside[0]]
        assert inside.tolist() == edited[first:last].tolist()


@torch.inference_mode()
def test_edits_in_one_batch_do_not_see_each_other():
    reference = ReferencePass(network(ConvNovaForMaskedLM).convnova, *references())
    made = [edits for edits, _, _ in cases(1, 1)]
    together = Edits(
        *(torch.cat(parts) for parts in zip(*((e.rows, e.starts) for e in made), strict=True)),
        1,
        torch.cat([e.inserted for e in made]),
    )
    alone = torch.cat([reference.edited(one).hidden for one in made])
    torch.testing.assert_close(reference.edited(together).hidden, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
@torch.inference_mode()
def test_an_inner_reference_gives_what_a_whole_one_does(changes, removed, inserted):
    model = network(ConvNovaForMaskedLM, **changes).convnova
    ids, lengths = references()
    whole, inner = ReferencePass(model, ids, lengths), ReferencePass(model, ids, lengths, is_inner=True)
    half = model.config.receptive_field // 2
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(
            inner.hidden[row, half : length - half],
            whole.hidden[row, half : length - half],
            atol=1e-5,
            rtol=0,
        )
        assert not inner.hidden[row, :half].any()
    numbers = 0
    for edits, before, _ in cases(removed, inserted):
        start, end = int(edits.starts), int(edits.starts) + removed
        for around, read in ((half, "edited_alone"), (2 * half, "edited")):
            if read == "edited_alone" and not inserted:
                continue
            if start >= around and end <= len(before) - around:
                found, expected = (getattr(one, read)(edits) for one in (inner, whole))
                torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
                numbers += 1
    assert numbers >= 3


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@pytest.mark.parametrize("pooling", ["mean", "max", "center", "segments"])
@torch.inference_mode()
def test_outputs_of_a_sequence_match_full_passes(pooling, removed, inserted):
    model = network(ConvNovaForSequenceClassification, pooling=pooling, pooling_segments=7, num_labels=3)
    reference = ReferencePass(model.convnova, *references())
    effect = output_change(model, lambda logits: logits)
    forward, both = effect(reference), both_strands(effect)(reference)
    for edits, before, after in cases(removed, inserted):
        change, turned = (
            model(new[None]).logits - model(old[None]).logits
            for new, old in ((after, before), (opposite(after), opposite(before)))
        )
        torch.testing.assert_close(forward(edits), change, atol=2e-5, rtol=0)
        torch.testing.assert_close(both(edits), (change + turned) / 2, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@torch.inference_mode()
def test_distances_of_embeddings_match_full_passes(removed, inserted):
    model = network(ConvNovaForMaskedLM)
    reference = ReferencePass(model.convnova, *references())
    effects, both = embedding_distance()(reference), embedding_distance(strands=True)(reference)
    half = model.config.receptive_field // 2
    for edits, before, after in cases(removed, inserted):
        first, start = max(0, int(edits.starts) - half), int(edits.starts)
        ends = start + removed + half, start + inserted + half
        means = [
            model.convnova(ids[None]).last_hidden_state[:, first:end].mean(1)
            for ids, end in zip((before, after), ends, strict=True)
        ]
        moved = means[1] - means[0]
        turned = [
            model.convnova(opposite(ids)[None]).last_hidden_state.flip(1)[:, first:end].mean(1)
            for ids, end in zip((before, after), ends, strict=True)
        ]
        averaged = ((moved + turned[1] - turned[0]) / 2).norm(dim=1, keepdim=True)
        torch.testing.assert_close(both(edits), averaged, atol=2e-5, rtol=0)
        expected = moved.norm(dim=1, keepdim=True)
        torch.testing.assert_close(effects(edits), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@torch.inference_mode()
def test_likelihoods_match_full_passes(removed, inserted):
    model = network(ConvNovaForMaskedLM)
    effects = pseudo_likelihood_change(model)(ReferencePass(model.convnova, *references()))

    def likelihood(ids):
        log_p = base_log_p(model, model.convnova(ids[None]).last_hidden_state)[0]
        return sum(float(log_p[place, base]) for place, base in enumerate(ids) if base != N)

    for edits, before, after in cases(removed, inserted):
        assert float(effects(edits)) == pytest.approx(likelihood(after) - likelihood(before), abs=1e-4)


@pytest.mark.parametrize("bases", [1, 3])
@torch.inference_mode()
def test_masked_probabilities_match_full_passes(bases):
    model = network(ConvNovaForMaskedLM)
    reference = ReferencePass(model.convnova, *references())
    for edits, before, _ in cases(bases, bases):
        start, hidden = int(edits.starts), before.clone()
        hidden[start : start + bases] = N
        expected = base_log_p(model, model.convnova(hidden[None]).last_hidden_state)[:, start : start + bases]
        torch.testing.assert_close(
            masked_log_probabilities(model, reference, edits), expected, atol=2e-5, rtol=0
        )


@pytest.mark.parametrize("bases", [1, 3])
@torch.inference_mode()
def test_log_odds_of_bases_match_full_passes(bases):
    model = network(ConvNovaForMaskedLM)
    reference = ReferencePass(model.convnova, *references())
    masked, unmasked = (kind(model)(reference) for kind in (masked_log_odds, unmasked_log_odds))
    for edits, before, _ in cases(bases, bases):
        there = range(int(edits.starts), int(edits.starts) + bases)
        hidden = before.clone()
        hidden[there] = N
        for effects, read in ((masked, hidden), (unmasked, before)):
            log_p = base_log_p(model, model.convnova(read[None]).last_hidden_state)[0]
            new, old = edits.inserted[0], before[there]
            if (new == N).any() or (old == N).any():
                assert effects(edits).isnan().all()
                continue
            expected = sum(
                log_p[place, b] - log_p[place, a] for place, a, b in zip(there, old, new, strict=True)
            )
            assert float(effects(edits)) == pytest.approx(float(expected), abs=1e-4)
    indel = Edits(torch.tensor([0]), torch.tensor([5]), 2, torch.tensor([[1]]))
    assert masked(indel).isnan().all()
    assert unmasked(indel).isnan().all()


@pytest.mark.parametrize(("removed", "inserted"), SIZES)
@torch.inference_mode()
def test_largest_changes_of_bases_match_full_passes(removed, inserted):
    model = network(ConvNovaForTokenClassification, num_labels=3)
    reference = ReferencePass(model.convnova, *references())
    effects = largest_base_change(model)(reference)
    both = largest_base_change(model, True, (0, 2, 1))(reference)
    for edits, before, after in cases(removed, inserted):
        old, new = (model(ids[None]).logits[0].softmax(-1) for ids in (before, after))
        start = int(edits.starts)
        shared = [(place, place) for place in range(start)]
        if removed == inserted:
            shared += [(place, place) for place in range(start, start + removed)]
        tail = len(before) - start - removed
        shared += [(len(before) - k, len(after) - k) for k in range(tail, 0, -1)]
        turned_old, turned_new = (
            model(opposite(ids)[None]).logits[0].softmax(-1).flip(0)[:, [0, 2, 1]] for ids in (before, after)
        )
        for found, (first, last) in (
            (effects(edits), (old, new)),
            (both(edits), ((old + turned_old) / 2, (new + turned_new) / 2)),
        ):
            changes = torch.stack([last[there] - first[here] for here, there in shared])
            expected = changes.gather(0, changes.abs().argmax(0, keepdim=True))
            torch.testing.assert_close(found.abs(), expected.abs(), atol=2e-5, rtol=0)


def test_a_network_that_downsamples_is_refused():
    model = network(ConvNovaForMaskedLM, downsampling=(1, 2, 1))
    with pytest.raises(InputError, match="with downsampling all that follows an edit moves"):
        ReferencePass(model.convnova, *references())
