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

RECORD_NAME = "run.json"
_LIBRARIES = ("convnova", "torch", "transformers", "accelerate", "numpy")


def run_record(settings: Any, data: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return settings resolved, model, data checksums, versions, commit, command and machine."""
    return {
        "command": " ".join(["convnova", *sys.argv[1:]]),
        "settings": plain(settings),
        "model": model,
        "data": data,
        "versions": {name: metadata.version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "commit": source_commit(),
        "machine": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", 1)),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def plain(settings: Any) -> Any:
    """Return a settings dataclass as what JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(settings), default=str))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    staging = path.with_name(path.name + ".incomplete")
    staging.write_text(json.dumps(content, indent=2) + "\n")
    staging.replace(path)


def check_same_run(output: Path, settings: Any, checksum: str, changeable: tuple[str, ...]) -> None:
    """Refuse to resume a run under other settings or on another genome.

    Args:
        output: folder of the run.
        settings: the settings given now.
        checksum: of the genome given now.
        changeable: settings that do not change the result.

    Raises:
        InputError: naming the first difference.
    """
    record = json.loads((output / RECORD_NAME).read_text())
    before, now = record["settings"], plain(settings)
    for name in now:
        if name not in changeable and before.get(name) != now[name]:
            raise InputError(
                f"{output} holds a run with {name} {before.get(name)}, and now it is {now[name]}; "
                "resume with the same settings, or choose another output folder"
            )
    if record["data"]["genome_checksum"] != checksum:
        raise InputError(
            f"{output} holds a run on another genome than {settings.genome}; choose another output folder"
        )


def source_commit() -> str | None:
    """Return the git commit of the package's source, with "+changes" where it is edited; None when installed."""
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


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
