"""Settings of gene finding: every wrong value is refused in one line."""

import pytest

from convnova.data.base_labels import GeneLabelSettings
from convnova.data.gene_settings import GeneDataSettings
from convnova.errors import InputError
from convnova.inference.annotate_settings import AnnotateSettings
from convnova.training.gene_settings import GeneFindingSettings, GeneNetworkSettings, GeneTrainingSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"receptive_field_bp": 0}, "receptive_field_bp must be at least 1, got 0"),
        (
            {"dilations": [1], "blocks": 3},
            "give either dilations, or blocks and receptive_field_bp, not both",
        ),
        ({"dilations": [1], "receptive_field_bp": 9}, "give either dilations, or blocks and receptive_field"),
    ],
)
def test_wrong_networks(changes, message):
    with pytest.raises(InputError, match=message):
        GeneNetworkSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluations": 0}, "evaluations must be at least 1, got 0"),
        ({"weight_averaging": 1.0}, "weight_averaging must be at least 0 and below 1, got 1.0"),
        ({"weight_averaging": -0.1}, "weight_averaging must be at least 0 and below 1, got -0.1"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_windows": 0}, "batch_windows must be at least 1, got 0"),
        ({"trackers": ["paper"]}, "trackers paper: choose from tensorboard"),
    ],
)
def test_wrong_training(changes, message):
    with pytest.raises(InputError, match=message):
        GeneTrainingSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"track_step": 0}, "track_step must be between 0 and 1, got 0"),
        ({"track_step": 1.0}, "track_step must be between 0 and 1, got 1.0"),
        ({"tile_bp": 0}, "tile_bp must be at least 1, got 0"),
    ],
)
def test_wrong_annotation(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        AnnotateSettings(tmp_path / "g.fa", tmp_path / "run", tmp_path / "g.gff3", **changes)


def test_a_run_checks_its_data_too(tmp_path):
    with pytest.raises(InputError, match="give an annotation and its genome, or base_labels"):
        GeneFindingSettings(output=tmp_path)


@pytest.mark.parametrize(("weighting", "power"), [("none", 0), ("sqrt", 0.5), ("balanced", 1)])
def test_the_weighting_of_labels_has_a_power(weighting, power):
    assert GeneTrainingSettings(label_weighting=weighting).weighting_power == power


def test_what_only_a_preset_can_have_has_a_name():
    assert GeneNetworkSettings().settled() == []
    assert GeneNetworkSettings(blocks=3, hidden_size=8, dropout=0.0).settled() == ["hidden_size", "blocks"]
    assert GeneNetworkSettings(blocks=3, receptive_field_bp=99, dropout=0.1).changes() == {"dropout": 0.1}


def test_labels_that_come_with_a_file_are_not_chosen(tmp_path):
    files = {name: tmp_path / name for name in ("base_labels", "intervals", "genome")}
    with pytest.raises(InputError, match=r"base_labels says what each base is .* leave labels out"):
        GeneFindingSettings(output=tmp_path, labels=GeneLabelSettings("frame"), **files)


def test_no_chromosome_is_held_out_twice(tmp_path):
    with pytest.raises(InputError, match="chr4 cannot be held out for validation and for test at once"):
        GeneDataSettings(
            annotation=tmp_path, validation_chromosomes=["chr4"], test_chromosomes=["chr3", "chr4"]
        )


def test_files_are_named_by_setting(tmp_path):
    data = GeneDataSettings(annotation=tmp_path / "a", genome=tmp_path / "g")
    assert {name for name, path in data.files().items() if path} == {"annotation", "genome"}
    assert len(data.files()) == 6
