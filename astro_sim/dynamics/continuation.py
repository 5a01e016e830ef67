"""Branches of equilibria by pseudo-arclength continuation: through folds, to the ends of a range or round a loop.

Generic: `flow(point)` gives the rates of all coordinates of the states at a point (states..., what is scanned), on
plain and on complex numbers. Coordinates are logarithms, or linear ones of a scale at which the branch is seen, so that
a length along it means something.
Source: Kuznetsov, Elements of Applied Bifurcation Theory (2004), sections 10.2 and 10.3.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from astro_sim.dynamics.derivatives import (
    Flow,
    eigenvalues,
    hopf_frequency,
    jacobian,
    product,
    product_of_sums,
    rests,
    tangent,
)

SHORTEST = 1e-6  # of a step along a branch: shorter ones would not end
STRAIGHT = 0.95  # cosine of the largest turn of a step
CROSSED = 1e-9   # of a step: as near as one comes to a crossing, where derivatives are lost
SAME = 1e-6      # equilibria that are nearer are one
LONGEST = 50.0   # times the range that is scanned: a longer branch is given up


@dataclass(frozen=True)
class Special:
    """A point `size` after point n of a branch: a `kind` of fold, hopf, or crossing (of two branches)."""

    kind: str
    n: int
    size: float
    point: np.ndarray


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
                point = _corrected(self.flow, guess, self.tangents[n])
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

    def specials(self) -> list[Special]:
        """Folds, Hopf points and crossings along the branch, each to rounding; two of a kind in one step go unseen."""
        found = []
        for n in range(len(self.sizes)):
            turns = _changes_sign(self.tangents[k][-1] for k in (n, n + 1))
            pairs, zero = (_changes_sign(test(self.values[k]) for k in (n, n + 1))
                           for test in (product_of_sums, product))
            if turns:
                found.append(self._special("fold", n, lambda p, n=n: tangent(self.flow, p, self.tangents[n])[-1]))
            elif zero:
                found.append(self._crossing(n))
            if pairs and len(self.values[n]) > 1:
                at = self._special("hopf", n, lambda p: product_of_sums(eigenvalues(self.flow, p)))
                if hopf_frequency(eigenvalues(self.flow, at.point)):  # else a saddle with two opposite eigenvalues
                    found.append(at)
        return sorted(found, key=lambda special: (special.n, special.size))

    def pieces(self) -> list[tuple]:
        """(first point, last point, points between) of each part between special points: stability is one there.

        Of the points between, the first is the middle one; the others are those of the branch.
        """
        if not self.sizes:
            return []
        special, last = self.specials(), len(self.sizes) - 1
        cuts = [(0, 0.0), *((one.n, one.size) for one in special), (last, self.sizes[last])]
        ends = [self.points[0], *(one.point for one in special), self.points[-1]]
        lengths = np.append(0.0, np.cumsum(self.sizes))
        along = [lengths[n] + size for n, size in cuts]
        found = []
        for k in range(len(cuts) - 1):
            middle = (along[k] + along[k + 1]) / 2
            n = min(int(np.searchsorted(lengths, middle, "right")) - 1, len(self.sizes) - 1)
            if along[k + 1] > along[k]:
                inside = np.flatnonzero((lengths > along[k]) & (lengths < along[k + 1]))
                found.append((ends[k], ends[k + 1], [self.at(n, float(middle - lengths[n])),
                                                     *(self.points[m] for m in inside)]))
        return found

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
                    point = _corrected(self.flow, guess, along)
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
        size = brentq(lambda part: _corrected(self.flow, start + part * along, along)[-1] - bound, 0.0, size,
                      xtol=1e-14)
        point = _corrected(self.flow, start + size * along, along)
        return [(point, tangent(self.flow, point, along))]

    def _passes(self, before: np.ndarray, along: np.ndarray, size: float, *, target: np.ndarray) -> bool:
        """Whether a step goes through `target`."""
        part = along @ (target - before)
        if not 0 < part <= size or np.linalg.norm(target - before) > 2 * size:
            return False
        return bool(np.abs(_corrected(self.flow, before + part * along, along) - target).max() < SAME)

    def _special(self, kind: str, n: int, measure: Callable[[np.ndarray], float]) -> Special:
        size = brentq(lambda part: measure(self.at(n, part)), 0.0, self.sizes[n], xtol=1e-14)
        return Special(kind, n, size, self.at(n, size))

    def _crossing(self, n: int) -> Special:
        """Where branches cross, by halves: each from the last, so that Newton's method stays on its own branch."""
        before, along, size = self.points[n], self.tangents[n], self.sizes[n]
        side = product(self.values[n]) > 0
        with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
            while size > CROSSED * self.step:
                size /= 2
                guess = before + size * along
                point = _corrected(self.flow, guess, along)
                if np.linalg.norm(point - guess) > size / 2:
                    break
                if (product(eigenvalues(self.flow, point)) > 0) == side:
                    before, along = point, tangent(self.flow, point, along)
        point = before + size * along
        return Special("crossing", n, float(self.tangents[n] @ (point - self.points[n])), point)


def _corrected(flow: Flow, guess: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Newton's method back to the branch, in the plane across a direction."""
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


def _changes_sign(ends: Iterable[float]) -> bool:
    """Whether one end of a step is above zero; a zero at an end belongs to one of the two steps that meet there."""
    a, b = ends
    return (a > 0) != (b > 0)


def _turned(course: list) -> list:
    """The same points in the opposite direction."""
    return [(point, -along) for point, along in reversed(course)]
