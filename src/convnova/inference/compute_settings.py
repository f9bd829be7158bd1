"""How a trained model computes: the settings that all commands share which use one; light to import."""

from dataclasses import dataclass
from typing import Literal

from convnova.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """How a trained model computes."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the network; bf16 is faster on a GPU or a processor with instructions for it, and its
    outputs are good to two or three digits."""
    compile: bool = False
    """Whether to compile whole passes with torch.compile: it takes minutes at first, and pays on a GPU."""
    threads: int | None = None
    """CPU threads; default all cores, and of a Ray task 1."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads must be at least 1, got {self.threads}")
