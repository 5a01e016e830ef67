"""What the classifier reads of the segments' features, beside the memory tokens.

A readout names the segments whose features it reads, `segments(lengths, segment_length)` as numbers t = 1..T, and
reads them, `readout(outs, lengths, segment_length)`: outs are sums over valid tokens, [batch, width] each, and None
where they are not read. `running` says that the features of earlier segments count too, as one sum.
"""

from collections.abc import Sequence
from functools import reduce

import torch

from foundation.shapes import Float, Int, Tensor


class Last:
    """Mean features of each sample's own last segment."""

    running = False

    def segments(self, lengths: Int[Tensor, "batch"], segment_length: int) -> set[int]:
        """Numbers t of the segments in which a sample ends."""
        return set(((lengths - 1) // segment_length + 1).tolist())

    def __call__(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"],
                 segment_length: int) -> Float[Tensor, "batch width"]:
        index = (lengths - 1) // segment_length
        read = [t for t, out in enumerate(outs) if out is not None]
        if len(read) == 1:
            sums = outs[read[0]]
        else:
            place = torch.searchsorted(torch.tensor(read, device=lengths.device), index)
            sums = torch.stack([outs[t] for t in read], 1)[torch.arange(len(lengths), device=lengths.device), place]
        return sums / (lengths - index * segment_length)[:, None]


class Pooled:
    """Mean features of all valid tokens of all segments."""

    running = True

    def segments(self, lengths: Int[Tensor, "batch"], segment_length: int) -> set[int]:
        """Numbers t of all segments."""
        return set(range(1, 1 - -int(lengths.max()) // segment_length))

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"],
                 segment_length: int) -> Float[Tensor, "batch width"]:
        return reduce(torch.add, outs) / lengths[:, None]  # in order, as a stream adds them


READOUT = {"last": Last(), "pooled": Pooled()}
