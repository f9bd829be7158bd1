"""What fine-tuning shows while it runs: a live bar on a terminal, a line for each evaluation elsewhere."""

from typing import Any

from rich import progress
from rich.console import Console
from transformers import TrainerCallback


class Progress(TrainerCallback):
    """Steps, time left, and the latest score on validation."""

    def __init__(self, console: Console, selection: str):
        self.console, self.selection = console, selection
        self.bar: progress.Progress | None = None
        self.now = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar."""
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
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step, now=self.now)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kw: Any) -> None:
        """Tell the scores."""
        score = metrics[f"eval_{self.selection}"]
        self.now = f"validation {self.selection} {score:.4f}"
        if self.bar is None and state.is_world_process_zero:
            self.console.print(
                f"  epoch {state.epoch:.1f}: validation loss {metrics['eval_loss']:.4f}, "
                f"{self.selection} {score:.4f}",
                highlight=False,
            )

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self.bar is not None:
            self.bar.stop()
