"""Derivatives of a flow by complex steps, exact to rounding, and what its eigenvalues say.

Generic: `flow(point)` gives the rates of all coordinates of the states at a point (states..., what is scanned), on
plain and on complex numbers. One row of a matrix for each rate, one column for each coordinate.
"""

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np

from foundation.shapes import Array, Float

STEP = 1e-30  # of a complex step: no difference is taken, so it may be as small as one likes
RESTS = 1e-8  # of the largest derivative: a smaller flow, in coordinates, is none
Flow = Callable[[np.ndarray], np.ndarray]


def jacobian(flow: Flow, point: Float[Array, "coordinate"]) -> Float[Array, "state coordinate"]:
    """d(flow)/d(point), float64 (state, state + 1)."""
    return np.stack([flow(point + 1j * STEP * axis).imag / STEP for axis in np.eye(len(point))], axis=1)


def rests(flow: Flow, point: Float[Array, "coordinate"], matrix: Float[Array, "state _"]) -> bool:
    """Whether no flow is left at a point, beside its derivatives there: fast and slow models alike."""
    return bool(np.abs(flow(point)).max() < RESTS * np.abs(matrix).max())


def eigenvalues(flow: Flow, point: Float[Array, "coordinate"]) -> np.ndarray:
    """Of the flow where what is scanned is held (1/second), complex128 (state,)."""
    return np.linalg.eigvals(jacobian(flow, point)[:, :-1]).astype(complex)


def tangent(flow: Flow, point: Float[Array, "coordinate"],
            before: Float[Array, "coordinate"] | None = None) -> Float[Array, "coordinate"]:
    """Direction along the branch, of length 1, on the side of `before`; without it to higher values scanned."""
    direction = np.linalg.svd(jacobian(flow, point))[2][-1]
    along = direction[-1] if before is None else direction @ before
    return direction * (1 if along > 0 else -1)


def hopf_frequency(values: Iterable[complex]) -> float:
    """Angular frequency (1/second) of the pair of eigenvalues whose sum is nearest zero; 0 where they are real."""
    a, b = min(itertools.combinations(values, 2), key=lambda pair: abs(pair[0] + pair[1]))
    return float(abs(a.imag)) if a.imag * b.imag < 0 else 0.0


def product_of_sums(values: Iterable[complex]) -> float:
    """Product of the sums of all pairs of eigenvalues: it changes its sign where a pair becomes imaginary."""
    return complex(math.prod(a + b for a, b in itertools.combinations(values, 2))).real


def product(values: Iterable[complex]) -> float:
    """Product of the eigenvalues: it changes its sign where one is zero."""
    return complex(math.prod(values)).real


def character(values: Iterable[complex]) -> dict:
    """What eigenvalues (1/second) make of an equilibrium.

    `growth`, angular `frequency`: of the leading eigenvalue; `unstable`: how many grow; `kind`: node or focus where all
    grow or none does, else saddle, and saddle-focus where the leading ones are a pair.
    """
    values = list(values)
    leading = max(values, key=lambda z: (z.real, z.imag))
    growing, turning = sum(1 for z in values if z.real > 0), bool(leading.imag != 0)
    kind = (("node", "focus") if growing in (0, len(values)) else ("saddle", "saddle-focus"))[turning]
    return {"stable": growing == 0, "growth": float(leading.real), "frequency": float(abs(leading.imag)),
            "unstable": growing, "kind": kind}
