"""Gene-finding tasks from each kind of files: what is in which part, and every wrong input."""

import gzip
from itertools import pairwise

import numpy as np
import pytest
from toy_genes import coding, make_genome, write_all, write_fasta, write_genbank, write_gff3, write_gtf

from convnova.data.base_labels import LABEL_SETS, GeneLabelSettings
from convnova.data.gene_settings import GeneDataSettings
from convnova.data.gene_task import load_gene_task, overlapping
from convnova.errors import InputError
from convnova.genome import Gene, Interval
from convnova.sequence import decode, reverse_complement_text

SPLITS = ["train", "validation", "test"]
LETTERS, GENES = make_genome(900)


@pytest.fixture
def toy(tmp_path):
    write_all(tmp_path, 900)
    return tmp_path


def load(folder, labels=None, seed=0, **changes):
    files = {"genome": folder / "g.fa", "annotation": folder / "g.gff3"}
    return load_gene_task(GeneDataSettings(**files | changes), labels or GeneLabelSettings(), seed)


def by_chromosome(folder, **changes):
    return load(folder, **{"validation_chromosomes": ["chr10"], "test_chromosomes": ["chr1"]} | changes)


def names(part):
    return [str(region) for region in part.regions]


def slow_labels(letters, genes):
    """Return the name of the label of each base, base by base."""
    rows = {name: ["intergenic"] * len(text) for name, text in letters.items()}
    for gene in genes:
        row, strand = rows[gene.chromosome], gene.strand
        for start, end in gene.exons:
            row[start:end] = [f"exon{strand}"] * (end - start)
        for (_, start), (end, _) in pairwise(gene.exons):
            inside = ["donor", *["intron"] * (end - start - 2), "acceptor"]
            row[start:end] = [f"{label}{strand}" for label in (inside if strand == "+" else inside[::-1])]
    return rows


def check_labels(task, letters=LETTERS, genes=GENES):
    """Each base of each part has its letter and its label."""
    rows = slow_labels(letters, genes)
    for part in task.parts.values():
        for index, (region, labels) in enumerate(zip(part.regions, part.labels, strict=True)):
            text = letters[region.chromosome][region.start : region.end]
            assert decode(part.fetch(index, 0, region.width)) == text
            expected = rows[region.chromosome][region.start : region.end]
            assert [task.label_set.labels[label] for label in labels] == expected


def test_chromosomes_are_the_parts(toy):
    task = by_chromosome(toy)
    assert list(task.parts) == list(task.genes) == SPLITS
    assert [region.chromosome for region in task.parts["train"].regions] == ["chr2", "chr3"]
    for split, chromosomes in {"train": ["chr2", "chr3"], "validation": ["chr10"], "test": ["chr1"]}.items():
        assert coding(task.genes[split]) == [gene for gene in GENES if gene.chromosome in chromosomes]
    check_labels(task)
    assert task.label_set is LABEL_SETS["bend"]
    assert task.notes[0] == f"g.fa: {len(GENES)} genes"
    assert task.notes[3:] == tuple(
        f"{split}: 0.0% of its stretches of 96 bp are in train too, on either strand"
        for split in ("validation", "test")
    )


def test_without_chromosomes_about_a_twentieth_is_held_out_twice(toy):
    task = load(toy, annotation=write_gff3(toy / "some.gff3", GENES))
    assert list(task.parts) == SPLITS
    total = sum(map(len, LETTERS.values()))
    assert sum(part.total_bp for part in task.parts.values()) == total
    check_labels(task)


@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_each_label_set(toy, label_set):
    task = by_chromosome(toy, labels=GeneLabelSettings(label_set=label_set))
    assert task.label_set is LABEL_SETS[label_set]
    counts = task.parts["train"].counts(len(task.label_set.labels))
    is_utr = np.array([name.startswith("UTR") for name in task.label_set.labels])
    assert ((counts > 0) == ~is_utr).all()


def test_a_gene_begins_with_a_start_and_ends_with_a_stop(toy):
    task = by_chromosome(toy, labels=GeneLabelSettings(label_set="frame"))
    labels = task.parts["test"].labels[0]
    for gene in (gene for gene in GENES if gene.chromosome == "chr1"):
        (start, _), (_, end) = gene.exons[0], gene.exons[-1]
        codons = [6, 1, 2, 0, 1, 7] if gene.strand == "+" else [15, 9, 8, 10, 9, 14]
        assert [*labels[start : start + 3], *labels[end - 3 : end]] == codons


def test_the_rows_of_a_bed_file_are_the_parts_and_their_genes_are_those_that_overlap_them(toy):
    genes = [gene for gene in GENES if gene.chromosome == "chr2"]
    first, last = genes[0].exons[0][0], genes[0].exons[-1][1]
    rows = [("chr3", 0, 800, "train"), ("chr10", 10, 700, "valid"), ("chr2", first, last, "test")]
    rows += [("chr2", last + 5, genes[1].exons[-1][1] - 1, "test")]
    (toy / "parts.bed").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    task = load(toy, intervals=toy / "parts.bed")
    assert names(task.parts["test"]) == [f"chr2:{start + 1}-{end}" for _, start, end, _ in rows[2:]]
    assert coding(task.genes["test"]) == genes[:2]
    check_labels(task)


def test_overlapping_matches_bruteforce():
    rng = np.random.default_rng(0)
    names = rng.choice(["a", "b"], 200)
    spans = [(int(start), int(start + width)) for start, width in rng.integers(1, 60, (200, 2))]
    placed = [Interval(str(name), *span) for name, span in zip(names, spans, strict=True)]
    genes = [Gene(place, str(number), "", ()) for number, place in enumerate(placed[:150])]
    for regions in (placed[150:], placed[150:153], [Interval("c", 0, 9)], []):
        expected = [gene for gene in genes if any(gene.interval.overlaps(region) for region in regions)]
        assert overlapping(genes, regions) == expected


def test_the_header_of_bends_bed_file_is_passed_over_with_an_annotation_too(toy):
    rows = [("chr3", 0, 800, "train"), ("chr10", 10, 700, "valid"), ("chr2", 0, 900, "test")]
    text = "".join(
        "\t".join(map(str, row)) + "\n" for row in [("chromosome", "start", "end", "split"), *rows]
    )
    (toy / "parts.bed").write_text(text)
    assert names(load(toy, intervals=toy / "parts.bed").parts["test"]) == ["chr2:1-900"]


def test_genes_elsewhere_are_left_out_when_told_to(toy, caplog):
    few = {name: text for name, text in LETTERS.items() if name != "chr2"}
    write_fasta(toy / "few.fa", few)
    with pytest.raises(InputError, match=r"g\.gff3, line 2: chromosome 'chr2' is not in .* leave-out$"):
        by_chromosome(toy, genome=toy / "few.fa")
    task = by_chromosome(toy, genome=toy / "few.fa", unknown_chromosomes="leave-out")
    kept = [gene for gene in GENES if gene.chromosome in few]
    assert sorted(coding([gene for genes in task.genes.values() for gene in genes])) == sorted(kept)
    assert f"{len(GENES) - len(kept)} genes on other chromosomes are left out (chr2)" in caplog.text


def test_a_strand_in_a_bed_file_changes_nothing(toy):
    """Parts are stretches of the genome; it is genes that have a strand."""
    rows = [("chr3", 0, 800, "train"), ("chr10", 10, 700, "valid"), ("chr2", 0, 900, "test")]
    for name, strand in (("plain", "."), ("stranded", "-")):
        text = "".join("\t".join(map(str, (*row, 0, strand))) + "\n" for row in rows)
        (toy / f"{name}.bed").write_text(text)
    plain, stranded = (load(toy, intervals=toy / f"{name}.bed") for name in ("plain", "stranded"))
    for split in SPLITS:
        assert plain.parts[split].regions == stranded.parts[split].regions
        np.testing.assert_array_equal(plain.parts[split].labels, stranded.parts[split].labels)
    check_labels(stranded)


def test_a_gtf_that_calls_chromosomes_otherwise(toy):
    gtf = write_gtf(toy / "g.gtf", GENES)
    assert gtf.read_text().startswith("2\t")
    plain, other = by_chromosome(toy), by_chromosome(toy, annotation=gtf)
    for split in SPLITS:
        assert coding(other.genes[split]) == coding(plain.genes[split])
        for a, b in zip(plain.parts[split].labels, other.parts[split].labels, strict=True):
            np.testing.assert_array_equal(a, b)


def test_gzip_files_are_the_same_task(toy):
    for name in ("g.fa", "g.gff3"):
        (toy / f"{name}.gz").write_bytes(gzip.compress((toy / name).read_bytes()))
    packed = by_chromosome(toy, genome=toy / "g.fa.gz", annotation=toy / "g.gff3.gz", cache=toy / "cache")
    assert coding(packed.genes["train"]) == coding(by_chromosome(toy).genes["train"])
    assert any((toy / "cache").iterdir())


# A test file of its own


def other_genome(folder):
    """Write the genome turned around, under other names, and its genes."""
    letters = {
        name.replace("chr", "scaffold"): reverse_complement_text(text) for name, text in LETTERS.items()
    }
    genes = [
        gene._replace(
            chromosome=gene.chromosome.replace("chr", "scaffold"),
            strand="-+"["+-".index(gene.strand)],
            exons=tuple(
                (len(LETTERS[gene.chromosome]) - end, len(LETTERS[gene.chromosome]) - start)
                for start, end in reversed(gene.exons)
            ),
        )
        for gene in GENES
    ]
    return letters, write_fasta(folder / "other.fa", letters), write_gff3(folder / "other.gff3", genes), genes


def test_a_test_annotation_with_its_own_genome(toy):
    letters, fasta, gff3, genes = other_genome(toy)
    task = load(toy, test_annotation=gff3, test_genome=fasta, validation_chromosomes=["chr3"])
    assert names(task.parts["test"]) == [f"{name}:1-{len(text)}" for name, text in letters.items()]
    assert sorted(coding(task.genes["test"])) == sorted(genes)
    assert [region.chromosome for region in task.parts["train"].regions] == ["chr2", "chr10", "chr1"]
    assert [region.chromosome for region in task.parts["validation"].regions] == ["chr3"]
    check_labels(task, LETTERS | letters, GENES + genes)
    assert len(task.notes) == 8
    assert task.notes[-1].startswith("test: 76.3% of its stretches")  # read from the other strand


def test_a_test_annotation_on_the_genome_of_training_is_refused(toy):
    with pytest.raises(
        InputError, match=r"more\.gff3: its genes lie on the genome that is trained on; hold out"
    ):
        load(toy, test_annotation=write_gff3(toy / "more.gff3", GENES[:3]))


def test_a_copy_of_the_genome_of_training_is_refused_in_small_letters_too(toy):
    copy = write_fasta(toy / "copy.fa", {name: text.lower() for name, text in LETTERS.items()})
    with pytest.raises(InputError, match="its genes lie on the genome that is trained on"):
        load(toy, test_annotation=write_gff3(toy / "more.gff3", GENES[:3]), test_genome=copy)


# GenBank


def test_records_are_parts_drawn_by_seed(tmp_path):
    pytest.importorskip("Bio")
    path = write_genbank(tmp_path / "train.gb", 12)

    def load_records(seed, **changes):
        data = GeneDataSettings(annotation=path, validation_share=0.25, **changes)
        return load_gene_task(data, GeneLabelSettings(), seed)

    first, again, other = load_records(1), load_records(1), load_records(2)
    parts = {split: names(part) for split, part in first.parts.items()}
    assert {split: len(found) for split, found in parts.items()} == {"train": 6, "validation": 3, "test": 3}
    assert len({name for found in parts.values() for name in found}) == 12
    assert {split: names(part) for split, part in again.parts.items()} == parts
    assert {split: names(part) for split, part in other.parts.items()} != parts
    test = write_genbank(tmp_path / "test.gb", 4, seed=1)
    two_files = load_records(1, test_annotation=test)
    assert names(two_files.parts["validation"]) == parts["validation"]
    assert sorted(names(two_files.parts["train"])) == sorted(parts["train"] + parts["test"])
    assert len(two_files.parts["test"].regions) == 4
    for part in two_files.parts.values():
        for index, labels in enumerate(part.labels):
            text = decode(part.fetch(index, 0, len(labels)))
            starts = np.flatnonzero((labels[:-1] == 8) & (labels[1:] == 0))
            assert [text[start + 1 : start + 4] for start in starts] == ["ATG"] * len(starts)


def test_records_can_be_named_as_chromosomes_are(tmp_path):
    pytest.importorskip("Bio")
    path = write_genbank(tmp_path / "train.gb", 6)
    held_out = {"validation_chromosomes": ["locus4"], "test_chromosomes": ["locus0", "locus2"]}
    task = load_gene_task(GeneDataSettings(annotation=path, **held_out), GeneLabelSettings())
    assert [region.chromosome for region in task.parts["validation"].regions] == ["locus4"]
    assert [region.chromosome for region in task.parts["test"].regions] == ["locus0", "locus2"]
    assert [region.chromosome for region in task.parts["train"].regions] == ["locus1", "locus3", "locus5"]


def test_a_genbank_file_is_tested_on_a_genome(toy):
    pytest.importorskip("Bio")
    data = GeneDataSettings(
        annotation=write_genbank(toy / "train.gb", 4),
        test_annotation=toy / "g.gff3",
        test_genome=toy / "g.fa",
    )
    task = load_gene_task(data, GeneLabelSettings())
    assert [len(task.parts[split].regions) for split in SPLITS] == [3, 1, 4]
    assert coding(task.genes["test"]) == GENES


@pytest.mark.parametrize(("records", "share"), [(1, 0.1), (2, 0.1), (4, 0.5)])
def test_too_few_records_leave_none_to_train_on(tmp_path, records, share):
    pytest.importorskip("Bio")
    path = write_genbank(tmp_path / "train.gb", records)
    message = rf"train\.gb: {records} records leave none to train on; give more, or lower validation_share"
    with pytest.raises(InputError, match=message):
        load_gene_task(GeneDataSettings(annotation=path, validation_share=share), GeneLabelSettings())


def test_two_records_of_one_name_are_refused(tmp_path):
    pytest.importorskip("Bio")
    path = write_genbank(tmp_path / "train.gb", 3)
    path.write_text(path.read_text().replace("locus2", "locus0"))
    with pytest.raises(InputError, match=r"train\.gb: two records are called 'locus0'; rename one"):
        load_gene_task(GeneDataSettings(annotation=path), GeneLabelSettings())


# Wrong input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genome": None}, r"g\.gff3: it needs the sequences that its genes lie on; give --genome"),
        ({"validation_chromosomes": ["chrQ"]}, r"chromosome 'chrQ' is not in g\.fa"),
        ({"validation_chromosomes": ["chr2"]}, "no gene lies in the validation part; hold out other chromo"),
        ({"test_chromosomes": ["chr2"]}, "no gene lies in the test part; hold out other chromosomes"),
        (
            {"validation_chromosomes": [*LETTERS], "test_chromosomes": []},
            "nothing is left for the train part",
        ),
        ({"validation_chromosomes": []}, "nothing is left for the validation part"),
    ],
)
def test_wrong_parts_are_refused_in_one_line(toy, changes, message):
    write_gff3(toy / "g.gff3", [gene for gene in GENES if gene.chromosome != "chr2"])
    with pytest.raises(InputError, match=message) as caught:
        by_chromosome(toy, **changes)
    assert "\n" not in str(caught.value)


def test_genes_of_another_assembly_are_refused_without_introns_too(toy):
    letters, genes = make_genome(3000)
    write_gff3(toy / "g.gff3", [gene for gene in genes if len(gene.exons) == 1])
    write_fasta(toy / "g.fa", {name: text[1:] + "A" for name, text in letters.items()})
    with pytest.raises(
        InputError, match=r"g\.gff3: only 0\.0% of the \d+ transcripts of whole codons begin with"
    ):
        by_chromosome(toy)


@pytest.mark.parametrize(
    "labels", [*map(GeneLabelSettings, LABEL_SETS), GeneLabelSettings(exons="annotated")], ids=str
)
def test_an_annotation_without_cds_teaches_no_coding_exon(toy, labels):
    """As StringTie writes it."""
    gtf = write_gtf(toy / "g.gtf", GENES)
    gtf.write_text(gtf.read_text().replace("CDS", "exon"))
    message = rf"g\.gtf: none of its {len(GENES)} genes has CDS, so there is nothing to learn; give an .* CDS"
    with pytest.raises(InputError, match=message):
        by_chromosome(toy, annotation=gtf, labels=labels)
    labels = GeneLabelSettings(exons="annotated", label_noncoding_genes=True)
    task = by_chromosome(toy, annotation=gtf, labels=labels)
    assert task.notes[2].startswith("0 coding transcripts: 0 no multiple of three, 0 without ATG")
    check_labels(task)


def test_a_test_annotation_needs_a_genome(tmp_path):
    pytest.importorskip("Bio")
    gff3 = write_gff3(tmp_path / "g.gff3", GENES)
    data = GeneDataSettings(annotation=write_genbank(tmp_path / "a.gb", 3), test_annotation=gff3)
    with pytest.raises(InputError, match=r"g\.gff3: it needs the sequences .*; give --test_genome"):
        load_gene_task(data, GeneLabelSettings())


def test_a_bed_file_without_validation_is_refused(toy):
    (toy / "parts.bed").write_text("chr3\t0\t800\ttrain\nchr2\t0\t900\ttest\n")
    with pytest.raises(InputError, match=r"parts\.bed: nothing is left for the validation part"):
        load(toy, intervals=toy / "parts.bed")


def test_genes_of_another_assembly_are_refused(toy):
    write_fasta(toy / "g.fa", {name: text[:500] for name, text in LETTERS.items()})
    with pytest.raises(InputError, match=r"g\.gff3, line \d+: end \d+ is past the end of chr2 \(500 bp\)"):
        by_chromosome(toy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give an annotation and its genome, or base_labels, intervals and a genome"),
        ({"annotation": "a", "base_labels": "b"}, "give an annotation and its genome, or base_labels"),
        (
            {"base_labels": "b", "genome": "g"},
            "base_labels needs the intervals that they belong to, and their",
        ),
        ({"base_labels": "b", "intervals": "i"}, "base_labels needs the intervals that they belong to, and"),
        ({"annotation": "a", "test_genome": "g"}, "test_genome needs the test_annotation of its genes"),
        ({"annotation": "a", "test_annotation": "t", "test_chromosomes": ["c"]}, "test is a file of its own"),
        ({"annotation": "a", "test_annotation": "t", "intervals": "i"}, "test is a file of its own here, so"),
        (
            {"annotation": "a", "intervals": "i", "test_chromosomes": ["c"]},
            "either by intervals or by chromo",
        ),
        ({"annotation": "a", "intervals": "i", "validation_chromosomes": ["c"]}, "by chromosomes, not both"),
        ({"annotation": "a", "validation_share": 0}, "validation_share must be between 0 and 1, got 0"),
        ({"annotation": "a", "validation_share": 1}, "validation_share must be between 0 and 1, got 1"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(InputError, match=message):
        GeneDataSettings(**changes)
