"""A pretraining run killed with SIGKILL at random moments, against the same run left alone.

Each attempt goes on with `--resume` until the last is left to finish. The final weights must be the same
byte for byte, and metrics.csv must hold each step once.
"""

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import arguments, report, save

DEMO_GENOME = Path(__file__).parents[1] / "src/convnova/demo/data/yeast.fa.gz"
BATCH_WINDOWS = 8


def main(argv: list[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--genome", type=Path, default=DEMO_GENOME, help="FASTA, plain or gzip")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--windows", type=int, default=6000, help="windows of 256 bp in the run")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args(argv)
    if options.quick:
        options.kills, options.windows = 1, 800
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = Path(folder, "alone"), Path(folder, "killed")
        flags = run_flags(options.genome, Path(folder, "cache"), options.windows)
        began = time.monotonic()
        finish(start(alone, flags))
        duration = time.monotonic() - began
        moments = sorted(rng.sample(range(1, options.windows // BATCH_WINDOWS), options.kills))
        rows = [[step, *kill_once(killed, flags, step, rng.uniform(0, 0.2))] for step in moments]
        finish(start(killed, flags))
        digests = [
            hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest() for run in (alone, killed)
        ]
        steps = [logged_steps(run) for run in (alone, killed)]
    settings = {
        "genome": options.genome.name,
        "windows": options.windows,
        "seconds alone": round(duration, 1),
    }
    report(
        "resume_after_kill",
        settings,
        ["killed after step", "last row", "last checkpoint", "half-written"],
        rows,
    )
    print(f"weights alone  sha256 {digests[0]}\nweights killed sha256 {digests[1]}")
    is_same = digests[0] == digests[1] and steps[0] == steps[1]
    print("same final weights, same rows of metrics.csv" if is_same else "DIFFERENT")
    if options.save:
        save("resume_after_kill", {"settings": settings, "kills": rows, "sha256": digests, "same": is_same})
    sys.exit(not is_same)


def run_flags(genome: Path, cache: Path, windows: int) -> list[str]:
    return [
        *(f"--genome={genome}", f"--cache={cache}", "--resume=true", "--save_minutes=0.01", "--trackers=[]"),
        *("--model.hidden_size=16", "--model.dilations=[1,1,4]", "--model.dropout=0.1"),
        *("--windows.window_bp=256", f"--windows.windows_per_epoch={windows}", "--epochs=1"),
        *(f"--batch_windows={BATCH_WINDOWS}", "--evaluation_windows=64", "--evaluations=3", "--log_steps=1"),
    ]


def start(run: Path, flags: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "convnova", "pretrain", f"--output={run}", *flags]
    # A session of its own, so that one signal reaches the workers too.
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run ended with status {process.returncode}: {errors}")


def kill_once(run: Path, flags: list[str], step: int, seconds: float) -> list[str]:
    """Kill a run after a step; return its last row, its last checkpoint, and whether one was half-written."""
    process = start(run, flags)
    while process.poll() is None and max(logged_steps(run), default=0) < step:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    if status != -signal.SIGKILL:
        raise SystemExit(f"the run ended with status {status} before it was killed; make it longer")
    checkpoints = sorted(int(path.name.split("-")[1]) for path in run.glob("checkpoint-*"))
    return [
        str(max(logged_steps(run))),
        str(checkpoints[-1] if checkpoints else "-"),
        "yes" if (run / "incomplete").exists() else "no",
    ]


def logged_steps(run: Path) -> list[int]:
    if not (run / "metrics.csv").exists():
        return []
    with (run / "metrics.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["epoch"]]  # not one cut short


if __name__ == "__main__":
    main()
