"""Retention rules: how the memory tokens that leave a segment become those that enter the next."""

import torch

from foundation.shapes import Float, Int, Tensor
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import Analogy, FromRecord, declare
from rmaat.biology.recorded import Recorded


class Retention(Recorded):
    """A rule; one of your own is a class under this one with a `forward`.

        class Half(Retention):
            def forward(self, memory, proposed, t):
                return (memory + proposed) / 2

    Built from the record and T, called as `rule(memory, proposed, t)` with t = 1..T after each segment; `proposed` is
    the paper's mem'. Shapes: [batch, tokens, width] throughout. `hold(name, values)` keeps numbers from the record.
    A rule that says `per_sample = True` is called as `rule(memory, proposed, t, T)` where schedule = sample, T int64
    [batch] being the number of each sample's segments.
    """

    needs_num_segments = False  # whether T is in the rule; a stream has none
    per_sample = False          # whether `forward` takes the T of each sample

    def __init__(self, biology: Biology, num_segments: int):
        super().__init__()

    def enter(self, memory: Float[Tensor, "batch tokens width"],
              initial: Float[Tensor, "tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """What a segment sees of the memory."""
        return memory

    def forward(self, memory: Float[Tensor, "batch tokens width"], proposed: Float[Tensor, "batch tokens width"],
                t: int) -> Float[Tensor, "batch tokens width"]:
        """The memory after segment t."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward(memory, proposed, t)")


class Keep(Retention):
    """mem': the segment's output is the memory (no retention)."""

    def forward(self, memory: Float[Tensor, "batch tokens width"], proposed: Float[Tensor, "batch tokens width"],
                t: int) -> Float[Tensor, "batch tokens width"]:
        # (E5.6) none: mem'
        return proposed


class Reset(Keep):
    """Control: every segment starts from the initial memory tokens, so nothing passes from one to the next."""

    def enter(self, memory: Float[Tensor, "batch tokens width"],
              initial: Float[Tensor, "tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """The initial memory tokens, whatever the memory is."""
        return initial.expand_as(memory)


class _Scheduled(Retention):
    """A rule with one gain per segment, float64 [T]; t = 1..T. T is the config's, or [batch] of each sample's own."""

    needs_num_segments = per_sample = True
    origins = declare(retention=FromRecord("retention", equation="E4.2"))
    analogies = (Analogy("E5.6", "memory tokens: long-term state of the astrocytes; a segment: one cycle"),)

    def __init__(self, biology: Biology, num_segments: int):
        super().__init__(biology, num_segments)
        # (E4.2) RF(t,T)
        self.hold("retention", biology.retention(num_segments))
        self.biology = biology

    def shares(self, t: int, T: Int[Tensor, "batch"] | None) -> tuple[Tensor, Tensor | int]:
        """RF(t, T) and T: one number for all, or [batch, 1, 1] for each sample; after its end those of its last."""
        if T is None:
            return self.retention[t - 1], len(self.retention)
        own = T.double()
        # (E4.2) RF(t,T)
        return self.biology.curves["retention"](t=own.clamp(max=t), T=own)[:, None, None], own[:, None, None]


def _times(gain: Tensor, x: Float[Tensor, "batch tokens width"]) -> Tensor:
    """gain x in x's type, as a number times a tensor is: multiplied in float32 where x is half precision."""
    return gain * x if gain.ndim == 0 else (gain.to(torch.promote_types(x.dtype, torch.float32)) * x).to(x.dtype)


class Multiply(_Scheduled):
    """RF mem', as in Mia2026. Its identity path shrinks as the product of the factors, about (1/T)^T."""

    def forward(self, memory, proposed, t, T=None):
        # (E5.6) multiply: RF mem'
        return _times(self.shares(t, T)[0], proposed)


class Accumulate(_Scheduled):
    """mem + T RF (mem' - mem): each segment writes its share of the capacity; the mean gain T RF is 1."""

    def forward(self, memory, proposed, t, T=None):
        RF, count = self.shares(t, T)
        # (E5.6) accumulate: mem + T RF (mem' - mem)
        return memory + _times(count * RF, proposed - memory)


class _Recursive(Retention):
    """A rule that needs q alone, and no T."""

    origins = declare(q=FromRecord("retention", "q", "E4.1"))
    analogies = _Scheduled.analogies

    def __init__(self, biology: Biology, num_segments: int):
        super().__init__(biology, num_segments)
        self.hold("q", torch.tensor(biology.q, dtype=torch.float64, device="cpu"))


class Leaky(_Recursive):
    """q mem + (1-q) mem': the exact step of the LTP equation with the segment as its drive."""

    def forward(self, memory, proposed, t):
        # (E5.6) leaky: q mem + (1-q) mem'
        return self.q * memory + (1 - self.q) * proposed


class Geometric(_Recursive):
    """mem + q^(t-1) (mem' - mem): the gains of `accumulate` without T."""

    def forward(self, memory, proposed, t):
        # (E5.6) geometric: mem + q^(t-1) (mem' - mem)
        return memory + self.q ** (t - 1) * (proposed - memory)


SCHEDULE = {"config": "T is the config's for all samples", "sample": "T is the number of each sample's own segments"}
RETENTION: dict[str, type[Retention]] = {
    "none": Keep, "multiply": Multiply, "accumulate": Accumulate, "leaky": Leaky, "geometric": Geometric,
    "reset": Reset}
