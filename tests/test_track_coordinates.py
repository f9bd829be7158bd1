import gzip
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tiny_tracks import write_genome

from convnova.data.tracks import coordinates
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.coordinates import split_of
from convnova.data.tracks.data import TrackData
from convnova.data.tracks.lifting import Lifter
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError
from convnova.genome import Genome

HEADER = "Chr_No,Start,End,y_0,y_1"
ROWS = {
    "train": ["0,100,120,1,0", "1,0,20,0,0", "0,980,1000,1,1"],
    "val": ["2,300,320,0,1"],
    "test": ["2,0,20,1,0", "2,480,500,0,0"],
}
# Bases 0-399 of old chr1 are 50-449 of chrI; 420-699 are 480-759; the second chain turns chrB around.
CHAIN = """chain 1000 chr1 1000 + 0 700 chrI 1010 + 50 760 1
400 20 30
280

chain 900 chrB 500 + 0 500 chrIII 500 - 0 500 2
500

chain 800 chr1 1000 + 700 900 chrII 600 + 100 300 3
200
"""


@pytest.fixture
def genome(tmp_path):
    return Genome.open(write_genome(tmp_path))


def write(folder, rows=ROWS, header=HEADER, name="{}_hg19_coords_targets.csv"):
    """Write a table for each split, and return the settings that read them."""
    paths = []
    for split, lines in rows.items():
        paths.append(folder / name.format(split))
        paths[-1].write_text("\n".join([header, *lines]) + "\n")
    return {"tracks": list(map(str, paths)), "output": folder / "data", "genome": folder / "toy.fa"}


def chain(folder, text=CHAIN):
    (folder / "old.chain").write_text(text)
    return folder / "old.chain"


@pytest.mark.parametrize("block", [1, 2, 2**13])
def test_tables_become_intervals_and_targets(tmp_path, genome, monkeypatch, block):
    monkeypatch.setattr(coordinates, "_BLOCK", block)
    facts = build_tracks(TrackSettings(**write(tmp_path), window_bp=40))
    assert facts.rows == {"train": 3, "validation": 1, "test": 2}
    data = TrackData.open(tmp_path / "data")
    assert data.intervals().rows()[0] == ("chrI", 100, 120, "train")
    assert data.intervals().rows()[-1] == ("chrIII", 480, 500, "test")
    assert data.part("train").labels.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert data.part("test").labels.tolist() == [[1, 0], [0, 0]]
    assert facts.names == ["y_0", "y_1"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("chr,start,end,CTCF,DNase", "chr1,100,120,1,0"),
        ("chrom,Start,End,CTCF,DNase", "chrI,100,120,True,False"),
        (",filter_index,Chr_No,Start,End,y_0,y_1", "7,7,0,100,120,1.0,0.0"),  # as HyenaDNA saves it
        ("y_0,y_1,Chr_No,Start,End", "1,0,0,100,120"),
        ('chr,start,end,"CTCF, K562",DNase', '"chrI",100,120,1,0'),
    ],
)
def test_each_form_of_table(tmp_path, genome, header, row):
    facts = build_tracks(TrackSettings(**write(tmp_path, {"train": [row]}, header)))
    data = TrackData.open(tmp_path / "data")
    assert data.intervals().rows() == [("chrI", 100, 120, "train")]
    assert data.part("train").labels.tolist() == [[1, 0]]
    names = {"y_0": ["y_0", "y_1"], "CTCF,": ["CTCF", "DNase"], "CTCF, K562": ["CTCF, K562", "DNase"]}
    assert facts.names == next(names[key] for key in reversed(names) if key in header)


@pytest.mark.parametrize(
    ("widths", "bin_bp", "note"),
    [
        ([20, 20, 20], 20, None),
        ([200, 100, 100], 100, "intervals have 100 to 200 bp, most often 100 bp: predict makes bins of that"),
        ([30, 20, 10], 10, "intervals have 10 to 30 bp, most often 10 bp: predict makes bins of that"),
    ],
)
def test_a_bin_is_as_wide_as_the_intervals(tmp_path, genome, capsys, widths, bin_bp, note):
    rows = [f"chrI,{200 * place},{200 * place + width},1,0" for place, width in enumerate(widths)]
    build_tracks(TrackSettings(**write(tmp_path, {"train": rows}, "chr,start,end,a,b"), window_bp=40))
    assert TrackData.open(tmp_path / "data").facts.settings["bin_bp"] == bin_bp
    said = capsys.readouterr().out
    assert note in said if note else "intervals have" not in said


def test_gzip_and_names_change_only_what_they_should(tmp_path, genome):
    settings = write(tmp_path)
    for path in settings["tracks"]:
        Path(f"{path}.gz").write_bytes(gzip.compress(Path(path).read_bytes()))
    settings |= {"tracks": [f"{path}.gz" for path in settings["tracks"]], "window_bp": 20}
    (tmp_path / "names.txt").write_text("CTCF\nDNase\n")
    assert build_tracks(TrackSettings(**settings, names=tmp_path / "names.txt")).names == ["CTCF", "DNase"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train_hg19_coords_targets.csv", "train"),
        ("val.csv", "validation"),
        ("my-test.csv.gz", "test"),
        ("dev_x.csv", "validation"),
    ],
)
def test_splits_are_in_the_names_of_files(tmp_path, name, split):
    assert split_of(tmp_path / name) == split


def lift_each_base(chromosome, start, end):
    """Return where an interval lies by the chain above, base by base."""
    places = []
    for base in range(start, end):
        if chromosome == "chrB":
            places.append(("chrIII", 499 - base))
        elif base < 400:
            places.append(("chrI", base + 50))
        elif 420 <= base < 700:
            places.append(("chrI", base + 60))
        elif 700 <= base < 900:
            places.append(("chrII", base - 600))
        else:
            places.append(None)
    if places[0] is None or places[-1] is None:
        return "unmapped"
    if places[0][0] != places[-1][0]:
        return "split"
    low, high = sorted((places[0][1], places[-1][1]))
    return (places[0][0], low, high + 1) if high + 1 - low == end - start else "length changed"


def test_lifting_matches_base_by_base(tmp_path, genome):
    lifter, reasons = Lifter(chain(tmp_path), genome), Counter()
    for chromosome, size in (("chr1", 1000), ("chrB", 500)):
        for start in range(0, size - 30, 3):
            for width in (1, 7, 30):
                place = lifter.lift(chromosome, start, start + width)
                assert place == lift_each_base(chromosome, start, start + width)
                reasons[place if isinstance(place, str) else "lifted"] += 1
    assert min(reasons[reason] for reason in ("unmapped", "split", "length changed", "lifted")) > 0


def test_intervals_that_cannot_be_lifted_are_counted_and_listed(tmp_path, genome, capsys):
    rows = {
        "train": ["chr1,100,120,1,0", "chr1,390,410,1,1", "chr1,390,430,1,1", "chr1,690,710,0,1"],
        "test": ["chrB,0,20,0,1", "chrU,5,25,1,1", "chr1,950,970,1,1"],
    }
    settings = write(tmp_path, rows, "chr,start,end,a,b")
    facts = build_tracks(TrackSettings(**settings, liftover=chain(tmp_path)))
    data = TrackData.open(tmp_path / "data")
    assert data.intervals().rows() == [("chrI", 150, 170, "train"), ("chrIII", 480, 500, "test")]
    assert data.part("test").labels.tolist() == [[0, 1]]
    said = capsys.readouterr().out
    assert "train: 1 intervals lifted over; left out: 1 unmapped, 1 split, 1 length changed" in said
    assert "test: 1 intervals lifted over; left out: 2 unmapped, 0 split, 0 length changed" in said
    listed = pl.read_csv(tmp_path / "data/left_out.tsv", separator="\t")
    assert listed.rows()[:2] == [
        ("train", "chr1", 390, 410, "unmapped"),
        ("train", "chr1", 390, 430, "length changed"),
    ]
    assert len(listed) == 5
    assert facts.rows == {"train": 1, "validation": 0, "test": 1}


@pytest.mark.parametrize(("old", "new"), [("chr1", "1"), ("chr1", "chrI"), ("chr1", "chr_1")])
def test_a_table_may_call_chromosomes_otherwise_than_the_chain(tmp_path, genome, capsys, old, new):
    rows = {"train": [f"{new},100,120,1,0", f"{new},390,410,1,1"], "test": [f"{new},5,25,1,1"]}
    settings = write(tmp_path, rows, "chr,start,end,a,b") | {"window_bp": 20}
    facts = build_tracks(TrackSettings(**settings, liftover=chain(tmp_path)))
    assert facts.rows == {"train": 1, "validation": 0, "test": 1}
    assert f"chromosomes are called otherwise in old.chain: {new} is {old}\n" in capsys.readouterr().out
    assert f"train\t{new}\t390\t410\tunmapped" in (tmp_path / "data/left_out.tsv").read_text()


def test_names_are_matched_once_for_each_chromosome(tmp_path, genome, monkeypatch):
    asked = []
    real = Genome.own_names

    def counting(self, names):
        asked.append(list(names))
        return real(self, asked[-1])

    monkeypatch.setattr(Genome, "own_names", counting)
    lifter = Lifter(chain(tmp_path), genome)
    for start in range(0, 390, 10):
        lifter.lift("chr1", start, start + 5)
    assert asked == [["chrI", "chrIII", "chrII"]]


def test_a_table_on_the_genome_says_what_it_calls_otherwise(tmp_path, genome, capsys):
    build_tracks(TrackSettings(**write(tmp_path), window_bp=20))
    said = capsys.readouterr().out
    assert (
        "chromosomes are called otherwise in the genome: chr1 is chrI, chr2 is chrII, chr3 is chrIII\n"
        in said
    )


@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_chain_file_may_be_gzip(tmp_path, genome, is_gzip):
    path = chain(tmp_path)
    if is_gzip:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert Lifter(path, genome).lift("chr1", 0, 10) == ("chrI", 50, 60)


BAD_CHAINS = [
    (None, r"old\.chain: no such chain file; for hg19 to hg38 it is at .*hg19ToHg38\.over\.chain\.gz"),
    ("nothing\n", r"old\.chain: no chain in the file; give a chain file of UCSC, plain or gzip"),
    (
        CHAIN.replace("chrI 1010", "chrI 1011"),
        r"old\.chain, line 1: it leads to a chrI of 1011 bp, and in toy\.fa it has 1010; give",
    ),
    (CHAIN.replace(" 760 1\n", "\n"), r"old\.chain, line 1: a chain has 12 columns or more; this has 11"),
    (
        CHAIN.replace("chr1 1000", "chr1 110"),
        r"train.csv, line 2: end 120 is past the end of chr1 \(110 bp\) in old\.chain; give",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_CHAINS)
def test_a_wrong_chain_file_is_refused(tmp_path, genome, text, message):
    settings = write(tmp_path, {"train": ROWS["train"]}, name="{}.csv")
    path = tmp_path / "old.chain" if text is None else chain(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        build_tracks(TrackSettings(**settings, liftover=path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_a_missing_library_says_how_to_get_it(tmp_path, genome, monkeypatch):
    monkeypatch.setitem(sys.modules, "liftover", None)
    with pytest.raises(InputError, match=r"liftover is needed for chain files; .*'convnova\[tracks\]'"):
        Lifter(chain(tmp_path), genome)


BAD_TABLES = [
    (
        "a,b,c",
        "1,2,3",
        r"no coordinates among the columns a, b, c; name them Chr_No \(from 0\)",
    ),
    ("chr,start,y_0", "chr1,5,1", r"no coordinates among the columns chr, start, y_0"),
    (
        "chr,start,end",
        "chr1,5,9",
        r"no targets among the columns chr, start, end; name them y_0, y_1",
    ),
    (
        "Chr_No,Start,End,y_0,y_0",
        "0,100,120,1,0",
        r", line 1: two columns are named 'y_0'; rename or remove one",
    ),
    ("Chr_No,Start,End,Start,y_0", "0,100,120,100,1", r", line 1: two columns are named 'Start'; rename or"),
    (
        "chr,start,end,a,",
        "chrI,100,120,1,0,1",
        r", line 2: 6 columns, and the header has 5; correct or remove the line",
    ),
    (HEADER, "0,100,120,1", r", line 3: 4 columns, and the header has 5; correct or remove the line"),
    (HEADER, "0,100,120,1,0,1", r", line 3: 6 columns, and the header has 5; correct or remove the line"),
    (HEADER, '0,100,120,"1,0', r", line 3: 4 columns, and the header has 5; correct or remove the line"),
    (HEADER, "", r", line 3: 1 column, and the header has 5; correct or remove the line"),
    (HEADER, "x,100,120,1,0", r"line 3: Chr_No is x, not a number from 0; correct it"),
    (HEADER, "0,x,120,1,0", r"line 3: Start is x, not a whole number of 0 or more"),
    (HEADER, "0,-5,120,1,0", r"line 3: Start is -5, not a whole number of 0 or more"),
    (HEADER, "0,120,120,1,0", r"line 3: End is 120, not after its start"),
    (HEADER, "0,100,120,2,0", r"line 3: y_0 is 2, not 0 or 1"),
    (HEADER, "0,100,120,1,", r"line 3: y_1 is empty, not 0 or 1"),
    (
        HEADER,
        "0,100,1120,1,0",
        r"line 3: end 1120 is past the end of chrI \(1010 bp\).*; or set liftover",
    ),
    (
        HEADER,
        "22,100,120,1,0",
        r"line 3: chromosome 'chrX' is not in toy\.fa.*; or set liftover",
    ),
]


@pytest.mark.parametrize(("header", "row", "message"), BAD_TABLES)
def test_a_wrong_table_is_refused(tmp_path, genome, header, row, message):
    rows = [ROWS["train"][0], row] if header == HEADER else [row]
    with pytest.raises(InputError, match=r"train_hg19_coords_targets\.csv.*" + message) as caught:
        build_tracks(TrackSettings(**write(tmp_path, {"train": rows}, header)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "row", "line"),
    [("chr,start,end,caf\u00e9", "chrI,0,9,1", 1), ("chr,start,end,a", "chr\u00c9,0,9,1", 2)],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_text_that_is_not_utf8_is_told_by_its_line(tmp_path, genome, header, row, line, is_gzip):
    path = tmp_path / ("train.csv.gz" if is_gzip else "train.csv")
    content = f"{header}\n{row}\n".encode("latin-1")
    path.write_bytes(gzip.compress(content) if is_gzip else content)
    message = rf"train\.csv.*, line {line}: binary data, or text that is not UTF-8; give a CSV of coordinates"
    with pytest.raises(InputError, match=message) as caught:
        build_tracks(TrackSettings([str(path)], tmp_path / "data", tmp_path / "toy.fa"))
    assert "\n" not in str(caught.value)


def test_tables_must_be_of_one_task(tmp_path, genome):
    settings = write(tmp_path)
    (tmp_path / "test_hg19_coords_targets.csv").write_text("Chr_No,Start,End,y_0\n0,0,20,1\n")
    with pytest.raises(InputError, match=r"test_hg19.*: other target columns than .*train_hg19"):
        build_tracks(TrackSettings(**settings))


def test_names_of_files_must_tell_the_splits_apart(tmp_path, genome):
    settings = write(tmp_path, {"train": ROWS["train"], "train_2": ROWS["train"]}, name="{}.csv")
    with pytest.raises(InputError, match=r"train_2\.csv and .*train\.csv are both train; give one"):
        build_tracks(TrackSettings(**settings))
    with pytest.raises(InputError, match=r"x\.csv: its name has none of train, valid, validation, val, dev"):
        split_of(tmp_path / "x.csv")
