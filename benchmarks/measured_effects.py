"""Measured effects of single substitutions against what a model says of them, by correlation.

- BRCA1: function scores of 3,893 substitutions (saturation genome editing, Findlay et al. 2018)
- regulatory elements: reporter activity of substitutions in 21 promoters and enhancers (Kircher et al. 2019)

Zero-shot scores are those of `convnova score-variants` and a masked language model. Fine-tuned is a
regression of the effect on the window around a variant, with the references as effect 0, on other exons or
other stretches of the element than those that are tested; its score is the change of its output.
"""

import argparse
import gzip
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from measure import report, save
from rich.console import Console
from scipy.stats import pearsonr, spearmanr

from convnova.genome import Genome, Interval
from convnova.inference.score_variants import score_variants
from convnova.inference.variant_settings import VariantSettings
from convnova.sequence import decode

WINDOW_BP = 200
BRCA1_REGION = "chr17_42425000_43600000_hg38.fa.gz"
HG19_TO_HG38, REGION_START = 1_847_983, 42_425_000
EXON_GAP_BP = 100
"""Measured places that are farther apart belong to two exons."""
KINDS = {
    "Missense": "missense",
    "Synonymous": "synonymous",
    "Nonsense": "nonsense",
    "Canonical splice": "splice sites and introns",
    "Splice region": "splice sites and introns",
    "Intronic": "splice sites and introns",
}
REPEATED = (
    *("SORT1.2", "SORT1-flip", "LDLR.2", "PKLR-48h", "ZRSh-13h2", "TERT-HEK", "TERT-GAa", "TERT-GSc"),
)
"""Experiments on an element that another experiment has too."""
FEWEST_BARCODES = 10
CAGI5 = {"HepG2: F9, LDLR, SORT1": ("F9", "LDLR", "SORT1"), "K562: PKLR": ("PKLR-24h",)}
"""Elements that published correlations are of."""


class Assay(NamedTuple):
    """Variants with measured effects."""

    name: str
    genome: Path
    variants: pl.DataFrame
    """chromosome, position (from 1), reference, alternate, effect, group, split, and other scores."""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--model", type=Path, required=True, help="masked language model")
    parser.add_argument("--output", type=Path, required=True, help="folder for what is made on the way")
    parser.add_argument("--only", choices=list(ASSAYS), help="one of the assays")
    parser.add_argument("--scores", nargs="+", help="zero-shot scores; default all that the model has")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of zero-shot scores")
    parser.add_argument("--epochs", type=int, default=5, help="of fine-tuning; 0 for zero-shot scores alone")
    parser.add_argument("--seeds", type=int, default=1, help="fine-tuned models of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="fine-tunings at a time")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/measured_effects.json")
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, read in ASSAYS.items():
        if options.only not in (None, name):
            continue
        assay = read(options)
        rows += [[assay.name, *row] for row in zero_shot(assay, options)]
        for source in (str(options.model), f"scratch:{options.model}") if options.epochs else ():
            rows += [[assay.name, *row] for row in fine_tuned(assay, source, options)]
    header = ["assay", "model", "score", "variants of", "n", "Spearman", "Pearson"]
    settings = {
        "model": options.model.name,
        "precision": options.precision,
        "epochs": options.epochs,
        "seeds": options.seeds,
    }
    report("measured_effects", settings, header, [[shown(cell) for cell in row] for row in rows])
    if options.save:
        found = [dict(zip(header, row, strict=True)) for row in rows]
        name = "measured_effects" if options.only is None else f"measured_effects_{options.only}"
        save(name, {"settings": settings, "rows": found})


def shown(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def brca1(options: Any) -> Assay:
    """Exons are held out whole: of each four one to test on, of each eight one to choose on."""
    folder = options.data / "variants"
    raw = pl.read_csv(folder / "brca1_saturation_genome_editing.tsv.gz", separator="\t", null_values=[""])
    name = first_name(folder / BRCA1_REGION)
    frame = raw.select(
        chromosome=pl.lit(name),
        position=pl.col("position (hg19)") + HG19_TO_HG38 - REGION_START + 1,
        reference="reference",
        alternate="alt",
        effect="function.score.mean",
        group=pl.col("consequence").replace(KINDS),
        CADD=-pl.col("CADD.score"),
    ).sort("position", "alternate")
    exon = (np.diff(frame["position"].to_numpy(), prepend=frame["position"][0]) > EXON_GAP_BP).cumsum()
    split = np.where(exon % 4 == 3, "test", np.where(exon % 8 == 1, "validation", "train"))
    return Assay("BRCA1", folder / BRCA1_REGION, frame.with_columns(split=pl.Series(split)))


def elements(options: Any) -> Assay:
    """The last quarter of each element is there to test on, the tenth before it to choose on."""
    raw = pl.read_csv(
        options.data / "variants/mpra_saturation_mutagenesis.tsv.gz",
        separator="\t",
        schema_overrides={"Chrom": pl.String},
        null_values=["NA"],
    )
    known = raw.filter(
        pl.col("Release") == "GRCh38", pl.col("Pos").is_not_null(), ~pl.col("Element").is_in(REPEATED)
    )
    genome = options.output / "elements.fa"
    lines, parts = [], []
    for (name,), rows in known.group_by("Element", maintain_order=True):
        first, last = rows["Pos"].min(), rows["Pos"].max()
        letters = np.full(last - first + 1, "N")
        letters[rows["Pos"].to_numpy() - first] = rows["Ref"].to_numpy()
        lines.append(f">{name}\n{''.join(letters)}\n")
        place = (rows["Pos"] - first) / (last - first)
        split = np.where(place > 0.75, "test", np.where(place > 0.65, "validation", "train"))
        parts.append(
            rows.select(
                chromosome="Element",
                position=pl.col("Pos") - first + 1,
                reference="Ref",
                alternate="Alt",
                effect="Coefficient",
                group="Element",
                barcodes="Barcodes",
            ).with_columns(split=pl.Series(split))
        )
    genome.write_text("".join(lines))
    letters = ["A", "C", "G", "T"]
    frame = pl.concat(parts).filter(pl.col("alternate").is_in(letters), pl.col("barcodes") >= FEWEST_BARCODES)
    return Assay("regulatory elements", genome, frame.sort("chromosome", "position", "alternate"))


def first_name(fasta: Path) -> str:
    with gzip.open(fasta, "rt") as file:
        return file.readline()[1:].split()[0]


def scored(assay: Assay, variants: pl.DataFrame, model: Path, options: Any, **settings: Any) -> pl.DataFrame:
    """Return the variants with what `convnova score-variants` says of them."""
    vcf, output = options.output / "variants.vcf", options.output / "scores.parquet"
    contigs = dict.fromkeys(variants["chromosome"])
    head = ["##fileformat=VCFv4.2", *(f"##contig=<ID={one}>" for one in contigs)]
    head += ["#" + "\t".join(["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"])]
    columns = variants.select("chromosome", "position", "reference", "alternate").iter_rows()
    body = [f"{name}\t{place}\t.\t{ref}\t{alt}\t.\t.\t." for name, place, ref, alt in columns]
    vcf.write_text("\n".join([*head, *body]) + "\n")
    cache = options.output / "genomes"
    given = VariantSettings(vcf, assay.genome, model, output, overwrite=True, cache=cache, **settings)
    scores = score_variants(given, Console(quiet=True))
    assert scores["unscored"].is_null().all()
    names = [name for name in scores.columns if scores[name].dtype == pl.Float32]
    return variants.hstack(scores.select(names))


def correlations(assay: Assay, frame: pl.DataFrame, model: str, score: str) -> list[list[Any]]:
    """Return a row for all variants and for groups of them; of elements the mean over elements."""

    def both(some: pl.DataFrame) -> tuple[float, float]:
        pair = some[score].to_numpy(), some["effect"].to_numpy()
        return float(spearmanr(*pair).statistic), float(pearsonr(*pair).statistic)

    if assay.name == "BRCA1":
        groups = {"all": frame} | {name: one for (name,), one in frame.group_by("group", maintain_order=True)}
        return [
            [model, score, name, len(groups[name]), *both(groups[name])]
            for name in ("all", *dict.fromkeys(KINDS.values()))
        ]
    of_each = {name: (len(one), *both(one)) for (name,), one in frame.group_by("group")}
    rows = []
    for name, chosen in ({"mean of 21 elements": tuple(of_each)} | CAGI5).items():
        some = [of_each[one] for one in chosen]
        spearman, pearson = (float(np.mean([one[place] for one in some])) for place in (1, 2))
        rows.append([model, score, name, sum(one[0] for one in some), spearman, pearson])
    return rows


def zero_shot(assay: Assay, options: Any) -> list[list[Any]]:
    given = {} if options.scores is None else {"scores": options.scores}
    given["precision"] = options.precision
    frame = scored(assay, assay.variants, options.model, options, both_strands=True, **given)
    names = [name for name in ("masked-llr", "unmasked-llr", "pseudo-likelihood") if name in frame.columns]
    if "embedding-distance" in frame.columns:
        frame = frame.with_columns((-pl.col("embedding-distance")).alias("minus embedding-distance"))
        names += ["minus embedding-distance"]
    names += ["CADD"] if "CADD" in frame.columns else []
    rows = []
    for name in names:
        model = "CADD, as published" if name == "CADD" else "zero-shot"
        rows += correlations(assay, frame, model, name)
    return rows


def fine_tuned(assay: Assay, source: str, options: Any) -> list[list[Any]]:
    """Return the mean over seeds of the correlations on the test part."""
    kind = "from scratch" if source.startswith("scratch:") else "fine-tuned"
    genome = Genome.open(assay.genome, options.output / "genomes")
    folder = options.output / assay.name.replace(" ", "_")
    folder.mkdir(exist_ok=True)
    files = {}
    for split in ("train", "validation"):
        some = assay.variants.filter(pl.col("split") == split)
        files[split] = folder / f"{split}.csv"
        windows(genome, some).write_csv(files[split])
    test = assay.variants.filter(pl.col("split") == "test")
    outputs = [folder / f"{kind.replace(' ', '_')}_{seed}" for seed in range(options.seeds)]
    commands = []
    for seed, output in enumerate(outputs):
        if not (output / "task.json").exists():
            command = [sys.executable, "-m", "convnova", "finetune", "--train", files["train"]]
            command += ["--validation", files["validation"], "--model", source, "--output", output]
            command += ["--kind", "regression", "--network.pooling", "center"]
            command += ["--training.epochs", options.epochs, "--training.seed", seed]
            strands = json.dumps(assay.name != "BRCA1")  # splice sites and codons have a strand
            command += ["--training.augmentation.reverse_complement", strands]
            command += ["--training.average_strands", strands]
            commands.append([str(part) for part in command])
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(partial(subprocess.run, check=True), commands))
    of_seeds = []
    for output in outputs:
        frame = scored(assay, test, output, options, scores=["output-change"], window_bp=WINDOW_BP)
        name = next(one for one in frame.columns if one not in test.columns)
        of_seeds.append(correlations(assay, frame.rename({name: "output-change"}), kind, "output-change"))
    rows = []
    for same in zip(*of_seeds, strict=True):
        means = np.mean([row[-2:] for row in same], axis=0)
        rows.append([*same[0][:-2], *map(float, means)])
    return rows


def windows(genome: Genome, variants: pl.DataFrame) -> pl.DataFrame:
    """Return the window around each variant with its effect, and around each place the reference with 0."""
    sequences, effects, places = [], [], set()
    for name, position, alternate, effect in variants.select(
        "chromosome", "position", "alternate", "effect"
    ).iter_rows():
        start = position - 1 - WINDOW_BP // 2
        ids = genome.fetch(Interval(name, start, start + WINDOW_BP))
        letters = decode(ids)
        if (name, position) not in places:
            places.add((name, position))
            sequences.append(letters)
            effects.append(0.0)
        sequences.append(letters[: WINDOW_BP // 2] + alternate + letters[WINDOW_BP // 2 + 1 :])
        effects.append(effect)
    return pl.DataFrame({"sequence": sequences, "label": effects})


ASSAYS = {"brca1": brca1, "elements": elements}


if __name__ == "__main__":
    main()
