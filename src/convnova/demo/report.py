"""The demo's report: one HTML file with its figures inside."""

import base64
import importlib.util
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from convnova.demo import figures
from convnova.demo.evidence import new_stops
from convnova.demo.mutations import Mutated
from convnova.demo.networks import Trained
from convnova.demo.scores import Tested
from convnova.demo.settings import DemoSettings
from convnova.demo.splits import Task
from convnova.demo.steps import Step
from convnova.demo.tables import NEXT_COMMANDS
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.training.figures import learning_curve
from convnova.training.record import plain, read_scores
from convnova.training.settings import PretrainSettings

_LIBRARIES = {"matplotlib": "matplotlib", "sklearn": "scikit-learn", "logomaker": "logomaker"}


class Results(NamedTuple):
    """What the report shows."""

    settings: DemoSettings
    pretraining: PretrainSettings
    genome: Genome
    task: Task
    trained: Trained
    tested: Tested
    mutated: Mutated
    steps: list[Step]


def check_libraries() -> None:
    """Check that the libraries of the report are installed.

    Raises:
        InputError: when one is not; the message says how to get it.
    """
    missing = [name for module, name in _LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(f"the demo needs {', '.join(missing)}; install with: pip install 'convnova[report]'")


def write_report(results: Results, output: Path) -> Path:
    """Write the figures as PNG files and report.html, and return the path of the report."""
    drawn = draw(results)
    for name, png in drawn.items():
        (output / f"{name}.png").write_bytes(png)
    environment = Environment(loader=PackageLoader("convnova", "demo"), autoescape=select_autoescape())
    site = results.task.splits["test"].sites[results.mutated.shown]
    html = environment.get_template("report.html.jinja").render(
        results=results,
        figures={name: base64.b64encode(png).decode() for name, png in drawn.items()},
        pretraining_scores=read_scores(results.pretraining.output),
        site=site,
        window=site.window(results.settings.flank_bp),
        shown_stops=_stops_among_the_strongest(results),
        best=max(results.tested.scores, key=lambda name: results.tested.scores[name].auroc),
        settings=plain(results.settings),
        pretraining_settings=plain(results.pretraining),
        versions={
            name: metadata.version(name) for name in ("convnova", "torch", "transformers", "scikit-learn")
        }
        | {"python": platform.python_version()},
        next_commands=NEXT_COMMANDS,
    )
    path = output / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def draw(results: Results) -> dict[str, bytes]:
    """Return each figure as PNG, by name."""
    test = results.task.splits["test"]
    site = test.sites[results.mutated.shown]
    place = f"{site.name} ({site.window(results.settings.flank_bp)}, {site.strand} strand)"
    return {
        "pretraining": learning_curve(results.pretraining.output),
        "finetuning": figures.finetuning_figure(results.trained.evaluations),
        "roc": figures.roc_figure(
            test.sequences.labels,
            results.tested.probabilities,
            {name: scores.auroc for name, scores in results.tested.scores.items()},
        ),
        "mutagenesis": figures.mutagenesis_figure(results.mutated.mutageneses[0], f"Start codon of {place}"),
        "importance": figures.importance_figure(
            results.mutated.importance, len(results.mutated.mutageneses) - 1
        ),
    }


def _stops_among_the_strongest(results: Results, most: int = 20) -> dict[str, Any]:
    """Return how many of the substitutions that lower the score most make a stop in the frame of the ATG."""
    made = results.mutated.mutageneses[0]
    makes_stop = new_stops(made.ids, 0).ravel()
    strongest = np.argsort(made.effects.ravel())[:most]
    center = len(made.ids) // 2
    in_atg = (strongest // 4 >= center) & (strongest // 4 < center + 3)
    return {
        "strongest": most,
        "stops": int(makes_stop[strongest].sum()),
        "atg": int(in_atg.sum()),
        "possible_stops": int(makes_stop.sum()),
        "possible": 3 * len(made.ids),
    }
