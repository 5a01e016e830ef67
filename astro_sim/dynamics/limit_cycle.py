"""The period of a model's oscillation by scipy, from the ODE text that Brian2 runs.

Independent of the simulator's integrator, and precise enough to be differentiated.
"""

import dataclasses

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.dynamics.equilibria import Local
from astro_sim.model import Model
from astro_sim.parameter import Parameter
from foundation.errors import UserError

CYCLES = 3  # averaged
SOLVER = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-15}


@dataclasses.dataclass(frozen=True)
class Cycle:
    """A limit cycle: its period in seconds, and a state on it (SI base values) from which others nearby start."""

    seconds: float
    state: np.ndarray


def limit_cycle(model: Model, parameter_set: str, drive: str, level: Parameter, near: Cycle | None = None) -> Cycle:
    """The oscillation at a constant input `drive` = `level`; `near` is that of almost the same model, if known.

    Relative error of the period about 1e-9. Raises `UserError` when there is no oscillation.
    """
    local = Local(model, parameter_set, drive)
    derivative, held = local.derivative(), float(level.quantity())
    start, transient = (local.start(), 300.0) if near is None else (near.state, 5 * near.seconds)

    def flow(t, y):
        return derivative(y, held)

    settled = solve_ivp(flow, (0, transient), start, dense_output=True, **SOLVER)
    late = settled.sol(np.linspace(transient / 2, transient, 4000))[0]
    middle = (late.min() + late.max()) / 2

    def rises(t, y):
        return y[0] - middle

    rises.direction = 1
    times, span = np.array([]), 20.0 if near is None else (CYCLES + 1.2) * near.seconds / 2
    moving = np.ptp(late) > 1e-3 * late.max()
    while moving and times.size <= CYCLES and span < 1000:  # the period is not known beforehand
        span *= 2
        times = solve_ivp(flow, (0, span), settled.y[:, -1], events=rises, **SOLVER).t_events[0]
    # one that dies away crosses the middle ever less, or ever sooner
    if times.size <= CYCLES or np.ptp(np.diff(times)) > 1e-4 * np.diff(times).mean():
        raise UserError(f"{model.name}:{parameter_set} does not oscillate at {drive} = {level.value:g} {level.unit}")
    return Cycle(float((times[CYCLES] - times[0]) / CYCLES), settled.y[:, -1])


def with_parameter(model: Model, parameter_set: str, name: str, value: float) -> Model:
    """`model` with one parameter of one set at another value (of the parameter's own unit)."""
    table = dict(model.parameters(parameter_set))
    table[name] = dataclasses.replace(table[name], value=value)
    return dataclasses.replace(model, parameter_sets={**model.parameter_sets, parameter_set: table})
