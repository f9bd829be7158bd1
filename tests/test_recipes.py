from pathlib import Path

import pytest

from convnova.cli import build_parser
from convnova.training.pretrain import model_config

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses_and_makes_a_model_configuration(recipe):
    arguments = ["pretrain", "--config", str(recipe), "--genome", "genome.fa", "--output", "run"]
    parser = build_parser()
    settings = parser.instantiate_classes(parser.parse_args(arguments)).pretrain
    assert model_config(settings.model).receptive_field > 0


def test_hg38_recipes_are_the_published_model():
    for name in ("hg38", "hg38-released"):
        path = Path(__file__).parent.parent / "recipes" / f"{name}.yaml"
        parser = build_parser()
        arguments = ["pretrain", "--config", str(path), "--genome", "hg38.fa", "--output", "run"]
        settings = parser.instantiate_classes(parser.parse_args(arguments)).pretrain
        config = model_config(settings.model)
        assert (config.hidden_size, config.dilations, config.receptive_field) == (128, (1, 1, 1, 4, 16), 193)
        assert settings.batch_windows == 128 * 6
