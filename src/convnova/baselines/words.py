"""Bases to words: single bases, words of six side by side with the rest one by one, and overlapping words.

    sequence       A C G T A C G N T T A A T T C
    side by side   [ACGTAC      ] G N [TTAATT] C          Nucleotide Transformer: a word begins after each N
    overlapping    [ACG][CGT][GTA][TAC][ACG][?][?]...      DNABERT, k = 3: a word with N is unknown

Words are numbered in the order A, T, C, G, which both systems have.

B batch, L length in bp, T tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from convnova.sequence import N

_ORDER = torch.tensor([0, 2, 3, 1])
"""Place of A, C, G, T among A, T, C, G."""


class Words(NamedTuple):
    """Words of a batch of sequences, without special tokens."""

    numbers: Tensor
    """Number of each whole word (B, T); -1 where it is none."""
    first_base: Tensor
    """Id of the base that each word begins with, (B, T)."""
    mask: Tensor
    """1 at words, 0 at padding, (B, T)."""
    of_base: Tensor
    """Which word stands for each base, (B, L)."""


def overlapping_words(ids: Tensor, mask: Tensor, k: int) -> Words:
    """Return the words of k bases that begin at each base but the last k - 1; at least one a sequence.

    A base is stood for by the word that it is in the middle of, or the nearest to that.

    Args:
        ids: (B, L).
        mask: 1 at bases, 0 at padding on the right, (B, L).
        k: bases in a word.
    """
    numbers = word_numbers(ids, mask, k)
    lengths = mask.sum(dim=1, keepdim=True)
    counts = (lengths - k + 1).clamp(min=1)
    width = int(counts.max())
    places = torch.arange(ids.shape[1], device=ids.device)
    of_base = (places - k // 2).clamp(min=0).expand_as(ids).minimum(counts - 1)
    is_word = (places[:width] < counts).long()
    return Words(numbers[:, :width], ids[:, :width], is_word, of_base)


def words_side_by_side(ids: Tensor, mask: Tensor, k: int) -> Words:
    """Return words of k bases from the begin of each stretch without N, and the bases left over one by one.

    Arguments are those of `overlapping_words`.
    """
    length = ids.shape[1]
    places = torch.arange(length, device=ids.device).expand_as(ids)
    is_real = mask.bool()
    is_break = ~is_real | (ids == N)
    begin = torch.where(is_break, places, -1).cummax(dim=1).values + 1  # of the stretch that a base is in
    end = torch.where(is_break, places, length).flip(1).cummin(dim=1).values.flip(1)
    within = places - begin
    is_single = is_break | (within >= (end - begin) // k * k)
    is_begin = is_real & (is_single | (within % k == 0))
    of_base = (is_begin.cumsum(dim=1) - 1).clamp(min=0)
    counts = is_begin.sum(dim=1)
    width = int(counts.max())
    row, place = is_begin.nonzero(as_tuple=True)
    column = of_base[row, place]
    numbers, first = (ids.new_zeros(len(ids), width) for _ in range(2))
    numbers[row, column] = torch.where(is_single, -1, word_numbers(ids, mask, k))[row, place]
    first[row, column] = ids[row, place]
    is_word = (torch.arange(width, device=ids.device) < counts[:, None]).long()
    return Words(numbers, first, is_word, of_base)


def word_numbers(ids: Tensor, mask: Tensor, k: int) -> Tensor:
    """Return the number of the word of k bases that begins at each base, (B, L); -1 with N, or cut short."""
    known = (ids != N) & mask.bool()
    bases = torch.where(known, _ORDER.to(ids.device)[ids.clamp(max=N - 1)], 0)
    bases = torch.nn.functional.pad(bases, (0, k - 1)).unfold(1, k, 1)
    is_whole = torch.nn.functional.pad(known, (0, k - 1)).unfold(1, k, 1).all(dim=-1)
    powers = 4 ** torch.arange(k - 1, -1, -1, device=ids.device)
    return torch.where(is_whole, (bases * powers).sum(dim=-1), -1)
