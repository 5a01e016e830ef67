"""When spikes act that fall between steps: on which step, and how far from it.

A spike that a connection delays arrives at its time plus the delay. An effect that knows how it moves until the end of
the step (it says so by `since_arrival` or `arrival_time`) is exact; any other acts on the nearest step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.protocols.trains import Poisson, Train, in_turn, refuse_crowds
from foundation.errors import UserError
from foundation.shapes import Float, Int

SNAP = 1e-6  # of a step: arrivals that are nearer to it fall on it, as sums of decimal times are not exact


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Of every arrival the source `elements`, the `steps` on which it acts, and `offsets` (s) from the arrival to it.

    Ordered by element, then time. An offset is negative where the step comes before the arrival. `places` counts those
    of an element that act on one step, from 0.
    """

    elements: Int[np.ndarray, "arrival"]
    steps: Int[np.ndarray, "arrival"]
    offsets: Float[np.ndarray, "arrival"]
    places: Int[np.ndarray, "arrival"]

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

    before: each acts on the last step before it, else on the first after it. A step is told of one arrival of an
    element that comes: a second of a Poisson train is told to the next step. Errors: `UserError` where given spikes are
    so near, and as of `refuse_crowds`.
    """
    elements, times = [np.zeros(0, int)], [np.zeros(0)]
    for train in trains:
        for element in range(size) if train.elements is None else train.elements:
            times.append(train.of(element) + delay)
            elements.append(np.full(len(times[-1]), element))
    senders, when = np.concatenate(elements), np.concatenate(times)
    at = whole_steps(when, dt, before)
    if before:
        at = _one_a_step(trains, senders, when, at=at, dt=dt)
    kept = at <= steps
    senders, when, at = senders[kept], when[kept], at[kept]
    order, places = in_turn(senders, when, at)
    refuse_crowds(trains, places, dt)
    offsets = at[order] * dt - when[order]
    offsets[np.abs(offsets) < SNAP * dt] = 0.0
    return Arrivals(senders[order], at[order], offsets, places)


def _one_a_step(trains: Sequence[Train], senders: Int[np.ndarray, "arrival"], when: Float[np.ndarray, "arrival"], *,
                at: Int[np.ndarray, "arrival"], dt: float) -> Int[np.ndarray, "arrival"]:
    """The steps `at`, second arrivals of an element in a step moved to the next that is free."""
    moved = at.copy()
    for element in np.unique(senders):
        mine = np.flatnonzero(senders == element)
        mine = mine[np.argsort(when[mine], kind="stable")]
        moved[mine] = np.maximum.accumulate(at[mine] - np.arange(len(mine))) + np.arange(len(mine))
    if (moved != at).any() and not all(isinstance(train, Poisson) for train in trains):
        raise UserError(f"dt: two spikes of {trains[0].input} meet in one step of {dt:g} s, and what they do takes "
                        "one; give a shorter step")
    return moved
