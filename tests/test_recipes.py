from pathlib import Path

import pytest

from convnova.cli import build_parser
from convnova.data.base_labels import LABEL_SETS
from convnova.data.catalogue import suite_tasks
from convnova.model.presets import preset
from convnova.training.gene_finding import starting_point
from convnova.training.pretrain import model_config

FOLDER = Path(__file__).parent.parent / "recipes"
RECIPES, SUITES = sorted(FOLDER.glob("*.yaml")), sorted((FOLDER / "suites").glob("*.yaml"))
GENES = sorted((FOLDER / "genes").glob("*.yaml"))

RECEPTIVE_FIELDS = {"demo": 313, "hg38": 193, "hg38-released": 193, "yeast": 697, "zymoseptoria": 4001}


def read(recipe: Path):
    parser = build_parser()
    arguments = ["pretrain", "--config", str(recipe), "--genome", "genome.fa", "--output", "run"]
    return parser.instantiate(parser.parse_args(arguments)).pretrain


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses_and_makes_its_model(recipe):
    assert model_config(read(recipe).model).receptive_field == RECEPTIVE_FIELDS[recipe.stem]


@pytest.mark.parametrize("recipe", SUITES, ids=lambda path: path.stem)
def test_every_suite_recipe_parses_and_names_tasks(recipe):
    parser = build_parser()
    parsed = parser.parse_args(["benchmark", "--config", str(recipe), "--output", "run"])
    settings = parser.instantiate(parsed).benchmark
    assert suite_tasks(settings.suite)
    assert settings.training.epochs > 0


@pytest.mark.parametrize("recipe", GENES, ids=lambda path: path.stem)
def test_every_gene_recipe_parses_and_makes_its_model(recipe):
    parser = build_parser("gene-finding")
    files = ["--genome", "genome.fa", "--annotation", "genes.gff3", "--output", "run"]
    parsed = parser.parse_args(["finetune", "--config", str(recipe), *files])
    settings = parser.instantiate(parsed).finetune
    labels = LABEL_SETS[settings.labels.label_set].labels
    assert starting_point(settings, labels)[1].receptive_field == 4001


def test_the_recipe_of_tracks_parses():
    parser = build_parser("tracks")
    recipe = str(FOLDER / "tracks/yeast-factors.yaml")
    parsed = parser.parse_args(["finetune", "--config", recipe, "--tracks", "data", "--output", "run"])
    assert parser.instantiate(parsed).finetune.network.pooling == "segments"


def test_a_model_that_was_pretrained_by_recipe_is_that_of_the_gene_recipe():
    """So its weights fit."""
    config = model_config(read(FOLDER / "zymoseptoria.yaml").model)
    assert config.dilations == preset("gene-finding").dilations


@pytest.mark.parametrize(
    ("name", "rate", "protocol", "decay", "epochs"),
    [("hg38", 0.10, "standard", "standard", 400), ("hg38-released", 0.15, "released", "released", 2000)],
)
def test_hg38_recipes_are_the_published_training(name, rate, protocol, decay, epochs):
    settings = read(FOLDER / f"{name}.yaml")
    config = model_config(settings.model)
    assert (config.hidden_size, config.dilations, config.use_ffn) == (128, (1, 1, 1, 4, 16), True)
    assert (settings.windows.window_bp, settings.batch_windows, settings.epochs) == (1024, 128 * 6, epochs)
    assert (settings.masking.rate, settings.masking.protocol) == (rate, protocol)
    optimizer = settings.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.decay_protocol) == (1e-3, 0, decay)
    assert (optimizer.warmup_share, optimizer.final_share, optimizer.max_gradient_norm) == (0.01, 0.1, 1.0)
