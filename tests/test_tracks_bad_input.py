"""One line for whatever is wrong with tracks of a user; the forms of DeepSEA have tests of their own."""

import gzip
import re
import sys

import pytest
from test_track_building import write_bigwig
from tiny_tracks import SIZES, tiny, write_bed, write_genome

from convnova import cli
from convnova.data.tracks.build import build_tracks
from convnova.data.tracks.settings import TrackSettings
from convnova.errors import InputError


@pytest.fixture(autouse=True)
def genome(tmp_path):
    write_genome(tmp_path)


def refused(settings, message):
    """Check that a build ends in one line, and leaves no folder."""
    with pytest.raises(InputError, match=message) as caught:
        build_tracks(settings)
    assert "\n" not in str(caught.value)
    assert not settings.output.exists()


BAD_PEAKS = [
    ("chrI 5 1011", r"x\.bed, line 3: end 1011 is past the end of chrI \(1010 bp\); shorten the interval"),
    ("chr1 5 1011", r"x\.bed, line 3: chromosome 'chr1' is not in toy\.fa.*; did you mean 'chrI'\?"),
    (
        "chrIV 5 9",
        r"x\.bed, line 3: chromosome 'chrIV' is not in toy\.fa, which has chrI, chrII, chrIII; use one of "
        r"these names; or leave out what lies elsewhere, with unknown_chromosomes leave-out",
    ),
    ("chrI 9 5", r"x\.bed, line 3: start 9 is not before end 5"),
    ("chrI -1 5", r"x\.bed, line 3: start -1 is before the first base"),
    ("chrI x 5", r"x\.bed, line 3: start 'x' is not a whole number"),
    ("chrI 5", r"x\.bed, line 3: too few columns \(2\)"),
]


@pytest.mark.parametrize("header", ["# a comment", "track name=x", "chrom\tstart\tend"])
@pytest.mark.parametrize(("row", "message"), BAD_PEAKS)
def test_a_bad_peak_is_refused_by_its_line(tmp_path, header, row, message):
    path = write_bed(tmp_path / "x.bed", "chrI 100 140", row, "chrI 200 240")
    path.write_text(f"{header}\n{path.read_text()}")
    refused(tiny(tmp_path, path), message)


@pytest.mark.parametrize("header", ["# a comment", "chrom\tstart\tend"], ids=["plain", "line by line"])
@pytest.mark.parametrize("summit", ["30", "-2", "x", ".", "1.5"])
def test_a_summit_that_is_none_is_refused_by_its_line(tmp_path, header, summit):
    rows = [f"chrI 10 40 x 0 . 0 0 0 {one}" for one in ("29", summit, "-1")]
    path = write_bed(tmp_path / "x.narrowPeak", *rows)
    path.write_text(f"{header}\n{path.read_text()}")
    message = (
        rf"x\.narrowPeak, line 3: summit '{re.escape(summit)}' \(column 10\) is no base of the peak; write"
    )
    refused(tiny(tmp_path, path, overlap="summit"), message)
    build_tracks(tiny(tmp_path, path, overlap="any", min_peaks=3))  # which reads no summit


def test_a_peak_past_the_end_is_refused_where_names_are_mapped(tmp_path):
    path = write_bed(tmp_path / "x.bed", "chr1 100 140", "chr2 5 601")
    refused(tiny(tmp_path, path), r"x\.bed, line 2: end 601 is past the end of chrII \(600 bp\)")


def test_a_gzip_file_that_ends_early_is_refused(tmp_path):
    content = gzip.compress(b"chrI\t100\t140\n" * 999)
    (tmp_path / "x.bed.gz").write_bytes(content[:-9])
    refused(tiny(tmp_path, tmp_path / "x.bed.gz"), r"x\.bed\.gz: .*; copy or download it again")


BAD_TABLES = [
    (
        "\tx.bed\tTF\n",
        r"t\.tsv, line 1: the track has no name; write name, file and group",
    ),
    ("a\tx.bed\n\t \tTF\n", r"t\.tsv, line 2: the track has no file"),
    ("a\n", r"t\.tsv, line 1: the track has no file"),
    ("a\tx.bed\nb\tno.bed\n", r"t\.tsv, line 2: .*no\.bed: no such file; correct the table"),
    ("a\tx.bed\na\ty.bed\n", r"two tracks are named 'a', .*x\.bed and .*y\.bed; give a table with names of"),
    ("a\tx.bed\nb\ts.bw\n", r"x\.bed is a file of peaks and .*s\.bw of signal; give files of one form"),
    ("a\tx.bed\nb\tt.tsv\n", r"t\.tsv: not known by its ending, which are \.bed, \.narrowpeak"),
    ("# nothing\n", r"no tracks are given; name a folder, files, or a table of them"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_bad_table_of_tracks_is_refused(tmp_path, text, message):
    write_bed(tmp_path / "x.bed", "chrI 100 140")
    write_bed(tmp_path / "y.bed", "chrI 100 140")
    write_bigwig(tmp_path / "s.bw", [("chrI", 0, 10, 1.0)])
    (tmp_path / "t.tsv").write_text(text)
    refused(tiny(tmp_path, tmp_path / "t.tsv"), message)


@pytest.mark.parametrize(
    "changes", [{}, {"bin_bp": 200, "validation_chromosomes": [], "test_chromosomes": []}]
)
def test_a_table_of_tracks_with_commas_is_told_how_it_is_written(tmp_path, changes):
    write_bed(tmp_path / "x.bed", "chrI 100 140")
    path = tmp_path / "train.csv"
    path.write_text("name,file,group\na,x.bed,TF\n")
    message = r" \(a table of names and files of tracks has tabs between its columns, and the ending \.tsv\)$"
    refused(tiny(tmp_path, path, **changes), message)


def test_names_of_files_are_names_of_tracks(tmp_path):
    (tmp_path / "f").mkdir()
    refused(tiny(tmp_path, tmp_path / "f"), r"f: no BED, narrowPeak, bigWig, \.mat or CSV file in")
    refused(tiny(tmp_path, tmp_path / "nowhere"), r"nowhere: no such file or folder; give BED, narrowPeak or")
    write_bed(tmp_path / "f/a.bed", "chrI 100 140")
    write_bed(tmp_path / "f/a.narrowPeak", "chrI 100 140")
    refused(tiny(tmp_path, tmp_path / "f"), r"two tracks are named 'a', .*a\.bed and .*a\.narrowPeak")
    (tmp_path / "f/a.narrowPeak").rename(tmp_path / "f/.bed")
    refused(tiny(tmp_path, tmp_path / "f"), r"\.bed: the file name leaves no name for the track")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "chrIV 5 9",
            r", line 2: chromosome 'chrIV' is not in toy\.fa, .*; or leave out what lies elsewhere, with",
        ),
        ("chrI 5 1011", r", line 2: end 1011 is past the end of chrI \(1010 bp\); shorten the interval"),
        (None, r": no region in the file; write one a line: chromosome, start, end"),
    ],
)
def test_a_wrong_region_to_leave_out_is_refused(tmp_path, row, message):
    path = write_bed(tmp_path / "x.bed", "chrI 100 140")
    excluded = write_bed(tmp_path / "black.bed", *(["chrI 0 9", row] if row else []))
    refused(tiny(tmp_path, path, excluded=excluded), r"black\.bed" + message)


NOTHING = [
    (
        {},
        r"no bin is left: the longest of 2 peaks has 3 bp, and more than 5 bp of a bin must be in peaks",
    ),
    ({"min_peaks": 3}, r"no track has 3 peaks or more; lower min_peaks"),
    (
        {"overlap": "any", "excluded": True},
        r"no bin is left: 2 peaks make no bin positive where any base",
    ),
]


@pytest.mark.parametrize(("changes", "message"), NOTHING)
def test_nothing_left_says_why(tmp_path, changes, message):
    path = write_bed(tmp_path / "x.bed", "chrI 100 103", "chrII 100 101")
    if "excluded" in changes:
        rows = [f"{name} 0 {size}" for name, size in SIZES.items()]
        changes = changes | {"excluded": write_bed(tmp_path / "black.bed", *rows)}
    refused(tiny(tmp_path, path, **changes), message)


def test_a_bigwig_of_another_assembly_is_refused(tmp_path):
    path = write_bigwig(tmp_path / "s.bw", [("chrI", 0, 10, 1.0)], {"chrI": 1011})
    refused(
        tiny(tmp_path, path),
        r"s\.bw: chrI has 1011 bp, and 1010 in toy\.fa; give signals and",
    )
    write_bigwig(path, [("chrQ", 0, 10, 1.0)], {"chrQ": 100})
    message = r"s\.bw: chromosome 'chrQ' is not in toy\.fa, .*; or leave out what lies elsewhere, with unkn"
    refused(tiny(tmp_path, path), message)


@pytest.mark.parametrize(
    ("value", "log1p", "message"),
    [
        (1e6, False, r"s\.bw: a mean is 1e\+06, and the largest that is stored 65504; set log1p"),
        (-2.0, True, r"s\.bw: a mean is -2, which has no log1p; leave it out"),
    ],
)
def test_signals_that_cannot_be_stored_are_refused(tmp_path, value, log1p, message):
    path = write_bigwig(tmp_path / "s.bw", [("chrI", 0, 10, value)])
    refused(tiny(tmp_path, path, log1p=log1p), message)


def test_a_file_that_is_no_bigwig_is_refused(tmp_path):
    (tmp_path / "s.bw").write_bytes(b"not a bigWig" * 99)
    refused(tiny(tmp_path, tmp_path / "s.bw"), r"s\.bw: it does not begin like a bigWig file; give it whole")
    (tmp_path / "t.bw").write_bytes(b"\x26\xfc\x8f\x88" * 99)
    refused(tiny(tmp_path, tmp_path / "t.bw"), r"t\.bw: cannot be read \(.*\); copy or download it again")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genome": None}, r"no genome is given; give the FASTA that the tracks lie on with --genome"),
        ({"log1p": True}, r"log1p has no meaning for files of peaks; leave it out"),
        ({"test_chromosomes": ["chrV"]}, r"chromosome 'chrV' is not in toy\.fa"),
        ({"validation_chromosomes": ["chrIII"]}, r"chrIII cannot be held out for validation and for test"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, changes, message):
    path = write_bed(tmp_path / "x.bed", "chrI 100 140")
    refused(tiny(tmp_path, path, **changes), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bin_bp": 0}, "bin_bp must be at least 1, got 0"),
        ({"overlap_share": 1.0}, "overlap_share must be at least 0 and below 1, got 1"),
        ({"max_n_share": 2}, "max_n_share must be between 0 and 1, got 2"),
        ({"negatives": -1.0}, "negatives must be none, all, or a number of at least 0, got -1"),
        ({"overlap": "any", "overlap_share": 0.3}, "overlap_share is for overlap share, and overlap is any"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TrackSettings(["x"], "y", **changes)


def test_a_folder_that_holds_something_is_kept(tmp_path):
    settings = tiny(tmp_path, write_bed(tmp_path / "x.bed", "chrI 100 140"))
    settings.output.mkdir()
    build_tracks(settings)
    with pytest.raises(InputError, match="data is there already and not an empty folder; choose"):
        build_tracks(settings)


@pytest.mark.parametrize(("library", "file"), [("pybigtools", "s.bw"), ("h5py", "train.mat")])
def test_a_missing_library_says_how_to_get_it(tmp_path, monkeypatch, library, file):
    (tmp_path / file).write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, library, None)
    settings = TrackSettings([str(tmp_path / file)], tmp_path / "data")
    if file == "s.bw":
        settings = tiny(tmp_path, tmp_path / file)
    refused(settings, rf"{library} is needed for .*; install it with: pip install 'convnova\[tracks\]'")


def test_the_command_says_flags_as_they_are_typed(tmp_path, capsys):
    path = write_bed(tmp_path / "x.bed", "chrI 100 103")
    arguments = ["tracks", "--tracks", str(path), "--genome", str(tmp_path / "toy.fa"), "--min-peaks", "2"]
    assert cli.main([*arguments, "--output", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err.endswith("no track has 2 peaks or more; lower --min_peaks\n")


def test_files_without_a_peak_are_named(tmp_path):
    (tmp_path / "a.bed").write_text("# nothing\n")
    refused(tiny(tmp_path, tmp_path / "a.bed"), r"a\.bed: no peak in any file; give BED or narrowPeak files")
