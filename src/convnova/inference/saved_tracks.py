"""What the folder of a model of many tracks says of them, beside the model itself."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from convnova.baselines.architectures import SequenceClassifier
from convnova.data.table import some
from convnova.errors import InputError, nearest
from convnova.inference.saved_task import TASK_NAME, load_strictly, read_record

TRACKS = "tracks"


@dataclass(frozen=True)
class SavedTracks:
    """What the outputs of a model of many tracks mean, and how predictions are made."""

    kind: Literal["peaks", "signal", "classes"]
    """Whether an output is the probability that a bin is positive, or of a class, or a signal."""
    names: list[str]
    groups: list[str]
    """Of each track; empty where none is known."""
    bin_bp: int
    """Length of a bin: the stretch that a prediction is about."""
    window_bp: int
    """Length of the sequence that is read around the centre of a bin."""
    log1p: bool
    """Whether signals are log(1 + x)."""
    metric: str
    """The score that the model was chosen by."""
    average_strands: bool
    """Whether a prediction is the mean of those for both strands."""

    def to_dict(self) -> dict[str, Any]:
        """Return what `task.json` holds."""
        return {"task": TRACKS} | vars(self)

    @property
    def meaning(self) -> str:
        """Return what a number is, in words."""
        if self.kind == "peaks":
            return "probability of a peak"
        if self.kind == "classes":
            return "probability"
        return "log(1 + signal)" if self.log1p else "signal"

    def columns(self, wanted: Sequence[str]) -> list[int]:
        """Return the outputs of some tracks, in their order; all where none is named.

        Raises:
            InputError: for a track that is not among them, or named twice.
        """
        places = {name: index for index, name in enumerate(self.names)}
        for name in wanted:
            if name not in places:
                raise InputError(f"there is no track {name!r}; {_known(name, self.names)}")
        if twice := [name for name, count in Counter(wanted).items() if count > 1]:
            raise InputError(f"track {twice[0]!r} is named twice; name each once")
        return [places[name] for name in wanted or self.names]


class TrackModel(NamedTuple):
    """A model of many tracks, and what its outputs mean."""

    model: SequenceClassifier
    saved: SavedTracks


def is_of_tracks(folder: Path) -> bool:
    """Whether a folder holds a model of tracks, as far as its record can be read."""
    try:
        return json.loads((folder / TASK_NAME).read_text())["task"] == TRACKS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_track_model(folder: Path) -> TrackModel:
    """Return the model that `convnova finetune --task tracks` wrote.

    Raises:
        InputError: when the folder holds none.
    """
    content = read_record(folder, TRACKS, "predict")
    try:
        saved = SavedTracks(**content)
        tracks = len(saved.names)
    except TypeError:
        raise InputError(
            f"{folder}: {TASK_NAME} cannot be read as that of many tracks; fine-tune again"
        ) from None
    return TrackModel(load_strictly(folder, tracks), saved)


def _known(name: str, names: Sequence[str]) -> str:
    if similar := nearest(name, names):
        return f"did you mean {similar[0]!r}?"
    return f"the model has {some(names)}"
