"""What can be wrong with a result: not finite, out of bounds, alternating from step to step, jumping, a law broken.

Whole series and pieces of a long one are checked alike: each block of rows is seen with the rows before it, against
what the whole run moved through.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from astro_sim.model import Law
from astro_sim.plan import NOTHING, Plan
from astro_sim.recording.recording import Recording
from foundation.shapes import Array, Bool, Float

ALTERNATIONS = 8  # a resolved course does not turn back at each of so many consecutive steps
ROUNDING = 1e-6   # of the size of a variable: smaller changes may be rounding
JUMP = 0.5        # of a variable's range in one step: more is not resolved (unless an event caused it)
SEEN_AGAIN = ALTERNATIONS + 1  # rows before a block that decide about its first row
Rows = Any        # an array, or a dataset of an open file, whose type is not loaded for its name
BLOCK = 1 << 16   # numbers: a block and what is computed from it stay in the processor's cache


@dataclass
class Extent:
    """What every element moved through until now: lowest, highest, largest finite magnitude; float64 (element,)."""

    low: Float[Array, "element"] | None = None
    high: Float[Array, "element"] | None = None
    size: Float[Array, "element"] | None = None

    def add(self, values: Float[Array, "time element"]) -> None:
        """Take in more rows, (time, element); a NaN stays in `low` and `high`."""
        low, high = values.min(axis=0), values.max(axis=0)
        size = np.maximum(np.abs(low), np.abs(high))
        if not np.isfinite(size).all():
            size = np.max(np.where(np.isfinite(values), np.abs(values), 0.0), axis=0)
        if self.low is not None:
            low, high, size = np.minimum(self.low, low), np.maximum(self.high, high), np.maximum(self.size, size)
        self.low, self.high, self.size = low, high, size

    def within(self, low: float, high: float) -> bool:
        """Whether all was finite and inside; a NaN compares as outside."""
        return bool(np.isfinite(self.low + self.high).all() and (self.low >= low).all() and (self.high <= high).all())


def find_problem(plan: Plan, recording: Recording, extents: Mapping[str, Extent] = NOTHING
                 ) -> tuple[str, float] | None:
    """What is wrong with a recording and when (s), the earliest; None if nothing is. extents: where they are known.

    Alternation and jumps are looked for in states, where every step of the whole run is there.
    """
    every_step = plan.every == 1 and not recording.partial and not plan.adaptive
    found = earliest(first_problem(plan, name, recording.time, values=series.values, extent=extents.get(name),
                                   every_step=every_step)
                     for name, series in recording.variables.items())
    return found or earliest(broken(law, plan, recording) for law in plan.model.laws)


def broken(law: Law, plan: Plan, recording: Recording) -> tuple[str, float] | None:
    """The first time at which a law of the model does not hold: (what, time in s), or None."""
    widest = max(series.values.shape[1] for series in recording.variables.values())
    for start, stop in _blocks((len(recording.time), widest)):
        rows = slice(max(0, start - 2), stop)  # and the rows before, from which it may rise
        time = recording.time[rows]
        part = {name: replace(series, values=np.asarray(series.values[rows]), time=time)
                for name, series in recording.variables.items()}
        values = law.quantity(plan.with_one_value(), replace(recording, time=time, variables=part))
        if values is None:
            return None
        wrong = (values if law.kind == "falls" else np.abs(values)) > law.tolerance
        if wrong.any():
            what = "rises" if law.kind == "falls" else "is not zero"
            return f"{law.meaning} {what}", float(time[wrong.argmax()])
    return None


def earliest(problems: Iterable[tuple[str, float] | None]) -> tuple[str, float] | None:
    """The problem (what, time in seconds) that came first; None without any."""
    found = [problem for problem in problems if problem]
    return min(found, key=lambda problem: (problem[1], problem[0])) if found else None


def first_problem(plan: Plan, name: str, time: Rows, *, values: Rows, extent: Extent | None, every_step: bool
                  ) -> tuple[str, float] | None:
    """The first thing wrong with a variable: (what, time in s), or None.

    values: (time, element), an array or a dataset of an open file, read in blocks; extent: its own, where known.
    """
    if extent is None:
        extent = Extent()
        for start, stop in _blocks(values.shape):
            extent.add(np.asarray(values[start:stop]))
    bounds, text = _bounds(plan, name)
    inside = extent.within(*bounds)
    # noise turns back anyway, and so may what spikes arrive at; what is computed from states may jump where none does
    turns = every_step and not plan.model.stochastic and not plan.model.kicked(name) and name in plan.model.states()
    if inside and not turns:
        return None
    for start, stop in _blocks(values.shape):
        before = max(0, start - SEEN_AGAIN)
        rows, found = np.asarray(values[before:stop]), {}
        if not inside:
            found["is not finite"] = ~np.isfinite(rows)
            found[text] = (rows < bounds[0]) | (rows > bounds[1])
        if turns:
            found["turns back at every step"] = _alternates(rows, extent)
            if plan.model.continuous and len(time) > 10:  # long enough to have a range
                found["changes by more than half of its range in a step"] = _jumps(rows, extent)
        problem = earliest((f"{name} {what}", float(time[start + where[start - before:].any(axis=1).argmax()]))
                           for what, where in found.items() if where[start - before:].any())
        if problem:
            return problem
    return None


def is_broken(plan: Plan, name: str, extent: Extent) -> bool:
    """Whether a run cannot be right whatever follows: not finite, or out of bounds."""
    return not extent.within(*_bounds(plan, name)[0])


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    rows = max(SEEN_AGAIN, BLOCK // max(1, shape[1]))
    return ((start, min(start + rows, shape[0])) for start in range(0, shape[0], rows))


def _bounds(plan: Plan, name: str) -> tuple[tuple[float, float], str]:
    """What a variable may be, with slack for rounding, and the words for what leaves it."""
    import math

    seen = plan.model.observables[name]
    low, high = (furthest(_bound(end, bound, seen.unit, otherwise=otherwise) for end in plan.at_ends())
                 for furthest, bound, otherwise in ((min, seen.low, -math.inf), (max, seen.high, math.inf)))
    slack = 1e-9 * max((abs(b) for b in (low, high) if math.isfinite(b)), default=0.0)
    text = f"leaves its bounds [{low:g}, {high:g}] {'' if seen.unit == '1' else seen.unit}".rstrip()
    return (low - slack, high + slack), text


def _bound(plan: Plan, bound: float | str | Callable | None, unit: str, *, otherwise: float) -> float:
    from astro_sim.parameter import convert

    if callable(bound):
        return bound(plan)
    if isinstance(bound, str):
        parameter = plan.parameters[bound]
        return convert(parameter.value, parameter.unit, unit, bound)
    return otherwise if bound is None else bound


def _alternates(values: Float[Array, "time element"], extent: Extent) -> Bool[Array, "time element"]:
    """Where a value turned back at each of the last `ALTERNATIONS` steps, by more than rounding."""
    where = np.zeros(values.shape, bool)
    with np.errstate(all="ignore"):
        change = np.diff(values, axis=0)
        turns = (change[1:] * change[:-1] < 0) & (np.abs(change[1:]) > ROUNDING * extent.size)
    if len(turns) >= ALTERNATIONS and turns.any():
        runs = np.lib.stride_tricks.sliding_window_view(turns, ALTERNATIONS, axis=0).all(axis=-1)
        where[SEEN_AGAIN:] = runs
    return where


def _jumps(values: Float[Array, "time element"], extent: Extent) -> Bool[Array, "time element"]:
    """Where a value changed by more than `JUMP` of its range in one step."""
    where = np.zeros(values.shape, bool)
    with np.errstate(all="ignore"):
        span = extent.high - extent.low
        where[1:] = (np.abs(np.diff(values, axis=0)) > JUMP * span) & (span > ROUNDING * extent.size)
    return where
