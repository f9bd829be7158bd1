"""The output folder of a run that writes checkpoints: new, or one to go on with."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers.trainer_utils import get_last_checkpoint

from convnova.console import say
from convnova.errors import InputError
from convnova.training.checkpoints import LOCK_NAME
from convnova.training.record import RECORD_NAME, check_same_run
from convnova.training.weights import WEIGHTS_NAME


def open_run(
    output: Path, settings: Any, resume: bool, checksums: dict[str, str | None], changeable: tuple[str, ...]
) -> str | None:
    """Make the output folder, and return the checkpoint to go on from.

    Args:
        output: the folder.
        settings: of the run.
        resume: whether to go on with the run that is there.
        checksums: of what is read, as the record holds them.
        changeable: settings that may differ from the record's, by their dotted names.

    Raises:
        InputError: for a folder that cannot be used, or that holds another run.
    """
    if (output / RECORD_NAME).exists():
        if not resume:
            raise InputError(
                f"{output} holds a run already; go on with it by --resume, or choose another output folder"
            )
        check_same_run(output, settings, checksums, changeable)
        return get_last_checkpoint(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        is_empty = all(path.name in (LOCK_NAME, f"{RECORD_NAME}.incomplete") for path in output.iterdir())
    except OSError as error:
        raise InputError(
            f"{output} cannot be used as output folder ({error.strerror}); choose another"
        ) from None
    if not is_empty:
        raise InputError(f"{output} is not an empty folder, nor a run; choose another output folder")
    if not os.access(output, os.W_OK):
        raise InputError(f"{output} cannot be written to; choose another output folder")
    return None


def is_finished(output: Path, console: Console) -> bool:
    """Return whether a run has written its model, whose weights come last, and say so where it has."""
    if not (output / WEIGHTS_NAME).exists():
        return False
    say(console, f"{output}: this run is finished; its model is not trained again")
    return True


def is_main_process() -> bool:
    """Return whether this process, of several that torchrun may have started, is the one that writes."""
    return int(os.environ.get("RANK", 0)) == 0
