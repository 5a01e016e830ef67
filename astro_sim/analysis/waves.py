"""A wave over elements that have places: where it starts, how fast it goes, how far it comes.

    found = wave(recording, "C", level=0.4)
    print(found.speed, "+-", found.speed_error, "astrocytes/s, reaches", found.reached)

Lengths are in the unit of the places: neighbouring astrocytes of astrocyte_network are 1 apart.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress

from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.shapes import Array, Float

ALIKE = 1e-6  # of the largest value: a smaller range over the whole recording is no wave


@dataclass(frozen=True)
class Wave:
    """`speed` and its standard error in places/s, `start` in s; `extent` is the farthest distance reached.

    `source` is the element that rises first, `reached` how many of `elements` rise at all. `first` are times (s) of
    the first rise by element, `distance` those from the source; NaN where the wave does not come.
    """

    source: int
    start: float
    speed: float
    speed_error: float
    extent: float
    reached: int
    elements: int
    level: float
    first: tuple[float, ...]
    distance: tuple[float, ...]


def first_rises(values: Float[Array, "record element"], time: Float[Array, "record"],
                level: float) -> Float[Array, "element"]:
    """Times (s) of the first upward crossing of `level`, float64 (element,); NaN where there is none.

    Between two records the course is taken as a straight line.
    """
    rising = (values[:-1] <= level) & (values[1:] > level)
    k, element = rising.argmax(axis=0), np.arange(values.shape[1])
    before, after = values[k, element], values[k + 1, element]
    share = (level - before) / np.where(after > before, after - before, 1.0)
    return np.where(rising.any(axis=0), time[k] + share * (time[k + 1] - time[k]), np.nan)


def wave(recording: Recording, variable: str = "C", *, level: float | None = None, after: float = 0.0) -> Wave:
    """The first wave after `after` s: first upward crossing of `level` against distance from where it is earliest.

    `level` is in the variable's unit; the middle of its range over all elements by default. Distances go the shortest
    way round where ends meet. Errors: `UserError` that says in words why there is no wave.
    """
    time, values = _kept(recording, variable, after)
    low, high = float(values.min()), float(values.max())
    if high - low <= ALIKE * max(abs(low), abs(high)):
        raise UserError(f"no wave: {variable} stays at {high:.6g}")
    level = (low + high) / 2 if level is None else float(level)
    first = first_rises(values, time, level)
    there = np.isfinite(first)
    if not there.any():
        raise UserError(f"no wave: {variable} never rises through {level:.6g} after {after:g} s")
    source = int(np.nanargmin(first))
    distance = distances(recording, variable, source)
    if len(set(np.round(distance[there], 9))) < 3:
        raise UserError(f"no wave: {variable} rises through {level:.6g} in {there.sum()} of {len(first)} elements, at "
                        f"most {distance[there].max():.3g} from where it starts")
    line = linregress(distance[there], first[there])
    # (E2.37) first crossing t = start + distance/speed, by least squares
    if not line.slope > 2 * line.stderr:
        raise UserError(f"no wave: {there.sum()} of {len(first)} elements rise, but not later the farther they are "
                        f"({line.slope:.3g} +- {line.stderr:.3g} s a place)")
    return Wave(source, float(line.intercept), float(1 / line.slope), float(line.stderr / line.slope**2),
                float(distance[there].max()), int(there.sum()), len(first), level, tuple(first.tolist()),
                tuple(np.where(there, distance, math.nan).tolist()))


def distances(recording: Recording, variable: str, source: int) -> Float[Array, "element"]:
    """Distances (places) of all elements from one, float64 (element,); the shortest way where ends meet.

    Errors: `UserError` where the variable's elements have no places.
    """
    places, options = recording[variable].positions, recording.meta.get("options", {})
    if places is None:
        raise UserError(f"no wave: the elements of {variable} have no places")
    if options.get("layout") == "ring":  # along the ring, not across it
        apart = np.abs(np.arange(len(places)) - source)
        return np.minimum(apart, len(places) - apart).astype(float)
    apart = np.abs(np.asarray(places) - np.asarray(places)[source])
    if options.get("boundary") == "periodic":
        lengths = [options["n_rows"], options["n_columns"]][-apart.shape[1]:]
        apart = np.minimum(apart, np.array(lengths) - apart)
    return np.linalg.norm(apart, axis=1)


def _kept(recording: Recording, variable: str, after: float) -> tuple[np.ndarray, np.ndarray]:
    series = recording[variable]
    kept = recording.time >= after
    if kept.sum() < 4:
        raise UserError(f"after: {after:g} s leaves {kept.sum()} records of {recording.time[-1]:g} s; give an earlier "
                        "time")
    return recording.time[kept], series.values[kept]
