"""What happens beside training: progress for people, a CSV file for programs, checkpoints by the clock, SIGTERM."""

import csv
import math
import signal
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from convnova.errors import InputError

COLUMNS = (
    "step",
    "epoch",
    "loss",
    "grad_norm",
    "learning_rate",
    "bp_per_second",
    "eval_loss",
    "eval_bits_per_base",
    "eval_accuracy",
)


class SpeedMeter:
    """Base pairs a second since the run (or its resumption) began, evaluations left out."""

    def __init__(self, bp_per_step: int):
        self.bp_per_step = bp_per_step
        self.restart()

    def restart(self) -> None:
        """Begin to count."""
        self.seconds, self.steps, self._since = 0.0, 0, time.perf_counter()

    def step(self) -> None:
        """Count one training step that ends now."""
        now = time.perf_counter()
        self.seconds, self.steps, self._since = self.seconds + now - self._since, self.steps + 1, now

    def skip(self) -> None:
        """Leave out the time since the last step."""
        self._since = time.perf_counter()

    @property
    def bp_per_second(self) -> float:
        """Mean speed, 0 before the first step."""
        return self.steps * self.bp_per_step / self.seconds if self.seconds else 0.0


class ProgressReport(TrainerCallback):
    """A live bar on a terminal, a line now and then in a log file; metrics.csv in both cases.

    The numbers of the Trainer's log get their epoch (of the data, not of the Trainer) and speed here.
    """

    def __init__(self, csv_path: Path, bp_per_step: int, epochs: int, console: Console):
        self.csv_path, self.epochs, self.console = csv_path, epochs, console
        self.speed = SpeedMeter(bp_per_step)
        self.last_loss = math.nan
        self.last_bits = math.nan
        self.progress: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar, and cut metrics.csv back to the step that training goes on from."""
        self.speed.restart()
        self.first_step = state.global_step
        if state.is_world_process_zero:
            cut_back(self.csv_path, state.global_step)
        if state.is_local_process_zero and self.console.is_terminal:
            columns = [
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[now]}"),
            ]
            self.progress = Progress(
                *columns, TimeRemainingColumn(), TextColumn("left"), console=self.console
            )
            self.task = self.progress.add_task(
                "training", total=state.max_steps, completed=state.global_step, now=""
            )
            self.progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self.speed.step()
        if self.progress is not None:
            now = f"loss {self.last_loss:.4f}  {self.speed.bp_per_second:,.0f} bp/s"
            self.progress.update(self.task, completed=state.global_step, now=now)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        """Write a row of metrics.csv, and a line where there is no bar.

        Raises:
            InputError: when the loss is not a number: going on would only burn time.
        """
        if not state.is_world_process_zero:
            return
        epoch = self.epochs * state.global_step / state.max_steps
        row = {"step": state.global_step, "epoch": round(epoch, 4), **logs}
        row["epoch"] = round(epoch, 4)
        if "loss" in logs:
            self.last_loss = logs["loss"]
            row["bp_per_second"] = round(self.speed.bp_per_second)
            if not math.isfinite(self.last_loss):
                raise InputError(
                    f"the training loss is {self.last_loss} at step {state.global_step}; lower the learning rate "
                    "or use precision fp32, and start again from the last checkpoint or anew"
                )
        append_row(self.csv_path, row)
        if "eval_bits_per_base" in logs:
            self.console.print(
                f"epoch {epoch:.2f}: validation {logs['eval_bits_per_base']:.4f} bits per base, "
                f"accuracy {logs['eval_accuracy']:.4f}"
            )
        elif "loss" in logs and self.progress is None:
            left = (
                (state.max_steps - state.global_step)
                * self.speed.bp_per_step
                / max(self.speed.bp_per_second, 1)
            )
            self.console.print(
                f"step {state.global_step}/{state.max_steps}  epoch {epoch:.2f}  loss {self.last_loss:.4f}  "
                f"{self.speed.bp_per_second:,.0f} bp/s  {left / 60:.1f} min left",
                highlight=False,
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the evaluation out of the speed."""
        self.speed.skip()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the writing of a checkpoint out of the speed."""
        self.speed.skip()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


class SaveByTheClock(TrainerCallback):
    """Ask for a checkpoint every so many minutes, and at SIGTERM for one at once and the end of the run."""

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes
        self.was_terminated = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock and take over SIGTERM."""
        self.last_save = time.monotonic()
        self._previous = signal.signal(signal.SIGTERM, self._terminate)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for what is due."""
        if self.was_terminated:
            control.should_training_stop = True
        if self.was_terminated or time.monotonic() - self.last_save > self.seconds:
            control.should_save = True
            self.last_save = time.monotonic()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give SIGTERM back."""
        signal.signal(signal.SIGTERM, self._previous)

    def _terminate(self, signal_number: int, frame: Any) -> None:
        self.was_terminated = True


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one row to metrics.csv; the header is written with the first."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def cut_back(path: Path, step: int) -> None:
    """Drop the rows after a step: what a killed run logged after its last checkpoint happens again."""
    if path.exists():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        path.unlink()
        for row in rows:
            append_row(path, row)
