"""Commands that use a model, where no file may grow beyond a few kilobytes: as on a full disk."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from convnova.cli import main
from convnova.genome import Genome
from convnova.model import ConvNovaConfig, ConvNovaForMaskedLM
from convnova.sequence import decode

GENOME = ["--genome", "g.fa"]
EMBED = ["embed", "--input", "s.fa"]
PREDICT = ["predict", *GENOME]
VARIANTS = ["score-variants", *GENOME, "--input", "v.vcf"]
MUTAGENESIS = ["mutagenesis", *GENOME, "--intervals", "chr1:1001-1400"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    torch.manual_seed(0)
    model = ConvNovaForMaskedLM(ConvNovaConfig(hidden_size=16, dilations=[1, 2], kernel_size=5))
    model.save_pretrained(folder / "lm")
    rng = np.random.default_rng(0)
    letters = decode(rng.integers(0, 4, 20_000).astype(np.uint8))
    (folder / "g.fa").write_text(f">chr1\n{letters}\n")
    Genome.open(folder / "g.fa")
    (folder / "s.fa").write_text("".join(f">s{i}\n{letters[i : i + 100]}\n" for i in range(300)))
    new = dict(zip("ACGT", "CGTA", strict=True))
    lines = [f"chr1\t{i + 1}\t.\t{letters[i]}\t{new[letters[i]]}\t.\t.\t." for i in range(0, 20_000, 20)]
    head = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "v.vcf").write_text("\n".join([*head, *lines]) + "\n")
    return folder


@contextmanager
def files_of_at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("command", "output", "size", "library", "left"),
    [
        (EMBED, "o.parquet", 10_000, None, []),
        (EMBED, "o.parquet", 22_000, None, ["o.parquet.partial"]),
        (EMBED, "o.npy", 10_000, None, []),
        (EMBED, "o.zarr", 3_000, "zarr", []),
        (PREDICT, "o", 20_000, "pybigtools", ["o"]),
        ([*PREDICT, "--format", "bedgraph"], "o", 20_000, None, ["o"]),
        (PREDICT, "o.zarr", 3_000, "zarr", []),
        (VARIANTS, "o.vcf.gz", 8_000, "pysam", []),
        (VARIANTS, "o.vcf.gz", 18_000, "pysam", ["o.vcf.gz.partial"]),
        (VARIANTS, "o.parquet", 18_000, None, ["o.parquet.partial"]),
        (MUTAGENESIS, "o", 3_000, "pybigtools", ["o"]),
        (["export"], "o.onnx", 9_000, "onnxruntime", []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    folder, monkeypatch, capsys, command, output, size, library, left
):
    if library is not None:
        pytest.importorskip(library)
    monkeypatch.chdir(folder)
    before = {path.name for path in folder.iterdir()}
    with files_of_at_most(size):
        status = main([*command, "--model", "lm", "--output", output])
    assert status == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("convnova: ")]
    assert f" {output.partition('.')[0]}" in line
    assert sorted({path.name for path in folder.iterdir()} - before) == left
    for name in left:  # an empty folder, or the scores so far
        (folder / name).rmdir() if name == "o" else (folder / name).unlink()
