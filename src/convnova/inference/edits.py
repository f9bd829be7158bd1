"""What a changed base does to a ConvNova network, recomputed only where it can reach.

A changed base is seen by a few bases around it after the stem, by more after each block, and never by one
that is half a receptive field away. So the reference is read once, what each layer made of it is kept, and of
an edited sequence each layer computes a window that is as wide as the change has spread:

    sequence    ──────────────────a─b──────────────────     bases a up to b are new
    stem        ················▒▒▒▒▒▒▒················     recomputed, and read from the reference
    block 1     ··············▒▒▒▒▒▒▒▒▒▒▒··············
    block 2     ··········▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒··········
                left of it as in the reference, right of it too, moved by what was inserted or removed

The numbers are those of a pass over the whole edited sequence, for substitutions, insertions and deletions.
Where the new bases alone are asked for, the windows close again above: the last block computes these bases.

N reference sequences, L their padded length in bp, M edits, W width of a window, C channels.
"""

from functools import cached_property
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE
from convnova.model.layers_convnova import GatedConvBlock, SameConv, keep_real
from convnova.model.modeling_convnova import COMPLEMENT, ConvNovaModel


class Edits(NamedTuple):
    """M edits, each of one reference sequence: so many bases give way to so many others."""

    rows: Tensor
    """Which sequence is edited, (M,)."""
    starts: Tensor
    """First base that is replaced; without any, the base before which others are inserted, (M,)."""
    removed: int
    """Bases of the reference that go."""
    inserted: Tensor
    """Ids that come in their place, (M, n)."""

    @property
    def ends(self) -> Tensor:
        """One past the last new base, in the edited sequence, (M,)."""
        return self.starts + self.inserted.shape[1]

    @property
    def growth(self) -> int:
        """By how much a sequence gets longer; negative when it gets shorter."""
        return self.inserted.shape[1] - self.removed

    def reference_places(self, places: Tensor) -> Tensor:
        """Return where places of the edited sequences (M, W) are in the reference; -1 for what is inserted.

        New bases of a substitution are where the old ones were.
        """
        moved = torch.where(places < self.starts.unsqueeze(1), places, places - self.growth)
        is_new = (places >= self.starts.unsqueeze(1)) & (places < self.ends.unsqueeze(1))
        return torch.where(is_new & (self.growth != 0), -1, moved)

    def opposite(self, lengths: Tensor) -> "Edits":
        """Return the same edits as the other strand has them; `lengths` are those of the references, (N,)."""
        starts = lengths[self.rows] - self.starts - self.removed
        complement = torch.tensor(COMPLEMENT, device=self.inserted.device)
        return self._replace(starts=starts, inserted=complement[self.inserted.flip(1)])


class Changed(NamedTuple):
    """What is new in the last hidden states of edited sequences."""

    hidden: Tensor
    """Windows of the edited sequences, (M, W, C); anything beyond an end."""
    starts: Tensor
    """First base of each window in its edited sequence, (M,); negative before its begin."""
    is_inside: Tensor
    """Whether a position of a window is one of the sequence, (M, W)."""

    @property
    def places(self) -> Tensor:
        """Positions of the windows in their edited sequences, (M, W)."""
        return self.starts.unsqueeze(1) + torch.arange(self.hidden.shape[1], device=self.starts.device)


class _Level(NamedTuple):
    """What one block has of the references, each (N, L, C), or of their middle."""

    features: Tensor
    gates: Tensor | None
    feature_input: Tensor
    gate_input: Tensor | None


class ReferencePass:
    """Reference sequences with what each layer makes of them; edits of them are cheap from then on.

    Args:
        model: backbone without downsampling, in evaluation mode.
        input_ids: ids of the references, (N, L).
        lengths: bases of each, which are on the left, (N,); default all.
        is_inner: whether references go on beyond both ends, and nothing is asked for within half a receptive
            field of these; no layer computes what only that would need.

    Raises:
        InputError: for a network that downsamples.
    """

    def __init__(
        self,
        model: ConvNovaModel,
        input_ids: Tensor,
        lengths: Tensor | None = None,
        is_inner: bool = False,
    ):
        if model.config.downsampling:
            raise InputError("with downsampling all that follows an edit moves; read each sequence whole")
        self.model, self.ids, self.is_inner = model, input_ids, is_inner
        self._blocks = cast("list[GatedConvBlock]", list(model.blocks))
        count, self.length_bp = input_ids.shape
        self.lengths = input_ids.new_full((count,), self.length_bp) if lengths is None else lengths
        places = torch.arange(self.length_bp, device=input_ids.device)
        is_real = places < self.lengths.unsqueeze(1)
        mask = None if is_real.all() else is_real.unsqueeze(-1).to(model.dtype)
        bases = F.one_hot(input_ids, model.config.vocab_size).to(model.dtype)
        self._bases = keep_real(bases, mask)
        self._levels: list[_Level] = []
        features, gates = model.branches(self._bases, is_inner)
        for number, block in enumerate(self._blocks):
            if number:
                features, gates = self._after_last()
            here = None if mask is None else _middle(mask, features.shape[1])
            read, other = block.feature_input(features, here), None
            if block.gate_conv is not None:
                other = block.gate_input(features, gates, here)
            self._levels.append(_Level(features, gates, read, other))
        self._opposite: ReferencePass | None = None
        self._last: tuple[Edits, Changed] | None = None
        self._turned: tuple[Edits, Edits] | None = None

    @cached_property
    def hidden(self) -> Tensor:
        """Last hidden states of the references, (N, L, C); the last block is computed once they are read.

        They are 0 where `is_inner` leaves them out.
        """
        found = self.model.output(self._after_last()[0])
        left_out = (self.length_bp - found.shape[1]) // 2
        return F.pad(found, (0, 0, left_out, left_out)) if left_out else found

    def _after_last(self) -> tuple[Tensor, Tensor | None]:
        """Return both branches after the last block whose level is there."""
        block, level = self._blocks[len(self._levels) - 1], self._levels[-1]

        def read(conv: SameConv, x: Tensor) -> Tensor:
            return conv.inner(x) if self.is_inner else conv(x)

        hidden, gate = block.feature_activation(read(block.feature_conv, level.feature_input)), None
        if block.gate_conv is not None and level.gate_input is not None:
            gate = block.gate_activation(read(block.gate_conv, level.gate_input))
        gates = None if level.gates is None else _middle(level.gates, hidden.shape[1])
        return block.add(_middle(level.features, hidden.shape[1]), gates, hidden, gate)

    def opposite(self) -> "ReferencePass":
        """Return the pass over the other strand of the references, which is made once."""
        if self._opposite is None:
            self._opposite = self._of_other_strand()
        return self._opposite

    def _of_other_strand(self) -> "ReferencePass":
        places = self.lengths.unsqueeze(1) - 1 - torch.arange(self.length_bp, device=self.ids.device)
        complement = torch.tensor(COMPLEMENT, device=self.ids.device)
        turned = complement[self.ids.gather(1, places.clamp(min=0))].where(places >= 0, self.ids)
        return ReferencePass(self.model, turned, self.lengths, self.is_inner)

    def opposite_of(self, edits: Edits) -> Edits:
        """Return edits of the other strand as this one has them; the last ones are kept."""
        if self._turned is None or self._turned[0] is not edits:
            self._turned = edits, edits.opposite(self.lengths)
        return self._turned[1]

    def edited_ids(self, edits: Edits, changed: Changed) -> Tensor:
        """Return the bases of the windows, (M, W); anything beyond an end."""
        places = changed.places
        kept = edits.reference_places(places).clamp(0, self.length_bp - 1)
        ids = self.ids[edits.rows.unsqueeze(1), kept]
        first = edits.starts - changed.starts
        columns = first.unsqueeze(1) + torch.arange(edits.inserted.shape[1], device=ids.device)
        return ids.scatter(1, columns, edits.inserted)

    def edited(self, edits: Edits) -> Changed:
        """Return the last hidden states of edited sequences, where they are not those of their reference.

        Those of the last edits are kept, for all that is read of them.
        """
        if self._last is None or self._last[0] is not edits:
            reach = self.model.config.receptive_field // 2
            self._last = edits, self._edited(edits, reach)
        return self._last[1]

    def edited_alone(self, edits: Edits) -> Tensor:
        """Return the last hidden states of the new bases alone, at least one, (M, n, C)."""
        return self._edited(edits, reach=0).hidden

    def _edited(self, edits: Edits, reach: int) -> Changed:
        """Return the last hidden states of edited sequences up to so many bases from the new ones."""
        stem, spreads = STEM_KERNEL_SIZE // 2, [block.feature_conv.reach for block in self._blocks]
        reaches = [stem]
        for depth, spread in enumerate(spreads, start=1):
            reaches.append(min(reaches[-1] + spread, reach + sum(spreads[depth:])))
        widest = max(2 * stem, *(after + spread for after, spread in zip(reaches[1:], spreads, strict=True)))
        new = F.one_hot(edits.inserted, self.model.config.vocab_size).to(self._bases.dtype)
        around = _Around.of(edits, self.lengths, self.length_bp, widest)
        features, gates = self.model.branches(around.widened(self._bases, new, 2 * stem), is_inner=True)
        for block, level, before, after in zip(
            self._blocks, self._levels, reaches, reaches[1:], strict=False
        ):
            around = around._replace(reach=before)
            read_reach, mask = after + block.feature_conv.reach, around.mask(features.dtype)
            read = around.widened(level.feature_input, block.feature_input(features, mask), read_reach)
            hidden, gate = block.feature_activation(block.feature_conv.inner(read)), None
            if block.gate_conv is not None and level.gate_input is not None:
                read = around.widened(level.gate_input, block.gate_input(features, gates, mask), read_reach)
                gate = block.gate_activation(block.gate_conv.inner(read))
            features = around.widened(level.features, features, after)
            if level.gates is not None and gates is not None:
                gates = around.widened(level.gates, gates, after)
            features, gates = block.add(features, gates, hidden, gate)
        around = around._replace(reach=reaches[-1])
        return Changed(self.model.output(features), edits.starts - around.reach, around.is_inside())


class _Around(NamedTuple):
    """The windows around edits at one depth: what has changed, and where the rest is in the reference."""

    edits: Edits
    lengths: Tensor
    """Of the references, (N,)."""
    length_bp: int
    """Of the padded references."""
    is_within: bool
    """Whether all that is read around any edit lies in its reference."""
    reach: int = 0
    """Bases of a window to either side of the new ones."""

    @classmethod
    def of(cls, edits: Edits, lengths: Tensor, length_bp: int, widest: int) -> "_Around":
        """Return the new bases alone, around which at most so many bases are read."""
        is_within = (edits.starts >= widest) & (edits.starts + edits.removed + widest <= lengths[edits.rows])
        return cls(edits, lengths, length_bp, bool(is_within.all()))

    def widened(self, level: Tensor, changed: Tensor, reach: int) -> Tensor:
        """Return the changed window (M, W, C) with the reference around it, or cut, up to a reach."""
        by = reach - self.reach
        if by <= 0:
            return changed[:, -by : changed.shape[1] + by]
        edits, steps = self.edits, torch.arange(by, device=level.device)
        left = (edits.starts - reach).unsqueeze(1) + steps
        right = (edits.starts + edits.removed + self.reach).unsqueeze(1) + steps
        return torch.cat([self._picked(level, left), changed, self._picked(level, right)], dim=1)

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return 1 at positions of the window that are in the sequence, (M, W, 1); None when all are."""
        return None if self.is_within else self.is_inside().unsqueeze(-1).to(dtype)

    def is_inside(self) -> Tensor:
        """Return whether a position of the window is one of the edited sequence, (M, W)."""
        edits = self.edits
        steps = torch.arange(2 * self.reach + edits.inserted.shape[1], device=self.lengths.device)
        places = (edits.starts - self.reach).unsqueeze(1) + steps
        return (places >= 0) & (places < (self.lengths[edits.rows] + edits.growth).unsqueeze(1))

    def _picked(self, level: Tensor, places: Tensor) -> Tensor:
        """Return what the reference, or its middle (N, W, C), has at places (M, n); zero beyond its ends."""
        width = level.shape[1]
        columns = (places - (self.length_bp - width) // 2).clamp(0, width - 1)
        rows = self.edits.rows.unsqueeze(1) * width + columns
        picked = F.embedding(rows, level.flatten(0, 1))
        if self.is_within:
            return picked
        is_inside = (places >= 0) & (places < self.lengths[self.edits.rows].unsqueeze(1))
        return keep_real(picked, is_inside.unsqueeze(-1))


def _middle(x: Tensor, width: int) -> Tensor:
    """Return the middle of x (N, L, C), (N, W, C)."""
    first = (x.shape[1] - width) // 2
    return x[:, first : first + width]
