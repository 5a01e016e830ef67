"""Equilibria of a model over a constant input: where they are, whether they are stable, Hopf points and folds.

Everything comes from the ODE text that Brian2 runs, evaluated here on plain and on complex numbers.
"""

import itertools
from dataclasses import dataclass

from astro_sim.equation_text import right_sides
from astro_sim.model import Model
from astro_sim.parameter import read, unit
from astro_sim.plan import find_model
from foundation.errors import UserError, choose

STEP = 1e-30  # complex-step derivative: exact to rounding, no difference is taken
RESTS = 1e-8      # per second, relative to each state: no flow is left there
EMPTY = 1e-6      # SI base value: where Newton's method starts for a state that starts at zero
SHORTEST = 1e-6   # of a step along a branch: shorter ones would not end


@dataclass(frozen=True)
class Local:
    """One element of an uncoupled model as a function: states (SI base values) and one input -> derivatives."""

    model: Model
    parameter_set: str
    input: str

    def __post_init__(self):
        choose(f"input of {self.model.name}", self.input, dict(self.model.inputs))
        if len(self.model.populations) > 1 or self.model.connections:
            raise UserError(f"{self.model.name}: equilibria need one uncoupled population, as li_rinzel has")

    @property
    def states(self) -> list[str]:
        return self.model.states()

    def derivative(self):
        """f(states, input) -> array, all in SI base values; complex states are fine."""
        import numpy as np

        rates = right_sides(self.model.populations[0].equations, {"exp": np.exp, "tanh": np.tanh, "sqrt": np.sqrt,
                                                                  "log": np.log})
        fixed = {name: float(p.quantity()) for name, p in self.model.parameters(self.parameter_set).items()}
        variable, names = self.model.inputs[self.input].variable, self.states

        def evaluate(states, level):
            given = rates({**fixed, **dict(zip(names, states, strict=True)), variable: level})
            return np.array([given[name] for name in names])

        return evaluate

    def start(self):
        import numpy as np

        return np.array([float(self.model.initial[name].quantity()) for name in self.states])


def local(model: str | Model, input: str = "ip3", parameter_set: str | None = None) -> Local:
    return Local(*find_model(model, parameter_set), input)


def equilibrium(model: str | Model, value, *, input: str = "ip3", parameter_set: str | None = None) -> dict[str, float]:
    """A steady state at a constant input, in each state's own unit; of several, the first that Newton finds.

    States must be positive. Errors: `UserError` where none is found.
    """
    chosen = local(model, input, parameter_set)
    target = chosen.model.inputs[input]
    point = _settle(_logarithmic(chosen), chosen, read(value, target.unit, input) * float(1 * unit(target.unit)))
    return {name: float(state / float(1 * unit(chosen.model.initial[name].unit)))
            for name, state in zip(chosen.states, _exp(point[:-1]), strict=True)}


def hopf_points(model: str | Model, low="0.1 umolar", high="1 umolar", *, input: str = "ip3",
                parameter_set: str | None = None, points: int = 200) -> list[float]:
    """Input values (in its unit), ascending, where a complex pair of eigenvalues crosses the imaginary axis.

    The branch of equilibria is followed through folds from `low` until it leaves the range, in about `points` steps;
    two crossings inside one step go unseen, and so do branches that are not connected to it. Says nothing of whether
    the oscillation is born stable (it is not at the upper point of li_rinzel:AM).
    """
    chosen = local(model, input, parameter_set)
    return Branch(chosen, low, high, points).hopf()


class Branch:
    """The equilibria of a model from `low` to `high` of an input, followed through folds in about `points` steps.

    `points` hold the logarithms of states and input (SI base values), `tangents[n]` leads `sizes[n]` from point n to
    n + 1. Errors: `UserError` for a range that is none, and where the branch does not leave it.
    """

    def __init__(self, chosen: Local, low, high, points: int = 200):
        import numpy as np

        wanted = chosen.model.inputs[chosen.input].unit
        self.chosen, self.ends = chosen, [read(end, wanted, chosen.input) for end in (low, high)]
        if not 0 < self.ends[0] < self.ends[1]:
            raise UserError(f"{chosen.input}: from {low} to {high} is no range; give a lower and a higher value above "
                            "zero")
        self.scale, self.flow = float(1 * unit(wanted)), _logarithmic(chosen)
        self.step = np.log(self.ends[1] / self.ends[0]) / points
        self.points, self.tangents, self.sizes = [_settle(self.flow, chosen, self.ends[0] * self.scale)], [], []
        for _ in range(50 * points):
            self.tangents.append(_tangent(self.flow, self.points[-1], self.tangents[-1] if self.tangents else None))
            self._advance()
            if not self.ends[0] * (1 - 1e-9) <= self.input(self.points[-1]) <= self.ends[1]:
                return
        raise UserError(f"{chosen.input}: the branch of equilibria does not leave {low} to {high}; give another range")

    def _advance(self) -> None:
        """One step along the last tangent, halved until Newton's method comes back to the branch beside its guess."""
        import numpy as np

        size, n = min(self.step, 2 * self.sizes[-1]) if self.sizes else self.step, len(self.tangents) - 1
        while size > SHORTEST * self.step:
            guess = self.points[n] + size * self.tangents[n]
            try:
                with np.errstate(all="ignore"):
                    point = self.at(n, size)
                    good = np.linalg.norm(point - guess) < size and np.abs(self.flow(point)).max() < RESTS
            except np.linalg.LinAlgError:
                good = False
            if good:
                self.points.append(point)
                self.sizes.append(size)
                return
            size /= 2
        raise UserError(f"{self.chosen.input}: the branch of equilibria is lost at {self.input(self.points[n]):.6g}; "
                        "give another range")

    def input(self, point) -> float:
        return float(_exp(point[-1]) / self.scale)

    def at(self, n: int, size: float):
        """The equilibrium `size` along the branch after point n."""
        return _corrected(self.flow, self.points[n] + size * self.tangents[n], self.tangents[n])

    def leading(self, point) -> complex:
        """The eigenvalue (1/second) with the largest real part."""
        return _leading(self.flow, point)

    def hopf(self) -> list[float]:
        """Inputs where a complex pair crosses the imaginary axis, ascending."""
        values = [self.leading(point) for point in self.points]
        return self._crossings([n for n, (a, b) in enumerate(itertools.pairwise(values))
                                if a.real * b.real < 0 and a.imag != 0 and b.imag != 0],
                               lambda n, point: self.leading(point).real)

    def folds(self) -> list[float]:
        """Inputs where the branch turns back, ascending."""
        return self._crossings([n for n, (a, b) in enumerate(itertools.pairwise(self.tangents)) if a[-1] * b[-1] < 0],
                               lambda n, point: _tangent(self.flow, point, self.tangents[n])[-1])

    def _crossings(self, steps: list[int], measure) -> list[float]:
        from scipy.optimize import brentq

        found = []
        for n in steps:
            size = brentq(lambda part, n=n: measure(n, self.at(n, part)), 0.0, self.sizes[n], xtol=1e-13)
            found.append(self.input(self.at(n, size)))
        return sorted(value for value in found if self.ends[0] <= value <= self.ends[1])


def _exp(values):
    import numpy as np

    return np.exp(values)


def _logarithmic(chosen: Local):
    """The flow in logarithms: point (log states, log input) -> d(log states)/dt. Eigenvalues at rest are the same."""
    derivative = chosen.derivative()

    def flow(point):
        values = _exp(point)
        return derivative(values[:-1], values[-1]) / values[:-1]

    return flow


def _jacobian(flow, point):
    """d(flow)/d(point) by complex steps, float64 (state, state + input)."""
    import numpy as np

    return np.stack([flow(point + 1j * STEP * axis).imag / STEP for axis in np.eye(len(point))], axis=1)


def _settle(flow, chosen: Local, level: float):
    """A steady state at a fixed input: Newton from the initial values, else from where the flow leads, latest first."""
    import numpy as np
    from scipy.integrate import solve_ivp

    if level <= 0:
        raise UserError(f"{chosen.input}: equilibria need an input above zero; given {level:g} (SI)")
    last, start = np.log(level), np.log(np.maximum(chosen.start(), EMPTY))  # logarithms: nothing is a little
    course = solve_ivp(lambda t, y: flow(np.append(y, last)), (0, 300), start, "LSODA", range(0, 301, 15), rtol=1e-8)
    for guess in [start, *course.y.T[::-1]]:
        with np.errstate(all="ignore"):  # a guess from which Newton's method leaves is given up
            point = _newton(flow, guess, last)
        if point is not None:
            return point
    raise UserError(f"equilibrium: none found at {chosen.input} = {level:g} (SI); try another value")


def _newton(flow, guess, last: float):
    import numpy as np
    from scipy.optimize import root

    found = root(lambda y: flow(np.append(y, last)), guess, method="hybr", options={"xtol": 1e-13},
                 jac=lambda y: _jacobian(flow, np.append(y, last))[:, :-1])
    point = np.append(found.x, last)
    return point if np.abs(flow(point)).max() < RESTS else None


def _tangent(flow, point, before):
    """Direction along the branch, of length 1; the first goes to higher input."""
    import numpy as np

    direction = np.linalg.svd(_jacobian(flow, point))[2][-1]
    along = direction[-1] if before is None else direction @ before
    return direction * (1 if along > 0 else -1)


def _corrected(flow, guess, tangent):
    """Newton's method back to the branch, in the plane across the tangent."""
    import numpy as np

    point = guess
    for _ in range(20):
        residual = np.append(flow(point), tangent @ (point - guess))
        change = np.linalg.solve(np.vstack([_jacobian(flow, point), tangent]), residual)
        point = point - change
        if np.abs(change).max() < 1e-10:  # quadratic: the next change would be rounding
            break
    return point


def _leading(flow, point):
    """The eigenvalue with the largest real part, of a pair the one with positive imaginary part."""
    import numpy as np

    return max(np.linalg.eigvals(_jacobian(flow, point)[:, :-1]), key=lambda z: (z.real, z.imag))
