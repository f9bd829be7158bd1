"""Training bp/s of one process with two threads, against two processes with one thread each.

Both have the same global batch, so they compute the same; the second pays for exchanging gradients (gloo).
The speed is the last one that metrics.csv holds: start-up, evaluations and checkpoints are left out.
"""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import arguments, report, save

DEMO_GENOME = Path(__file__).parents[1] / "src/convnova/demo/data/yeast.fa.gz"


def main(argv: list[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--genome", type=Path, default=DEMO_GENOME, help="FASTA, plain or gzip")
    parser.add_argument("--hidden_size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch_windows", type=int, default=16, help="windows of 1024 bp in one step")
    options = parser.parse_args(argv)
    if options.quick:
        options.hidden_size, options.steps, options.batch_windows = 8, 10, 2
    with tempfile.TemporaryDirectory() as folder:
        flags = [
            *(
                f"--genome={options.genome}",
                f"--cache={folder}/cache",
                "--trackers=[]",
                "--save_minutes=1000",
            ),
            *(f"--model.hidden_size={options.hidden_size}", f"--batch_windows={options.batch_windows}"),
            *(f"--windows.windows_per_epoch={options.steps * options.batch_windows}", "--epochs=1"),
            *(
                f"--log_steps={options.steps}",
                "--evaluations=0",
                "--evaluation_windows=4",
                "--precision=fp32",
            ),
        ]
        speeds = {
            processes: train(Path(folder, str(processes)), flags, processes, threads=2 // processes)
            for processes in (1, 2)
        }
    rows = [[p, 2 // p, f"{speed:,.0f}", f"{speed / speeds[1]:.2f}"] for p, speed in speeds.items()]
    settings = {key: getattr(options, key) for key in ("hidden_size", "steps", "batch_windows")}
    report("processes", settings, ["processes", "threads each", "bp/s", "ratio"], rows)
    if options.save:
        save("processes", {"settings": settings, "bp_per_second": speeds})


def train(output: Path, flags: list[str], processes: int, threads: int) -> float:
    """Return the training speed in bp/s."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "convnova", "pretrain"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*command, f"--output={output}", *flags], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    with (output / "metrics.csv").open(newline="") as file:
        return float([row["bp_per_second"] for row in csv.DictReader(file) if row["bp_per_second"]][-1])


if __name__ == "__main__":
    main()
