"""What the folder of a model of many tracks says of them, beside the model itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from convnova.baselines.architectures import SequenceClassifier
from convnova.errors import InputError
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


class TrackModel(NamedTuple):
    """A model of many tracks, and what its outputs mean."""

    model: SequenceClassifier
    saved: SavedTracks


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
