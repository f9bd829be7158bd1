"""The stages of a run: each is kept in a file with what made it, and reused while that is the same."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from convnova.writing import write_json


class Step(NamedTuple):
    """One stage of the demo, for the table of times."""

    name: str
    seconds: float
    """When it was computed."""
    was_reused: bool


class Steps:
    """The stages of a run: what each took, and what was there already."""

    def __init__(self, output: Path, console: Console):
        self.console = console
        self.done: list[Step] = []
        output.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, seconds: float, was_reused: bool) -> None:
        """Note a stage."""
        self.done.append(Step(name, seconds, was_reused))
        if was_reused:
            self.console.print(f"  reused from an earlier run: {name}", style="green")

    def stage(self, name: str, path: Path, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what a stage gives: from its file if that was made under the same key, else computed."""
        key = json.loads(json.dumps(key, default=str))
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["key"] == key:
                self.add(name, kept["seconds"], True)
                return kept["value"]
            self.console.print(f"  {name}: settings or inputs have changed, so it is done anew")
            path.unlink()  # before its files change: what is there must not pass for the old result
        began = time.perf_counter()
        value = json.loads(json.dumps(compute()))
        seconds = time.perf_counter() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": key, "seconds": seconds, "value": value})
        self.add(name, seconds, False)
        return value


def checksum(path: Path) -> str:
    """Return the SHA-256 digest of a file, for the key of a stage."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
