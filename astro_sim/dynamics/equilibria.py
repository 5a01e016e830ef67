"""Equilibria of a model over a constant input: all that a search of the physical box finds, and the branches on them.

Everything comes from the ODE text that Brian2 runs, evaluated here on plain and on complex numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from astro_sim.dynamics.continuation import RESTS, SAME, STEP, Branch, jacobian
from astro_sim.model import Model
from astro_sim.model.equation_text import right_sides
from astro_sim.parameter import convert, read, unit
from astro_sim.plan import find_model
from foundation.errors import UserError, choose

EMPTY = 1e-6      # SI base value: where Newton's method starts for a state that starts at zero
STARTS = 2048     # of Newton's method at one input: a power of two, as Sobol's sequence wants
LOWEST = 1e-4     # of a state's largest value: where the starts begin
WIDE = 1e3        # factor either way about its initial value, for a state without a bound
LONGEST = 2.0     # logarithm of the largest change of a state in a step of Newton's method
STEPS = 40        # of Newton's method
SETTLED = 1e-10   # change of the last of them


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
        if self.model.stochastic:
            raise UserError(f"{self.model.name}: noise has no equilibria; give the model without it, as gchi is for "
                            "gchi_stochastic")

    @property
    def states(self) -> list[str]:
        """Names of the states, in the order of every array of states."""
        return self.model.states()

    @cached_property
    def scales(self):
        """SI base value of each state's unit, float64 (state,)."""
        import numpy as np

        return np.array([float(1 * unit(self.model.initial[name].unit)) for name in self.states])

    @property
    def input_scale(self) -> float:
        """One unit of the input in SI base units."""
        return float(1 * unit(self.model.inputs[self.input].unit))

    def rates(self, functions: Mapping[str, object]):
        """f(states, input) -> rates in the order of `states`, SI base values; functions: exp, tanh, sqrt, log."""
        right_side = right_sides(self.model.populations[0].equations, functions)
        fixed = {name: float(p.quantity()) for name, p in self.model.parameters(self.parameter_set).items()}
        variable, names = self.model.inputs[self.input].variable, self.states

        def evaluate(states, level):
            given = right_side({**fixed, **dict(zip(names, states, strict=True)), variable: level})
            return [given[name] for name in names]

        return evaluate

    def derivative(self):
        """f(states, input) -> array, all in SI base values; complex states are fine."""
        import numpy as np

        rates = self.rates({"exp": np.exp, "tanh": np.tanh, "sqrt": np.sqrt, "log": np.log})
        return lambda states, level: np.array(rates(states, level))

    def flow(self):
        """The flow in logarithms: point (log states, log input) -> d(log states)/dt, with the same eigenvalues."""
        import numpy as np

        derivative = self.derivative()

        def rates(point):
            values = np.exp(point)
            return derivative(values[:-1], values[-1]) / values[:-1]

        return rates

    def start(self):
        """The model's initial states, float64 (state,), in SI base units."""

        import numpy as np

        return np.array([float(self.model.initial[name].quantity()) for name in self.states])

    def largest(self, name: str) -> float | None:
        """The bound of a recorded state, in its unit; None where it has none."""
        bound = getattr(self.model.observables.get(name), "high", None)
        if isinstance(bound, str):
            parameter = self.model.parameters(self.parameter_set)[bound]
            return convert(parameter.value, parameter.unit, self.model.initial[name].unit, name)
        return float(bound) if isinstance(bound, int | float) else None

    def box(self):
        """(lowest, highest) of the states that are searched for equilibria, float64 (2, state), SI base values."""
        import numpy as np

        given = [self.largest(name) for name in self.states]
        start = np.maximum(self.start(), EMPTY)
        high = np.array([b * scale if b else s * WIDE
                         for b, s, scale in zip(given, start, self.scales, strict=True)])
        low = np.array([h * LOWEST if b else s / WIDE for b, s, h in zip(given, start, high, strict=True)])
        return np.stack([low, high])

    def widened(self):
        """Logarithms of the box, `WIDE` wider to either side: what leaves it is not followed, float64 (2, state)."""
        import numpy as np

        return np.log(self.box()) + np.log(WIDE) * np.array([[-1.0], [1.0]])

    def leaving(self):
        """An event for solve_ivp on logarithms: it ends a course that leaves the widened box."""
        low, high = self.widened()

        def stays(t, states):
            return min((states - low).min(), (high - states).min())

        stays.terminal = True
        return stays

    def state_of(self, point) -> dict[str, float]:
        """A point in logarithms as values in each state's unit."""
        import numpy as np

        return {name: float(value) for name, value in zip(self.states, np.exp(point[:-1]) / self.scales, strict=True)}

    def input_of(self, point) -> float:
        """The input at a point of a branch, in the input's own unit."""

        import numpy as np

        return float(np.exp(point[-1]) / self.input_scale)


def local(model: str | Model, input: str = "ip3", parameter_set: str | None = None) -> Local:
    """A model with one input, ready to be evaluated. Errors: `UserError` for an unknown model, set or input."""
    return Local(*find_model(model, parameter_set), input)


def equilibrium(model: str | Model, value, *, input: str = "ip3", parameter_set: str | None = None) -> dict[str, float]:
    """A steady state at a constant input, in each state's own unit; of several, the first that Newton finds.

    States must be positive. Errors: `UserError` where none is found.
    """
    chosen = local(model, input, parameter_set)
    return chosen.state_of(settle(chosen, _level(chosen, value)))


def all_equilibria(model: str | Model, value, *, input: str = "ip3", parameter_set: str | None = None) -> list[dict]:
    """The steady states at a constant input that Newton's method finds from `STARTS` places in the box of the states.

    Rows {states in their units..., stable, growth, frequency, unstable, kind}, by the first state; see `character`.
    Errors: `UserError` for an input that is none, or not above zero.
    """
    import numpy as np

    chosen = local(model, input, parameter_set)
    points = search(chosen, np.array([_level(chosen, value)]))[0]
    return [chosen.state_of(point) | character(np.linalg.eigvals(jacobian(chosen.flow(), point)[:, :-1]))
            for point in points]


def hopf_points(model: str | Model, low="0.1 umolar", high="1 umolar", *, input: str = "ip3",
                parameter_set: str | None = None, points: int = 200) -> list[float]:
    """Input values (in its unit), ascending, where a complex pair of eigenvalues crosses the imaginary axis.

    The branch of equilibria is followed through folds from `low` until it leaves the range, in about `points` steps;
    two crossings inside one step go unseen, and so do branches that are not connected to it (`scan` follows those
    too). Errors: `UserError` for a range that is none, and where the branch does not leave it.
    """
    chosen = local(model, input, parameter_set)
    branch = followed(chosen, settle(chosen, _level(chosen, low)), low, high, points)
    if not set(branch.ends) <= {"low", "high"}:
        raise UserError(f"{input}: the branch of equilibria does not leave {low} to {high}; give another range")
    return sorted(chosen.input_of(one.point) for one in branch.specials() if one.kind == "hopf")


def followed(chosen: Local, start, low, high, points: int = 200) -> Branch:
    """The branch through an equilibrium (logarithms), from a low to a high input. Errors: `UserError` for no range."""
    import numpy as np

    limits = tuple(float(np.log(_level(chosen, end))) for end in (low, high))
    if not limits[0] < limits[1]:
        raise UserError(f"{chosen.input}: from {low} to {high} is no range; give a lower and a higher value above zero")
    return Branch(chosen.flow(), start, limits, (limits[1] - limits[0]) / points, chosen.widened())


def character(values) -> dict:
    """What eigenvalues (1/second) make of an equilibrium.

    `growth`, angular `frequency`: of the leading eigenvalue; `unstable`: how many grow; `kind`: node or focus where all
    grow or none does, else saddle, and saddle-focus where the leading ones are a pair.
    """
    leading = max(values, key=lambda z: (z.real, z.imag))
    growing, turning = sum(1 for z in values if z.real > 0), bool(leading.imag != 0)
    kind = (("node", "focus") if growing in (0, len(values)) else ("saddle", "saddle-focus"))[turning]
    return {"stable": growing == 0, "growth": float(leading.real), "frequency": float(abs(leading.imag)),
            "unstable": growing, "kind": kind}


def settle(chosen: Local, level: float):
    """A steady state (logarithms) at an input: Newton from the initial values, else from where the flow leads."""
    import numpy as np
    from scipy.integrate import solve_ivp

    flow, last, start = chosen.flow(), np.log(level), np.log(np.maximum(chosen.start(), EMPTY))
    course = solve_ivp(lambda t, y: flow(np.append(y, last)), (0, 300), start, "LSODA", range(0, 301, 15), rtol=1e-8,
                       events=chosen.leaving())
    for guess in [start, *course.y.T[::-1]]:
        with np.errstate(all="ignore"):  # a guess from which Newton's method leaves is given up
            point = _newton(flow, guess, last)
        if point is not None:
            return point
    raise UserError(f"equilibrium: none found at {chosen.input} = {level:g} (SI); try another value")


def search(chosen: Local, levels, starts: int = STARTS) -> list[list]:
    """The equilibria (logarithms), by the first state, at each input of `levels` (SI base values).

    Newton's method from `starts` places of Sobol's sequence in the logarithms of `Local.box`, for all inputs at once.
    """
    import numpy as np
    from scipy.stats import qmc

    low, high = np.log(chosen.box())
    places = low + (high - low) * qmc.Sobol(len(low), seed=0).random(starts)
    level = np.repeat(np.log(levels), starts)
    found = _newton_for_all(chosen, np.tile(places, (len(levels), 1)), level)
    inside = ((found > low - np.log(WIDE)) & (found < high + SAME)).all(axis=1)
    points = np.column_stack([found, level])
    return [_distinct(points[n:n + starts][inside[n:n + starts]]) for n in range(0, len(points), starts)]


def _newton_for_all(chosen: Local, guesses, level):
    """Newton's method from many places at once, float64 (place, state); NaN where it did not settle."""
    import numpy as np

    derivative = chosen.derivative()

    def flow(states):  # (state, place)
        values = np.exp(states)
        return derivative(list(values), np.exp(level[active])) / values

    states, active, found = guesses.T.copy(), np.arange(len(guesses)), np.full(guesses.shape, np.nan)
    axes = 1j * STEP * np.eye(len(states))[:, :, None]
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            rates = flow(states)
            matrix = np.stack([flow(states + axis).imag / STEP for axis in axes], axis=-1).transpose(1, 0, 2)
            regular = np.isfinite(rates).all(axis=0) & (np.abs(np.linalg.det(matrix)) > 0)  # else given up
            states, active, rates, matrix = states[:, regular], active[regular], rates[:, regular], matrix[regular]
            change = np.linalg.solve(matrix, rates.T[:, :, None])[:, :, 0].T
            done = (np.abs(rates).max(axis=0) < RESTS) & (np.abs(change).max(axis=0) < SETTLED)
            found[active[done]] = states[:, done].T
            states, active = (states - np.clip(change, -LONGEST, LONGEST))[:, ~done], active[~done]
            if not len(active):
                break
    return found


def _distinct(points) -> list:
    """One of each, by the first state."""
    import numpy as np

    found: list = []
    for point in points[np.argsort(points[:, 0])]:
        if all(np.abs(point - other).max() > SAME for other in found):
            found.append(point)
    return found


def _newton(flow, guess, last: float):
    import numpy as np
    from scipy.optimize import root

    found = root(lambda y: flow(np.append(y, last)), guess, method="hybr", options={"xtol": 1e-13},
                 jac=lambda y: jacobian(flow, np.append(y, last))[:, :-1])
    point = np.append(found.x, last)
    return point if np.abs(flow(point)).max() < RESTS else None


def _level(chosen: Local, value) -> float:
    """An input (text with a unit, or a number of its own) as SI base value."""
    level = read(value, chosen.model.inputs[chosen.input].unit, chosen.input) * chosen.input_scale
    if level <= 0:
        raise UserError(f"{chosen.input}: equilibria need an input above zero; given {value}")
    return level
