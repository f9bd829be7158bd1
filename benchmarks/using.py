"""Using a trained model: what the finite receptive field saves, each against the usual way in the same run.

A random genome by seed and networks with random weights: speed does not depend on them.

- chromosome: a chromosome in tiles, against windows of 1,024 bp that overlap by half, of which the middle
  halves are kept, with the same layers and with those of `textbook.py`; and against one pass over all of it
  for its numbers and memory
- mutagenesis: every substitution in 2 kb, against a pass over each whole mutant
- variants: SNVs of a dense file, against two windows of 1,024 bp a variant; and of a sparse one
- vcf: 100,000 SNVs of a file by the command, which has no twin
- embeddings: sequences of 50 to 5,000 bp, against batches in the order of the file
- bf16: a stretch in tiles, against fp32
- int8: 8-bit convolutions, against single precision, both in onnxruntime
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import arguments, interleaved, paired_ratio, report, save, seconds
from rich.console import Console
from textbook import TextbookForMaskedLM

from convnova.benchmark.peak_memory import added_bytes
from convnova.data.label_scheme import LabelScheme
from convnova.data.labelled import pad
from convnova.data.packed import pack
from convnova.genome import Genome
from convnova.genome.variant import Variant
from convnova.inference.any_model import AnyModel
from convnova.inference.base_tracks import predict_group, tiles_of
from convnova.inference.compute import set_arithmetic
from convnova.inference.compute_settings import ComputeSettings
from convnova.inference.effects import output_change, pseudo_likelihood_change
from convnova.inference.embeddings import embed
from convnova.inference.export import export, onnx_logits, onnx_session
from convnova.inference.export_settings import ExportSettings
from convnova.inference.mutagenesis import all_effects, by_full_passes, log_odds, masked_effects
from convnova.inference.saved_task import SavedTask
from convnova.inference.score_variants import score_variants
from convnova.inference.variant_scores import variant_scorer
from convnova.inference.variant_settings import VariantSettings
from convnova.model import ConvNovaForMaskedLM, ConvNovaForSequenceClassification
from convnova.model.presets import preset
from convnova.sequence import decode

SEED = 7
WINDOW_BP = 1024
GOALS = {"chromosome": 3.0, "mutagenesis": 10.0, "variants": 5.0, "embeddings": 2.0, "int8": 1.7}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--only", help="one of the names above")
    parser.add_argument("--preset", default="pretraining", help="network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sequences", type=int, default=20_000, help="of embeddings")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    torch.manual_seed(SEED)
    if options.memory:
        return memory_of(json.loads(options.memory))
    parts: dict[str, Callable[[Any], list[list[Any]]]] = {
        "chromosome": chromosome,
        "mutagenesis": mutagenesis,
        "variants": variants,
        "vcf": vcf,
        "embeddings": embeddings,
        "bf16": bf16,
        "int8": int8,
    }
    header = ["what", "how", "measured", "seconds", "the usual way, s", "times faster", "differs by", "goal"]
    settings = {"preset": options.preset, "rounds": options.rounds}
    found: list[dict[str, Any]] = []
    for name, part in parts.items():
        if options.only not in (None, name):
            continue
        rows = [[name, *row, GOALS.get(name, "")] for row in part(options)]
        report("using", settings, header, [[shown(cell) for cell in row] for row in rows])
        of_part = [dict(zip(header, row, strict=True)) for row in rows]
        if options.save:  # part by part: together they take most of an hour
            of_preset = "" if options.preset == parser.get_default("preset") else f"_{options.preset}"
            save(f"using_{name}{of_preset}", {"settings": settings, "rows": of_part})
        found += of_part
    return {"settings": settings, "rows": found}


def shown(cell: Any) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def network(options: Any, kind: Any, **changes: Any) -> Any:
    small = {"hidden_size": 8} if options.quick else {}
    return kind(preset(options.preset, **small | changes)).eval()


def masked_lm(options: Any) -> AnyModel:
    model = network(options, ConvNovaForMaskedLM)
    return AnyModel(model, "masked-lm", ("A", "C", "G", "T"), (3, 2, 1, 0), False, None)


def genome_of(folder: Path, bp: int) -> Genome:
    ids = np.random.default_rng(SEED).integers(0, 4, bp).astype(np.uint8)
    (folder / "g.fa").write_text(f">chr1\n{decode(ids)}\n")
    return Genome.open(folder / "g.fa")


def compared(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> tuple[float, float, float]:
    times = interleaved({"ours": ours, "theirs": theirs}, rounds, warmup=0)
    ratio = paired_ratio(times["ours"], times["theirs"])
    return min(times["ours"]), min(times["theirs"]), ratio


def chromosome(options: Any) -> list[list[Any]]:
    """Yeast's chromosome IV has 1,531,933 bp."""
    bp, tile = (20_000, 4_096) if options.quick else (1_531_933, 2**15)
    loaded = masked_lm(options)
    with tempfile.TemporaryDirectory() as name:
        genome = genome_of(Path(name), bp)
        ids = genome.sequence("chr1")

        def tiled() -> np.ndarray:
            tiles = tiles_of(genome, genome.chromosomes, tile, loaded.model.config.receptive_field)
            return np.concatenate([predict_group(loaded, genome, [one], False)[0] for one in tiles])

        @torch.inference_mode()
        def overlapping(model: Any) -> np.ndarray:
            found = np.zeros((bp, 4), np.float32)
            half, quarter = WINDOW_BP // 2, WINDOW_BP // 4
            starts = np.append(np.arange(0, bp - WINDOW_BP, half), bp - WINDOW_BP)
            for first in range(0, len(starts), 32):
                some = starts[first : first + 32]
                windows = np.stack([ids[start : start + WINDOW_BP] for start in some])
                values = probabilities(model, windows)
                for start, one in zip(some, values, strict=True):
                    begin = 0 if start == 0 else quarter
                    found[start + begin : start + WINDOW_BP] = one[begin:]
            return found

        differs = float(np.abs(tiled() - probabilities(loaded.model, ids[None])[0]).max())
        textbook = TextbookForMaskedLM(loaded.model.config).eval()
        textbook.load_state_dict(loaded.model.state_dict())
        rows = []
        for name, model in (("", loaded.model), (", layers as in textbooks", textbook)):
            took = compared(tiled, lambda m=model: overlapping(m), options.rounds)
            rows.append([f"tiles against overlapping windows{name}", f"{bp:,} bp", *took, differs])
    for length in (bp // 4, bp):
        held = [held_bytes(options, how, length, tile) / 2**20 for how in ("tiled", "one pass")]
        shown_mb = f"{length:,} bp: {held[0]:.0f} MB against {held[1]:.0f}"
        rows.append(["memory of tiles against one pass", shown_mb, "", "", held[1] / held[0], ""])
    return rows


@torch.inference_mode()
def probabilities(model: Any, ids: np.ndarray) -> np.ndarray:
    made = model(input_ids=torch.from_numpy(ids).long())
    logits = made[0] if isinstance(made, tuple) else made.logits
    return logits[..., :4].softmax(-1).numpy()


def held_bytes(options: Any, how: str, bp: int, tile: int) -> float:
    """Return what a pass holds at its peak, in a process of its own."""
    given = json.dumps([options.preset, options.quick, how, bp, tile])
    command = [sys.executable, __file__, "--memory", given]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(answer.stdout.splitlines()[-1])


def memory_of(given: list[Any]) -> dict[str, Any]:
    name, is_quick, how, bp, tile = given
    model = ConvNovaForMaskedLM(preset(name, **({"hidden_size": 8} if is_quick else {}))).eval()
    loaded = AnyModel(model, "masked-lm", ("A", "C", "G", "T"), (3, 2, 1, 0), False, None)
    with tempfile.TemporaryDirectory() as folder:
        genome = genome_of(Path(folder), bp)

        def run() -> None:
            if how == "one pass":
                probabilities(model, genome.sequence("chr1")[None])
                return
            for one in tiles_of(genome, genome.chromosomes, tile, model.config.receptive_field):
                predict_group(loaded, genome, [one], False)

        print(added_bytes(run))
    return {}


def mutagenesis(options: Any) -> list[list[Any]]:
    bp = 60 if options.quick else 2000
    ids = np.random.default_rng(SEED).integers(0, 4, bp).astype(np.uint8)
    head = network(options, ConvNovaForSequenceClassification, num_labels=2)
    language = network(options, ConvNovaForMaskedLM)

    def of_head() -> np.ndarray:
        return all_effects(head, ids, output_change(head, log_odds)).substitutions[..., 0]

    @torch.inference_mode()
    def hidden_one_by_one() -> np.ndarray:
        found = []
        for first in range(0, bp, 16):
            places = np.arange(first, min(first + 16, bp))
            masked = np.tile(ids, (len(places), 1))
            masked[np.arange(len(places)), places] = 4
            logits = language(input_ids=torch.from_numpy(masked).long()).logits[..., :4]
            found.append(logits[torch.arange(len(places)), torch.from_numpy(places)].log_softmax(-1).numpy())
        log_p = np.concatenate(found)
        return log_p - np.take_along_axis(log_p, ids[:, None].astype(int), 1)

    made: dict[str, Any] = {}

    def kept(name: str, call: Callable[[], np.ndarray]) -> Callable[[], None]:
        return lambda: made.__setitem__(name, call())

    rows = []
    for name, ours, theirs in (
        ("classification head", of_head, lambda: by_full_passes(head, ids).effects),
        ("masked language model", lambda: masked_effects(language, ids), hidden_one_by_one),
    ):
        took = compared(kept("ours", ours), kept("theirs", theirs), 1)
        rows.append([name, f"{bp:,} bp", *took, float(np.abs(made["ours"] - made["theirs"]).max())])
    pseudo = pseudo_likelihood_change(language)
    took = seconds(lambda: all_effects(language, ids, pseudo))
    return [*rows, ["pseudo-likelihood", f"{bp:,} bp", took, "", "", ""]]


def variants(options: Any) -> list[list[Any]]:
    """Variants 120 bp apart, as 100,000 of yeast; and 4,000 bp apart, where none is near another."""
    loaded = masked_lm(options)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        genome = genome_of(Path(name), 60_000 if options.quick else 2_000_000)
        for what, apart, count in (("dense", 120, 2000), ("sparse", 4000, 400)):
            count = 10 if options.quick else count
            found = scored(options, loaded, genome, apart, count)
            rows += [[f"{what}: {score}", *row] for score, *row in found]
    return rows


def scored(options: Any, loaded: AnyModel, genome: Genome, apart: int, count: int) -> list[list[Any]]:
    rng = np.random.default_rng(SEED)
    ids = genome.sequence("chr1")
    starts = 2000 + apart * np.arange(count)
    new = (ids[starts] + rng.integers(1, 4, count)) % 4
    pairs = zip(starts, new, strict=True)
    made = [Variant("chr1", int(start), decode(ids[start : start + 1]), "ACGT"[b]) for start, b in pairs]
    half = WINDOW_BP // 2

    @torch.inference_mode()
    def windows(score: str) -> np.ndarray:
        found = []
        for first in range(0, count, 16):
            rows = np.arange(first, min(first + 16, count))
            before = np.stack([ids[s - half : s + half] for s in starts[rows]])
            after = before.copy()
            after[:, half] = new[rows]
            if score == "masked-llr":
                before[:, half] = after[:, half] = 4
            log_p = []
            for given in (before, after):
                logits = loaded.model(input_ids=torch.from_numpy(given).long()).logits[..., :4]
                log_p.append(logits.log_softmax(-1).numpy())
            if score == "masked-llr":
                at = log_p[0][:, half]
                found.append(
                    at[np.arange(len(rows)), new[rows]] - at[np.arange(len(rows)), ids[starts[rows]]]
                )
                continue
            sums = [
                np.take_along_axis(one, given[..., None].astype(int), 2)[..., 0].sum(1, dtype=np.float64)
                for one, given in zip(log_p, (before, after), strict=True)
            ]
            found.append(sums[1] - sums[0])
        return np.concatenate(found)

    rows = []
    for score in ("masked-llr", "pseudo-likelihood"):
        scorer = variant_scorer(loaded, [score])
        differs = float(np.abs(scorer.score(genome, made)[:, 0] - windows(score)).max())
        took = compared(lambda s=scorer: s.score(genome, made), lambda n=score: windows(n), options.rounds)
        rows.append([score, f"{count:,} variants", *took, differs])
    return rows


def vcf(options: Any) -> list[list[Any]]:
    """As many variants on as many bases as all of yeast: 120 bp apart."""
    count = 50 if options.quick else 100_000
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network(options, ConvNovaForMaskedLM).save_pretrained(folder / "model")
        genome = genome_of(folder, 120 * (count + 1))
        ids = genome.sequence("chr1")
        starts = 60 + 120 * np.arange(count)
        new = (ids[starts] + rng.integers(1, 4, count)) % 4
        places = zip(starts + 1, decode(ids[starts]), decode(new.astype(np.uint8)), strict=True)
        head = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        lines = [f"chr1\t{place}\t.\t{old}\t{alt}\t.\t.\t.\n" for place, old, alt in places]
        (folder / "in.vcf").write_text(head + "".join(lines))
        paths = [folder / one for one in ("in.vcf", "g.fa", "model", "out.vcf.gz")]
        given = VariantSettings(*paths, scores=["masked-llr"])
        took = seconds(lambda: score_variants(given, Console(quiet=True)))
    return [["masked-llr, the command", f"{count:,} variants", took, "", "", ""]]


def embeddings(options: Any) -> list[list[Any]]:
    count = 40 if options.quick else options.sequences
    rng = np.random.default_rng(SEED)
    lengths = np.exp(rng.uniform(np.log(50), np.log(5000), count)).astype(int)
    sequences = pack([rng.integers(0, 4, length).astype(np.uint8) for length in lengths])
    model = network(options, ConvNovaForMaskedLM)

    @torch.inference_mode()
    def in_order() -> np.ndarray:
        found = []
        for first in range(0, count, 32):
            ids, mask = pad([sequences[row] for row in range(first, min(first + 32, count))])
            hidden = model.convnova(torch.from_numpy(ids).long(), torch.from_numpy(mask)).last_hidden_state
            real = torch.from_numpy(mask).unsqueeze(-1)
            found.append(((hidden * real).sum(1) / real.sum(1)).numpy())
        return np.concatenate(found)

    made: dict[str, Any] = {}
    took = compared(
        lambda: made.__setitem__("ours", embed(model, sequences)),
        lambda: made.__setitem__("theirs", in_order()),
        1,
    )
    differs = float(np.abs(made["ours"] - made["theirs"]).max())
    return [["by length against file order", f"{count:,} sequences, {lengths.sum():,} bp", *took, differs]]


def bf16(options: Any) -> list[list[Any]]:
    bp = 4_096 if options.quick else 2**18
    whole, half = masked_lm(options), masked_lm(options)
    half.model.load_state_dict(whole.model.state_dict())
    set_arithmetic(half.model, ComputeSettings(precision="bf16"))
    with tempfile.TemporaryDirectory() as name:
        genome = genome_of(Path(name), bp)

        def tiled(loaded: AnyModel) -> np.ndarray:
            tiles = tiles_of(genome, genome.chromosomes, 2**15, loaded.model.config.receptive_field)
            return np.concatenate([predict_group(loaded, genome, [one], False)[0] for one in tiles])

        differs = float(np.abs(tiled(half) - tiled(whole)).max())
        took = compared(lambda: tiled(half), lambda: tiled(whole), options.rounds)
    return [["bf16 against fp32, tiles", f"{bp:,} bp", *took, differs]]


def int8(options: Any) -> list[list[Any]]:
    batch, length = (2, 64) if options.quick else (16, 1024)
    config = {"num_labels": 2, "problem_type": "single_label_classification"}
    model = network(options, ConvNovaForSequenceClassification, **config)
    rng = np.random.default_rng(SEED)
    ids, mask = rng.integers(0, 4, (batch, length)), np.ones((batch, length), np.int64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save_pretrained(folder / "model")
        task = SavedTask(LabelScheme("single-label", ("0", "1")), "mcc", False).to_dict()
        (folder / "model/task.json").write_text(json.dumps(task))
        letters = [decode(rng.integers(0, 4, 512).astype(np.uint8)) for _ in range(32)]
        (folder / "like.txt").write_text("\n".join(letters))
        quiet = Console(quiet=True)
        export(ExportSettings(folder / "model", folder / "whole.onnx"), quiet)
        given = {"int8": True, "calibration": str(folder / "like.txt")}
        export(ExportSettings(folder / "model", folder / "int8.onnx", **given), quiet)
        whole, small = (onnx_session(folder / f"{name}.onnx") for name in ("whole", "int8"))
        differs = float(np.abs(onnx_logits(small, ids, mask) - onnx_logits(whole, ids, mask)).max())
        took = compared(
            lambda: onnx_logits(small, ids, mask), lambda: onnx_logits(whole, ids, mask), 3 * options.rounds
        )
    return [["int8 against fp32", f"{batch} x {length:,} bp", *took, differs]]


if __name__ == "__main__":
    main()
