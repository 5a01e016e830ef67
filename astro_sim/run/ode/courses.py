"""Inputs between two corners: held, straight, or any smooth course."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import unit
from astro_sim.plan import Plan
from astro_sim.protocols.course import Course, Pieces
from foundation.shapes import Array, Float

SNAP = 1e-12  # of the duration: corners that are nearer to each other are one
Value = float | Float[Array, "element"]


@dataclass(frozen=True)
class Stretch:
    """An input from `start` (s) on: `value` there and `slope` a second where it is straight, else `at(time)`.

    All in SI base units; numbers where all elements agree, else arrays (element,).
    """

    start: float
    value: Value = 0.0
    slope: Value = 0.0
    at: Callable[[float], Value] | None = None

    @property
    def kind(self) -> str:
        """held, straight or smooth."""
        return "smooth" if self.at else "straight" if np.any(self.slope) else "held"

    def __call__(self, time: float) -> Value:
        """The value at a time in seconds."""
        return self.at(time) if self.at else self.value + self.slope * (time - self.start)

    def over(self, times: Float[Array, "time"]) -> Value | Float[Array, "time element"]:
        """The values at several times: one for all where it is held."""
        if self.at:
            return np.stack([np.atleast_1d(self.at(float(time))) for time in times])
        if not np.any(self.slope):
            return self.value
        return self.value + np.multiply.outer(times - self.start, np.atleast_1d(self.slope))


def borders(plan: Plan) -> Float[Array, "border"]:
    """Where the solver starts anew (s): the start, the corners of all inputs, the last record."""
    last = plan.steps // plan.every * plan.every * plan.dt
    corners = [course.corners for course in plan.inputs.values()]
    inner = np.unique(np.concatenate([np.empty(0), *corners]))
    inner = inner[(inner > SNAP * last) & (inner < last * (1 - SNAP))]
    kept = inner[np.append(True, np.diff(inner) > SNAP * last)] if len(inner) else inner
    return np.concatenate([[0.0], kept, [last]])


def stretch(course: Course, start: float, stop: float, *, order: Sequence[int]) -> Stretch:
    """A course between two borders, its elements in the given order."""
    scale, which, middle = float(unit(course.unit)), course.which[order], (start + stop) / 2
    if all(type(drive) is Pieces for drive in course.drives):
        found = [drive.at(np.array([middle])) for drive in course.drives]
        slopes = np.array([slope[0] for _, slope in found])
        values = np.array([value[0] for value, _ in found]) + slopes * (start - middle)
        return Stretch(start, _same(values[which] * scale), _same(slopes[which] * scale))

    inside = (start + SNAP * (stop - start), stop - SNAP * (stop - start))

    def at(time: float) -> Value:
        return _same(course.at(np.array([min(max(time, inside[0]), inside[1])]))[0][order] * scale)

    return Stretch(start, at=at)


def _same(values: Float[Array, "element"]) -> Value:
    """One number where all are the same."""
    return float(values[0]) if len(values) and (values == values[0]).all() else values
