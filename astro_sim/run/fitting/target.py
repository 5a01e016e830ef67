"""What a simulation is to come close to: courses at the times of the data, or numbers of the whole course."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from astro_sim.analysis.named import Measure, named
from astro_sim.parameter import Amount, read, split_quantity
from astro_sim.plan import Plan
from astro_sim.recording.recording import Recording
from astro_sim.run.fitting.observations import Measured, as_recording, find_element
from foundation.errors import UserError
from foundation.shapes import Array, Float

ALIKE = 1e-9  # of a step: times that lie on the grid but for rounding


@dataclass(frozen=True, eq=False)
class Courses:
    """Measured courses; `sizes` are what a residual of each counts in, in its unit."""

    courses: tuple[Measured, ...]
    sizes: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the courses."""
        return tuple(one.name for one in self.courses)

    @property
    def observed(self) -> Float[Array, "point"]:
        """All values, one course after the other, each in its size."""
        return np.concatenate([one.values / size for one, size in zip(self.courses, self.sizes, strict=True)])

    @property
    def centred(self) -> Float[Array, "point"]:
        """The same about the mean of each course."""
        return np.concatenate([(one.values - one.values.mean()) / size
                               for one, size in zip(self.courses, self.sizes, strict=True)])

    def predicted(self, recording: Recording) -> Float[Array, "point"]:
        """What a recording has in their place: as recorded, between records a cubic."""
        return np.concatenate([_at(recording.time, recording[one.variable].values[:, one.element], one.times) / size
                               for one, size in zip(self.courses, self.sizes, strict=True)])

    def parts(self, values: Float[Array, "point"]) -> list[np.ndarray]:
        """Values of all points, course by course."""
        return np.split(values, np.cumsum([len(one.times) for one in self.courses])[:-1])

    def weighed(self, residuals: Float[Array, "point"]) -> "Courses":
        """The same with the residuals' own sizes, so that a course counts by how closely it can be followed."""
        sizes = [size * math.sqrt(float(part @ part) / len(part))
                 for part, size in zip(self.parts(residuals), self.sizes, strict=True)]
        floor = [1e-9 * max(float(np.abs(one.values).max()), 1e-300) for one in self.courses]
        return replace(self, sizes=tuple(map(max, sizes, floor)))


@dataclass(frozen=True, eq=False)
class Features:
    """Numbers of a course, each to be met relative to its own size; `after` is left out of the simulation."""

    measures: tuple[Measure, ...]
    values: tuple[float, ...]
    units: tuple[str, ...]
    after: Amount | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers."""
        return tuple(one.text for one in self.measures)

    @property
    def observed(self) -> Float[Array, "point"]:
        """All of them, in their own size: ones."""
        return np.array(self.values) / self._sizes

    centred = observed

    @property
    def _sizes(self) -> np.ndarray:
        return np.array([abs(value) or 1.0 for value in self.values])

    def predicted(self, recording: Recording) -> Float[Array, "point"]:
        """Those of a recording. Errors: `UserError` where it has none, as where nothing oscillates."""
        return np.array([one.of(recording, after=self.after) for one in self.measures]) / self._sizes


Target = Courses | Features


def courses(measured: Sequence[Measured]) -> Courses:
    """Courses that count alike at first: each by its standard deviation."""
    sizes = tuple(float(one.values.std()) or float(np.abs(one.values).max()) or 1.0 for one in measured)
    return Courses(tuple(measured), sizes)


def features_of(measured: Sequence[Measured], names: Sequence[str], after: Amount | None) -> Features:
    """Numbers of measured courses by name. Errors: `UserError` where the data have none."""
    recording, asked = as_recording(measured), [named(name) for name in names]
    for one in asked:
        if one.variable not in recording:
            raise UserError(f"features: {one.text}: the data have no {one.variable}; they have {', '.join(recording)}")
    return Features(tuple(asked), tuple(one.of(recording, after=after) for one in asked),
                    tuple(one.unit(recording[one.variable].unit) for one in asked), after)


def given_features(values: Mapping[str, Any], plan: Plan, after: Amount | None) -> Features:
    """Numbers by name with their values: {"period(C)": "11.5 s"}; bare numbers are in the unit of the measure."""
    asked, numbers, units = [], [], []
    for text, value in values.items():
        one = named(text)
        find_element(plan, one.variable if one.label is None else f"{one.variable}[{one.label}]")
        unit = one.unit(plan.model.observables[one.variable].unit)
        bare = isinstance(value, str) and split_quantity(value, text)[1] == "1"
        asked.append(one)
        numbers.append(split_quantity(value, text)[0] if bare else read(value, unit, text))
        units.append(unit)
    return Features(tuple(asked), tuple(numbers), tuple(units), after)


def _at(time: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A course at other times: the records where they lie on their grid, else a cubic spline through them."""
    step = time[1] - time[0]
    places = np.rint(times / step).astype(int)
    if places.max() < len(time) and np.abs(times - time[places]).max() <= ALIKE * max(step, float(time[-1])):
        return values[places]
    from scipy.interpolate import CubicSpline

    return CubicSpline(time, values)(times)


def common_interval(target: Target) -> float | None:
    """The interval (s) of a grid from 0 s on that all times of the data lie on; None where there is none."""
    if isinstance(target, Features):
        return None
    times = np.unique(np.concatenate([one.times for one in target.courses]))
    gaps = np.diff(np.unique(np.append(times, 0.0)))
    if not len(gaps):
        return None
    interval = float(gaps.min())
    counts = times / interval
    off = np.abs(counts - np.rint(counts)).max()
    return float(times[-1] / np.rint(counts[-1])) if off <= 1e-6 * max(1.0, counts[-1]) and off < 0.01 else None
