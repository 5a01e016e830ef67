"""Whether the oscillation that is born at a Hopf point is stable: the first Lyapunov coefficient.

On the plane of the imaginary pair the flow is dz/dt = (growth + i frequency) z + cubic z |z|^2 + ..., so a small
oscillation has |z|^2 = -growth/Re(cubic). The derivatives are those of the ODE text, taken by mpmath with as many
digits as they need. Source: Kuznetsov2004, section 5.4, equation 5.62.
"""

import itertools
from dataclasses import dataclass

from astro_sim.dynamics.continuation import jacobian


@dataclass(frozen=True)
class Hopf:
    """`frequency` (rad/second), `cubic` (1/second), `direction`, complex (state,), of relative changes of states.

    A small oscillation of size |z| moves state k by 2 |direction_k| |z| of its value to either side.
    """

    frequency: float
    cubic: complex
    direction: object

    @property
    def lyapunov(self) -> float:
        """First Lyapunov coefficient, Re(cubic)/frequency: below zero where a stable oscillation is born."""
        return self.cubic.real / self.frequency

    @property
    def kind(self) -> str:
        """"supercritical" where the oscillation that is born is stable, else "subcritical"."""
        return "supercritical" if self.lyapunov < 0 else "subcritical"


def hopf(chosen, point) -> Hopf:
    """The normal form at a Hopf point, given in logarithms; chosen: `equilibria.Local`."""
    import numpy as np

    matrix = jacobian(chosen.flow(), point)[:, :-1]
    values, vectors = np.linalg.eig(matrix)
    pair = min(itertools.combinations(range(len(values)), 2), key=lambda ab: abs(values[ab[0]] + values[ab[1]]))
    first = next(k for k in pair if values[k].imag > 0)
    frequency, right = float(values[first].imag), vectors[:, first]  # of length 1
    left = np.linalg.inv(vectors)[first]  # left . right = 1
    bent = _derivatives(chosen, point)
    mean = np.linalg.solve(matrix, bent(right, right.conj(), 1, 1))
    double = np.linalg.solve(2j * frequency * np.eye(len(matrix)) - matrix, bent(right, right, 2, 0))
    # (E2.41) cubic = <p, C(q, q, q*) - 2 B(q, A^-1 B(q, q*)) + B(q*, (2 i w - A)^-1 B(q, q))>/2
    cubic = left @ (bent(right, right.conj(), 2, 1) - 2 * bent(right, mean, 1, 1)
                    + bent(right.conj(), double, 1, 1)) / 2
    return Hopf(frequency, complex(cubic), right)


def _derivatives(chosen, point):
    """f(a, b, m, n): d^(m+n)/ds^m dt^n of the flow in logarithms at point + s a + t b, complex128 (state,)."""
    import mpmath
    import numpy as np

    rates = chosen.rates({"exp": mpmath.exp, "tanh": mpmath.tanh, "sqrt": mpmath.sqrt, "log": mpmath.log})
    rest, level = point[:-1].tolist(), mpmath.exp(float(point[-1]))

    def bent(along, across, m: int, n: int):
        directions = list(zip(rest, along.tolist(), across.tolist(), strict=True))

        def flow(k: int):
            def component(s, t):
                states = [mpmath.exp(x + s * a + t * b) for x, a, b in directions]
                return rates(states, level)[k] / states[k]

            return component

        return np.array([complex(mpmath.diff(flow(k), (0, 0), (m, n))) for k in range(len(rest))])

    return bent
