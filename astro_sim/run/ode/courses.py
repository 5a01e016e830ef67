"""Inputs between two corners: held, straight, or any smooth course."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import unit
from astro_sim.plan import Plan
from astro_sim.protocols.course import Course
from foundation.shapes import Array, Float

SNAP = 1e-12  # of the duration: corners that are nearer to each other are one
Value = float | Float[Array, "element"]
Moments, Values = float | Array, float | Array  # called in every step: shapes are not looked at


@dataclass(frozen=True)
class Stretch:
    """An input from `start` (s) on: `value` there and `slope` a second where it is straight, else `at(time or times)`.

    All in SI base units; numbers where all elements agree, else arrays (element,).
    """

    start: float
    value: Value = 0.0
    slope: Value = 0.0
    at: Callable | None = None

    @property
    def kind(self) -> str:
        """held, straight or smooth."""
        return "smooth" if self.at else "straight" if np.any(self.slope) else "held"

    def __call__(self, time: float) -> Values:
        """The value at a time in seconds."""
        return self.at(time) if self.at else self.value + self.slope * (time - self.start)

    def over(self, times: Float[Array, "time"]) -> Value | Float[Array, "time element"]:
        """The values at several times: one for all where it is held."""
        if self.at:
            return self.at(times)
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
    scale, which, middle = float(unit(course.unit)), course.which[order], np.array([(start + stop) / 2])
    if not any(one.start <= middle[0] < one.stop for drive in course.drives for one in drive.smooth):
        lines = [drive.pieces.at(middle) for drive in course.drives]
        slopes = np.array([slope[0] for _, slope in lines])
        values = np.array([value[0] for value, _ in lines]) + slopes * (start - middle[0])
        return Stretch(start, _same(values[which] * scale), _same(slopes[which] * scale))

    def at(time: Moments) -> Values:
        times = np.atleast_1d(time)
        values = np.stack([drive.at(times, np.broadcast_to(middle, times.shape)) for drive in course.drives], axis=1)
        return values[:, which] * scale if np.ndim(time) else _same(values[0, which] * scale)

    return Stretch(start, at=at)


def _same(values: Float[Array, "element"]) -> Value:
    """One number where all are the same."""
    return float(values[0]) if len(values) and (values == values[0]).all() else values
