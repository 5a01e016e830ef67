"""The phase plane of a model with two states: nullclines, all equilibria with their stability, the flow.

    plane = phase_plane("li_rinzel:AM", {"ip3": "0.5 umolar"})
    plane.nullclines["C"]     # points (C, h) where calcium stands still
    plane.equilibria          # rows {C, h, stable, growth, frequency, kind}
    plane.plot()

Everything comes from the ODE text that Brian2 runs, evaluated here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root

from astro_sim.dynamics.boxes import DOUBLINGS, framed, inwards
from astro_sim.dynamics.derivatives import STEP, character
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.local import Local, at_level
from astro_sim.dynamics.newton import search
from astro_sim.model import Model
from astro_sim.parameter import unit
from foundation.errors import UserError
from foundation.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 400   # values of the first state at which the second is solved for
CELLS = 400   # intervals of the second state that are searched for a change of sign


@dataclass(frozen=True, repr=False)
class PhasePlane:
    """`nullclines`: state -> float64 (point, 2), its two columns the `states`, where that state stands still.

    `equilibria`: rows {states..., stable, growth, frequency, unstable, kind} (see `derivatives.character`), by the
    first state. `ranges` are those searched; values of states are in `units`, `level` in the unit of the `input`.
    """

    model: str
    parameter_set: str
    input: str
    level: float
    states: tuple[str, str]
    units: tuple[str, str]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    chosen: Local = field(repr=False)
    nullclines: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    equilibria: list[dict] = field(default_factory=list)

    def __repr__(self) -> str:
        kinds = ", ".join(map(_kind, self.equilibria)) or "no equilibrium"
        return (f"<PhasePlane of {self.model}:{self.parameter_set} at {self.input} = {self.level:g}: "
                f"{' against '.join(self.states)}, {kinds}>")

    def table(self) -> Table:
        """The equilibria: where they are, their kind, how fast and how often what is near comes or goes."""
        heads = [name if unit == "1" else f"{name} ({unit})"
                 for name, unit in zip(self.states, self.units, strict=True)]
        rows = [(*(f"{row[name]:.5g}" for name in self.states), _kind(row), f"{row['growth']:.4g}",
                 f"{row['frequency']:.4g}") for row in self.equilibria]
        return Table((*heads, "kind", "growth (1/s)", "angular frequency (1/s)"), rows, title=repr(self)[1:-1])

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    @cached_property
    def flow(self) -> Callable[[ArrayLike, ArrayLike], np.ndarray]:
        """(first, second) -> rates (unit of each state per second), float64 (2, ...), at arrays of states."""
        derivative = self.chosen.derivative()
        scales = [float(1 * unit(name)) for name in self.units]
        level = self.level * self.chosen.unit_value

        def rates(first: ArrayLike, second: ArrayLike) -> np.ndarray:
            moving = derivative([np.asarray(first) * scales[0], np.asarray(second) * scales[1]], level)
            return np.stack([rate / scale for rate, scale in zip(moving, scales, strict=True)])

        return rates

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Nullclines, equilibria and arrows of the flow, in a new picture or in the axes given; a matplotlib Figure.

        Errors: `UserError` where matplotlib is missing.
        """
        from astro_sim.dynamics.plane_plot import draw

        return draw(self, ax)


def _kind(row: dict) -> str:
    return f"{'stable' if row['stable'] else 'unstable'} {row['kind']}"


def phase_plane(model: str | Model, inputs: Mapping[str, object] | None = None, *, parameter_set: str | None = None,
                box: Mapping[str, Sequence] | None = None) -> PhasePlane:
    """The phase plane at held inputs; those that are not named keep their defaults.

    `model`: a `Model`, a name, name:SET or file.py:NAME. `box`: name of a state -> (low, high), in its unit or with
    one; by default what the bounds of the recorded states allow, else the range out of which the flow never leads. At
    each of many values of the first state all values of the second are found at which a rate changes sign, so folded
    nullclines are whole. Errors: `UserError` for a model that has not two states, for an input or a range that is none.
    """
    chosen, level = at_level(model, inputs, parameter_set=parameter_set)
    if len(chosen.states) != 2:
        raise UserError(f"{chosen.model.name}: a phase plane needs two states; it has {', '.join(chosen.states)}")
    frame = framed(chosen, level, level, box=box)
    units = tuple(chosen.model.initial[name].unit for name in chosen.states)
    empty = PhasePlane(chosen.model.name, chosen.parameter_set, chosen.over, level / chosen.unit_value,
                       tuple(chosen.states), units, _shown(frame, level, box or {}), chosen)
    return replace(empty, nullclines={name: _nullcline(empty, n) for n, name in enumerate(chosen.states)},
                   equilibria=_equilibria(empty, frame, level))


def _shown(frame: Frame, level: float, given: Mapping[str, Sequence]) -> tuple:
    """What is searched of each state, in its unit: a range that is known from zero on begins there."""
    spans = []
    for k, (name, scale) in enumerate(zip(frame.states, frame.local.scales, strict=True)):
        low, high = frame.low[k], frame.high[k]
        if frame.logarithmic[k] and not (name in given and frame.local.bound(name, "low") is None):
            low = 0.0
        if frame.why[name] == "start":
            high = _upper(frame, k, level)
        spans.append((float(low / scale), float(high / scale)))
    return tuple(spans)


def _upper(frame: Frame, k: int, level: float) -> float:
    """Where the flow of a state that is never negative points back, whatever the other: twice as far until it does."""
    start, scale = float(frame.local.start()[k]), float(frame.local.scales[k])
    ranges = np.stack([np.zeros(2), frame.high], axis=1)
    ranges[k, 1] = start or scale
    for _ in range(DOUBLINGS):
        if inwards(frame.local, ranges, k, end=1, levels=np.array([level])):
            return float(ranges[k, 1])
        ranges[k, 1] *= 2
    return float(frame.high[k])


def _nullcline(plane: PhasePlane, n: int) -> np.ndarray:
    """All points of the nullcline of state n, by the first state: roots of its rate in the second state."""
    # (E2.38) d(state)/dt = 0
    (low, high), (bottom, top) = plane.ranges
    across = np.linspace(low, high, LINES + 1)[1:]  # with no calcium at all no receptor opens: no h to solve for
    up = np.linspace(bottom, top, CELLS + 1)
    line, cell = np.nonzero(np.diff(plane.flow(across[:, None], up[None, :])[n] > 0, axis=1))
    first = across[line]
    found = find_root(lambda second, first: plane.flow(first, second)[n], (up[cell], up[cell + 1]), args=(first,))
    return np.stack([first, found.x], axis=1)


def _equilibria(plane: PhasePlane, frame: Frame, level: float) -> list[dict]:
    """The equilibria in the ranges, by the first state."""
    rows = []
    for point in search(frame, np.array([level]))[0]:
        row = frame.state_of(point)
        if all(low <= row[name] <= high for name, (low, high) in zip(plane.states, plane.ranges, strict=True)):
            rows.append(row | _stability(plane, np.array(list(row.values()))))
    return rows


def _stability(plane: PhasePlane, at: np.ndarray) -> dict:
    """What the eigenvalues (1/second) make of an equilibrium, by complex steps."""
    jacobian = np.stack([plane.flow(*(at + 1j * STEP * axis)).imag / STEP for axis in np.eye(2)], axis=1)
    return character(np.linalg.eigvals(jacobian))
