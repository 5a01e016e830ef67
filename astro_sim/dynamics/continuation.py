"""Branches of equilibria by pseudo-arclength continuation: through folds, to the ends of a range or round a loop.

Generic: `flow(point)` gives the rates of all states at a point (states..., input), on plain and on complex numbers.
States and input are logarithms, so that a length along a branch counts relative changes.
Source: Kuznetsov, Elements of Applied Bifurcation Theory (2004), sections 10.2 and 10.3.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

STEP = 1e-30     # complex-step derivative: exact to rounding, no difference is taken
RESTS = 1e-8     # per second, relative to each state: no flow is left there
SHORTEST = 1e-6  # of a step along a branch: shorter ones would not end
STRAIGHT = 0.95  # cosine of the largest turn of a step
SAME = 1e-6      # equilibria that are nearer are one
LONGEST = 50.0   # times the range of the input: a longer branch is given up


@dataclass(frozen=True)
class Special:
    """A point `size` after point n of a branch: a `kind` of fold, hopf, or crossing (of two branches)."""

    kind: str
    n: int
    size: float
    point: object


class Branch:
    """The equilibria that are connected to `start`, in a range of the input and in a box of the states.

    `points` lie along the branch, from the low end of the range where it reaches that; `tangents[n]` (length 1) leads
    `sizes[n]` from point n to n + 1; `ends`: how it begins and ends, each of low, high, closed, box, long, lost.
    `limits` = (low, high) are of the input; `box` = (lowest, highest) of the states, float64 (state,) each.
    """

    def __init__(self, flow, start, limits: tuple[float, float], step: float, box):
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
    def course(self):
        """The points as float64 (point, state + input)."""
        import numpy as np

        return np.array(self.points)

    def at(self, n: int, size: float):
        """The equilibrium `size` along the branch after point n."""
        if size in (0.0, self.sizes[n]):
            return self.points[n + (size != 0.0)]
        return _corrected(self.flow, self.points[n] + size * self.tangents[n], self.tangents[n])

    def holds(self, point) -> bool:
        """Whether an equilibrium lies on the branch: it is what the branch has in the plane across it."""
        import numpy as np

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
            turns = self.tangents[n][-1] * self.tangents[n + 1][-1] < 0
            pairs, zero = ([test(self.values[k]) for k in (n, n + 1)] for test in (_pairs, _product))
            if turns:
                found.append(self._special("fold", n, lambda p, n=n: tangent(self.flow, p, self.tangents[n])[-1]))
            elif zero[0] * zero[1] < 0:
                found.append(self._special("crossing", n, lambda p: _product(eigenvalues(self.flow, p))))
            if pairs[0] * pairs[1] < 0:
                at = self._special("hopf", n, lambda p: _pairs(eigenvalues(self.flow, p)))
                if hopf_frequency(eigenvalues(self.flow, at.point)):  # else a saddle with two opposite eigenvalues
                    found.append(at)
        return sorted(found, key=lambda special: (special.n, special.size))

    def pieces(self) -> list[tuple]:
        """(first point, last point, points between) of each part between special points: stability is one there.

        Of the points between, the first is the middle one; the others are those of the branch.
        """
        import numpy as np

        if not self.sizes:
            return []
        cuts = [(0, 0.0), *((one.n, one.size) for one in self.specials()), (len(self.sizes) - 1, self.sizes[-1])]
        ends, lengths = [self.at(*cut) for cut in cuts], np.append(0.0, np.cumsum(self.sizes))
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

    def _follow(self, start, along) -> tuple[list, str]:
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
                    return course[1:] + self._cut(*course[-1], size, bound), word
            if (point[:-1] < self.box[0]).any() or (point[:-1] > self.box[1]).any():
                return course[1:], "box"
            if length > 3 * self.step and self._passes(*course[-1], size, start):
                return [*course[1:], (start, along)], "closed"
            course.append((point, direction))
        return course[1:], "long"

    def _advanced(self, start, along, size: float):
        """(size, point, tangent) of a step, halved until the branch is met beside the guess and hardly turns."""
        import numpy as np

        while size > SHORTEST * self.step:
            guess = start + size * along
            with np.errstate(all="ignore"):
                try:
                    point = _corrected(self.flow, guess, along)
                    direction = tangent(self.flow, point, along)
                    if (np.linalg.norm(point - guess) < size / 2 and direction @ along > STRAIGHT
                            and np.abs(self.flow(point)).max() < RESTS):
                        return size, point, direction
                except np.linalg.LinAlgError:  # a guess from which Newton's method leaves
                    pass
            size /= 2
        return None

    def _cut(self, start, along, size: float, bound: float) -> list:
        """The point, within a step, in which the branch meets the end of the range."""
        from scipy.optimize import brentq

        if abs(start[-1] - bound) < 1e-12:
            return []
        size = brentq(lambda part: _corrected(self.flow, start + part * along, along)[-1] - bound, 0.0, size,
                      xtol=1e-14)
        point = _corrected(self.flow, start + size * along, along)
        return [(point, tangent(self.flow, point, along))]

    def _passes(self, before, along, size: float, target) -> bool:
        """Whether a step goes through `target`."""
        import numpy as np

        part = along @ (target - before)
        if not 0 < part <= size or np.linalg.norm(target - before) > 2 * size:
            return False
        return bool(np.abs(_corrected(self.flow, before + part * along, along) - target).max() < SAME)

    def _special(self, kind: str, n: int, measure) -> Special:
        from scipy.optimize import brentq

        size = brentq(lambda part: measure(self.at(n, part)), 0.0, self.sizes[n], xtol=1e-14)
        return Special(kind, n, size, self.at(n, size))


def jacobian(flow, point):
    """d(flow)/d(point) by complex steps, float64 (state, state + input)."""
    import numpy as np

    return np.stack([flow(point + 1j * STEP * axis).imag / STEP for axis in np.eye(len(point))], axis=1)


def eigenvalues(flow, point):
    """Of the flow at a fixed input (1/second), complex128 (state,)."""
    import numpy as np

    return np.linalg.eigvals(jacobian(flow, point)[:, :-1]).astype(complex)


def hopf_frequency(values) -> float:
    """Angular frequency (1/second) of the pair of eigenvalues whose sum is nearest zero; 0 where they are real."""
    a, b = min(itertools.combinations(values, 2), key=lambda pair: abs(pair[0] + pair[1]))
    return float(abs(a.imag)) if a.imag * b.imag < 0 else 0.0


def tangent(flow, point, before=None):
    """Direction along the branch, of length 1, on the side of `before`; without it to higher input."""
    import numpy as np

    direction = np.linalg.svd(jacobian(flow, point))[2][-1]
    along = direction[-1] if before is None else direction @ before
    return direction * (1 if along > 0 else -1)


def _corrected(flow, guess, across):
    """Newton's method back to the branch, in the plane across a direction."""
    import numpy as np

    point = guess
    for _ in range(20):
        residual = np.append(flow(point), across @ (point - guess))
        change = np.linalg.solve(np.vstack([jacobian(flow, point), across]), residual)
        point = point - change
        if np.abs(change).max() < 1e-10:  # quadratic: the next change would be rounding
            break
    return point


def _pairs(values) -> float:
    """Product of the sums of all pairs of eigenvalues: it changes its sign where a pair becomes imaginary."""
    import math

    return complex(math.prod(a + b for a, b in itertools.combinations(values, 2))).real


def _product(values) -> float:
    """Product of the eigenvalues: it changes its sign where one is zero."""
    import math

    return complex(math.prod(values)).real


def _turned(course: list) -> list:
    """The same points in the opposite direction."""
    return [(point, -along) for point, along in reversed(course)]
