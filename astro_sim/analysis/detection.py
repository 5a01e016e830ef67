"""Events of any variable, found by a threshold: when it is crossed, how high, how wide, at which intervals.

    found = detect(recording, "C>0.3 uM")
    print(found)                       # a row an event
    found.statistics()                 # count, rate, intervals, amplitude, width

An event starts where the variable passes the level, and ends where it has passed back. With "<" all is the other way
round: the peak is the lowest value.
"""

import re

import numpy as np

from astro_sim.analysis import measures
from astro_sim.analysis.between import passes_of_spline
from astro_sim.analysis.detected import Detected
from astro_sim.parameter import Amount, read
from astro_sim.recording.recording import Recording
from foundation.errors import UserError

CONDITION = re.compile(r"\s*(\w+)\s*(?:\[([^\]]*)\])?\s*([<>])\s*(.+?)\s*")


def detect(recording: Recording, condition: str, *, after: Amount = 0.0, hysteresis: Amount | None = None,
           shortest: Amount = 0.0) -> Detected:
    """Events of a variable from a threshold: "C>0.3 uM", "C[2]>0.3 uM" for one element by its label, "h<0.5".

    after: leave out what comes before (s). hysteresis: an event is over when the variable has passed back by so much
    beyond the level (its unit; default: three deviations of the noise, which is nothing where a course is smooth).
    shortest: leave out what lasts less (s). Errors: `UserError` for a condition that cannot be read, a level in another
    unit, and a variable or element that is not there.
    """
    name, place, below, told = _read(condition)
    series = recording[name]
    sign = -1.0 if below else 1.0
    level, begin = sign * read(told, series.unit, f"level of {name}"), read(after, "second", "after")
    band = None if hysteresis is None else read(hysteresis, series.unit, "hysteresis")
    least, kept = read(shortest, "second", "shortest"), recording.time >= begin
    if least < 0 or (band or 0) < 0:
        raise UserError("hysteresis, shortest: a negative one has no meaning; give 0 or more")
    if kept.sum() < 4:
        raise UserError(f"after: {begin:g} s leaves {kept.sum()} records of {recording.time[-1]:g} s; give an earlier "
                        "time")
    time, chosen = recording.time[kept], _chosen(name, series.labels, place)
    rows = [(k, *row) for k in chosen
            for row in _of_course(time, sign * np.asarray(series.values)[kept, k], level, band=band)
            if not row[5] < least]
    columns = [np.array(column, float) for column in zip(*rows, strict=True)] if rows else [np.empty(0)] * 8
    element, start, end, peak_time, peak, amplitude, width, half = columns
    return Detected(condition.strip(), name, series.unit, series.population, series.labels, chosen,
                    float(time[-1] - time[0]), element.astype(int), start, end, peak_time, sign * peak, amplitude,
                    width, half)


def _read(condition: str) -> tuple[str, str | None, bool, str]:
    """Variable, label of its element, whether below, and the level as text."""
    match = CONDITION.fullmatch(condition)
    if not match:
        raise UserError(f"events: '{condition}' cannot be read; write VARIABLE>LEVEL or VARIABLE<LEVEL, as in "
                        "'C>0.3 umolar', or 'C[2]>0.3 umolar' for one element")
    return match[1], match[2], match[3] == "<", match[4]


def _chosen(name: str, labels: tuple[str, ...], place: str | None) -> tuple[int, ...]:
    if place is None:
        return tuple(range(len(labels)))
    if place not in labels:
        raise UserError(f"events: {name} has no element '{place}'; it has {', '.join(labels[:6])}"
                        + (f" and {len(labels) - 6} more" if len(labels) > 6 else ""))
    return (labels.index(place),)


def _of_course(time: np.ndarray, values: np.ndarray, level: float, *, band: float | None) -> list[tuple]:
    """(start, end, peak time, peak, amplitude, width, half width) of every event of one course.

    A record is beyond the level or back on its other side; between the two, in the band, it is what it was before.
    """
    beyond = values - level
    low = -(3 * measures.noise(values) if band is None else band)
    known = np.flatnonzero((beyond > 0) | (beyond <= low))
    turns = np.flatnonzero(np.diff(beyond[known] > 0))
    if not len(turns):
        return []
    at, _ = passes_of_spline(time, beyond)
    edges = [(int(known[n]), int(known[n + 1])) for n in turns]  # the last record on one side, the first on the other
    first_is_start = beyond[known[turns[0]]] <= 0
    rows, back = [], 0 if first_is_start else edges[0][1]
    for n in range(0 if first_is_start else 1, len(edges), 2):
        start, on = _passed(at, time, edges[n], first=True), edges[n][1]
        base = float(values[back: on].min())
        end, back = (_passed(at, time, edges[n + 1], first=False), edges[n + 1][1]) if n + 1 < len(edges) else (
            np.nan, len(time))
        when, peak, amplitude, half = _measured(time, values, slice(on, back), base=base)
        rows.append((start, end, when, peak, amplitude, end - start, half))
    return rows


def _passed(at: np.ndarray, time: np.ndarray, edge: tuple[int, int], *, first: bool) -> float:
    """The first or last of the times `at` which the level is passed between two records."""
    within = at[(at >= time[edge[0]]) & (at <= time[edge[1]])]
    return float(within[0 if first else -1])


def _measured(time: np.ndarray, values: np.ndarray, part: slice, *, base: float) -> tuple[float, float, float, float]:
    """(time of the peak, peak, amplitude, half width) of an event that takes a part of the records."""
    k = part.start + int(values[part].argmax())
    when, peak = measures.turning(time, values, k)
    half = (peak + base) / 2
    left, right = np.flatnonzero(values[:k] <= half), k + np.flatnonzero(values[k:] <= half)
    wide = np.nan
    if len(left) and len(right):
        wide = _between(time, values, right[0], half) - _between(time, values, left[-1] + 1, half)
    return when, peak, peak - base, float(wide)


def _between(time: np.ndarray, values: np.ndarray, k: int, level: float) -> float:
    """When the course passes the level between the records k - 1 and k, on a straight line."""
    share = (level - values[k - 1]) / (values[k] - values[k - 1])
    return float(time[k - 1] + share * (time[k] - time[k - 1]))
