"""The stable oscillation of a model at held inputs, with a precise period.

    cycle = limit_cycle("li_rinzel:AM", {"ip3": "0.5 umolar"})
    cycle.period, cycle.low["C"], cycle.high["C"]
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.dynamics.boxes import EMPTY, framed
from astro_sim.dynamics.derivatives import character, eigenvalues
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.local import Local, at_level
from astro_sim.dynamics.newton import search
from astro_sim.dynamics.oscillations import OFF, SOLVER, Cycle, find, refine_near
from astro_sim.model import Model
from foundation.errors import UserError, choose
from foundation.shapes import Array, Float
from foundation.table import Table

DRAWN = 400  # intervals of a period at which the course is given


@dataclass(frozen=True, repr=False)
class LimitCycle:
    """`period` in s, to about 1e-9 of itself; `time` float64 (point,) over one period from 0, in s.

    `states`: name -> float64 (point,) in `units`, the first point and the last at the same state.
    """

    model: str
    parameter_set: str
    inputs: dict[str, float]
    period: float
    time: Float[Array, "point"] = field(repr=False)
    states: dict[str, Float[Array, "point"]] = field(repr=False)
    units: dict[str, str]

    @property
    def low(self) -> dict[str, float]:
        """Lowest value of each state, in its unit."""
        return {name: float(course.min()) for name, course in self.states.items()}

    @property
    def high(self) -> dict[str, float]:
        """Highest value of each state, in its unit."""
        return {name: float(course.max()) for name, course in self.states.items()}

    def table(self) -> Table:
        """Lowest and highest value of each state."""
        rows = [(name, f"{self.low[name]:.5g}", f"{self.high[name]:.5g}", self.units[name]) for name in self.states]
        return Table(("state", "lowest", "highest", "unit"), rows, title=f"{self.model}:{self.parameter_set}, period "
                     f"{self.period:.8g} s")

    def __repr__(self) -> str:
        return f"<LimitCycle of {self.model}:{self.parameter_set}: period {self.period:.8g} s>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def limit_cycle(model: str | Model, inputs: Mapping[str, object] | None = None, *, parameter_set: str | None = None,
                box: Mapping[str, Sequence] | None = None, variable: str | None = None) -> LimitCycle:
    """The stable oscillation at held inputs that the initial values, or else an unstable equilibrium, lead to.

    `model`: a `Model`, a name, name:SET or file.py:NAME; inputs that are not named keep their defaults. `variable`: the
    state whose rises are counted, the first by default. `box` as in `equilibria`. Of several oscillations, the first
    that is found. Errors: `UserError` where there is none.
    """
    chosen, level = at_level(model, inputs, parameter_set=parameter_set)
    names = {name: n for n, name in enumerate(chosen.states)}
    seen = choose(f"state of {chosen.model.name}", variable or chosen.states[0], names)
    frame = framed(chosen, level, level, box=box)
    for start, guess in _starts(frame, level) if len(names) > 1 else ():
        found = find(frame, level, start, guess=guess, seen=seen)
        if found is not None:
            near = Cycle(found.seconds, frame.values(found.point))
            return _drawn(chosen, level, refine_near(chosen, level, near, seen=seen))
    raise UserError(f"{chosen.name} does not oscillate at {chosen.over} = {level / chosen.unit_value:g} {chosen.unit}")


def _starts(frame: Frame, level: float) -> Iterator[tuple[np.ndarray, float]]:
    """(coordinates, about a period in seconds): the initial values, then places beside each unstable equilibrium."""
    points = search(frame, np.array([level]))[0]
    kinds = [character(eigenvalues(frame.flow(), point)) for point in points]
    unstable = [(point, 2 * np.pi / (kind["frequency"] or kind["growth"]))
                for point, kind in zip(points, kinds, strict=True) if not kind["stable"]]
    if unstable or points:
        guess = unstable[0][1] if unstable else 2 * np.pi / (kinds[0]["frequency"] or abs(kinds[0]["growth"]))
        start = frame.local.start()
        yield frame.coordinates(np.where(frame.logarithmic[:-1], np.maximum(start, EMPTY), start)), guess
    for point, guess in unstable:
        yield point[:-1] + OFF * np.arange(1, len(point)), guess


def _drawn(chosen: Local, level: float, cycle: Cycle) -> LimitCycle:
    derivative, time = chosen.derivative(), np.linspace(0, cycle.seconds, DRAWN + 1)
    course = solve_ivp(lambda t, y: derivative(y, level), (0, cycle.seconds), cycle.state, t_eval=time, **SOLVER).y
    states = {name: values / scale for name, values, scale in zip(chosen.states, course, chosen.scales, strict=True)}
    return LimitCycle(chosen.model.name, chosen.parameter_set, chosen.levels(level), cycle.seconds, time, states,
                      {name: chosen.model.initial[name].unit for name in chosen.states})
