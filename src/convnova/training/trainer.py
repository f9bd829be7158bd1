"""The Transformers Trainer, held to what a long run over the bases of a genome needs.

What differs from the Trainer's own ways: examples come in the order of the data set, which is itself a
function of the seed; the loss is divided by the weight of labelled bases over all processes; the schedule
is the published one; validation is scored base by base.
"""

import os
import signal
import sys
import threading
from typing import Any

import torch
from torch.utils.data import DataLoader, SequentialSampler

from convnova.data.masking import NO_LABEL
from convnova.evaluation.masked_lm import score_model, summarise
from convnova.training.optimization import ScheduledTrainer


class GenomeTrainer(ScheduledTrainer):
    """A Trainer for data sets that give a batch of windows at once, with `labels` for their bases."""

    control: Any

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, data_collator=_as_tensors, **kwargs)

    def get_train_dataloader(self) -> Any:
        """Return the batches of all steps, in the order of the data set.

        They end with the last step: what does not fill a batch is left out, so that a run that is resumed
        at its last step has nothing left to do.
        """
        args = self.args
        passes = args.max_steps * args.gradient_accumulation_steps * args.world_size
        loader = DataLoader(
            self.train_dataset,
            batch_size=args.train_batch_size,
            sampler=SequentialSampler(range(passes * args.train_batch_size)),
            collate_fn=_as_tensors,
            num_workers=args.dataloader_num_workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_heed_only_the_trainer,
        )
        return self.accelerator.prepare(loader)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        """Return the weight of all labelled bases of this step, over its passes and over all processes."""
        total = torch.zeros((), device=device)
        for batch in batch_samples:
            is_labelled = batch["labels"] != NO_LABEL
            weights = batch.get("loss_weights")
            total += (is_labelled if weights is None else weights * is_labelled).sum().to(device)
        # A step without a labelled base has a loss of 0, not 0 / 0.
        return self.accelerator.reduce(total, "sum").clamp(min=torch.finfo(total.dtype).tiny)


class PretrainingTrainer(GenomeTrainer):
    """A Trainer for `PretrainingWindows`."""

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return and log the scores of the validation windows; every process computes the same."""
        scores = score_model(self.model, self.eval_dataset, self.args.per_device_eval_batch_size)
        summary = summarise("", scores)
        metrics = {
            "eval_loss": summary.nats_per_base,
            "eval_bits_per_base": summary.bits_per_base,
            "eval_accuracy": summary.accuracy,
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _as_tensors(batch: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a batch of windows, which the loader gets whole."""
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _heed_only_the_trainer(worker: int) -> None:
    """Leave Ctrl-C, and a SIGTERM to a whole group of processes, to the process that trains.

    It needs its workers to get to the end of a step; they end when it tells them to, by SIGTERM too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _say_unless_the_trainer_is_gone
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_told_to, daemon=True).start()


def _say_unless_the_trainer_is_gone(kind: Any, error: Any, trace: Any) -> None:
    if not issubclass(kind, OSError | EOFError):  # what a broken connection raises
        sys.__excepthook__(kind, error, trace)


def _end_when_told_to() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
