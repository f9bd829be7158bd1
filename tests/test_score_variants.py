"""Scores of variants are those of passes over whole chromosomes; what has none is counted and listed."""

import gzip
import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console
from stopping import stopped_after

from convnova.cli import main
from convnova.data.label_scheme import LabelScheme
from convnova.errors import InputError
from convnova.genome import Genome
from convnova.genome.variant import Variant
from convnova.inference import score_variants as module
from convnova.inference import variant_scores
from convnova.inference.any_model import load_any
from convnova.inference.output_names import field_names
from convnova.inference.partial import Partial
from convnova.inference.saved_genes import SavedGeneFinder
from convnova.inference.saved_task import SavedTask
from convnova.inference.score_variants import score_variants
from convnova.inference.variant_scores import stretches, variant_scorer
from convnova.inference.variant_settings import VariantSettings
from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
)
from convnova.sequence import decode, encode, reverse_complement

torch.set_num_threads(1)

TOY = {"hidden_size": 8, "kernel_size": 3, "dilations": (1, 2, 1), "mlp_expansion": 1}
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A genome of two chromosomes and a few contigs, and models of it with random weights."""
    folder = tmp_path_factory.mktemp("variants")
    rng = np.random.default_rng(0)
    ids = {"chrI": rng.integers(0, 4, 300), "chrII": rng.integers(0, 4, 90), "c3": rng.integers(0, 4, 7)}
    ids["chrI"][150:153] = 4
    text = "".join(f">{name}\n{decode(one.astype(np.uint8))}\n" for name, one in ids.items())
    (folder / "g.fa").write_text(text)
    torch.manual_seed(0)
    ConvNovaForMaskedLM(ConvNovaConfig(**TOY)).save_pretrained(folder / "lm")
    unet = ConvNovaConfig(**TOY | {"dilations": (1, 1, 1)}, downsampling=(1, 2, 1))
    ConvNovaForMaskedLM(unet).save_pretrained(folder / "unet")
    for name, labels, problem in (
        ("two", ("a", "b"), "single_label_classification"),
        ("many", ("x y", "z", "w"), "multi_label_classification"),
    ):
        config = ConvNovaConfig(**TOY, num_labels=len(labels), problem_type=problem, pooling="max")
        ConvNovaForSequenceClassification(config).save_pretrained(folder / name)
        kind = "single-label" if name == "two" else "multi-label"
        task = SavedTask(LabelScheme(kind, labels), "mcc", True)
        (folder / name / "task.json").write_text(json.dumps(task.to_dict()))
    return folder


def genome(folder):
    return Genome.open(folder / "g.fa")


def some_variants(genome, chromosome, seed=0):
    """Return substitutions, deletions and insertions all over a chromosome, its ends included."""
    rng, size = np.random.default_rng(seed), genome.chromosome_sizes[chromosome]
    index = genome.index_of(chromosome)
    made = []
    for start in sorted({0, 1, 2, size - 2, size - 1, *range(3, size - 6, 9)}):
        for removed, inserted in ((1, 1), (0, 2), (2, 0), (3, 3), (1, 4)):
            if start + removed <= size and size > removed:
                reference = decode(genome.window(index, start, start + removed))
                new = decode(rng.integers(0, 4, inserted).astype(np.uint8))
                if new != reference and "N" not in reference:
                    made.append(Variant(chromosome, start, reference, new))
    return made


def edited(genome, variant):
    ids = genome.sequence(variant.chromosome)
    return np.concatenate([ids[: variant.start], encode(variant.alternate), ids[variant.end :]])


def log_p(model, ids):
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(ids[None]).long()).logits[0, :, :4]
    return logits.log_softmax(-1).numpy()


@pytest.mark.parametrize("longest", [1, 2**13])
@pytest.mark.parametrize("chromosome", ["chrI", "chrII", "c3"])
def test_scores_are_those_of_passes_over_the_whole_chromosome(folder, chromosome, longest, monkeypatch):
    monkeypatch.setattr(variant_scores, "LONGEST_BP", longest)
    monkeypatch.setattr(variant_scores, "BATCH_BASES", 200)
    loaded, known = load_any(folder / "lm"), genome(folder)
    names = ["pseudo-likelihood", "masked-llr", "unmasked-llr"]
    scorer = variant_scorer(loaded, names)
    variants = some_variants(known, chromosome)
    scores = scorer.score(known, variants)
    before = known.sequence(chromosome)

    def likelihood(ids):
        found = log_p(loaded.model, ids)
        return sum(found[place, base] for place, base in enumerate(ids) if base < 4)

    reference = likelihood(before)
    for variant, row in zip(variants, scores, strict=True):
        assert row[0] == pytest.approx(likelihood(edited(known, variant)) - reference, abs=2e-4)
        minimal = variant.trimmed()
        if minimal.growth:
            assert np.isnan(row[1:]).all()
            continue
        there = np.arange(minimal.start, minimal.end)
        hidden = before.copy()
        hidden[there] = 4
        for value, read in ((row[1], hidden), (row[2], before)):
            found = log_p(loaded.model, read)[there]
            old, new = encode(minimal.reference), encode(minimal.alternate)
            expected = sum(found[i, new[i]] - found[i, old[i]] for i in range(len(there)))
            assert value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("strands", [False, True])
def test_scores_of_what_differs_need_half_a_field(folder, strands, monkeypatch):
    monkeypatch.setattr(variant_scores, "LONGEST_BP", 1)
    loaded, known = load_any(folder / "lm"), genome(folder)
    variants = some_variants(known, "chrI")
    narrow = variant_scorer(loaded, ["masked-llr", "unmasked-llr"], strands).score(known, variants)
    wide = variant_scorer(loaded, ["masked-llr", "unmasked-llr", "pseudo-likelihood"], strands)
    np.testing.assert_allclose(narrow, wide.score(known, variants)[:, :2], atol=1e-5)


def test_both_strands_are_the_mean_of_each(folder):
    loaded, known = load_any(folder / "lm"), genome(folder)
    variants = some_variants(known, "chrII")
    turned_ids = {"chrII": reverse_complement(known.sequence("chrII"))}
    turned = Genome.of_sequences(folder / "turned", turned_ids.items())
    size = known.chromosome_sizes["chrII"]
    opposite = [
        Variant(
            "chrII",
            size - v.end,
            decode(reverse_complement(encode(v.reference))),
            decode(reverse_complement(encode(v.alternate))),
        )
        for v in variants
    ]
    scores = ["masked-llr", "unmasked-llr", "pseudo-likelihood"]
    one = variant_scorer(loaded, scores).score(known, variants)
    other = variant_scorer(loaded, scores).score(turned, opposite)
    both = variant_scorer(loaded, scores, strands=True).score(known, variants)
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-4)


@pytest.mark.parametrize("strands", [False, True])
@pytest.mark.parametrize("name", ["two", "many"])
@pytest.mark.parametrize("chromosome", ["chrI", "c3"])
def test_heads_of_sequences_read_a_window_around_each_variant(folder, name, chromosome, strands):
    loaded, known, window = load_any(folder / name), genome(folder), 40
    variants = some_variants(known, chromosome)
    scores = variant_scorer(loaded, ["output-change"], strands, window).score(known, variants)

    def read(ids):
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.from_numpy(ids[None].copy()).long()).logits[0].numpy()
        return logits[1:] - logits[:1] if name == "two" else logits

    for variant, row in zip(variants, scores, strict=True):
        start = variant.trimmed().start - window // 2
        padded = np.concatenate([np.full(99, 4, np.uint8), edited(known, variant), np.full(99, 4, np.uint8)])
        after = padded[99 + start : 99 + start + window]
        before = known.windows([known.index_of(chromosome)], [start], window).ids[0]
        change = read(after) - read(before)
        if strands:
            change = (change + read(reverse_complement(after)) - read(reverse_complement(before))) / 2
        np.testing.assert_allclose(row, change, atol=2e-5)


def test_stretches_are_merged_and_none_is_too_long():
    variants = [Variant("c", start, "A", "C") for start in (100, 10, 110, 500)]
    found = stretches(variants, 20, 510)
    assert [(one.start, one.end, one.variants) for one in found] == [
        (0, 31, [1]),
        (80, 131, [0, 2]),
        (480, 510, [3]),
    ]


# The command

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def vcf(folder, path, rows, chromosome="chrI"):
    """Write a VCF; a row is a position from 1, how many bases of REF, and ALT."""
    ids = genome(folder).sequence("chrI")
    lines = []
    for position, width, alternate in rows:
        reference = decode(ids[position - 1 : position - 1 + width])
        lines.append(f"{chromosome}\t{position}\t.\t{reference}\t{alternate}\t.\t.\tA=1\n")
    path.write_text(HEADER + "".join(lines))
    return path


ROWS = [
    (5, 1, "N"),
    (20, 1, "<DEL>"),
    (30, 1, "*,T,A"),
    (40, 1, "A[chrII:5["),
    (60, 2, "G"),
    (61, 1, "CAT"),
    (62, 1, "."),
    (151, 1, "A"),
    (290, 1, "C,G,T"),
]


def run(folder, tmp_path, *, source=None, name="out.vcf.gz", **changes):
    source = vcf(folder, tmp_path / "in.vcf", ROWS) if source is None else source
    screen = io.StringIO()
    values = {"model": folder / "lm", "genome": folder / "g.fa"} | changes
    settings = VariantSettings(source, output=tmp_path / name, **values)
    return score_variants(settings, Console(file=screen, width=200)), screen.getvalue()


def test_the_command_writes_scores_and_lists_what_has_none(folder, tmp_path):
    pysam = pytest.importorskip("pysam")
    frame, said = run(folder, tmp_path)
    unscored = pl.read_csv(tmp_path / "out.vcf.gz.unscored.tsv", separator="\t")
    reasons = dict(zip(unscored["position"], unscored["unscored"], strict=True))
    assert (
        reasons.items()
        >= {
            5: "N in ALT",
            20: "symbolic allele",
            30: "allele of an overlapping deletion",
            40: "breakend",
            62: "no alternate allele",
            151: "N in REF",
        }.items()
    )
    assert "1 allele not scored: symbolic allele" in said
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        records = list(file)
    assert [one.pos for one in records] == [row[0] for row in ROWS]
    assert all(one.info["A"] == "1" or one.info["A"] == (1,) or one.info["A"] for one in records)
    by_place = frame.filter(pl.col("position") == 60)
    assert records[4].info["convnova_pseudo_likelihood"][0] == (
        pytest.approx(by_place["pseudo-likelihood"][0], rel=1e-4)
    )
    assert "convnova_masked_llr" not in records[4].info  # of a deletion
    assert records[2].info["convnova_masked_llr"][0] is None
    assert not (tmp_path / "out.vcf.gz.partial").exists()


def test_what_scores_are_not_of_is_counted_and_listed(folder, tmp_path):
    frame, said = run(folder, tmp_path, scores=["masked-llr"])
    known = frame["masked-llr"].is_not_null()
    assert (frame["unscored"].is_null() == known).all()
    assert f"{known.sum()} alleles scored" in said
    without = (frame["unscored"] == "another length than REF, which these scores are not of").sum()
    assert f"{without} alleles not scored: another length than REF" in said
    assert without > 1
    assert "another length" in (tmp_path / "out.vcf.gz.unscored.tsv").read_text()


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.parquet", "out.vcf"])
def test_tables_and_plain_vcf_have_the_same_scores(folder, tmp_path, name):
    frame, _ = run(folder, tmp_path, name=name, scores=["masked-llr"])
    assert frame.columns[:5] == ["chromosome", "position", "id", "reference", "alternate"]
    if name == "out.parquet":
        assert pl.read_parquet(tmp_path / name).equals(frame)
    assert (tmp_path / name).stat().st_size > 100


def test_chromosomes_by_another_name_are_found_and_said(folder, tmp_path):
    frame, _ = run(folder, tmp_path)
    renamed = vcf(folder, tmp_path / "renamed.vcf", ROWS, chromosome="1")
    other, said = run(folder, tmp_path, source=renamed, name="other.vcf.gz")
    assert "chromosomes are called otherwise in the genome: 1 is chrI" in said
    assert other.drop("chromosome").equals(frame.drop("chromosome"))


def test_a_run_that_was_stopped_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    frame, _ = run(folder, tmp_path, name="whole.vcf.gz")
    with stopped_after(2, monkeypatch):
        run(folder, tmp_path)
    assert not (tmp_path / "out.vcf.gz").exists()
    with (tmp_path / "out.vcf.gz.partial").open("ab") as file:
        file.write(b"abc")  # of scores that were cut short
    again, said = run(folder, tmp_path)
    assert "goes on after 4 alleles" in said
    assert again.equals(frame)
    assert gzip.decompress((tmp_path / "out.vcf.gz").read_bytes()) == gzip.decompress(
        (tmp_path / "whole.vcf.gz").read_bytes()
    )


def test_scores_of_other_settings_are_not_gone_on_with(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Partial, "remove", lambda self: None)
    run(folder, tmp_path)
    _, said = run(folder, tmp_path, both_strands=True, overwrite=True)
    assert "goes on after" not in said


def test_a_mismatch_is_counted_and_many_are_another_genome(folder, tmp_path):
    source = vcf(folder, tmp_path / "in.vcf", [(place, 1, "ACGT"[place % 4]) for place in range(1, 41)])
    lines = source.read_text().splitlines()

    def wrong(line):
        columns = line.split("\t")
        columns[3] = "C" if columns[3] == "A" else "A"
        return "\t".join(columns)

    source.write_text("\n".join([*lines[:-1], wrong(lines[-1]), ""]))
    frame, said = run(folder, tmp_path, source=source)
    assert "1 allele not scored: REF is not that of the genome" in said
    assert frame["unscored"][-1] == "REF is not that of the genome"
    source.write_text("\n".join([*lines[:2], *map(wrong, lines[2:]), ""]))
    (tmp_path / "out.vcf.gz").unlink()
    with pytest.raises(
        InputError, match=r"in\.vcf, line 3: REF is ., and g\.fa has . there, as at .* give their genome"
    ):
        run(folder, tmp_path, source=source)


def test_a_reference_of_n_is_no_other_genome(folder, tmp_path):
    source = vcf(folder, tmp_path / "in.vcf", [(11, 1, "ACGTA")])
    head, line = source.read_text().rstrip("\n").rsplit("\n", 1)
    more = [line.split("\t") for _ in range(50)]
    for place, columns in enumerate(more, start=int(line.split("\t")[1]) + 1):
        columns[1], columns[3], columns[4] = str(place), "N", "NACGT"
    source.write_text("\n".join([head, line, *map("\t".join, more), ""]))
    _, said = run(folder, tmp_path, source=source)
    assert "50 alleles not scored: N in REF" in said


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([], [], "there is no variant in it"),
        (ROWS, ["--compile"], "compile is of whole passes, and of a variant only what it reaches"),
        ([(20, 1, "<DEL>")], [], "no allele can be scored (1 symbolic allele)"),
        (ROWS, ["--scores", "output-change"], "the model has no score 'output-change'; it has masked-llr"),
        (
            ROWS,
            ["--model", "two"],
            "give --window_bp, the length of the sequences that the model was trained on",
        ),
        (ROWS, ["--window_bp", "0"], "window_bp must be at least 1"),
        (ROWS, ["--threads", "0"], "threads must be at least 1, got 0"),
        (ROWS, ["--scores", "masked-llr,masked-llr"], "score 'masked-llr' is named twice; name each once"),
        (ROWS, ["--output", "out.bed"], "the name must end with one of .vcf, .vcf.gz, .csv"),
        (ROWS, ["--output", "OUT.VCF.GZ"], "the name must end with one of .vcf, .vcf.gz"),
        (ROWS, ["--model", "unet"], "the network downsamples, so a change moves"),
        (ROWS, ["--output", "in.vcf"], "in.vcf: is named twice"),
        (ROWS, ["--model", "nowhere"], "there is no such folder"),
    ],
)
def test_what_cannot_be_is_one_line(folder, tmp_path, capsys, monkeypatch, rows, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("lm", "two", "unet"):
        (tmp_path / name).symlink_to(folder / name)
    vcf(folder, tmp_path / "in.vcf", rows)
    given = ["--input", "in.vcf", "--genome", str(folder / "g.fa"), "--model", "lm", "--output", "out.vcf"]
    assert main(["score-variants", *given, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.vcf").exists()


def test_chromosomes_that_the_genome_has_not_are_refused_or_left_out(folder, tmp_path):
    source = vcf(folder, tmp_path / "in.vcf", ROWS)
    source.write_text(source.read_text() + "chr9\t5\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(InputError, match=r"line 12: chromosome 'chr9' is not in g\.fa.*leave-out"):
        run(folder, tmp_path, source=source)
    frame, said = run(folder, tmp_path, source=source, unknown_chromosomes="leave-out")
    assert frame["unscored"][-1] == "chromosome that the genome does not have"
    assert "1 allele not scored: chromosome that the genome does not have" in said


def test_names_of_scores_in_info_are_each_another():
    names = ["exon+", "exon-", "a b", "a_b", "masked-llr", "B"]
    assert field_names(names) == [
        "convnova_exon_plus",
        "convnova_exon_minus",
        "convnova_a_b",
        "convnova_a_b_2",
        "convnova_masked_llr",
        "convnova_B",
    ]


def test_a_gene_finder_has_a_score_for_each_label(folder, tmp_path):
    pysam = pytest.importorskip("pysam")
    model = ConvNovaForTokenClassification(ConvNovaConfig(**TOY, num_labels=9))
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(tmp_path / "genes")
    saved = SavedGeneFinder("bend", False, "mcc", True)
    (tmp_path / "genes/task.json").write_text(json.dumps(saved.to_dict()))
    frame, _ = run(folder, tmp_path, model=tmp_path / "genes")
    labels = load_any(tmp_path / "genes").names
    assert set(labels) <= set(frame.columns)
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        record = next(one for one in file if one.pos == 60)
    assert len([name for name in record.info if name.startswith("convnova_")]) == len(labels) + 1


def test_a_label_that_is_called_as_a_column_is_no_place(folder, tmp_path):
    config = ConvNovaConfig(**TOY, num_labels=2, problem_type="multi_label_classification")
    ConvNovaForSequenceClassification(config).save_pretrained(tmp_path / "model")
    task = SavedTask(LabelScheme("multi-label", ("chromosome", "z")), "mcc", False)
    (tmp_path / "model/task.json").write_text(json.dumps(task.to_dict()))
    frame, _ = run(folder, tmp_path, model=tmp_path / "model", window_bp=20, name="out.csv")
    assert set(frame["chromosome"]) == {"chrI"}
    assert frame["chromosome_score"].dtype == pl.Float32


def test_an_output_that_exists_is_replaced_only_when_told(folder, tmp_path):
    run(folder, tmp_path, name="out.vcf")
    with pytest.raises(InputError, match="already exists; give another name, or --overwrite"):
        run(folder, tmp_path, name="out.vcf")
    run(folder, tmp_path, name="out.vcf", overwrite=True)


def test_a_variant_past_the_end_is_counted(folder, tmp_path):
    source = vcf(folder, tmp_path / "in.vcf", ROWS)
    source.write_text(source.read_text() + "chrI\t300\t.\tAAA\tC\t.\t.\t.\n")
    frame, _ = run(folder, tmp_path, source=source)
    assert frame["unscored"][-1] == "past the end of its chromosome"
