"""Whether the oscillation that is born at a Hopf point is stable: the first Lyapunov coefficient.

On the plane of the imaginary pair the flow is dz/dt = (growth + i frequency) z + cubic z |z|^2 + ..., so a small
oscillation has |z|^2 = -growth/Re(cubic). The derivatives are those of the ODE text, taken by mpmath with as many
digits as they need. Source: Kuznetsov2004, section 5.4, equation 5.62.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from astro_sim.dynamics.derivatives import jacobian
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.functions import exact


@dataclass(frozen=True)
class Hopf:
    """`frequency` (rad/second), `cubic` (1/second), `direction`, complex (state,), of changes of the coordinates.

    A small oscillation of size |z| moves coordinate k by 2 |direction_k| |z| to either side; a logarithm's by as much
    of the state's value.
    """

    frequency: float
    cubic: complex
    direction: np.ndarray

    @property
    def lyapunov(self) -> float:
        """First Lyapunov coefficient, Re(cubic)/frequency: below zero where a stable oscillation is born."""
        return self.cubic.real / self.frequency

    @property
    def kind(self) -> str:
        """"supercritical" where the oscillation that is born is stable, else "subcritical"."""
        return "supercritical" if self.lyapunov < 0 else "subcritical"


def hopf(frame: Frame, point: np.ndarray) -> Hopf:
    """The normal form at a Hopf point (coordinates)."""
    matrix = jacobian(frame.flow(), point)[:, :-1]
    values, vectors = np.linalg.eig(matrix)
    pair = min(itertools.combinations(range(len(values)), 2), key=lambda ab: abs(values[ab[0]] + values[ab[1]]))
    first = next(k for k in pair if values[k].imag > 0)
    frequency, right = float(values[first].imag), vectors[:, first]  # of length 1
    left = np.linalg.inv(vectors)[first]  # left . right = 1
    bent = _derivatives(frame, point)
    mean = np.linalg.solve(matrix, bent(right, right.conj(), 1, 1))
    double = np.linalg.solve(2j * frequency * np.eye(len(matrix)) - matrix, bent(right, right, 2, 0))
    # (E2.41) cubic = <p, C(q, q, q*) - 2 B(q, A^-1 B(q, q*)) + B(q*, (2 i w - A)^-1 B(q, q))>/2
    cubic = left @ (bent(right, right.conj(), 2, 1) - 2 * bent(right, mean, 1, 1)
                    + bent(right.conj(), double, 1, 1)) / 2
    return Hopf(frequency, complex(cubic), right)


def _derivatives(frame: Frame, point: np.ndarray) -> Callable[..., np.ndarray]:
    """f(a, b, m, n): d^(m+n)/ds^m dt^n of the flow in coordinates at point + s a + t b, complex128 (state,)."""
    import mpmath

    rates, rest, sizes = frame.local.rates(exact()), point[:-1].tolist(), frame.sizes.tolist()
    last, logarithmic = float(point[-1]), frame.logarithmic.tolist()
    level = mpmath.exp(last) if logarithmic[-1] else mpmath.mpf(last) * sizes[-1]

    def bent(along: np.ndarray, across: np.ndarray, m: int, n: int) -> np.ndarray:
        directions = list(zip(rest, along.tolist(), across.tolist(), strict=True))

        def flow(k: int) -> Callable:
            def component(s: object, t: object) -> object:
                moved = [x + s * a + t * b for x, a, b in directions]
                states = [mpmath.exp(one) if log else one * size
                          for one, log, size in zip(moved, logarithmic[:-1], sizes[:-1], strict=True)]
                return rates(states, level)[k] / (states[k] if logarithmic[k] else sizes[k])

            return component

        return np.array([complex(mpmath.diff(flow(k), (0, 0), (m, n))) for k in range(len(rest))])

    return bent
