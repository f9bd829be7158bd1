"""BEND's files: regions with their split in BED, the labels of their bases in HDF5."""

import sys

import numpy as np
import pytest

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings
from convnova.data.base_windows import UNKNOWN
from convnova.data.bend import read_bend
from convnova.data.gene_settings import GeneDataSettings
from convnova.data.gene_task import load_gene_task
from convnova.errors import InputError
from convnova.genome import Genome, Interval
from convnova.sequence import reverse_complement

h5py = pytest.importorskip("h5py")

ROWS = [("chr1", 5, 25, "train", "+"), ("chr2", 0, 30, "valid", "-"), ("chr1", 30, 60, "train", "-")]
ROWS += [("chr2", 40, 52, "test", "+")]
HEADER = "chromosome\tstart\tend\tsplit\tstrand"
PADDED = 30


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(0)
    letters = {name: "".join(rng.choice(list("ACGT"), 70)) for name in ("chr1", "chr2")}
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    return Genome.open(tmp_path / "g.fa")


def labels_of(rows=ROWS):
    """Return labels at random, as long as the longest region, the rest filled up."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 9, (len(rows), PADDED))
    for label, row in zip(labels, rows, strict=True):
        label[row[2] - row[1] :] = -100
    return labels


def write(folder, bed, labels, name="labels"):
    (folder / "gene_finding.bed").write_text(bed)
    with h5py.File(folder / "gene_finding.hdf5", "w") as file:
        file[name] = labels
    return folder / "gene_finding.bed", folder / "gene_finding.hdf5"


def bed_of(header=HEADER, columns=(0, 1, 2, 3, 4), rows=ROWS):
    lines = ["\t".join(str(row[column]) for column in columns) for row in rows]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


STRANDED = {
    "with a header": bed_of(),
    "columns in another order": bed_of("chromosome\tstrand\tsplit\tend\tstart", (0, 4, 3, 2, 1)),
    "without a header": "".join(
        f"{chromosome} {start} {end} {split} 0 {strand}\n" for chromosome, start, end, split, strand in ROWS
    ),
}


@pytest.mark.parametrize("bed", STRANDED.values(), ids=STRANDED.keys())
def test_rows_become_the_parts_with_labels_on_their_strand(genome, tmp_path, bed):
    labels = labels_of()
    parts = read_bend(*write(tmp_path, bed, labels), genome, 9)
    assert list(parts) == ["train", "validation", "test"]
    assert parts["train"].regions == (Interval("chr1", 5, 25, "+"), Interval("chr1", 30, 60, "-"))
    assert parts["validation"].regions == (Interval("chr2", 0, 30, "-"),)
    for split, rows in {"train": [0, 2], "validation": [1], "test": [3]}.items():
        for found, row in zip(parts[split].labels, rows, strict=True):
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, labels[row][labels[row] >= 0])
    ids = genome.sequence("chr1")[30:60]
    np.testing.assert_array_equal(parts["train"].fetch(1, 0, 30), reverse_complement(ids))
    np.testing.assert_array_equal(parts["train"].fetch(1, 4, 9), reverse_complement(ids)[4:9])
    np.testing.assert_array_equal(parts["train"].fetch(0, 4, 9), genome.sequence("chr1")[9:14])


@pytest.mark.parametrize("header", [None, "chromosome\tstart\tend\tsplit"])
def test_without_strands_all_is_read_as_it_stands(genome, tmp_path, header):
    parts = read_bend(*write(tmp_path, bed_of(header, (0, 1, 2, 3)), labels_of()), genome, 9)
    assert {region.strand for part in parts.values() for region in part.regions} == {"."}


def test_bases_without_a_label_are_unknown(genome, tmp_path):
    labels = labels_of()
    labels[0, 3:5] = -100
    (found, _) = read_bend(*write(tmp_path, bed_of(), labels), genome, 9)["train"].labels
    assert np.flatnonzero(found == UNKNOWN).tolist() == [3, 4]


def test_a_split_that_no_row_has_is_left_out(genome, tmp_path):
    rows = ROWS[:2]
    parts = read_bend(*write(tmp_path, bed_of(rows=rows), labels_of(rows)), genome, 9)
    assert list(parts) == ["train", "validation"]


def cut(labels, row, *values):
    changed = labels.copy()
    changed[row, : len(values)] = values
    return changed


BAD = {
    "other rows": (bed_of(), labels_of()[:3], r"hdf5: 3 rows of labels, and gene_finding\.bed has 4 regions"),
    "too short": (
        bed_of(),
        labels_of()[:, :25],
        r"hdf5, row 1: 25 labels for chr2:1-30 of 30 bp; give one a b",
    ),
    "too long": (
        bed_of(rows=[("chr1", 5, 24, "train", "+"), *ROWS[1:]]),
        labels_of(),
        r"hdf5, row 0: 30 labels for chr1:6-24 of 19 bp",
    ),
    "label 9": (bed_of(), cut(labels_of(), 2, 9), r"hdf5, row 2: labels from 0 to 9; BEND's are 0 to 8"),
    "label -1": (bed_of(), cut(labels_of(), 2, -1), r"hdf5, row 2: labels from -1 to 8; BEND's are 0 to 8"),
    "split": (
        bed_of().replace("valid", "dressage"),
        labels_of(),
        r"bed, line 3: 'dressage' is no split; write one of train, valid, ",
    ),
    "chromosome": (
        bed_of().replace("chr2\t40", "chr3\t40"),
        labels_of(),
        r"bed, line 5: chromosome 'chr3' is not",
    ),
    "past the end": (
        bed_of().replace("\t60", "\t71"),
        labels_of(),
        r"bed, line 4: end 71 is past the end of chr1",
    ),
    "no number": (
        bed_of().replace("\t60", "\t6o"),
        labels_of(),
        r"bed, line 4: end '6o' is not a whole number",
    ),
    "strand": (
        bed_of().replace("test\t+", "test\t*"),
        labels_of(),
        r"bed, line 5: .*strand '\*' is not allowed",
    ),
    "too few columns": (
        "chr1\t5\t25\n",
        labels_of(),
        r"bed, line 1: too few columns \(3\); write chromosome, st",
    ),
    "a short row": (
        bed_of("chromosome\tsplit\tstart\tend", (0, 3, 1, 2)) + "chr1\ttrain\t3\n",
        labels_of(),
        r"bed, line 6: too few columns \(3\)",
    ),
    "header": (
        bed_of("chromosome\tstart\tend\tpart"),
        labels_of(),
        r"bed, line 1: the header names no column spl",
    ),
}


@pytest.mark.parametrize(("bed", "labels", "message"), BAD.values(), ids=BAD.keys())
def test_files_that_do_not_fit_are_refused_in_one_line(genome, tmp_path, bed, labels, message):
    with pytest.raises(InputError, match=message) as caught:
        read_bend(*write(tmp_path, bed, labels), genome, 9)
    assert "\n" not in str(caught.value)


def test_a_missing_data_set_says_what_there_is(genome, tmp_path):
    files = write(tmp_path, bed_of(), labels_of(), name="targets")
    with pytest.raises(InputError, match=r"hdf5: no data set 'labels'; it holds targets"):
        read_bend(*files, genome, 9)


def test_one_label_for_each_row_is_no_label_for_each_base(genome, tmp_path):
    files = write(tmp_path, bed_of(), np.arange(4))
    with pytest.raises(InputError, match=r"hdf5, row 0: 1 labels for chr1:6-25 of 20 bp; give one a base"):
        read_bend(*files, genome, 9)


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.9])
def test_a_file_that_is_cut_short_is_one_line(genome, tmp_path, kept_share):
    bed, hdf5 = write(tmp_path, bed_of(), labels_of())
    data = hdf5.read_bytes()
    hdf5.write_bytes(data[: int(kept_share * len(data))])
    with pytest.raises(
        InputError, match=r"hdf5: it cannot be read \(.*\); copy or download it again"
    ) as caught:
        read_bend(bed, hdf5, genome, 9)
    assert "\n" not in str(caught.value)


def test_missing_files_and_a_missing_library_are_told(genome, tmp_path, monkeypatch):
    bed, hdf5 = write(tmp_path, bed_of(), labels_of())
    with pytest.raises(InputError, match=r"no\.hdf5: no such file; give the HDF5 file with the labels"):
        read_bend(bed, tmp_path / "no.hdf5", genome, 9)
    with pytest.raises(InputError, match=r"no\.bed: no such file"):
        read_bend(tmp_path / "no.bed", hdf5, genome, 9)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"h5py is needed for HDF5; .* pip install 'convnova\[tracks\]'"):
        read_bend(bed, hdf5, genome, 9)


# As a task


def data_of(folder):
    return GeneDataSettings(
        genome=folder / "g.fa",
        intervals=folder / "gene_finding.bed",
        base_labels=folder / "gene_finding.hdf5",
    )


def test_the_files_are_a_task_without_genes(genome, tmp_path):
    write(tmp_path, bed_of(), labels_of())
    task = load_gene_task(data_of(tmp_path), GeneLabelSettings())
    assert task.label_set is LABEL_SETS["bend"]
    assert task.genes == {}
    assert task.notes[0] == "gene_finding.hdf5: regions 2 train, 1 validation, 1 test"
    assert [note.partition(":")[0] for note in task.notes[1:]] == ["validation", "test"]
    assert task.parts["test"].total_bp == 12


@pytest.mark.parametrize(("split", "missing"), [("valid", "validation"), ("train", "train")])
def test_a_task_needs_something_to_learn_and_to_choose_on(genome, tmp_path, split, missing):
    write(tmp_path, bed_of().replace(split, "test"), labels_of())
    with pytest.raises(InputError, match=rf"bed: no row of split {missing}; give some"):
        load_gene_task(data_of(tmp_path), GeneLabelSettings())
