"""What fine-tuning shows while it runs: a live bar on a terminal, elsewhere a line now and then."""

import time
from typing import Any

from rich import progress
from rich.console import Console
from transformers import TrainerCallback

_QUIET_SECONDS = 60.0
"""Longest without a line in a log."""


class Progress(TrainerCallback):
    """Steps, time left, and the latest score on validation."""

    def __init__(self, console: Console, selection: str):
        self.console, self.selection = console, selection
        self.bar: progress.Progress | None = None
        self.now = ""
        self._began = self._spoke = 0.0
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar, or begin to count the time."""
        self._began = self._spoke = time.monotonic()
        self._first_step = state.global_step
        if self.console.is_terminal and not self.console.quiet and state.is_world_process_zero:
            self.bar = progress.Progress(
                progress.TextColumn("  fine-tuning"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[now]}"),
                progress.TimeRemainingColumn(),
                progress.TextColumn("left"),
                console=self.console,
            )
            self.task = self.bar.add_task("", total=state.max_steps, completed=state.global_step, now="")
            self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar, or say how far it is where nothing was said for a minute."""
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step, now=self.now)
        elif (now := time.monotonic()) - self._spoke > _QUIET_SECONDS:
            per_step = (now - self._began) / (state.global_step - self._first_step)
            left = (state.max_steps - state.global_step) * per_step / 60
            self._say(state, f"step {state.global_step:,}/{state.max_steps:,}  {left:.1f} min left")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kw: Any) -> None:
        """Tell the scores."""
        loss, score = (f"{metrics[f'eval_{name}']:.4f}" for name in ("loss", self.selection))
        self.now = f"validation {self.selection} {score}"
        if self.bar is None:
            self._say(state, f"epoch {state.epoch:.1f}: validation loss {loss}, {self.selection} {score}")

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self.bar is not None:
            self.bar.stop()

    def _say(self, state: Any, line: str) -> None:
        self._spoke = time.monotonic()
        if state.is_world_process_zero:
            self.console.print(f"  {line}", highlight=False)
