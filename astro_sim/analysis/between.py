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
    last = len(time) - 1
    if last < 2:
        return np.full(len(k), (values[last] - values[0]) / (time[last] - time[0]))
    inner = np.clip(k, 1, last - 1)
    before, after = time[inner] - time[inner - 1], time[inner + 1] - time[inner]
    p, q = (values[inner] - values[inner - 1]) / before, (values[inner + 1] - values[inner]) / after
    weight, other = 2 * after + before, after + 2 * before
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight + other) / (weight / p + other / q)
    slopes = np.where(p * q > 0, mean, 0.0)
    for end, near, far, a, b in ((k == 0, p, q, before, after), (k == last, q, p, after, before)):
        if end.any():
            slopes = np.where(end, _end_slope(near, far, a, b), slopes)
    return slopes


def _end_slope(near: Array, far: Array, a: Array, b: Array) -> Array:
    """That of a parabola through three records, bent back where it would overshoot."""
    slope = ((2 * a + b) * near - a * far) / (a + b)
    slope = np.where(np.sign(slope) != np.sign(near), 0.0, slope)
    return np.where((np.sign(near) != np.sign(far)) & (np.abs(slope) > 3 * np.abs(near)), 3 * near, slope)


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
    """Where the cubics on intervals k, of these slopes at their ends, pass zero: Newton's rule, kept by bisection."""
    step = time[k + 1] - time[k]
    y, z, p, q = values[k], values[k + 1], at * step, end * step
    a, b = 2 * (y - z) + p + q, 3 * (z - y) - 2 * p - q
    low, high = np.zeros(len(k)), np.ones(len(k))
    u = y / (y - z)
    for _ in range(ITERATIONS):
        found = ((a * u + b) * u + p) * u + y
        same = (found > 0) == (y > 0)
        low, high = np.where(same, u, low), np.where(same, high, u)
        slope = (3 * a * u + 2 * b) * u + p
        new = u - found / np.where(slope == 0, np.inf, slope)
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        moved, u = np.abs(new - u).max(), new
        if moved <= 1e-15:  # of an interval
            break
    return time[k] + u * step


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
