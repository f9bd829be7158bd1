"""Settings of `convnova export`; light to import, for the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convnova.data.read_settings import ReadSettings
from convnova.errors import InputError

ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


@dataclass(frozen=True)
class ExportSettings:
    """A model in a form that runs elsewhere, with batches and sequences of any size."""

    model: Path
    """Folder that convnova pretrain or convnova finetune wrote."""
    output: Path
    """What to write: .onnx, or .pt2 with format torch."""
    format: Literal["onnx", "torch"] = "onnx"
    """ONNX for onnxruntime and others, which need no PyTorch; or a program of torch.export."""
    int8: bool = False
    """Whether convolutions are computed with 8 bits (ONNX), their ranges being measured on `calibration`."""
    calibration: str | None = None
    """Sequences like those to come, as those of training, in any form that convnova classify reads."""
    test: str | None = None
    """Labelled sequences on which a model of sequences is scored before and after."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    read: ReadSettings = field(default_factory=ReadSettings)
    """How these files are read."""

    def __post_init__(self) -> None:
        if self.output.suffix != (ending := ENDINGS[self.format]):
            raise InputError(f"{self.output}: the name of format {self.format} must end with {ending}")
        if self.int8 and self.format != "onnx":
            raise InputError("int8 is of format onnx; leave one of them out")
        if self.int8 != (self.calibration is not None):
            raise InputError("int8 needs calibration, sequences to measure ranges on, and nothing else does")
        if self.test is not None and self.format != "onnx":
            raise InputError("test is scored by onnxruntime, with format onnx; leave it out")
