"""What happens beside training: progress for people, metrics.csv for programs, checkpoints by the clock."""

import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import distributed
from transformers import TrainerCallback

from convnova.errors import InputError, TerminatedError
from convnova.training.metrics import append_row, cut_back

# Processes on GPUs ask each other this often whether to save or to stop, since the answer makes them wait for
# the GPU; processes on CPUs ask at every step: torchrun kills what has not stopped after 30 s.
GPU_AGREE_STEPS = 10


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

    def __init__(
        self, csv_path: Path, bp_per_step: int, epochs: int, console: Console, scores: dict[str, str]
    ):
        """Take where to report.

        Args:
            csv_path: metrics.csv.
            bp_per_step: bases of a step, for the speed.
            epochs: of the data in the run.
            console: for people.
            scores: keys of an evaluation in the Trainer's log and what people call each, in this order.
        """
        self.csv_path, self.epochs, self.console, self.scores = csv_path, epochs, console, scores
        self.speed = SpeedMeter(bp_per_step)
        self.last_loss = math.nan
        self.progress: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar, and cut metrics.csv back to the step that training goes on from."""
        self.speed.restart()
        if state.is_world_process_zero:
            cut_back(self.csv_path, state.global_step)
        if state.is_world_process_zero and self.console.is_terminal:
            columns = [
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[now]}"),
                TimeRemainingColumn(),
                TextColumn("left"),
            ]
            self.progress = Progress(*columns, console=self.console)
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
        """Write a row of metrics.csv, and a line for people.

        Raises:
            InputError: when the loss is not a number: going on would only burn time.
        """
        if "loss" not in logs and "eval_loss" not in logs:
            return  # the Trainer's own summary at the end
        if not math.isfinite(logs.get("loss", 0.0)):
            raise InputError(
                f"the training loss is {logs['loss']} at step {state.global_step}; lower the learning rate "
                "or use precision fp32, and start anew or go on from the last checkpoint"
            )
        if not state.is_world_process_zero:
            return
        epoch = self.epochs * state.global_step / state.max_steps
        row = logs | {"step": state.global_step, "epoch": round(epoch, 4)}
        if "loss" in logs:
            self.last_loss = logs["loss"]
            row["bp_per_second"] = round(self.speed.bp_per_second)
        append_row(self.csv_path, row, ["eval_loss", *self.scores])
        self._print(epoch, state, logs)

    def _print(self, epoch: float, state: Any, logs: dict[str, float]) -> None:
        if "eval_loss" in logs:
            values = ", ".join(f"{name} {logs[key]:.4f}" for key, name in self.scores.items())
            line = f"epoch {epoch:.2f}: validation {values}"
        elif self.progress is None:
            bp_left = (state.max_steps - state.global_step) * self.speed.bp_per_step
            minutes_left = bp_left / max(self.speed.bp_per_second, 1) / 60
            line = (
                f"step {state.global_step}/{state.max_steps}  epoch {epoch:.2f}  loss {self.last_loss:.4f}  "
                f"{self.speed.bp_per_second:,.0f} bp/s  {minutes_left:.1f} min left"
            )
        else:
            return
        self.console.print(line, highlight=False, soft_wrap=True)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the evaluation out of the speed."""
        self.speed.skip()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the writing of a checkpoint out of the speed."""
        self.speed.skip()

    def close(self) -> None:
        """Close the bar, also after an error."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


STOPPING: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
"""Signals that end a run with a checkpoint, in words."""


class SaveByTheClock(TrainerCallback):
    """Ask for a checkpoint every so many minutes, and at SIGTERM or Ctrl-C for one and the end of the run.

    A second Ctrl-C ends it at once. Writing a checkpoint takes all processes, so they decide together: one
    that is asked to stop, or whose clock is ahead, decides for all.
    """

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes
        self.was_terminated = False
        self.asked_by: int | None = None
        """Signal that asked for the end."""
        self._previous: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock and take over the signals (Python lets only the main thread do that)."""
        self.last_save = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._ask_to_stop) for number in STOPPING}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for what is due."""
        is_alone = args.world_size == 1
        every = GPU_AGREE_STEPS if args.device.type == "cuda" else 1
        if not is_alone and state.global_step % every and state.global_step < state.max_steps:
            return
        wanted = [self.asked_by is not None, time.monotonic() - self.last_save > self.seconds]
        is_stopping, is_due = wanted if is_alone else _any_process(wanted, args.device)
        if is_stopping:
            self.was_terminated = True
            control.should_training_stop = True
        if is_stopping or is_due:
            control.should_save = True
            self.last_save = time.monotonic()

    def close(self) -> None:
        """Give the signals back, also after an error."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask_to_stop(self, signal_number: int, frame: Any) -> None:
        if self.asked_by == signal.SIGINT == signal_number:
            raise KeyboardInterrupt
        self.asked_by = signal_number


def train_to_end(trainer: Any, progress: Any, clock: SaveByTheClock | None, checkpoint: str | None) -> None:
    """Train from the start or from a checkpoint, and give terminal and signals back, also after an error.

    Both `progress` and `clock` (None where nothing is saved on the way) are callbacks of the trainer, and are
    closed.

    Raises:
        TerminatedError: after SIGTERM or Ctrl-C, with a checkpoint saved.
    """
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        progress.close()
        if clock is not None:
            clock.close()
    if clock is not None and clock.was_terminated:
        by = clock.asked_by or signal.SIGTERM  # which another process may have had
        raise TerminatedError(
            f"stopped by {STOPPING[by]} at step {trainer.state.global_step} of {trainer.state.max_steps}, "
            f"checkpoint saved in {trainer.args.output_dir}; go on with --resume",
            status=128 + by,
        )


def _any_process(flags: list[bool], device: torch.device) -> list[bool]:
    """Return for each flag whether it is set in any process; every process has to call this."""
    total = torch.tensor(flags, dtype=torch.int32, device=device)
    distributed.all_reduce(total, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in total.tolist()]
