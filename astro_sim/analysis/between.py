"""A course between its records: cubics by values and slopes, where they pass zero, where they turn.

As scipy's CubicSpline and PchipInterpolator have it, but only where it is asked for: their roots over a whole recording
cost thirty times what the few intervals do in which a course changes its side.
"""

import functools

import numpy as np
from scipy.linalg import solve_banded

from foundation.shapes import Array, Float, Int

ITERATIONS = 60      # of bisection and Newton: to rounding, whatever the cubic
AROUND = 3           # records to each side of a turn that its spline goes through
Course = Float[Array, "record"]
At = Int[Array, "interval"]


def spline_slopes(time: Course, values: Course) -> Course:
    """Slopes at the records of the cubic spline whose first two and last two pieces are one cubic each (not-a-knot)."""
    steps = np.diff(time)
    if len(time) < 4:
        from scipy.interpolate import CubicSpline

        return CubicSpline(time, values)(time, 1)
    rises = np.diff(values) / steps
    bands, right = np.zeros((3, len(time))), np.empty(len(time))
    # continuous second derivatives at the inner records
    bands[0, 2:], bands[1, 1:-1], bands[2, :-2] = steps[:-1], 2 * (steps[:-1] + steps[1:]), steps[1:]
    right[1:-1] = 3 * (steps[1:] * rises[:-1] + steps[:-1] * rises[1:])
    # continuous third derivatives at the second record and the last but one
    for end, near, a, b, p, q in ((0, 1, steps[0], steps[1], rises[0], rises[1]),
                                  (-1, -2, steps[-1], steps[-2], rises[-1], rises[-2])):
        both = a + b
        bands[1, end], bands[0 if end == 0 else 2, near] = b, both
        right[end] = ((a + 2 * both) * b * p + a**2 * q) / both
    return solve_banded((1, 1), bands, right, overwrite_ab=True, overwrite_b=True, check_finite=False)


def monotone_slopes(time: Course, values: Course, k: At) -> Float[Array, "interval"]:
    """Slopes at records k of the monotone cubic of Fritsch and Butland, which does not overshoot at jumps."""
    return np.array([_monotone_slope(time, values, one) for one in k.tolist()])


def _monotone_slope(time: Course, values: Course, k: int) -> float:
    """That at one record: a mean of the slopes on both sides, weighted by the lengths of the steps; 0 at a turn."""
    last = len(time) - 1
    if last < 2:
        return float((values[last] - values[0]) / (time[last] - time[0]))
    inner = min(max(k, 1), last - 1)
    x, y, z = time[inner - 1:inner + 2].tolist()
    u, v, w = values[inner - 1:inner + 2].tolist()
    before, after, p, q = y - x, z - y, (v - u) / (y - x), (w - v) / (z - y)
    if k == 0:
        return _end_slope(p, q, before, after)
    if k == last:
        return _end_slope(q, p, after, before)
    if p * q <= 0:
        return 0.0
    return 3 * (before + after) / ((2 * after + before) / p + (after + 2 * before) / q)


def _end_slope(near: float, far: float, a: float, b: float) -> float:
    """That of a parabola through three records, bent back where it would overshoot."""
    slope = ((2 * a + b) * near - a * far) / (a + b)
    if slope * near <= 0:
        return 0.0
    return 3 * near if near * far < 0 and abs(slope) > 3 * abs(near) else slope


def sides(values: Course) -> tuple[At, Array]:
    """The intervals in which a course changes its side of zero, and whether it rises there."""
    above = values > 0
    k = np.flatnonzero(above[1:] != above[:-1])
    return k, above[k + 1]


def passes_of_spline(time: Course, values: Course) -> tuple[Float[Array, "pass"], Array]:
    """Times (s) at which the cubic spline through `values` changes its side, and whether it rises there.

    The sides are those of the records: where a course is flat, the roots of its cubics are not to be trusted.
    """
    k, rising = sides(values)
    if len(k) == 0:
        return np.empty(0), rising
    slopes = spline_slopes(time, values)
    return _roots(time, values, k, at=slopes[k], end=slopes[k + 1]), rising


def passes_of_monotone(time: Course, values: Course) -> tuple[Float[Array, "pass"], Array]:
    """The same of the monotone cubic."""
    k, rising = sides(values)
    if len(k) == 0:
        return np.empty(0), rising
    return _roots(time, values, k, at=monotone_slopes(time, values, k),
                  end=monotone_slopes(time, values, k + 1)), rising


def _roots(time: Course, values: Course, k: At, *, at: Float[Array, "interval"], end: Float[Array, "interval"]
           ) -> Float[Array, "interval"]:
    """Where the cubics on intervals k, of these slopes at their ends, pass zero."""
    step = time[k + 1] - time[k]
    cubics = zip(values[k].tolist(), values[k + 1].tolist(), (at * step).tolist(), (end * step).tolist(), strict=True)
    return time[k] + step * np.array([_root(*cubic) for cubic in cubics])


def _root(y: float, z: float, p: float, q: float) -> float:
    """The share of an interval after which a cubic from y to z, of slopes p and q, is zero: Newton, kept by bisection.
    """
    a, b = 2 * (y - z) + p + q, 3 * (z - y) - 2 * p - q
    low, high, u = 0.0, 1.0, y / (y - z)
    for _ in range(ITERATIONS):
        found = ((a * u + b) * u + p) * u + y
        if (found > 0) == (y > 0):
            low = u
        else:
            high = u
        slope = (3 * a * u + 2 * b) * u + p
        new = u - found / slope if slope else (low + high) / 2
        new = new if low <= new <= high else (low + high) / 2
        if abs(new - u) <= 1e-15:  # of the interval
            return new
        u = new
    return u


@functools.cache
def _slope_weights(count: int, k: int) -> tuple[tuple[float, ...], ...]:
    """Weights of `count` records 1 apart in the slopes of their spline at records k - 1, k, k + 1."""
    records = np.arange(float(count))
    matrix = np.stack([spline_slopes(records, row) for row in np.eye(count)], axis=1)
    return tuple(map(tuple, matrix[k - 1:k + 2].tolist()))


def turn(time: Course, values: Course, k: int) -> tuple[float, float]:
    """(time, value) of the highest place within an interval of record k, by a spline through the records around it."""
    first = max(k - AROUND, 0)
    near = values[first:k + AROUND + 1].tolist()
    step, here = float(time[k + 1] - time[k]), k - first
    p, m, q = (sum(w * y for w, y in zip(row, near, strict=True)) for row in _slope_weights(len(near), here))
    best = (float(time[k]), near[here])
    for start, y, z, s, e in ((-1.0, near[here - 1], near[here], p, m), (0.0, near[here], near[here + 1], m, q)):
        a, b = 2 * (y - z) + s + e, 3 * (z - y) - 2 * s - e
        for u in _flat_places(3 * a, 2 * b, s):
            value = ((a * u + b) * u + s) * u + y
            if 0 <= u <= 1 and value > best[1]:
                best = (float(time[k]) + (start + u) * step, value)
    return best


def _flat_places(a: float, b: float, c: float) -> tuple[float, ...]:
    """Roots of a u^2 + b u + c."""
    inside = b * b - 4 * a * c
    if inside < 0:
        return ()
    q = -(b + (inside**0.5 if b >= 0 else -inside**0.5)) / 2
    return tuple(top / bottom for top, bottom in ((q, a), (c, q)) if bottom)
