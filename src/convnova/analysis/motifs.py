"""Seqlets and motifs in the contributions of many sequences: TF-MoDISco, and known motifs that resemble them.

A seqlet is one of the stretches that contribute most; seqlets alike are a motif.

Source: Shrikumar et al., "Technical Note on Transcription Factor Motif Discovery from Importance Scores
(TF-MoDISco)", arXiv 1811.00416; done by modisco-lite, comparison with known motifs by memelite's Tomtom.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convnova.analysis.attribution import Attributions, library
from convnova.errors import InputError
from convnova.sequence import decode

FEWEST_SEQLETS = 20
"""Of a sign, from which motifs are made."""
FEWEST_KNOWN = 50
"""Known motifs below which Tomtom's p values depend on which they are."""
HIGHEST_E = 0.1
"""Of a known motif that is said to resemble one."""
_SHARE = 0.2
"""Of all windows, those beyond the ends included: the strongest may be the core of a seqlet.

It is the highest share that modisco-lite allows. Its own threshold is of the windows that go beyond a null
for long sequences, which are background for the most part; of short ones it is next to 0.
"""
_NOISE = 1e-3
"""That is added to contributions, as a share of what they spread by."""
_TRIMMED_BELOW = 0.3
"""Share of the strongest position below which the flanks of a motif are cut."""


class Motif(NamedTuple):
    """A motif that the model reads."""

    name: str
    """``pos_0`` is the motif of most seqlets that raise the output, ``neg_0`` of those that lower it."""
    frequencies: NDArray[np.float64]
    """Of A, C, G, T at each position, (width, 4)."""
    contributions: NDArray[np.float64]
    """Mean contribution of each letter at each position, (width, 4)."""
    sequences: NDArray[np.int64]
    """Number of the sequence of each seqlet."""
    starts: NDArray[np.int64]
    """Where the motif begins in it, 0-based."""
    is_reverse: NDArray[np.bool_]
    """Whether the seqlet is on the other strand."""
    matches: tuple[tuple[str, float], ...] = ()
    """Known motifs that resemble it, each name once, and the E value of that, best first: how many of the
    database would do so by chance."""

    @property
    def consensus(self) -> str:
        """The letter that contributes most at each position."""
        return decode(np.abs(self.contributions).argmax(1).astype(np.uint8))

    @property
    def weight(self) -> float:
        """How much the motif contributes over all sequences."""
        return float(np.abs(self.contributions).sum() * len(self.starts))


def find_motifs(found: Attributions, window_bp: int = 11, seed: int = 0) -> list[Motif]:
    """Return the motifs of contributions, that of the largest weight first.

    Args:
        found: contributions to one output, over many sequences.
        window_bp: length of the core of a seqlet: about that of the motifs looked for.
        seed: of the clustering.
    """
    tfmodisco = library("modiscolite.tfmodisco").TFMoDISco
    if not found.contributions.any():
        return []
    # Seqlets need flanks, so that what lies at an end would be left out: letters unknown are put around.
    around = ((0, 0), (2 * window_bp, 2 * window_bp), (0, 0))
    # Two stretches of zeros are to modisco-lite neither alike nor different but NaN, which ends all.
    hypothetical = np.pad(found.hypothetical, around)
    noise = np.random.default_rng(seed).normal(size=hypothetical.shape)
    hypothetical = hypothetical + _NOISE * found.hypothetical.std() * noise
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), _drawing_from(seed):
        by_sign = tfmodisco(
            one_hot=np.pad(found.one_hot, around, constant_values=0.25),
            hypothetical_contribs=hypothetical,
            sliding_window_size=window_bp,
            flank_size=window_bp // 2,
            trim_to_window_size=window_bp + 1,
            initial_flank_to_add=window_bp // 3,
            min_metacluster_size=FEWEST_SEQLETS,
            target_seqlet_fdr=1.0,  # so that the share decides alone
            max_passing_windows_frac=_SHARE,
        )
    motifs = [
        _motif(f"{sign}_{number}", pattern, 2 * window_bp)
        for sign, patterns in zip(("pos", "neg"), by_sign, strict=True)
        for number, pattern in enumerate(patterns or ())
    ]
    return sorted(motifs, key=lambda motif: motif.weight, reverse=True)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Seed the generator that modisco-lite draws from, which is everybody's, and leave it as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _motif(name: str, pattern: Any, before: int) -> Motif:
    """Return a motif, its weak flanks cut; so many letters were put before each sequence."""
    strength = np.abs(pattern.contrib_scores).sum(1)
    strong = np.flatnonzero(strength >= _TRIMMED_BELOW * strength.max())
    first, last = int(strong[0]), int(strong[-1]) + 1
    seqlets = pattern.seqlets
    is_reverse = np.array([bool(one.is_revcomp) for one in seqlets])
    starts = np.array([one.end - last if one.is_revcomp else one.start + first for one in seqlets]) - before
    return Motif(
        name,
        np.asarray(pattern.sequence[first:last], dtype=float),
        np.asarray(pattern.contrib_scores[first:last], dtype=float),
        np.array([one.example_idx for one in seqlets]),
        starts,
        is_reverse,
    )


def read_known(database: Path) -> dict[str, NDArray[np.float64]]:
    """Return known motifs in MEME's format, frequencies of A, C, G, T (4, width) by identifier and name.

    Raises:
        InputError: when the file is no such database.
    """
    read_meme = library("memelite.io").read_meme
    if not database.is_file():
        raise InputError(f"{database}: there is no such file; give known motifs in MEME's format")
    try:
        known = {name: np.asarray(one, dtype=float) for name, one in read_meme(str(database)).items()}
    except (OSError, ValueError, IndexError, KeyError):
        known = {}
    if not known or any(one.ndim != 2 or one.shape[0] != 4 for one in known.values()):
        raise InputError(f"{database}: cannot be read as motifs in MEME's format; give such a file")
    return known


def match_known(motifs: list[Motif], known: dict[str, NDArray[np.float64]], most: int = 3) -> list[Motif]:
    """Return the motifs with the known ones that resemble them, an E value of `HIGHEST_E` and less.

    Args:
        motifs: as `find_motifs` gives them.
        known: as `read_known` gives them; of an identifier and a name the name is told.
        most: known motifs that are kept of each.
    """
    if not motifs:
        return motifs
    memelite, names = library("memelite"), [name.split()[-1] for name in known]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few known motifs, which is told in words
        p_values = memelite.tomtom([motif.frequencies.T for motif in motifs], list(known.values()))[0]
    matched = []
    for motif, values in zip(motifs, np.asarray(p_values) * len(names), strict=True):
        best: dict[str, float] = {}
        for k in np.argsort(values):
            if values[k] <= HIGHEST_E and len(best) < most:
                best.setdefault(names[k], float(values[k]))
        matched.append(motif._replace(matches=tuple(best.items())))
    return matched


def write_meme(motifs: list[Motif]) -> str:
    """Return motifs in MEME's format."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    for motif in motifs:
        sites = len(motif.starts)
        lines += [
            f"MOTIF {motif.name} {motif.consensus}",
            f"letter-probability matrix: alength= 4 w= {len(motif.frequencies)} nsites= {sites} E= 0",
            *(" ".join(f"{value:.6f}" for value in row) for row in motif.frequencies),
            "",
        ]
    return "\n".join(lines)
