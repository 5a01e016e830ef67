"""The phase plane of a model with two states: nullclines, all equilibria with their stability, the flow.

    plane = phase_plane("li_rinzel:AM", "0.5 umolar")
    plane.nullclines["C"]     # points (C, h) where calcium stands still
    plane.equilibria          # rows {C, h, stable, growth, frequency, kind}

Everything comes from the ODE text that Brian2 runs, evaluated here.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from astro_sim.dynamics.continuation import STEP
from astro_sim.dynamics.equilibria import Local, character, local
from astro_sim.model import Model
from astro_sim.parameter import read, unit
from foundation.errors import UserError

LINES = 400   # values of the first state at which the second is solved for
CELLS = 400   # intervals of the second state that are searched for a change of sign
CLOSE = 1e-7  # of the ranges: equilibria that are nearer are one


@dataclass(frozen=True)
class PhasePlane:
    """`nullclines`: state -> float64 (point, 2), its two columns the `states`, where that state stands still.

    `equilibria`: rows {states..., stable, growth, frequency, unstable, kind} (see `equilibria.character`), by the first
    state. `ranges` are those searched; values of states are in `units`.
    """

    model: str
    parameter_set: str
    input: str
    level: float
    states: tuple[str, str]
    units: tuple[str, str]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    nullclines: dict
    equilibria: list
    chosen: Local

    @cached_property
    def flow(self):
        """(first, second) -> rates (unit of each state per second), float64 (2, ...), at arrays of states."""
        import numpy as np

        derivative = self.chosen.derivative()
        scales = [float(1 * unit(name)) for name in self.units]
        level = self.level * float(1 * unit(self.chosen.model.inputs[self.input].unit))

        def rates(first, second):
            moving = derivative([np.asarray(first) * scales[0], np.asarray(second) * scales[1]], level)
            return np.stack([rate / scale for rate, scale in zip(moving, scales, strict=True)])

        return rates


def phase_plane(model: str | Model, value, *, input: str = "ip3", parameter_set: str | None = None,
                ranges=None) -> PhasePlane:
    """The phase plane at a constant input.

    `ranges`: (low, high) of both states in their units, above zero at the low end where a state is a concentration;
    by default what the bounds of the recorded states allow. At each of many values of the first state all values of
    the second are found at which a rate changes sign, so folded nullclines are whole. Errors: `UserError` for a model
    that has not two states, for an input or a range that is none.
    """
    chosen = local(model, input, parameter_set)
    if len(chosen.states) != 2:
        raise UserError(f"{chosen.model.name}: a phase plane needs two states; it has {', '.join(chosen.states)}")
    level = read(value, chosen.model.inputs[input].unit, input)
    units = tuple(chosen.model.initial[name].unit for name in chosen.states)
    spans = _ranges(chosen, units, ranges)
    empty = PhasePlane(chosen.model.name, chosen.parameter_set, input, level, tuple(chosen.states), units, spans, {},
                       [], chosen)
    lined = replace(empty, nullclines={name: _nullcline(empty, n) for n, name in enumerate(chosen.states)})
    return replace(lined, equilibria=_equilibria(lined))


def _ranges(chosen: Local, units, given):
    if given is None:
        return tuple(_allowed(chosen, name) for name in chosen.states)
    spans = tuple(tuple(read(end, wanted, name) for end in pair)
                  for pair, wanted, name in zip(given, units, chosen.states, strict=True))
    for (low, high), name in zip(spans, chosen.states, strict=True):
        if not 0 <= low < high:
            raise UserError(f"{name}: {low:g} to {high:g} is no range; give a lower end of zero or above and a higher "
                            "one")
    return spans


def _allowed(chosen: Local, name: str) -> tuple[float, float]:
    """From zero to what the bound of the recorded state allows."""
    bound = chosen.largest(name)
    if bound is None:
        raise UserError(f"{name}: has no bound of its own; give ranges, a (low, high) for each state")
    return 0.0, bound


def _nullcline(plane: PhasePlane, n: int):
    """All points of the nullcline of state n, by the first state: roots of its rate in the second state."""
    import numpy as np
    from scipy.optimize.elementwise import find_root

    # (E2.38) d(state)/dt = 0
    (low, high), (bottom, top) = plane.ranges
    across = np.linspace(low, high, LINES + 1)[1:]  # with no calcium at all no receptor opens: no h to solve for
    up = np.linspace(bottom, top, CELLS + 1)
    line, cell = np.nonzero(np.diff(plane.flow(across[:, None], up[None, :])[n] > 0, axis=1))
    first = across[line]
    found = find_root(lambda second, first: plane.flow(first, second)[n], (up[cell], up[cell + 1]), args=(first,))
    return np.stack([first, found.x], axis=1)


def _equilibria(plane: PhasePlane) -> list[dict]:
    """Where the first nullcline crosses the second: the second rate changes sign along the first, then Newton."""
    import numpy as np
    from scipy.optimize import root

    points = plane.nullclines[plane.states[1]]
    rates = plane.flow(*points.T)[0]
    spans = np.array([high - low for low, high in plane.ranges])
    close = np.abs(np.diff(points, axis=0)) < 0.05 * spans  # neighbours on one branch
    found = []
    for k in np.flatnonzero((rates[:-1] * rates[1:] <= 0) & close.all(axis=1)):
        at = root(lambda y: plane.flow(*y), points[k], tol=1e-13).x
        if all(np.abs(at - other).max() > CLOSE * spans.max() for other, _ in found):
            found.append((at, _stability(plane, at)))
    return [dict(zip(plane.states, map(float, at), strict=True)) | kind
            for at, kind in sorted(found, key=lambda pair: pair[0][0])]


def _stability(plane: PhasePlane, at) -> dict:
    """What the eigenvalues (1/second) make of an equilibrium, by complex steps."""
    import numpy as np

    jacobian = np.stack([plane.flow(*(at + 1j * STEP * axis)).imag / STEP for axis in np.eye(2)], axis=1)
    return character(np.linalg.eigvals(jacobian))
