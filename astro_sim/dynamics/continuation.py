"""Branches of equilibria by pseudo-arclength continuation: through folds, to the ends of a range or round a loop.

Generic: `flow(point)` gives the rates of all coordinates of the states at a point (states..., what is scanned), on
plain and on complex numbers. Coordinates are logarithms, or linear ones of a scale at which the branch is seen, so that
a length along it means something.
Source: Kuznetsov, Elements of Applied Bifurcation Theory (2004), sections 10.2 and 10.3.
"""

import contextlib
import itertools
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from astro_sim.dynamics.derivatives import Flow, eigenvalues, jacobian, rests, tangent

SHORTEST = 1e-6  # of a step along a branch: shorter ones would not end
STRAIGHT = 0.95  # cosine of the largest turn of a step
SAME = 1e-6      # equilibria that are nearer are one
LONGEST = 50.0   # times the range that is scanned: a longer branch is given up


class Branch:
    """The equilibria that are connected to `start`, in a range of what is scanned and in a box of the states.

    `points` lie along the branch, from the low end of the range where it reaches that; `tangents[n]` (length 1) leads
    `sizes[n]` from point n to n + 1; `ends`: how it begins and ends, each of low, high, closed, box, long, lost.
    `limits` = (low, high) are of what is scanned; `box` = (lowest, highest) of the states, float64 (2, state).
    """

    def __init__(self, flow: Flow, start: np.ndarray, limits: tuple[float, float], *, step: float, box: np.ndarray):
        self.flow, self.limits, self.step, self.box = flow, limits, step, box
        along = tangent(flow, start)
        forward, last = self._follow(start, along)
        backward, first = ([], last) if last == "closed" else self._follow(start, -along)
        course = [*_turned(backward), (start, along), *forward]
        if last == "low" != first:
            course, first, last = _turned(course), last, first
        self.points, self.tangents = ([pair[k] for pair in course] for k in (0, 1))
        self.sizes = [float(t @ (b - a)) for t, (a, b) in zip(self.tangents, itertools.pairwise(self.points),
                                                              strict=False)]
        self.ends = (first, last)
        self.values = [eigenvalues(flow, point) for point in self.points]

    @cached_property
    def course(self) -> np.ndarray:
        """The points as float64 (point, state + 1)."""
        return np.array(self.points)

    def at(self, n: int, size: float) -> np.ndarray:
        """The equilibrium `size` along the branch after point n."""
        if size in (0.0, self.sizes[n]):
            return self.points[n + (size != 0.0)]
        guess = self.points[n] + size * self.tangents[n]
        with np.errstate(all="ignore"):
            try:
                point = corrected(self.flow, guess, self.tangents[n])
            except np.linalg.LinAlgError:  # where branches cross, Newton's method has no direction
                return guess
        return point if np.linalg.norm(point - guess) < self.step else guess

    def holds(self, point: np.ndarray) -> bool:
        """Whether an equilibrium lies on the branch: it is what the branch has in the plane across it."""
        far = np.linalg.norm(self.course - point, axis=1)
        near = [k for k in np.argsort(far)[:4] if far[k] < 2 * self.step]
        for n in sorted({int(n) for k in near for n in (k - 1, k) if 0 <= n < len(self.sizes)}):
            size = self.tangents[n] @ (point - self.points[n])
            if -SAME < size < self.sizes[n] + SAME:
                found = self.at(n, min(max(size, 0.0), self.sizes[n]))
                if np.abs(found - point).max() < SAME:
                    return True
        return bool(far.min() < SAME)

    def _follow(self, start: np.ndarray, along: np.ndarray) -> tuple[list, str]:
        """[(point, tangent)] after `start`, and what ends them."""
        course, size, length = [(start, along)], self.step, 0.0
        while length < LONGEST * (self.limits[1] - self.limits[0]):
            size = min(self.step, 2 * size)
            ahead = self._advanced(*course[-1], size)
            if ahead is None:
                return course[1:], "lost"
            size, point, direction = ahead
            length += size
            for bound, word in zip(self.limits, ("low", "high"), strict=True):
                if (point[-1] < bound) == (word == "low") and point[-1] != bound:
                    return course[1:] + self._cut(*course[-1], size, bound=bound), word
            if (point[:-1] < self.box[0]).any() or (point[:-1] > self.box[1]).any():
                return course[1:], "box"
            if length > 3 * self.step and self._passes(*course[-1], size, target=start):
                return [*course[1:], (start, along)], "closed"
            course.append((point, direction))
        return course[1:], "long"

    def _advanced(self, start: np.ndarray, along: np.ndarray, size: float):
        """(size, point, tangent) of a step, halved until the branch is met beside the guess and hardly turns."""
        while size > SHORTEST * self.step:
            guess = start + size * along
            with np.errstate(all="ignore"):
                try:
                    point = corrected(self.flow, guess, along)
                    direction = tangent(self.flow, point, along)
                    if (np.linalg.norm(point - guess) < size / 2 and direction @ along > STRAIGHT
                            and rests(self.flow, point, jacobian(self.flow, point))):
                        return size, point, direction
                except np.linalg.LinAlgError:  # a guess from which Newton's method leaves
                    pass
            size /= 2
        return None

    def _cut(self, start: np.ndarray, along: np.ndarray, size: float, *, bound: float) -> list:
        """The point, within a step, in which the branch meets the end of the range."""
        if abs(start[-1] - bound) < 1e-12:
            return []
        size = brentq(lambda part: corrected(self.flow, start + part * along, along)[-1] - bound, 0.0, size,
                      xtol=1e-14)
        point = corrected(self.flow, start + size * along, along)
        return [(point, tangent(self.flow, point, along))]

    def _passes(self, before: np.ndarray, along: np.ndarray, size: float, *, target: np.ndarray) -> bool:
        """Whether a step goes through `target`."""
        part = along @ (target - before)
        if not 0 < part <= size or np.linalg.norm(target - before) > 2 * size:
            return False
        with contextlib.suppress(np.linalg.LinAlgError):  # where branches cross
            return bool(np.abs(corrected(self.flow, before + part * along, along) - target).max() < SAME)
        return False


def corrected(flow: Flow, guess: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Newton's method back to the branch, in the plane across a direction. Raises `LinAlgError` where it leaves."""
    point = guess
    for _ in range(20):
        residual = np.append(flow(point), across @ (point - guess))
        change = np.linalg.solve(np.vstack([jacobian(flow, point), across]), residual)
        if not np.isfinite(change).all():
            raise np.linalg.LinAlgError
        point = point - change
        if np.abs(change).max() < 1e-10:  # quadratic: the next change would be rounding
            break
    return point


def _turned(course: list) -> list:
    """The same points in the opposite direction."""
    return [(point, -along) for point, along in reversed(course)]
