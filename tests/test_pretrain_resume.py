"""Runs as a user starts them: killed, terminated, interrupted, in two processes. One thread each."""

import random
import shutil
import signal
import time

import pytest
from pretraining import command, metrics, weights, write_genome

FAST_SAVES = "--save_minutes=0.002"
EPOCHS = "--epochs=12"
LAST_STEP = 12 * 99 // 8
PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    return write_genome(tmp_path_factory.mktemp("genome") / "g.fa")


@pytest.fixture(scope="module")
def uninterrupted(genome, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "uninterrupted"
    process = command(genome, output, EPOCHS, FAST_SAVES)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    return output


def wait_for_step(process, output, step):
    """Wait until metrics.csv holds a row of a step, or the process ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    path = output / "metrics.csv"
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists():
            lines = path.read_text().splitlines()[1:]
            if any(
                line.partition(",")[0].isdigit() and int(line.partition(",")[0]) >= step for line in lines
            ):
                return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached: {process.communicate()}")


def rows_without_clock(run):
    # The first loss that is logged after a resumption is the mean over fewer steps.
    return [(row["step"], row["epoch"], row["learning_rate"], row["eval_loss"]) for row in metrics(run)]


def finish(genome, output, *extra):
    process = command(genome, output, EPOCHS, FAST_SAVES, "--resume=true", *extra)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    return out


def test_killed_twice_ends_with_the_same_weights(genome, uninterrupted, tmp_path):
    run = tmp_path / "run"
    for step in (random.randrange(10, 70), random.randrange(80, 140)):
        process = command(genome, run, EPOCHS, FAST_SAVES, "--resume=true")
        wait_for_step(process, run, step)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    # As if it had been killed while it wrote a checkpoint, and a row.
    (run / "incomplete" / "checkpoint-999").mkdir(parents=True, exist_ok=True)
    (run / "incomplete" / "checkpoint-999" / "model.safetensors").write_bytes(b"half")
    out = finish(genome, run)
    assert not (run / "incomplete").exists()
    assert "The model is in" in out
    assert weights(run) == weights(uninterrupted)
    assert rows_without_clock(run) == rows_without_clock(uninterrupted)


@pytest.mark.parametrize(
    ("signal_number", "status", "message"),
    [
        (signal.SIGTERM, 143, "convnova: stopped by SIGTERM at step "),
        (signal.SIGINT, 130, "convnova: stopped by Ctrl-C at step "),
    ],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_a_signal_ends_the_run_with_one_line(genome, uninterrupted, tmp_path, signal_number, status, message):
    run = tmp_path / "run"
    process = command(genome, run, EPOCHS, "--save_minutes=1000")
    wait_for_step(process, run, 30)
    process.send_signal(signal_number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    assert any(run.glob("checkpoint-*"))
    finish(genome, run)
    assert weights(run) == weights(uninterrupted)
    assert rows_without_clock(run) == rows_without_clock(uninterrupted)


def test_a_run_has_one_process_at_a_time(genome, tmp_path):
    run = tmp_path / "run"
    first = command(genome, run, EPOCHS, FAST_SAVES)
    wait_for_step(first, run, 10)
    second = command(genome, run, EPOCHS, FAST_SAVES, "--resume=true")
    first.send_signal(signal.SIGSTOP)  # it must not get to its end before the second one looks
    try:
        _, errors = second.communicate(timeout=PATIENCE_SECONDS)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 2
    assert "another process is at work on this run" in errors


def test_two_processes_learn_as_one(genome, tmp_path):
    flags = ("--model.dropout=0", "--epochs=4", "--precision=fp32")
    for name, processes in (("one", 1), ("two", 2)):
        process = command(genome, tmp_path / name, *flags, processes=processes)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two, strict=True):
        for column in ("loss", "eval_loss"):
            if a[column]:
                assert float(a[column]) == pytest.approx(float(b[column]), rel=2e-5)


def test_sigterm_to_one_of_two_processes_stops_both(genome, tmp_path):
    run = tmp_path / "run"
    process = command(genome, run, EPOCHS, "--save_minutes=1000", processes=2)
    wait_for_step(process, run, 20)
    process.send_signal(signal.SIGTERM)  # torchrun hands it on
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert "convnova: stopped by SIGTERM at step " in errors
    (checkpoint,) = run.glob("checkpoint-*")
    assert {"model.safetensors", "rng_state_0.pth", "rng_state_1.pth"} <= {
        path.name for path in checkpoint.iterdir()
    }
    shutil.rmtree(run)
