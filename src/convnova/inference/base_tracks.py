"""Whole genomes through a model that has an output for each base: tiles, one after another or on a cluster.

    chromosome   ACGT……NNNNNNNN……ACGT…………     N alone, longer than a receptive field, is passed over
    tiles        [────][──]       [────][──]    each read with half a receptive field on either side
    contigs      [─] [──] [─]                   small ones together, padded on the right

The numbers are those of one pass over each chromosome, whatever the size of the tiles. Bases that are N have
none.

L length in bp, K outputs.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from convnova.evaluation.mode import evaluating
from convnova.genome import Genome, Interval
from convnova.inference.any_model import AnyModel
from convnova.inference.compute import allow_tf32
from convnova.inference.inputs import ahead, model_inputs
from convnova.inference.partial import Partial
from convnova.inference.tiles import with_halo
from convnova.sequence import Ids, N, reverse_complement

BYTES_A_BASE = 40
"""For each channel, that a pass of inference holds at its peak (measured: 26 at 64 channels)."""
_SCANNED_BP = 2**24


class Tile(NamedTuple):
    """A stretch that is predicted at once."""

    chromosome: str
    start: int
    end: int


Values = NDArray[np.float32]
"""(L, K); NaN where the base is N."""


def tile_length(model: Any, memory_mb: float) -> int:
    """Return how many bases fit into a tile with its surroundings, at least one receptive field."""
    bases = int(memory_mb * 2**20 / (BYTES_A_BASE * model.config.hidden_size))
    return max(bases - model.config.receptive_field, model.config.receptive_field)


def tiles_of(genome: Genome, regions: Sequence[Interval], tile_bp: int, gap_bp: int) -> Iterator[Tile]:
    """Yield the tiles of regions, in their order; runs of N of a length and more are in none."""
    for region in regions:
        for start, end in known_stretches(genome, region, gap_bp):
            for first in range(start, end, tile_bp):
                yield Tile(region.chromosome, first, min(first + tile_bp, end))


def known_stretches(genome: Genome, region: Interval, gap_bp: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a region between runs of N of at least `gap_bp`, and without N at their ends."""
    index = genome.index_of(region.chromosome)
    begin, last = -1, -1  # of the stretch that goes on; its last known base
    for start in range(region.start, region.end, _SCANNED_BP):
        ids = genome.window(index, start, min(start + _SCANNED_BP, region.end))
        known = np.flatnonzero(ids != N) + start
        if not len(known):
            continue
        if begin < 0:
            begin = last = int(known[0])
        jumps = np.flatnonzero(np.diff(known, prepend=last) > gap_bp)
        for place in jumps.tolist():
            yield begin, (int(known[place - 1]) if place else last) + 1
            begin = int(known[place])
        last = int(known[-1])
    if begin >= 0:
        yield begin, last + 1


def groups_of(tiles: Iterator[Tile], tile_bp: int, around_bp: int) -> Iterator[list[Tile]]:
    """Yield tiles, small ones next to each other together while they fill one with their padding.

    Args:
        tiles: in their order.
        tile_bp: length of the largest.
        around_bp: bases that are read around each.
    """
    group: list[Tile] = []
    longest = 0
    for tile in tiles:
        longest = max(longest, tile.end - tile.start + around_bp)
        if group and (len(group) + 1) * longest > tile_bp + around_bp:
            yield group
            group, longest = [], tile.end - tile.start + around_bp
        group.append(tile)
    if group:
        yield group


def predict_group(loaded: AnyModel, genome: Genome, group: Sequence[Tile], strands: bool) -> list[Values]:
    """Return the outputs of some tiles: probabilities of labels, or of A, C, G, T."""
    return _predict_read(loaded, _read(loaded, genome, group), strands)


class _Read(NamedTuple):
    """What is read for a tile, and where the tile is in it."""

    ids: Ids
    kept: slice


def _read(loaded: AnyModel, genome: Genome, group: Sequence[Tile]) -> list[_Read]:
    halo = loaded.model.config.receptive_field // 2
    found = []
    for tile in group:
        size = genome.chromosome_sizes[tile.chromosome]
        first, last, kept = with_halo(tile.start, tile.end, halo, size)
        found.append(_Read(genome.window(genome.index_of(tile.chromosome), first, last), kept))
    return found


def _predict_read(loaded: AnyModel, group: Sequence[_Read], strands: bool) -> list[Values]:
    read = [one.ids for one in group]
    with evaluating(loaded.model), torch.inference_mode():
        found = _probabilities(loaded, read)
        if strands:
            turned = _probabilities(loaded, [reverse_complement(ids) for ids in read])
            opposite = list(loaded.opposite)
            found = [
                np.float32(0.5) * (one + other[::-1, opposite])
                for one, other in zip(found, turned, strict=True)
            ]
    return [
        np.where((ids[kept] == N)[:, None], np.float32(np.nan), one[kept])
        for (ids, kept), one in zip(group, found, strict=True)
    ]


def _probabilities(loaded: AnyModel, sequences: Sequence[Ids]) -> list[Values]:
    logits = loaded.model(**model_inputs(loaded.model, sequences)).logits[..., : len(loaded.names)].float()
    found = logits.softmax(-1).cpu().numpy()
    return [one[: len(ids)] for one, ids in zip(found, sequences, strict=True)]


Group = list[Tile]
Engine = Callable[[Iterator[Group]], Iterator[tuple[Group, list[Values]]]]
"""Gives the values of groups of tiles, in their order."""


def in_process(loaded: AnyModel, genome: Genome, strands: bool) -> Engine:
    """Return the engine that predicts one group after another."""

    def run(groups: Iterator[Group]) -> Iterator[tuple[Group, list[Values]]]:
        for group, read in ahead((group, _read(loaded, genome, group)) for group in groups):
            yield group, _predict_read(loaded, read, strands)

    return run


def on_ray(ray: Any, loaded: AnyModel, genome: Genome, strands: bool, threads: int, gpus: float) -> Engine:
    """Return the engine that spreads groups over a cluster; a lost worker's group is predicted again.

    Model and genome are sent once; each machine opens the genome's store at its own path.
    """
    workers = max(1, int(ray.cluster_resources().get("CPU", 1) // threads))
    model = ray.put(loaded._replace(model=loaded.model.cpu()))

    is_allowed = torch.backends.cudnn.allow_tf32

    def work(loaded: AnyModel, genome: Genome, group: Group) -> list[Values]:
        torch.set_num_threads(threads)
        allow_tf32(is_allowed)
        loaded.model.to("cuda" if gpus else "cpu")
        return predict_group(loaded, genome, group, strands)

    remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(work)

    def run(groups: Iterator[Group]) -> Iterator[tuple[Group, list[Values]]]:
        waiting: deque[tuple[Group, Any]] = deque()
        try:
            for group in groups:
                waiting.append((group, remote.remote(model, genome, group)))
                if len(waiting) > 2 * workers:  # no more are held than are soon written
                    yield waiting[0][0], ray.get(waiting[0][1])
                    waiting.popleft()
            while waiting:
                yield waiting[0][0], ray.get(waiting[0][1])
                waiting.popleft()
        finally:
            for _, reference in waiting:
                ray.cancel(reference, force=True)

    return run


def going_on(engine: Engine, partial: Partial, columns: Sequence[int]) -> Engine:
    """Return an engine of some outputs, which begins with the groups that are there and keeps the others."""

    def run(groups: Iterator[Group]) -> Iterator[tuple[Group, list[Values]]]:
        for number in range(len(partial)):
            group = next(groups)
            ends = np.cumsum([tile.end - tile.start for tile in group])
            yield group, np.split(partial[number], ends[:-1])
        for group, values in engine(groups):
            of_columns = [one[:, columns] for one in values]
            partial.add(np.concatenate(of_columns))
            yield group, of_columns

    return run
