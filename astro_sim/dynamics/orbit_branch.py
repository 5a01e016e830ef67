"""The oscillations that are born at a Hopf point, stable or not, followed to the fold where they meet others.

Collocation at equal times over one period, joined by a trigonometric polynomial, and pseudo-arclength continuation in
what is scanned. Unknowns: coordinates at all times, the logarithm of the period, the coordinate that is scanned.
Source: Kuznetsov2004, section 10.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from astro_sim.dynamics.derivatives import STEP, Flow
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.hopf import Hopf
from astro_sim.dynamics.periodic_orbit import POINTS, differentiation
from foundation.shapes import Array, Float

SMALL = 0.02       # change of a coordinate in the first orbit
FIRST, LARGEST, SHORTEST = 0.02, 0.1, 1e-5  # steps along the branch, in root mean squares of coordinates
MOST_STEPS = 300
NEWTON_STEPS, CONVERGED = 8, 1e-9
MOST_POINTS = 121  # times a period: an orbit that needs more is given up
FINE = 16          # times as many points for its lowest and highest value
TAIL = 1e-6        # of the largest Fourier coefficient: what the highest ones may have


@dataclass(frozen=True)
class FoundOrbit:
    """`course` float64 (state, time): coordinates at equal times of one period; `point` is what is scanned, likewise.

    `growth` (1/second): leading Floquet exponent beside that along the orbit; above zero where it is unstable.
    """

    course: Float[Array, "state time"]
    seconds: float
    point: float
    growth: float

    def fine(self) -> np.ndarray:
        """The course at `FINE` times as many equal times, by the polynomial that joins its points."""
        count = FINE * self.course.shape[1]
        return np.fft.irfft(np.fft.rfft(self.course), count) * FINE


def born_at(frame: Frame, point: np.ndarray, form: Hopf, *,
            limits: tuple[float, float]) -> tuple[list[FoundOrbit], FoundOrbit | None]:
    """The orbits from a Hopf point (coordinates) to their first fold, and that at the fold.

    `limits`: lowest and highest coordinate that is scanned. There is no fold (None) where the orbits leave them first,
    or become too steep to be followed, as those of a long period do.
    """
    orbits, before = [], None
    for problem, unknowns, direction in _along(frame, point, form):
        if not limits[0] <= unknowns[-1] <= limits[1]:
            break
        if before is not None and direction[-1] * before[1][-1] < 0 and len(unknowns) == len(before[0]):
            return orbits, _orbit(problem, _fold(problem, *before))
        orbits.append(_orbit(problem, unknowns))
        before = unknowns, direction
    return orbits, None


class _Problem:
    """The equations of an orbit at a number of times."""

    def __init__(self, flow: Flow, states: int, times: int):
        self.flow, self.states, self.times = flow, states, times
        self.slope = differentiation(times)
        self.weights = np.append(np.full(states * times, times**-0.5), [1.0, 1.0])  # a norm that no refining changes

    def equations(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is missing, float64 (state * time,), and its derivatives, (state * time, state * time + 2)."""
        # (E2.42) du/ds = T f(u, p) at equal times s of one period, s from 0 to 1
        size, seconds = self.states * self.times, np.exp(unknowns[-2])
        course = unknowns[:size].reshape(self.states, self.times)
        point = np.vstack([course, np.full(self.times, unknowns[-1])])
        rates, slopes = self.flow(point), self.slopes(point)
        matrix = np.zeros((size, size + 2))
        matrix[:, :size] = np.kron(np.eye(self.states), self.slope) - seconds * self._spread(slopes[:, :-1])
        matrix[:, -2], matrix[:, -1] = -seconds * rates.ravel(), -seconds * slopes[:, -1].ravel()
        return (course @ self.slope.T - seconds * rates).ravel(), matrix

    def slopes(self, point: np.ndarray) -> np.ndarray:
        """d(flow)/d(point) at every time, float64 (state, state + 1, time)."""
        axes = 1j * STEP * np.eye(len(point))[:, :, None]
        return np.stack([self.flow(point + axis).imag / STEP for axis in axes], axis=1)

    def _spread(self, slopes: np.ndarray) -> np.ndarray:
        size = self.states * self.times
        return np.einsum("rcn,nm->rncm", slopes, np.eye(self.times)).reshape(size, size)

    def phase(self, unknowns: np.ndarray) -> np.ndarray:
        """The row that forbids a shift in time."""
        moving = unknowns[:-2].reshape(self.states, self.times) @ self.slope.T
        return np.append(moving.ravel() / np.linalg.norm(moving), [0.0, 0.0])

    def corrected(self, guess: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The orbit in the plane across a direction, and the branch's direction there; None without convergence."""
        rows, unknowns = np.stack([self.phase(guess), along * self.weights**2]), guess
        with np.errstate(all="ignore"):
            for _ in range(NEWTON_STEPS):
                missing, matrix = self.equations(unknowns)
                whole = np.vstack([matrix, rows])
                if not np.isfinite(whole).all():
                    return None
                try:
                    change = np.linalg.solve(whole, np.append(missing, rows @ (unknowns - guess)))
                except np.linalg.LinAlgError:
                    return None
                unknowns = unknowns - change
                if np.abs(change).max() < CONVERGED:
                    ahead = np.linalg.solve(whole, np.append(np.zeros(len(missing) + 1), 1.0))
                    return unknowns, ahead / np.linalg.norm(ahead * self.weights)
        return None


def _along(frame: Frame, point: np.ndarray, form: Hopf) -> Iterator[tuple[_Problem, np.ndarray, np.ndarray]]:
    """(problem, unknowns, direction) of one orbit after another, away from the Hopf point."""
    problem = _Problem(frame.flow(), len(frame.states), POINTS)
    turned = np.exp(2j * np.pi * np.arange(POINTS) / POINTS)
    wave = 2 * (form.direction[:, None] * turned).real
    along = np.append((wave / np.linalg.norm(wave)).ravel() * POINTS**0.5, [0.0, 0.0])
    rest = np.concatenate([np.repeat(point[:-1], POINTS), [np.log(2 * np.pi / form.frequency), point[-1]]])
    here, size = problem.corrected(rest + SMALL * along, along), FIRST
    for _ in range(MOST_STEPS):
        if here is None:
            return
        yield problem, *here
        problem, here = _refined(problem, *here)
        if here is None:
            return
        ahead = None
        while ahead is None and size > SHORTEST:
            ahead = problem.corrected(here[0] + size * here[1], here[1])
            if ahead is not None and (ahead[1] * here[1]) @ problem.weights**2 < 0.9:
                ahead = None  # a turn so sharp may be a jump to another branch
            size = size / 2 if ahead is None else min(1.3 * size, LARGEST)
        here = ahead


def _refined(problem: _Problem, unknowns: np.ndarray,
             direction: np.ndarray) -> tuple[_Problem, tuple[np.ndarray, np.ndarray] | None]:
    """The same orbit at twice as many times where its highest frequencies show; no orbit where that is too many."""
    course = unknowns[:-2].reshape(problem.states, problem.times)
    size = np.abs(np.fft.rfft(course - course.mean(axis=1, keepdims=True)))
    if (size[:, -3:].max(axis=1) < TAIL * size.max()).all():
        return problem, (unknowns, direction)
    times = 2 * problem.times - 1
    if times > MOST_POINTS:
        return problem, None
    finer = _Problem(problem.flow, problem.states, times)
    more = [np.fft.irfft(np.fft.rfft(part.reshape(problem.states, -1)), times) * times / problem.times
            for part in (unknowns[:-2], direction[:-2])]
    guess, along = (np.append(part.ravel(), whole[-2:]) for part, whole in zip(more, (unknowns, direction),
                                                                               strict=True))
    return finer, finer.corrected(guess, along / np.linalg.norm(along * finer.weights))


def _fold(problem: _Problem, unknowns: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The orbit, ahead of one, at which what is scanned turns round."""
    def ahead(size: float) -> tuple[np.ndarray, np.ndarray]:
        return problem.corrected(unknowns + size * direction, direction)

    size = FIRST / 16
    while ahead(size)[1][-1] * direction[-1] > 0:
        size *= 1.5
    return ahead(brentq(lambda part: ahead(part)[1][-1], 0.0, size, xtol=1e-10))[0]


def _orbit(problem: _Problem, unknowns: np.ndarray) -> FoundOrbit:
    course = unknowns[:-2].reshape(problem.states, problem.times)
    return FoundOrbit(course, float(np.exp(unknowns[-2])), float(unknowns[-1]), _growth(problem, unknowns))


def _growth(problem: _Problem, unknowns: np.ndarray) -> float:
    """Leading Floquet exponent (1/second) beside the one along the orbit: Hill's method.

    Of the eigenvalues of the linear equation over one period, each exponent comes with copies shifted by a frequency;
    those within half a frequency of the real axis are the exponents themselves.
    """
    course = unknowns[:-2].reshape(problem.states, problem.times)
    point = np.vstack([course, np.full(problem.times, unknowns[-1])])
    seconds = float(np.exp(unknowns[-2]))
    matrix = problem._spread(problem.slopes(point)[:, :-1]) - np.kron(np.eye(problem.states), problem.slope) / seconds
    found = np.linalg.eigvals(matrix)
    found = found[np.argsort(np.abs(found.imag))][:problem.states]
    return float(max(np.delete(found, np.abs(found).argmin()).real, default=0.0))
