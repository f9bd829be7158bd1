"""Architectures by name, and dilations for a wanted receptive field."""

from itertools import pairwise

import pytest
import torch

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification, ConvNovaForTokenClassification
from convnova.model.presets import dilations_of_field, growing_dilations, preset


def field_of(dilations, kernel_size):
    return STEM_KERNEL_SIZE + (kernel_size - 1) * sum(dilations)


@pytest.mark.parametrize(
    ("field", "kernel_size", "blocks", "expected"),
    [
        (4000, 9, 8, (1, 2, 5, 11, 25, 55, 124, 276)),
        (200, 9, 5, (1, 2, 3, 6, 12)),
        (41, 9, 4, (1, 1, 1, 1)),
        (41, 9, 1, (1,)),
        (1, 9, 3, (1, 1, 1)),
        (65, 9, 3, (1, 2, 4)),
        (10_000, 1, 3, (1, 1, 1)),  # a kernel of 1 sees no further
    ],
)
def test_growing_dilations_by_hand(field, kernel_size, blocks, expected):
    assert growing_dilations(field, kernel_size, blocks) == expected


@pytest.mark.parametrize("blocks", [2, 3, 5, 8, 13, 20, 200])
@pytest.mark.parametrize("kernel_size", [3, 9])
@pytest.mark.parametrize("field", [50, 197, 500, 1001, 4000, 30_000, 1_000_000])
def test_growing_dilations_have_about_the_wanted_field(field, kernel_size, blocks):
    dilations = growing_dilations(field, kernel_size, blocks)
    assert len(dilations) == blocks
    assert dilations[0] == 1
    assert all(left <= right for left, right in pairwise(dilations))
    least = field_of([1] * blocks, kernel_size)
    # Each dilation but the first is rounded by half a base at most, and so may turn the next whole one.
    off = abs(field_of(dilations, kernel_size) - max(field, least))
    assert off <= (kernel_size - 1) * blocks / 2


def test_a_wider_field_is_never_narrower():
    fields = [field_of(growing_dilations(field, 9, 8), 9) for field in range(1, 3000, 13)]
    assert fields == sorted(fields)


def test_the_field_of_a_sequence_is_the_nearest_of_the_published_schedule():
    assert dilations_of_field(200, 9, 5) == (1, 1, 1, 4, 16)
    assert dilations_of_field(1, 9, 5) == (1, 1, 1, 1, 1)


def test_the_gene_finding_preset_is_pinned():
    config = preset("gene-finding", num_labels=9)
    assert config.dilations == growing_dilations(4000, 9, 8)
    assert config.receptive_field == 4001
    assert ConvNovaForTokenClassification(config).num_parameters() == 649_353


def test_the_chromatin_preset_is_pinned():
    config = preset("chromatin", num_labels=919, problem_type="multi_label_classification")
    assert config.dilations == growing_dilations(1000, 9, 6)
    assert config.receptive_field == 1001
    with torch.device("meta"):
        assert ConvNovaForSequenceClassification(config).num_parameters() == 8_136_599


def test_an_unknown_preset_and_a_wrong_change_are_refused():
    with pytest.raises(
        InputError, match=r"there is no preset 'gene'; choose one of pretraining, nt, .*gene-findi"
    ):
        preset("gene")
    with pytest.raises(InputError, match="model: kernel_size must be odd"):
        preset("gene-finding", kernel_size=4)
