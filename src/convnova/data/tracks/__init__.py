"""Track data sets: what many experiments say about the bins of a genome, stored once and memory-mapped."""

from convnova.data.tracks.data import TrackData, TrackPart, TrackWindows
from convnova.data.tracks.settings import TrackSettings

__all__ = ["TrackData", "TrackPart", "TrackSettings", "TrackWindows"]
