"""Tasks as ready Parquet files: ``DATA/prepared/SUITE/TASK/{train,validation,test}.parquet``.

genomic-benchmarks    sequences built from intervals and genomes
yeast-histone         training without the sequences of the test split
no published split    train, validation and test drawn by seed 0
the others            as published, in one form
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from convnova.data.catalogue.folder import find_file, genome_flag, locate, prepared_path
from convnova.data.catalogue.intervals import build_sequences
from convnova.data.catalogue.loading import load_published
from convnova.data.catalogue.tables import Task, find_reference, references
from convnova.data.packed import PackedSequences
from convnova.data.splits import SPLITS
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.sequence import decode
from convnova.writing import whole_file


def prepare_task(
    task: Task, folder: Path, genomes: Mapping[str, Path] | None = None, cache: Path | None = None
) -> dict[Path, int]:
    """Write the sequences of a task; return the files and how many sequences each has.

    Args:
        task: a task of the catalogue.
        folder: the data folder.
        genomes: FASTA of each assembly, for tasks that are published as intervals.
        cache: folder for the stores of the genomes.

    Raises:
        InputError: when a file or a genome is missing or wrong; nothing is written then.
    """
    if any(file.form == "intervals" for file in task.files):
        frames = _from_intervals(task, folder, genomes or {}, cache)
    else:
        frames = _from_files(task, folder)
    written = {}
    for split, frame in frames.items():
        path = prepared_path(task, split, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as staging:
            frame.write_parquet(staging)
        written[path] = len(frame)
    return written


def parse_genomes(text: str) -> dict[str, Path]:
    """Return the FASTA of each assembly of ``GRCh38=hg38.fa.gz,WBcel235=ce11.fa``.

    Raises:
        InputError: for an assembly that is not known, or comes twice, or has no file.
    """
    genomes: dict[str, Path] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, equals, path = (part.strip() for part in item.partition("="))
        if not (name and path):
            missing = "FASTA" if equals and name else "assembly"
            raise InputError(
                f"genome {item!r} has no {missing}; write NAME=FASTA, NAME one of {', '.join(references())}"
            )
        if find_reference(name).genome in genomes:
            raise InputError(f"assembly {name} has two genomes; give one")
        genomes[name] = Path(path).expanduser()
        if not genomes[name].is_file():
            raise InputError(f"{path}: no such file; give the FASTA of {name}, plain or gzip")
    return genomes


def _from_intervals(
    task: Task, folder: Path, genomes: Mapping[str, Path], cache: Path | None
) -> dict[str, pl.DataFrame]:
    missing = [name for name in task.assemblies if name not in genomes]
    if missing:
        flag = genome_flag(missing)
        sources = ", ".join(f"{name} from {references()[name].url}" for name in missing)
        raise InputError(f"{task}: its intervals need a genome; give {flag} ({sources})")
    opened = {name: Genome.open(genomes[name], cache) for name in task.assemblies}
    frames: dict[str, list[pl.DataFrame]] = {split: [] for split in task.splits}
    for split, parts in frames.items():
        for file in task.files_of(split, "intervals"):
            path = find_file(file, folder)
            if path is None:
                raise InputError(
                    f"{task}: {file.local} is not in {folder}; fetch the intervals with: convnova data fetch "
                    f"--suite {task.suite} --tasks {task.name} --form intervals --data {folder}"
                )
            built = build_sequences(path, opened[file.genome], references()[file.genome])
            parts.append(_frame(built.ids, [file.class_name] * len(built.ids), built.names))
    return {split: pl.concat(parts) for split, parts in frames.items()}


def _from_files(task: Task, folder: Path) -> dict[str, pl.DataFrame]:
    is_split = locate(task, folder).is_split
    loaded = load_published(task, folder, validation_share=0.0 if is_split else 0.1)
    parts = (loaded.train, loaded.validation, loaded.test)
    frames = {}
    for split, part in zip(SPLITS, parts, strict=True):
        if part is not None:
            labels = [loaded.scheme.names[label] for label in part.labels]
            frames[str(split)] = _frame(part.ids, labels, loaded.tables[split].names)
    return frames


def _frame(ids: PackedSequences, labels: list[str], names: list[str] | None) -> pl.DataFrame:
    columns = {"sequence": [decode(sequence) for sequence in ids], "label": labels}
    return pl.DataFrame(columns | ({"name": names} if names else {}))
