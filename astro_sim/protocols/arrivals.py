"""When spikes act that fall between steps: on which step, and how far from it.

A spike that a connection delays arrives at its time plus the delay. An effect that knows how it moves until the end of
the step (it says so by `since_arrival` or `arrival_time`) is exact; any other acts on the nearest step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.protocols.trains import Poisson, Train
from foundation.errors import UserError
from foundation.shapes import Float, Int

SNAP = 1e-6  # of a step: arrivals that are nearer to it fall on it, as sums of decimal times are not exact


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Of every arrival the source `elements`, the `steps` on which it acts, and `offsets` (s) from the arrival to it.

    Ordered by element, then time. An offset is negative where the step comes before the arrival.
    """

    elements: Int[np.ndarray, "arrival"]
    steps: Int[np.ndarray, "arrival"]
    offsets: Float[np.ndarray, "arrival"]

    def table(self, size: int) -> Float[np.ndarray, "count element"]:
        """The offsets of each of `size` sources, in order of time, padded with zeros."""
        counts = np.bincount(self.elements, minlength=size)
        rows = np.arange(len(self.elements)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = np.zeros((max(1, counts.max(initial=0)), size))
        found[rows, self.elements] = self.offsets
        return found


def whole_steps(times: Float[np.ndarray, "..."], dt: float, before: bool) -> Int[np.ndarray, "..."]:
    """The last step at or before each of `times` (s), or the first at or after it."""
    shares = np.asarray(times) / dt
    return (np.floor(shares + SNAP) if before else np.ceil(shares - SNAP)).astype(int)


def arrivals(trains: Sequence[Train], size: int, *, delay: float, dt: float, steps: int, before: bool) -> Arrivals:
    """The arrivals of what `size` sources send in `steps` steps of dt (s), `delay` s after it is sent.

    before: each acts on the last step before it, else on the first after it. Errors: `UserError` where two given spikes
    of an element fall into one step. Poisson spikes then move to the next step that is free.
    """
    found: list[tuple] = []
    for train in trains:
        for element in range(size) if train.elements is None else train.elements:
            times = train.of(element) + delay
            at = whole_steps(times, dt, before)
            if (np.diff(at) < 1).any():
                if not isinstance(train, Poisson):
                    raise UserError(f"dt: two spikes of {train.input} meet in one step of {dt:g} s; give a shorter "
                                    "step")
                at = np.maximum.accumulate(at - np.arange(len(at))) + np.arange(len(at))
            kept = at <= steps
            offsets = at[kept] * dt - times[kept]
            offsets[np.abs(offsets) < SNAP * dt] = 0.0
            found.append((np.full(kept.sum(), element), at[kept], offsets))
    elements, at, offsets = (np.concatenate([np.zeros(0, kind), *column]) for kind, column in
                             zip((int, int, float), zip(*found, strict=True) if found else ((), (), ()), strict=True))
    order = np.lexsort((at, elements))
    return Arrivals(elements[order], at[order], offsets[order])
