"""Which bases matter to the pretrained network: every substitution in start codons of the test chromosome."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.data.labelled import LabelledSequences
from convnova.demo.evidence import Effect, effects_by_kind, mean_importance
from convnova.demo.networks import PRETRAINED, arms, load
from convnova.demo.settings import DemoSettings
from convnova.demo.steps import Steps
from convnova.demo.tables import effect_table
from convnova.demo.task import StartCodons
from convnova.inference.mutagenesis import Mutagenesis, saturation_mutagenesis


class Mutated(NamedTuple):
    """What the substitutions tell."""

    shown: int
    """Index of the test sequence whose mutagenesis is drawn."""
    mutageneses: list[Mutagenesis]
    """Of the sequence shown, and then of those that are counted."""
    effects: list[Effect]
    importance: NDArray[np.float64]


def mutate(
    settings: DemoSettings,
    test: StartCodons,
    chance: NDArray[np.float64],
    networks: dict[str, Any],
    steps: Steps,
) -> Mutated:
    """Return the effects of all substitutions in some of the test sequences, and print them by kind.

    Args:
        settings: of the demo.
        test: windows of the test chromosome.
        chance: probability of a start that the pretrained network gives to each.
        networks: the key of the networks.
        steps: keeps the result.
    """
    shown, counted = choose_sequences(test, chance, settings.mutated_starts)
    indices, sequences = [shown, *counted], test.sequences
    rows = steps.stage(
        "saturation mutagenesis",
        settings.output / "mutagenesis.json",
        {"models": networks, "sequences": indices},
        lambda: _mutate(settings, sequences, indices),
    )
    made = [
        Mutagenesis(sequences.ids[index], row["reference"], np.array(row["effects"], dtype=np.float32))
        for index, row in zip(indices, rows, strict=True)
    ]
    effects = effects_by_kind(made[1:])
    steps.console.print(effect_table(effects, len(counted)))
    return Mutated(shown, made, effects, mean_importance(made[1:]))


def choose_sequences(test: StartCodons, chance: NDArray[np.float64], most: int) -> tuple[int, list[int]]:
    """Return the test sequence to draw, and those to count over.

    Drawn is the annotated start with the highest score among genes with a name of their own (ACT1, not
    YFL039C). Counted are annotated starts that the model calls starts, evenly spread along the chromosome.
    """
    starts = np.flatnonzero(test.sequences.labels == 1)
    found = starts[chance[starts] > 0.5]
    found = found if len(found) else starts
    named = [index for index in found if not _is_systematic(test.sites[index].name)] or list(found)
    shown = int(max(named, key=lambda index: chance[index]))
    spread = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))
    return shown, [int(index) for index in found[spread]]


def _is_systematic(name: str) -> bool:
    """Whether a name says only where the gene lies, as YAL068C does."""
    return not name or ":" in name or (len(name) >= 7 and name[0] == "Y" and name[3:6].isdigit())


def _mutate(settings: DemoSettings, test: LabelledSequences, indices: list[int]) -> list[dict[str, Any]]:
    model = load(settings, arms(settings)[PRETRAINED])
    made = (saturation_mutagenesis(model, test.ids[index]) for index in indices)
    return [{"reference": m.reference, "effects": np.round(m.effects, 5).tolist()} for m in made]
