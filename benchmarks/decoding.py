"""Seconds per Mb of the gene decoder, against a dense Viterbi over every state at every base.

Both decode simulated genes in a random genome, with emissions that are peaked as those of a trained network
are, and are compared for equal scores and genes before anything is timed. The twin is slow in proportion to
its states, and has one for each length that it counts: the two are compared with the least introns of 4
bases and without a least length of genes. The decoder alone is timed on more, and as it is by default.
"""

import statistics
from functools import partial
from typing import Any

import numpy as np
from dense_viterbi import decode_densely
from measure import arguments, interleaved, paired_ratio, report, save
from numpy.typing import NDArray
from simulated_genes import emissions_of, simulate

from convnova.inference.genes import Decoder, DecoderSettings, GeneModel
from convnova.sequence import Ids

SEED = 7
SHORT = DecoderSettings(min_intron_bp=4, min_coding_bp=0, min_site_probability=0)
ALONE = {
    "decoder, exact": DecoderSettings(min_site_probability=0),
    "decoder, as it is by default": DecoderSettings(),
}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--kb", type=int, default=20, help="sequence for both, in kb")
    parser.add_argument("--mb", type=float, default=2.0, help="sequence for the decoder alone, in Mb")
    parser.add_argument("--rounds", type=int, default=5, help="each round is one run of each")
    options = parser.parse_args(argv)
    if options.quick:
        options.kb, options.mb, options.rounds = 3, 0.01, 1
    rng = np.random.default_rng(SEED)
    rows = []

    length = options.kb * 1000
    emissions, ids, _ = peaked(length, rng)
    check(emissions, ids)
    both = {
        "decoder": partial(decode, emissions, ids, SHORT),
        "dense Viterbi": partial(decode_densely, emissions, ids, SHORT),
    }
    times = interleaved(both, options.rounds)
    rows += [row(f"{name}, least introns of 4", each, length) for name, each in times.items()]
    rows[0]["times faster"] = paired_ratio(times["decoder"], times["dense Viterbi"])

    length = int(options.mb * 1e6)
    emissions, ids, genes = peaked(length, rng)
    times = interleaved(
        {name: partial(decode, emissions, ids, settings) for name, settings in ALONE.items()},
        options.rounds,
        warmup=0,
    )
    rows += [row(name, each, length) for name, each in times.items()]
    for each, settings in zip(rows[2:], ALONE.values(), strict=True):
        each["genes found"] = len(genes & set(plain(decode(emissions, ids, settings)))) / len(genes)

    settings = {"kb for both": options.kb, "Mb for the decoder": options.mb, "rounds": options.rounds}
    shown = [
        [
            each["task"],
            f"{each['seconds per Mb']:.2f}",
            f"{each['times faster']:,.0f}" if "times faster" in each else "",
            f"{each['genes found']:.1%}" if "genes found" in each else "",
        ]
        for each in rows
    ]
    report("decoding", settings, ["task", "s per Mb", "times faster", "genes found"], shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("decoding", result)
    return result


def peaked(length: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], Ids, set[Any]]:
    """Return emissions, ids and the genes of a simulated sequence."""
    simulated = simulate(length, rng)
    return emissions_of(simulated.classes, rng), simulated.ids, set(simulated.genes)


def decode(emissions: NDArray[np.float32], ids: Ids, settings: DecoderSettings) -> list[GeneModel]:
    """Return the genes of one sequence."""
    decoder = Decoder("simulated", settings)
    decoder.feed(emissions, ids)
    return decoder.finish()


def plain(genes: list[GeneModel]) -> list[Any]:
    """Return strand and coding exons of each gene, as the twin and the simulation have them."""
    return [(gene.strand, tuple((exon.start, exon.end) for exon in gene.coding_exons)) for gene in genes]


def check(emissions: NDArray[np.float32], ids: Ids) -> None:
    """Raise `RuntimeError` when decoder and twin do not find the same."""
    genes, slow = decode(emissions, ids, SHORT), decode_densely(emissions, ids, SHORT)
    if plain(genes) != slow.genes or not np.isclose(sum(gene.score for gene in genes), slow.score):
        raise RuntimeError("the decoder and its twin do not find the same genes")


def row(task: str, times: list[float], length: int) -> dict[str, Any]:
    return {"task": task, "seconds per Mb": statistics.median(times) / length * 1e6}


if __name__ == "__main__":
    main()
