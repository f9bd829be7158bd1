"""A trained model of any kind by its folder: what it gives, and what its outputs are called.

::

    convnova pretrain                      masked-lm    probabilities of A, C, G, T at each base
    convnova finetune                      sequences    classes, labels or values of a sequence
    convnova finetune --task tracks        sequences    tracks of the window around a bin
    convnova finetune --task gene-finding  bases        labels of each base
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from convnova.baselines.architectures import any_config
from convnova.errors import InputError
from convnova.inference.saved_genes import GENE_FINDING, load_gene_finder
from convnova.inference.saved_task import TASK_NAME, load_strictly, load_task_model, task_of
from convnova.inference.saved_tracks import TRACKS, load_track_model
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaForMaskedLM

Kind = Literal["masked-lm", "sequences", "bases"]


class AnyModel(NamedTuple):
    """A model and what it gives."""

    model: Any
    kind: Kind
    names: tuple[str, ...]
    """Of its outputs; A, C, G, T of a masked language model."""
    opposite: tuple[int, ...]
    """Which output on the other strand is the same as each."""
    average_strands: bool
    """Whether a prediction is the mean of those for both strands."""
    window_bp: int | None
    """Length of the sequences that a model of sequences reads; None where any will do, or it is not known."""

    def strands(self, both_strands: bool | None) -> bool:
        """Return whether both strands are averaged: as is wanted, or else as the model predicts."""
        return self.average_strands if both_strands is None else both_strands


def load_any(folder: Path) -> AnyModel:
    """Return the model of a folder that `convnova pretrain` or `convnova finetune` wrote.

    Raises:
        InputError: when there is none, or its weights are not whole.
    """
    task = task_of(folder)
    if task == GENE_FINDING:
        finder = load_gene_finder(folder)
        labels = finder.saved.labels
        strands = finder.saved.average_strands
        return AnyModel(finder.model, "bases", tuple(labels.labels), tuple(labels.opposite), strands, None)
    if task == TRACKS:
        tracks = load_track_model(folder)
        names, saved = tuple(tracks.saved.names), tracks.saved
        same = tuple(range(len(names)))
        return AnyModel(tracks.model, "sequences", names, same, saved.average_strands, saved.window_bp)
    if task is not None:
        found = load_task_model(folder)
        names = found.task.scheme.names
        same = tuple(range(len(names)))
        saved_task = found.task
        strands = saved_task.average_strands
        return AnyModel(found.model, "sequences", names, same, strands, saved_task.window_bp)
    config = any_config(folder)
    architectures = getattr(config, "architectures", None) or ["a model without a head"]
    if not isinstance(config, ConvNovaConfig) or architectures[0] != ConvNovaForMaskedLM.__name__:
        raise InputError(
            f"{folder}: it holds {architectures[0]}, and no {TASK_NAME}; give a folder that convnova "
            "pretrain or convnova finetune wrote"
        )
    model = load_strictly(folder, config.num_labels, ConvNovaForMaskedLM)
    return AnyModel(model, "masked-lm", ("A", "C", "G", "T"), (3, 2, 1, 0), False, None)


def check_whole(loaded: AnyModel) -> None:
    """Check that the effects of edits can be read of a model by passes over whole sequences.

    Raises:
        InputError: unless it has a head of sequences.
    """
    if loaded.kind != "sequences":
        raise InputError(
            "the network downsamples, so a change moves what is read of all bases behind it; use one without "
            "downsampling, or a model of sequences"
        )
