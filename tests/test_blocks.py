"""A file that is read some sequences at a time gives what it gives at once."""

import gzip

import numpy as np
import pytest

from convnova.data import blocks
from convnova.data.blocks import Most, sequence_blocks
from convnova.data.read_settings import ReadSettings
from convnova.data.reading import read_sequences
from convnova.errors import InputError
from convnova.sequence import decode

rng = np.random.default_rng(0)
SEQUENCES = [decode(rng.integers(0, 4, size).astype(np.uint8)) for size in rng.integers(9, 40, 23)]
ROWS = [(f"n{i}", sequence, i % 3) for i, sequence in enumerate(SEQUENCES)]
PLACES = [(20 * i, 20 * i + 9 + i, "+-"[i % 2]) for i in range(23)]
FILES = {
    "comma.csv": "\nname,sequence,label\n" + "".join(f"{n},{s},{y}\n" for n, s, y in ROWS),
    "blank.csv": "name,sequence,label\n" + "\n".join(f"{n},{s},{y}\n" for n, s, y in ROWS) + "\n\n\n\n\n",
    "quoted.csv": "name,sequence,label\n" + "".join(f'"{n}\n,x",{s},{y}\r\n' for n, s, y in ROWS),
    "short.csv": "".join(f"{s},a\n" for s in [*SEQUENCES[:20], "ACGTA", "RYRYACGTRY", "NNNNN"]),
    "bare.tsv": "".join(f"{s}\t{y}\n" for _, s, y in ROWS),
    "places.csv": "chrom,start,end,strand\n" + "".join(f"c,{a},{b},{d}\n" for a, b, d in PLACES),
    "places.bed": "track x\n# a\n" + "\n# b\n".join(f"c\t{a}\t{b}\tp{a}\t0\t{d}" for a, b, d in PLACES),
    "codes.csv": "promoter,dose\n" + "".join(f"{s},1\n" for s in [*SEQUENCES[:20], *3 * ["RACGTACG"]]),
    "names.bed": "".join(f"c\t{a}\t{b}\t{f'p{a}' if a < 300 else 'enh'}\t0\t{d}\n" for a, b, d in PLACES),
    "lines.txt": "\n\n" + "\n".join(SEQUENCES),
    "records.fa": "".join(f">{n} more|{y}\n{s[:5]}\n{s[5:]}\n" for n, s, y in ROWS),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    for name, text in FILES.items():
        (folder / name).write_text(text, newline="")
        with gzip.open(folder / f"{name}.gz", "wt", newline="") as file:
            file.write(text)
    (folder / "g.fa").write_text(f">c\n{decode(rng.integers(0, 4, 1000).astype(np.uint8))}\n")
    read_sequences(folder / "comma.csv").labels.write_parquet(folder / "labels.parquet")
    return folder


def facts(tables):
    """Return all that is known of each sequence, in their order."""
    return [
        (
            decode(table.ids[row]),
            None
            if "quoted" in table.source
            else table.place(row),  # lines are of rows there, not of the file
            table.names and table.names[row],
            None if table.labels is None else table.labels.row(row),
            None if table.intervals is None else table.intervals.row(row),
        )
        for table in tables
        for row in range(len(table))
    ]


@pytest.mark.parametrize("first_rows", [1, 4, 1000])
@pytest.mark.parametrize("most", [Most(1, 1000), Most(4, 1000), Most(100, 60), Most()])
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("name", FILES)
def test_blocks_are_the_file(folder, name, end, most, first_rows, monkeypatch):
    monkeypatch.setattr(blocks, "_FIRST_ROWS", first_rows)
    settings = ReadSettings(genome=folder / "g.fa", read_labels=name != "records.fa")
    made = list(sequence_blocks(str(folder / f"{name}{end}"), settings, most))
    assert facts(made) == facts([read_sequences(folder / f"{name}{end}", settings)])
    assert sum(map(len, made)) == len(SEQUENCES)
    assert max(map(len, made)) <= most.sequences + (name in ("bare.tsv", "short.csv"))
    assert len(made) > 2 or most != Most(4, 1000)


def test_several_files_and_classes_are_held(folder):
    for source in (f"{folder}/comma.csv,{folder}/blank.csv", f"a={folder}/lines.txt,b={folder}/lines.txt.gz"):
        made = list(sequence_blocks(source, ReadSettings(), Most(10)))
        assert [len(one) for one in made] == [10, 10, 10, 10, 6]
        assert facts(made) == facts([read_sequences(source)])


def test_long_sequences_are_cropped(folder):
    settings = ReadSettings(max_length_bp=12, too_long="keep-center")
    made = sequence_blocks(str(folder / "lines.txt"), settings, Most(5))
    assert facts(made) == facts([read_sequences(folder / "lines.txt", settings)])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "sequence\n" + "ACGTACGT\n" * 9 + "ACGTXACG\n", "line 11.*is not a nucleotide"),
        ("a.csv", "sequence,y\n" + "ACGTACGT,1\n" * 9 + "ACGT,1,2\n", "line 11: 3 columns"),
        ("a.csv", "sequence\n" + "ACGTACGT\n" * 9 + '"AC\n', 'line 11: a " that neither opens nor closes'),
        ("a.txt", "ACGTACGT\n" * 9 + "ACGT-ACG\n", "line 10, position 5"),
        ("a.bed", "c\t1\t9\n" * 9 + "c\t5\n", "line 10: too few columns"),
        ("a.bed", "c\t1\t9\n" * 9 + "c\t5\t3000\n", "line 10: .*3000"),
        ("a.bed", "# a\n" * 9, "no interval"),
        ("a.csv", "sequence,label\n", "no row in the file"),
        ("a.csv", "\n\n", "the file is empty"),
        ("a.fa", ">a\nACGT\n>b\nAC!T\n", "record 2"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(folder, tmp_path, name, text, message, monkeypatch):
    monkeypatch.setattr(blocks, "_FIRST_ROWS", 2)
    (tmp_path / name).write_text(text)
    settings = ReadSettings(genome=folder / "g.fa", unstranded="forward")
    with pytest.raises(InputError, match=message):
        list(sequence_blocks(str(tmp_path / name), settings, Most(3)))


def test_later_blocks_are_not_read_before_they_are_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text("sequence\n" + "ACGTACGT\n" * 5000 + "wrong\n")
    made = sequence_blocks(str(tmp_path / "a.csv"), ReadSettings(), Most(2000))
    assert len(next(made)) == 1024
    assert len(next(made)) == 2000
    with pytest.raises(InputError, match="line 5002"):
        list(made)
