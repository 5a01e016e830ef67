"""Equilibria at one or many values of what is scanned: Newton's method from many places of the box."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import root
from scipy.stats import qmc

from astro_sim.dynamics.boxes import EMPTY
from astro_sim.dynamics.continuation import SAME
from astro_sim.dynamics.derivatives import RESTS, STEP, Flow, jacobian, rests
from astro_sim.dynamics.frame import WIDE, Frame
from foundation.errors import UserError
from foundation.shapes import Array, Float

STARTS = 2048     # of Newton's method at one value: a power of two, as Sobol's sequence wants
LONGEST = 2.0     # largest change of a coordinate in a step of Newton's method
STEPS = 40        # of Newton's method
SETTLED = 1e-10   # change of the last of them
SETTLING = 30.0   # times of the slowest rate: how long the flow is followed to where it leads


def settle(frame: Frame, level: float) -> Float[Array, "coordinate"]:
    """A steady state (coordinates) at a level (SI): Newton from the initial values, from where the flow leads, or from
    many places.

    Errors: `UserError` where neither finds one.
    """
    flow, last = frame.flow(), frame.level(level)
    start = frame.local.start()
    start = frame.coordinates(np.where(frame.logarithmic[:-1], np.maximum(start, EMPTY), start))
    point = _newton(flow, start, last)
    if point is not None:
        return point
    with np.errstate(all="ignore"):  # a guess from which Newton's method leaves is given up
        rates = np.abs(np.linalg.eigvals(jacobian(flow, np.append(start, last))[:, :-1]))
        lasts = SETTLING / max(rates.min(), 1e-4 * rates.max())
        course = solve_ivp(lambda t, y: flow(np.append(y, last)), (0, lasts), start, "LSODA",
                           np.linspace(0, lasts, 21), rtol=1e-8, events=frame.leaving())
        for guess in course.y.T[::-1]:
            point = _newton(flow, guess, last)
            if point is not None:
                return point
    for point in search(frame, np.array([level]))[0]:
        return point
    raise UserError(f"equilibrium: none found at {frame.local.over} = {level:g} (SI); try another value")


def _newton(flow: Flow, guess: np.ndarray, last: float) -> np.ndarray | None:
    with np.errstate(all="ignore"):
        found = root(lambda y: flow(np.append(y, last)), guess, method="hybr", options={"xtol": 1e-13},
                     jac=lambda y: jacobian(flow, np.append(y, last))[:, :-1])
        point = np.append(found.x, last)
        matrix = jacobian(flow, point)[:, :-1]
        return point if np.isfinite(matrix).all() and rests(flow, point, matrix) else None


def search(frame: Frame, levels: Float[Array, "level"],
           starts: int = STARTS) -> list[list[Float[Array, "coordinate"]]]:
    """The equilibria (coordinates), by the first state, at each of the levels (SI base values).

    Newton's method from `starts` places of Sobol's sequence in the coordinates of the box, for all levels at once.
    """
    low, high = frame.box()
    places = low + (high - low) * qmc.Sobol(len(low), seed=0).random(starts)
    level = np.repeat([frame.level(one) for one in levels], starts)
    found = _newton_for_all(frame, np.tile(places, (len(levels), 1)), level)
    below = low - np.where(frame.logarithmic[:-1], np.log(WIDE), SAME)
    inside = ((found > below) & (found < high + SAME)).all(axis=1)
    points = np.column_stack([found, level])
    return [_distinct(points[n:n + starts][inside[n:n + starts]]) for n in range(0, len(points), starts)]


def _newton_for_all(frame: Frame, guesses: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Newton's method from many places at once, float64 (place, state); NaN where it did not settle."""
    derivative, values = frame.local.derivative(), np.full(len(level), np.nan)
    values[:] = np.exp(level) if frame.logarithmic[-1] else level * frame.sizes[-1]
    states, active, found = guesses.T.copy(), np.arange(len(guesses)), np.full(guesses.shape, np.nan)
    axes = 1j * STEP * np.eye(len(states))[:, :, None]

    def flow(point: np.ndarray) -> np.ndarray:  # (state, place)
        given = frame.values(point)
        return derivative(list(given), values[active]) / frame.slopes(given)

    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            rates = flow(states)
            matrix = np.stack([flow(states + axis).imag / STEP for axis in axes], axis=-1).transpose(1, 0, 2)
            regular = np.isfinite(rates).all(axis=0) & np.isfinite(matrix).all(axis=(1, 2))  # else given up
            regular[regular] &= np.abs(np.linalg.det(matrix[regular])) > 0
            states, active, rates, matrix = states[:, regular], active[regular], rates[:, regular], matrix[regular]
            change = np.linalg.solve(matrix, rates.T[:, :, None])[:, :, 0].T
            still = np.abs(rates).max(axis=0) < RESTS * np.abs(matrix).max(axis=(1, 2))
            done = still & (np.abs(change).max(axis=0) < SETTLED)
            found[active[done]] = (states - change)[:, done].T
            states, active = (states - np.clip(change, -LONGEST, LONGEST))[:, ~done], active[~done]
            if not len(active):
                break
    return found


def _distinct(points: np.ndarray) -> list[np.ndarray]:
    """One of each, by the first state."""
    found: list = []
    for point in points[np.argsort(points[:, 0])]:
        if all(np.abs(point - other).max() > SAME for other in found):
            found.append(point)
    return found
