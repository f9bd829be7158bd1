"""Windows per second from the genome store, against reading each with pyfaidx and looking up each character.

The twin is what data loaders of DNA models commonly do: a FASTA index, one read a window, and a dictionary
lookup for each letter, as HyenaDNA's CharacterTokenizer, here without the further work of a Transformers
tokenizer. Both give the same windows, compared for equality before anything is timed.

n windows in a batch, L window length in bp.
"""

import gzip
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyfaidx
from measure import arguments, interleaved, paired_ratio, report, save
from numpy.typing import NDArray

from convnova.data.masking import MaskingSettings, mask_ids
from convnova.data.windows import PretrainingWindows, WindowSettings, WindowTable
from convnova.genome import Genome

DEMO_GENOME = Path(__file__).parents[1] / "src/convnova/demo/data/yeast.fa.gz"
CHARACTER_IDS = {letter: index for index, letter in enumerate("ACGTN")}
SEED = 7


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--genome", type=Path, default=DEMO_GENOME, help="FASTA, plain or gzip")
    parser.add_argument("--windows", type=int, default=128, help="windows in a batch")
    parser.add_argument("--length", type=int, default=1024, help="length of a window in bp")
    parser.add_argument("--rounds", type=int, default=101, help="each round is one batch of each")
    options = parser.parse_args(argv)
    if options.quick:
        options.windows, options.rounds = 8, 3
    with tempfile.TemporaryDirectory() as folder:
        genome = Genome.open(options.genome, cache=Path(folder))
        with pyfaidx.Fasta(str(uncompressed(options.genome, Path(folder)))) as fasta:
            rows = compare(genome, fasta, options.windows, options.length, options.rounds)
        settings = {
            "genome": options.genome.name,
            "bp": genome.total_bp,
            "windows": options.windows,
            "length": options.length,
            "rounds": options.rounds,
        }
    shown = [
        [row["task"], f"{row['ours']:,.0f}", f"{row['per window']:,.0f}", f"{row['times faster']:.1f}"]
        for row in rows
    ]
    header = ["windows/s", "convnova", "pyfaidx and characters", "times faster"]
    report("window loading", settings, header, shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("window_loading", result)
    return result


def compare(
    genome: Genome, fasta: pyfaidx.Fasta, windows: int, length: int, rounds: int
) -> list[dict[str, Any]]:
    """Return windows per second of both, without and with masking.

    Raises:
        RuntimeError: when the two do not give the same.
    """
    table = random_windows(genome, windows, length, np.random.default_rng(SEED))
    masking = MaskingSettings()
    dataset = PretrainingWindows(
        genome, table, WindowSettings(window_bp=length), masking, SEED, is_training=False
    )
    names = list(genome.chromosome_sizes)
    places = [(names[c], int(start)) for c, start in zip(table.chromosome, table.start, strict=True)]
    indices = range(windows)

    def load() -> NDArray[np.uint8]:
        return genome.windows(table.chromosome, table.start, length).ids

    def load_one_by_one() -> NDArray[np.uint8]:
        return np.stack([character_ids(fasta, name, start, length) for name, start in places])

    def load_masked() -> NDArray[np.int64]:
        batch = dataset.__getitems__(indices)
        return np.stack([batch["input_ids"], batch["labels"]])

    def load_masked_one_by_one() -> NDArray[np.int64]:
        masked = [
            mask_ids(
                character_ids(fasta, name, start, length), masking, np.random.default_rng((SEED, 0, index))
            )
            for index, (name, start) in enumerate(places)
        ]
        return np.stack([np.stack([m.input_ids for m in masked]), np.stack([m.labels for m in masked])])

    rows = []
    for task, ours, twin in (
        ("loading", load, load_one_by_one),
        ("loading and masking, a whole batch", load_masked, load_masked_one_by_one),
    ):
        if not np.array_equal(ours(), twin()):
            raise RuntimeError(f"{task}: the two ways do not give the same windows")
        times = interleaved({"ours": ours, "per window": twin}, rounds)
        per_second = {name: windows / statistics.median(each) for name, each in times.items()}
        ratio = paired_ratio(times["ours"], times["per window"])
        rows.append({"task": task, **per_second, "times faster": ratio})
    return rows


def random_windows(genome: Genome, windows: int, length: int, rng: np.random.Generator) -> WindowTable:
    """Return windows at random places, each chromosome as often as its length says."""
    sizes = np.array(list(genome.chromosome_sizes.values()))
    is_long_enough = sizes >= length
    share = sizes * is_long_enough
    chromosome = rng.choice(len(sizes), windows, p=share / share.sum())
    start = rng.integers(0, sizes[chromosome] - length + 1)
    return WindowTable(chromosome, start, np.zeros_like(start), sizes[chromosome])


def character_ids(fasta: pyfaidx.Fasta, name: str, start: int, length: int) -> NDArray[np.uint8]:
    """Return the ids (L,) of one window, letter by letter; any letter but A, C, G, T is N."""
    letters = fasta[name][start : start + length].seq.upper()
    unknown = CHARACTER_IDS["N"]
    return np.array([CHARACTER_IDS.get(letter, unknown) for letter in letters], dtype=np.uint8)


def uncompressed(fasta: Path, folder: Path) -> Path:
    """Return a plain copy of a FASTA file, which pyfaidx reads fastest."""
    data = fasta.read_bytes()
    plain = folder / "plain.fa"
    plain.write_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    return plain


if __name__ == "__main__":
    main()
