"""What the classifier reads of the segments' features.

A readout gathers the features of one segment, `gather(features, mask)`, to one vector a sample; names the segments
whose vectors it reads, `segments(lengths, segment_length)` as numbers t = 1..T; and reads them,
`readout(outs, lengths, segment_length)`: outs are the vectors, [batch, width] each, and None where they are not read.
`running` says that earlier segments count too: `join(so_far, out)` is the vector of all of them.
"""

from collections.abc import Sequence
from functools import reduce

import torch

from foundation.shapes import Bool, Float, Int, Tensor

LOWEST = torch.finfo(torch.float16).min  # below every normed feature, and finite in every precision


def ends(lengths: Int[Tensor, "batch"], segment_length: int) -> Int[Tensor, "batch"]:
    """Index, from 0, of the segment in which each sample ends."""
    return (lengths - 1) // segment_length


class Last:
    """Mean features of each sample's own last segment."""

    running = False

    def gather(self, features: Float[Tensor, "batch places width"],
               mask: Bool[Tensor, "batch places"] | None) -> Float[Tensor, "batch width"]:
        """The sum over a segment's valid tokens."""
        return (features if mask is None else features * mask[..., None]).sum(1)

    def segments(self, lengths: Int[Tensor, "batch"], segment_length: int) -> set[int]:
        """Numbers t of the segments in which a sample ends."""
        return set((ends(lengths, segment_length) + 1).tolist())

    def __call__(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"],
                 segment_length: int) -> Float[Tensor, "batch width"]:
        index = ends(lengths, segment_length)
        read = [t for t, out in enumerate(outs) if out is not None]
        if len(read) == 1:
            sums = outs[read[0]]
        else:
            place = torch.searchsorted(torch.tensor(read, device=lengths.device), index)
            sums = torch.stack([outs[t] for t in read], 1)[torch.arange(lengths.shape[0], device=lengths.device), place]
        return sums / (lengths - index * segment_length)[:, None]


class Pooled(Last):
    """Mean features of all valid tokens of all segments."""

    running = True

    def segments(self, lengths: Int[Tensor, "batch"], segment_length: int) -> set[int]:
        """Numbers t of all segments."""
        return set(range(1, 1 - -int(lengths.max()) // segment_length))

    def join(self, so_far: Float[Tensor, "batch width"], out: Float[Tensor, "batch width"]) -> Tensor:
        """The sum over the segments so far."""
        return so_far + out

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"],
                 segment_length: int) -> Float[Tensor, "batch width"]:
        return reduce(self.join, outs) / lengths[:, None]  # in order, as a stream adds them


class Largest(Pooled):
    """The largest value of each feature over all valid tokens of all segments: one strong sign is not averaged away."""

    def gather(self, features: Float[Tensor, "batch places width"],
               mask: Bool[Tensor, "batch places"] | None) -> Float[Tensor, "batch width"]:
        """The largest of a segment's valid tokens; where there is none, a number below all."""
        return (features if mask is None else features.masked_fill(~mask[..., None], LOWEST)).amax(1)

    def join(self, so_far: Float[Tensor, "batch width"], out: Float[Tensor, "batch width"]) -> Tensor:
        """The larger of both."""
        return torch.maximum(so_far, out)

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"],
                 segment_length: int) -> Float[Tensor, "batch width"]:
        return reduce(self.join, outs)


READOUT = {"last": Last(), "pooled": Pooled(), "largest": Largest()}
