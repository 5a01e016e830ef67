"""What the classifier reads of the segments' features.

A readout is built as `kind(segment_length, num_segments, parts)`. It gathers the features of one segment,
`gather(features, mask)`, to a vector a sample, or one of each of its `parts` side by side; names the segments that it
reads, `segments(lengths)` as numbers t = 1..T; and reads them, `readout(outs, lengths)`: outs are what was gathered,
[batch, vectors width] each, and None where it is not read. It gives `vectors(num_segments)` of them side by side.
`running` says that earlier segments count too: `join(so_far, out)` is what a stream keeps of all of them. `apart` says
that the classifier has weights of its own for each segment, and so takes num_segments of them at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch.nn import functional

from foundation.shapes import Bool, Float, Int, Tensor

LOWEST = torch.finfo(torch.float16).min  # below every normed feature, and finite in every precision


@dataclass(frozen=True)
class Last:
    """Mean features of each sample's own last segment."""

    segment_length: int
    num_segments: int
    parts: int = 1
    running = apart = False

    def vectors(self, num_segments: int) -> int:
        """How many vectors the classifier is given of so many segments."""
        return 1

    def gather(self, features: Float[Tensor, "batch places width"],
               mask: Bool[Tensor, "batch places"] | None) -> Float[Tensor, "batch width"]:
        """The sum over a segment's valid tokens."""
        return (features if mask is None else features * mask[..., None]).sum(1)

    def segments(self, lengths: Int[Tensor, "batch"]) -> set[int]:
        """Numbers t of the segments in which a sample ends."""
        return set((self._ends(lengths) + 1).tolist())

    def _ends(self, lengths: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """Index, from 0, of the segment in which each sample ends."""
        return (lengths - 1) // self.segment_length

    def __call__(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        index = self._ends(lengths)
        read = [t for t, out in enumerate(outs) if out is not None]
        if len(read) == 1:
            sums = outs[read[0]]
        else:
            place = torch.searchsorted(torch.tensor(read, device=lengths.device), index)
            sums = torch.stack([outs[t] for t in read], 1)[torch.arange(lengths.shape[0], device=lengths.device), place]
        return sums / (lengths - index * self.segment_length)[:, None]


class Pooled(Last):
    """Mean features of all valid tokens of all segments."""

    running = True

    def segments(self, lengths: Int[Tensor, "batch"]) -> set[int]:
        """Numbers t of all segments."""
        return set(range(1, 1 - -int(lengths.max()) // self.segment_length))

    def join(self, so_far: Float[Tensor, "batch width"], out: Float[Tensor, "batch width"]) -> Tensor:
        """The sum over the segments so far."""
        return so_far + out

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
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

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        return reduce(self.join, outs)


class BySegment(Pooled):
    """Mean features of each of the equal parts of each segment, side by side, 0 where no token is: the classifier
    knows what stood where. For images; weights of its own for each part of each segment.
    """

    apart = True

    def vectors(self, num_segments: int) -> int:
        """One for each part of each segment."""
        return num_segments * self.parts

    def gather(self, features: Float[Tensor, "batch places width"],
               mask: Bool[Tensor, "batch places"] | None) -> Float[Tensor, "batch all"]:
        """The mean over the valid tokens of each part; 0 where there is none."""
        places = features.shape[1]
        there = features.new_ones(1, places, 1) if mask is None else mask[..., None].to(features.dtype)
        sums, counts = (functional.pad(x, (0, 0, 0, self.segment_length - places)).unflatten(1, (self.parts, -1)).sum(2)
                        for x in (features if mask is None else features * there, there))
        return (sums / counts.clamp(min=1)).flatten(1)

    def join(self, so_far: Float[Tensor, "batch before"], out: Float[Tensor, "batch more"]) -> Tensor:
        """The segments so far, side by side."""
        return torch.cat([so_far, out], 1)

    def __call__(self, outs: Sequence[Tensor], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch all"]:
        found = torch.cat(list(outs), 1)
        return functional.pad(found, (0, self.num_segments * outs[-1].shape[1] - found.shape[1]))


READOUT = {"last": Last, "pooled": Pooled, "largest": Largest, "by_segment": BySegment}
