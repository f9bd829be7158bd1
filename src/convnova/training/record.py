"""The run record: everything that made a run, as JSON beside its checkpoints."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from convnova.errors import InputError
from convnova.evaluation.masked_lm import Summary
from convnova.writing import write_json

RECORD_NAME = "run.json"
SCORES_NAME = "scores.json"
_LIBRARIES = ("convnova", "torch", "transformers", "accelerate", "numpy")


def run_record(
    settings: Any, data: dict[str, Any], model: dict[str, Any], resolved: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return settings, what defaults became on this machine, model, data checksums, and the session."""
    made = {"settings": plain(settings), "resolved": resolved or {}, "model": model, "data": data}
    return made | {"sessions": [session()]}


def model_facts(model: Any, weights: Any) -> dict[str, Any]:
    """Return what a record holds of a model, and of the weights that it began with, a `WeightsReport`."""
    facts = {"parameters": model.num_parameters(), "receptive_field": model.config.receptive_field}
    return facts | {"weights": None if weights is None else weights._asdict()}


def keep_record(output: Path, record: dict[str, Any], checkpoint: str | None) -> None:
    """Write the record of a new run; to that of a run that goes on, add the session and where it begins."""
    path = output / RECORD_NAME
    if path.exists():
        now = record["sessions"][0] | {"resumed_from": Path(checkpoint).name if checkpoint else None}
        record = json.loads(path.read_text())
        record["sessions"] = [*record.get("sessions", []), now]
    write_json(path, record)


def session() -> dict[str, Any]:
    """Return the command, code and machine of this process; a resumed run has one more of them."""
    return {
        "command": " ".join(["convnova", *sys.argv[1:]]),
        "versions": {name: metadata.version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "commit": source_commit(),
        "machine": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", 1)),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def read_scores(run: Path) -> dict[str, list[Summary]]:
    """Return the scores that a finished run wrote, by split."""
    content = json.loads((run / SCORES_NAME).read_text())
    return {split: [Summary(**row) for row in rows] for split, rows in content.items()}


def plain(settings: Any) -> Any:
    """Return a settings dataclass, or a dict of its values, as what JSON can hold."""
    return json.loads(json.dumps(settings, default=_plain_value))


def _plain_value(value: Any) -> Any:
    is_settings = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if is_settings else str(value)


def check_same_run(output: Path, settings: Any, data: dict[str, Any], changeable: tuple[str, ...]) -> None:
    """Refuse to resume a run under other settings or on other data.

    A setting that is newer than the record counts as what its default says.

    Args:
        output: folder of the run.
        settings: the settings given now.
        data: checksums of what is read now, as in the record.
        changeable: settings that do not change the result, by their dotted names.

    Raises:
        InputError: naming the first difference.
    """
    try:
        record = json.loads((output / RECORD_NAME).read_text())
        before = flat(record["settings"])
        data_before = record["data"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{output / RECORD_NAME} is not the record of a run; choose another output folder"
        ) from None
    defaults = flat(plain({field.name: _default(field) for field in dataclasses.fields(settings)}))
    for name, now in flat(plain(settings)).items():
        if name not in changeable and (was := before.get(name, defaults.get(name))) != now:
            raise InputError(
                f"{output} holds a run with {name} {was}, and now it is {now}; "
                "resume with the same settings, or choose another output folder"
            )
    for name, checksum in data.items():
        if data_before.get(name) != checksum:
            kind = name.removesuffix("_checksum")
            raise InputError(
                f"{output} holds a run on another {kind} than the one given now; give the same, "
                "or choose another output folder"
            )


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names, ``windows.window_bp``."""
    rows: dict[str, Any] = {}
    for name, value in settings.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows


def _default(field: dataclasses.Field) -> Any:
    """Return the default of a setting; None for one that must be given."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def source_commit() -> str | None:
    """Return the git commit of the package's source, "+changes" where it is edited; None when installed."""
    folder = Path(__file__).parent
    try:
        commit = _git("rev-parse", "HEAD", folder=folder)
        is_ours = _git("ls-files", "--error-unmatch", __file__, folder=folder)
        changes = _git("status", "--porcelain", "--untracked-files=no", folder=folder)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "") if is_ours else None


def _git(*arguments: str, folder: Path) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
