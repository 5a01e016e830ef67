"""What the classifier reads of the segments' features.

A readout is built as `kind(segment_length, num_segments, parts)`. It gathers the features of one segment,
`gather(features, mask)`, to a vector a sample, or one of each of its `parts` side by side; names the segments that it
reads, `segments(lengths)` as numbers t = 1..T; and reads them, `readout(outs, lengths)`: outs are what was gathered,
[batch, vectors width] each, and None where it is not read. It gives `vectors(num_segments)` of them side by side.
`earlier(t)` says whether segment t counts where a sample does not end in it; `join(so_far, out)` is what a stream keeps
of those that do. `apart` says that the classifier has weights of its own for each segment, and so takes num_segments of
them at most. `places` says that it reads `parts` places: "equal" parts of a segment, or tokens at its "ends".
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
    apart = False
    places = ""

    def earlier(self, t: int) -> bool:
        """Whether segment t counts where a sample does not end in it."""
        return False

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

    def _of_the_end(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"]) -> Tensor:
        """What was gathered of the segment in which each sample ends; a stream's outs are all before, and that one."""
        read = [t for t, out in enumerate(outs) if out is not None]
        if len(read) == 1:
            return outs[read[0]]
        place = torch.searchsorted(torch.tensor(read, device=lengths.device), self._ends(lengths))
        rows = torch.arange(lengths.shape[0], device=lengths.device)
        return torch.stack([outs[t] for t in read], 1)[rows, place.clamp(max=len(read) - 1)]

    def __call__(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        return self._of_the_end(outs, lengths) / (lengths - self._ends(lengths) * self.segment_length)[:, None]


class Pooled(Last):
    """Mean features of all valid tokens of all segments."""

    def earlier(self, t: int) -> bool:
        """All do."""
        return True

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
    places = "equal"

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


class Ends(Last):
    """Features of the first `parts` tokens and of the last ones of each sample's last segment, side by side.

    0 where a segment has fewer. For sequences that say at an end what is asked: BERT's classifier reads the first
    token (Devlin2019), a language model's the last.
    """

    places = "ends"

    def earlier(self, t: int) -> bool:
        """The first does."""
        return t == 1

    def vectors(self, num_segments: int) -> int:
        """One for each token at either end."""
        return self.parts + self.parts

    def gather(self, features: Float[Tensor, "batch places width"],
               mask: Bool[Tensor, "batch places"] | None) -> Float[Tensor, "batch all"]:
        """A segment's first tokens and its last valid ones, each in order; the last stand at the right."""
        batch, places, width = features.shape
        counts = features.new_full((batch,), places, dtype=torch.int64) if mask is None else mask.sum(1)
        first = torch.arange(self.parts, device=features.device).expand(batch, -1)
        wanted = torch.cat([first, first + counts[:, None] - self.parts], 1)
        there = (wanted >= 0) & (wanted < counts[:, None])
        found = features.gather(1, wanted.clamp(0, places - 1)[..., None].expand(-1, -1, width))
        return found.masked_fill(~there[..., None], 0).flatten(1)

    def segments(self, lengths: Int[Tensor, "batch"]) -> set[int]:
        """The first, and those in which a sample ends."""
        return {1} | super().segments(lengths)

    def join(self, so_far: Float[Tensor, "batch all"], out: Float[Tensor, "batch all"]) -> Tensor:
        """The first tokens of all, the last of the later one."""
        half = so_far.shape[1] // 2
        return torch.cat([so_far[:, :half], out[:, half:]], 1)

    def __call__(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch all"]:
        return self.join(outs[0], self._of_the_end(outs, lengths))


READOUT = {"last": Last, "pooled": Pooled, "largest": Largest, "by_segment": BySegment, "ends": Ends}
