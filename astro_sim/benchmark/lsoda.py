"""A line of astrocytes by scipy's LSODA: the other solver of the benchmark, given the bands of the Jacobian.

The right-hand side is the text that Brian2 runs, vectorised over the cells; solver, coupling and layout are scipy's.
"""

from collections.abc import Callable

import numpy as np

from astro_sim.brian.network import pairs_of
from astro_sim.model.equation_text import evaluator, lines, right_sides
from astro_sim.parameter import unit
from astro_sim.plan import Plan
from astro_sim.recording.recording import Recording
from foundation.shapes import Array, Float

EXACT = 1e-10  # a tolerance far below every accuracy that is asked for
STATES = ("C", "h", "I")
SIZES = (1e-3, 1.0, 1e-3)  # mmolar, 1, mmolar


def solve(plan: Plan, rtol: float) -> Float[Array, "step cell state"]:
    """float64 (step, cell, state), SI base values; inputs must be held. A cell's states lie together, for the bands."""
    from scipy.integrate import solve_ivp

    n, flow = plan.size("astrocyte"), _flow(plan)
    start = np.tile([float(plan.initial[name].quantity()) for name in STATES], n)
    times = plan.dt * np.arange(plan.steps + 1)
    found = solve_ivp(lambda t, y: flow(y), (0, times[-1]), start, "LSODA", times, rtol=rtol,
                      atol=np.tile(rtol * np.array(SIZES), n), lband=3, uband=3)
    return found.y.T.reshape(len(times), n, len(STATES))


def _flow(plan: Plan) -> Callable:
    """States (cell x state, flat) -> their derivatives."""
    population = plan.model.populations[0]
    gaps = next(one for one in plan.model.active_connections(plan.options) if "J_coupling" in one.filled())
    rates = right_sides(population.equations, {name: getattr(np, name) for name in ("exp", "tanh", "abs", "clip")})
    summed = next(line for line in lines(gaps.equations) if "summed" in line.flags)
    flux = evaluator(summed.expression, gaps.equations)
    values = {name: float(parameter.quantity()) for name, parameter in plan.parameters.items()} | {"J_bath": 0.0}
    for name, course in plan.courses(population.name).items():
        values[name] = course.held * float(unit(course.unit))
    pairs = pairs_of(gaps, plan.options)
    source, target = np.asarray(pairs.source), np.asarray(pairs.target)

    def flow(y: Float[Array, "flat"]) -> Float[Array, "flat"]:
        C, h, I = y.reshape(-1, len(STATES)).T
        passed = flux({**values, "I_pre": I[source], "I_post": I[target]})
        given = rates({**values, "C": C, "h": h, "I": I, "J_coupling": np.bincount(target, passed, len(I))})
        return np.stack([given[name] for name in STATES], axis=1).ravel()

    return flow


def apart(found: Float[Array, "step cell state"], truth: Float[Array, "step cell state"]) -> float:
    """The largest difference of any state, relative to its range over time and cells."""
    return float((np.abs(found - truth).max(axis=(0, 1)) / np.ptp(truth, axis=(0, 1))).max())


def error(recording: Recording, plan: Plan, truth: Float[Array, "step cell state"]) -> float:
    """`apart` of a recording of the same course, at the times that both have; `truth` has every step of `plan`."""
    values = np.stack([recording[name].values * float(unit(recording[name].unit)) for name in STATES], axis=2)
    at = np.rint(recording.time / plan.dt).astype(int)
    both = np.isclose(at * plan.dt, recording.time, rtol=0, atol=1e-9) & (at < len(truth))
    return apart(values[both], truth[at[both]])
