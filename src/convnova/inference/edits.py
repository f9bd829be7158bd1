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

N reference sequences, L their padded length in bp, M edits, W width of a window, C channels.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from convnova.errors import InputError
from convnova.model.configuration_convnova import STEM_KERNEL_SIZE
from convnova.model.layers_convnova import GatedConvBlock
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
    """What one block has of the reference, as rows to pick from, (N L + 1, C): the last one is zero."""

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

    Raises:
        InputError: for a network that downsamples.
    """

    hidden: Tensor
    """Last hidden states of the references, (N, L, C)."""

    def __init__(self, model: ConvNovaModel, input_ids: Tensor, lengths: Tensor | None = None):
        if model.config.downsampling:
            raise InputError("with downsampling all that follows an edit moves; read each sequence whole")
        self.model, self.ids = model, input_ids
        self._blocks = cast("list[GatedConvBlock]", list(model.blocks))
        count, self.length_bp = input_ids.shape
        self.lengths = input_ids.new_full((count,), self.length_bp) if lengths is None else lengths
        places = torch.arange(self.length_bp, device=input_ids.device)
        is_real = places < self.lengths.unsqueeze(1)
        mask = None if is_real.all() else is_real.unsqueeze(-1).to(model.dtype)
        bases = F.one_hot(input_ids, model.config.vocab_size).to(model.dtype)
        bases = bases if mask is None else bases * mask
        self._bases = _rows(bases)
        self._levels = []
        features, gates = model.branches(bases)
        for block in self._blocks:
            read, other, gate = block.feature_input(features, mask), None, None
            hidden = block.feature_activation(block.feature_conv(read))
            if block.gate_conv is not None:
                other = block.gate_input(features, gates, mask)
                gate = block.gate_activation(block.gate_conv(other))
            self._levels.append(
                _Level(
                    _rows(features),
                    None if gates is None else _rows(gates),
                    _rows(read),
                    None if other is None else _rows(other),
                )
            )
            features, gates = block.add(features, gates, hidden, gate)
        self.hidden = model.output(features)
        self._opposite: ReferencePass | None = None
        self._last: tuple[Edits, Changed] | None = None
        self._turned: tuple[Edits, Edits] | None = None

    def opposite(self) -> "ReferencePass":
        """Return the pass over the other strand of the references, which is made once."""
        if self._opposite is None:
            self._opposite = self._of_other_strand()
        return self._opposite

    def _of_other_strand(self) -> "ReferencePass":
        places = self.lengths.unsqueeze(1) - 1 - torch.arange(self.length_bp, device=self.ids.device)
        complement = torch.tensor(COMPLEMENT, device=self.ids.device)
        turned = complement[self.ids.gather(1, places.clamp(min=0))].where(places >= 0, self.ids)
        return ReferencePass(self.model, turned, self.lengths)

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
            self._last = edits, self._edited(edits)
        return self._last[1]

    def _edited(self, edits: Edits) -> Changed:
        new = F.one_hot(edits.inserted, self.model.config.vocab_size).to(self._bases.dtype)
        around = _Around(edits, self.lengths, self.length_bp, reach=0)
        stem = STEM_KERNEL_SIZE // 2
        features, gates = self.model.branches(around.widened(self._bases, new, 2 * stem), is_inner=True)
        around = around.wider(stem)
        for block, level in zip(self._blocks, self._levels, strict=True):
            reach, mask = block.feature_conv.reach, around.mask(features.dtype)
            read = around.widened(level.feature_input, block.feature_input(features, mask), 2 * reach)
            hidden, gate = block.feature_activation(block.feature_conv.inner(read)), None
            if block.gate_conv is not None and level.gate_input is not None:
                read = around.widened(level.gate_input, block.gate_input(features, gates, mask), 2 * reach)
                gate = block.gate_activation(block.gate_conv.inner(read))
            features = around.widened(level.features, features, reach)
            if level.gates is not None and gates is not None:
                gates = around.widened(level.gates, gates, reach)
            features, gates = block.add(features, gates, hidden, gate)
            around = around.wider(reach)
        return Changed(self.model.output(features), edits.starts - around.reach, around.is_inside())


class _Around:
    """The windows around edits at one depth: what has changed, and where the rest is in the reference."""

    def __init__(self, edits: Edits, lengths: Tensor, length_bp: int, reach: int):
        self.edits, self.lengths, self.length_bp, self.reach = edits, lengths, length_bp, reach

    def wider(self, by: int) -> "_Around":
        """Return the windows after the change has spread by so many bases to either side."""
        return _Around(self.edits, self.lengths, self.length_bp, self.reach + by)

    def widened(self, level: Tensor, changed: Tensor, by: int) -> Tensor:
        """Return the changed window (M, W, C) with so many bases of the reference on either side."""
        edits, steps = self.edits, torch.arange(by, device=level.device)
        left = (edits.starts - self.reach - by).unsqueeze(1) + steps
        right = (edits.starts + edits.removed + self.reach).unsqueeze(1) + steps
        return torch.cat([level[self._rows_at(left)], changed, level[self._rows_at(right)]], dim=1)

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return 1 at positions of the window that are in the sequence, (M, W, 1); None when all are."""
        is_inside = self.is_inside()
        return None if is_inside.all() else is_inside.unsqueeze(-1).to(dtype)

    def is_inside(self) -> Tensor:
        """Return whether a position of the window is one of the edited sequence, (M, W)."""
        edits = self.edits
        steps = torch.arange(2 * self.reach + edits.inserted.shape[1], device=self.lengths.device)
        places = (edits.starts - self.reach).unsqueeze(1) + steps
        return (places >= 0) & (places < (self.lengths[edits.rows] + edits.growth).unsqueeze(1))

    def _rows_at(self, places: Tensor) -> Tensor:
        """Return the rows of places in the reference (M, n): beyond an end the row of zeros."""
        is_inside = (places >= 0) & (places < self.lengths[self.edits.rows].unsqueeze(1))
        rows = self.edits.rows.unsqueeze(1) * self.length_bp + places
        return torch.where(is_inside, rows, self.lengths.numel() * self.length_bp)


def _rows(x: Tensor) -> Tensor:
    """Return x (N, L, C) as rows, and one of zeros, (N L + 1, C)."""
    return F.pad(x.flatten(0, 1), (0, 0, 0, 1))
