"""A periodic orbit of a model by spectral collocation: its course and period at once, to rounding.

Newton's method on the values at equal times over one period, which a trigonometric polynomial joins; from the ODE text
that Brian2 runs. Thirty times faster than following the flow, and smooth in every parameter, so it can be
differentiated; but it needs an orbit nearby to start from.
"""

from dataclasses import dataclass

import numpy as np

from astro_sim.dynamics.derivatives import STEP
from astro_sim.dynamics.local import Derivative, Local
from foundation.errors import UserError

POINTS = 61  # odd; the highest frequencies of li_rinzel's courses are 1e-11 of the lowest then
STEPS, CONVERGED, STILL = 25, 1e-10, 1e-3


@dataclass(frozen=True)
class Orbit:
    """`states` [state, time] in SI base values at equal times, an odd number, over one period of `seconds`.

    The first state is at its top (or bottom) at the first time.
    """

    states: np.ndarray
    seconds: float

    @property
    def means(self) -> np.ndarray:
        """Mean of every state over the period, float64 [state]; exact for the trigonometric polynomial."""
        return self.states.mean(axis=1)


def orbit(local: Local, level: float, near: Orbit) -> Orbit:
    """The orbit at an input of `level` (SI) that continues `near`.

    Errors: `UserError` where Newton's method finds none, or only the steady state.
    """
    with np.errstate(all="ignore"):  # a step too far may leave the positive numbers; it is not taken
        found = _newton(local.derivative(), level, near)
    if found is None:
        raise UserError(f"{local.name} has no oscillation near the given one at "
                        f"{local.over} = {level:g} (SI)")
    return found


def _newton(right_side: Derivative, level: float, near: Orbit) -> Orbit | None:
    points = near.states.shape[1]
    slope, scale = differentiation(points), np.abs(near.states).max(axis=1, keepdims=True)
    states, seconds, size = near.states / scale, near.seconds, near.states.size
    for _ in range(STEPS):
        flow = right_side(states * scale, level) / scale
        jacobian = jacobian_along(right_side, states * scale, level) * scale[None, :, 0, None] / scale[:, :, None]
        missing = np.append((states @ slope.T - seconds * flow).ravel(), flow[0, 0])
        matrix = np.zeros((size + 1, size + 1))
        matrix[:size, :size] = np.kron(np.eye(len(states)), slope)
        matrix[:size, :size] -= seconds * np.einsum("rcn,nm->rncm", jacobian, np.eye(points)).reshape(size, size)
        matrix[:size, size] = -flow.ravel()
        matrix[size, 0:size:points] = jacobian[0, :, 0]  # the first variable stands still at the first time
        if not np.isfinite(matrix).all() or np.ptp(states[0]) < STILL:
            return None  # far away, or on the way to the steady state, where the matrix has no inverse
        change = np.linalg.solve(matrix, missing)
        states, seconds = states - change[:-1].reshape(states.shape), seconds - change[-1]
        if np.abs(change).max() < CONVERGED:
            return Orbit(states * scale, float(seconds)) if seconds > 0 else None
    return None


def differentiation(count: int) -> np.ndarray:
    """d/dt of a trigonometric polynomial of period 1 at its `count` (odd) equal times, as a matrix."""
    gap = np.subtract.outer(np.arange(count), np.arange(count))
    away = np.where(gap == 0, 1, gap)
    return np.where(gap == 0, 0.0, np.pi * (-1.0) ** away / np.sin(np.pi * away / count))


def jacobian_along(right_side: Derivative, states: np.ndarray, level: float) -> np.ndarray:
    """d(flow)/d(state) at every time, float64 [state, state, time], by complex steps."""
    found = np.empty((len(states), *states.shape))
    for column in range(len(states)):
        moved = states.astype(complex)
        moved[column] += STEP * 1j
        found[:, column] = right_side(moved, level).imag / STEP
    return found
