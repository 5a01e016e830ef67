"""Integrate a system of ODEs with error control, from border to border of its inputs, sampled where it is recorded."""

import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import integrate

from astro_sim.plan import Plan
from astro_sim.protocols.course import seeing_step
from astro_sim.run.ode.courses import SNAP, Stretch, borders, stretch
from astro_sim.run.ode.rates import is_plain, rates_of
from astro_sim.run.ode.system import System
from foundation.shapes import Array, Float

AT_ONCE = 256        # states: up to so many scipy's loop in C is taken, beyond it one that can be stopped at any step
PIECE = 1 << 22      # numbers of a piece of records that is in memory at a time
MOST_STEPS = 200_000  # between two records
STUCK, SHORTEST = 50, 16  # so many steps in a row of so few units in the last place of the time: it stands still
PLAIN_STEP = 30      # recording intervals: the longest step of a few elements, whose rounding errors add up less
_ONE_AT_A_TIME = threading.Lock()  # LSODA keeps its state in one place a process, in some versions of scipy
Rates = Callable[[Float[Array, "state"], float], object]


@dataclass(frozen=True)
class Piece:
    """Records in order: `times` (s), `states` (time, state) in SI base units; the inputs of that stretch."""

    times: Float[Array, "time"]
    states: Float[Array, "time state"]
    inputs: dict[tuple[str, str], Stretch]


class GaveUpError(Exception):
    """The solver cannot go on: why, and when (s)."""

    def __init__(self, why: str, when: float):
        super().__init__(why)
        self.when = when


def pieces(plan: Plan, system: System, tick: Callable[[float], None]) -> Iterator[Piece]:
    """The records of a plan, piece by piece. tick: told the time (s) now and then. Errors: `GaveUpError`."""
    count = plan.steps // plan.every + 1
    times = np.arange(count) * (plan.every * plan.dt)
    edges = borders(plan)
    edges[-1] = times[-1]
    y, done = system.start(), 0
    for n, (start, stop) in enumerate(itertools.pairwise(edges)):
        last = n == len(edges) - 2
        upto = count if last else int(np.searchsorted(times, stop, side="left"))
        inputs = {key: stretch(course, start, stop, order=system.order[key[0]])
                  for key, course in plan.inputs.items()}
        walk = _at_once if system.count <= AT_ONCE and plan.method == "lsoda" else _by_steps
        for part, states, reached in walk(plan, system, inputs, y=y, span=(start, stop), times=times[done:upto],
                                          tick=tick):
            if len(part):
                yield Piece(part, states, inputs)
            y = reached
        done = upto


def _tolerances(plan: Plan, system: System) -> dict:
    return {"rtol": plan.rtol, "atol": plan.atol * system.scales()}


def _longest(plan: Plan, system: System, inputs: dict[tuple[str, str], Stretch]) -> float | None:
    """The longest step (s): where a smooth input might be stepped over, and for a few elements; None: any."""
    smooth = [plan.inputs[key] for key, course in inputs.items() if course.kind == "smooth"]
    if smooth:
        return min(seeing_step(course, plan.dt, plan.steps) for course in smooth)
    return PLAIN_STEP * plan.every * plan.dt if is_plain(system) else None


def _at_once(plan: Plan, system: System, inputs: dict[tuple[str, str], Stretch], *, y: Float[Array, "state"],
             span: tuple[float, float], times: Float[Array, "time"], tick: Callable[[float], None]) -> Iterator[tuple]:
    """(times, states, state at the end), by LSODA's own loop over the records, a piece at a time."""
    rates, band = rates_of(system, inputs), system.band
    bands = {} if band is None or 2 * band + 1 >= system.count else {"ml": band, "mu": band}
    rows, now = max(2, PIECE // system.count), span[0]
    starts = range(0, max(len(times), 1), rows)
    for n in starts:
        part = times[n:n + rows]
        end = span[1] if n + rows >= len(times) else times[n + rows]
        if end - now <= SNAP * plan.duration:
            yield part, np.broadcast_to(y, (len(part), system.count)), y
            continue
        # records that fall on the border but for rounding are on it: LSODA takes no first step so short
        grid = np.concatenate([[now], np.where(part <= now + SNAP * plan.duration, now, part), [end]])
        with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            found, told = integrate.odeint(rates, y, grid, full_output=True, mxstep=MOST_STEPS, **bands,
                                           hmax=_longest(plan, system, inputs) or 0.0, **_tolerances(plan, system))
        if told["message"] != "Integration successful.":  # it does not tell where: step by step one sees
            reached = y
            for row in _by_steps(plan, system, inputs, y=y, span=(now, end), times=part, tick=tick):
                yield row
                reached = row[2]
            y, now = reached, end
            continue
        y, now = found[-1], end
        tick(end)
        yield part, found[1:-1], y


def _by_steps(plan: Plan, system: System, inputs: dict[tuple[str, str], Stretch], *, y: Float[Array, "state"],
              span: tuple[float, float], times: Float[Array, "time"], tick: Callable[[float], None]) -> Iterator[tuple]:
    """The same, step by step: records between two steps are read off the solver's own polynomials."""
    rates = rates_of(system, inputs)
    solver = _solver(plan, system, lambda t, now: rates(now, t), y=y, span=span, longest=_longest(plan, system, inputs))
    rows, at, kept = max(1, PIECE // max(1, system.count)), 0, [np.empty((0, system.count))]
    first = stuck = 0
    while solver.status == "running":
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            said = solver.step()
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                yield times[first:at], np.concatenate(kept), solver.y
                raise GaveUpError(str(said or "a state is not finite"), float(solver.t))
            stuck = stuck + 1 if solver.t - solver.t_old <= SHORTEST * np.spacing(solver.t) else 0
            if stuck > STUCK:
                yield times[first:at], np.concatenate(kept), solver.y
                raise GaveUpError("its steps have become too short to go on", float(solver.t))
            reached = int(np.searchsorted(times, solver.t, side="right"))
            if reached > at:
                kept.append(solver.dense_output()(times[at:reached]).T)
        at = max(at, reached)
        tick(solver.t)
        if (at - first) >= rows:
            yield times[first:at], np.concatenate(kept), solver.y
            first, kept = at, [np.empty((0, system.count))]
    yield times[first:at], np.concatenate(kept), solver.y


def _solver(plan: Plan, system: System, rates: Callable, *, y: Float[Array, "state"], span: tuple[float, float],
            longest: float | None) -> integrate.OdeSolver:
    """scipy's solver by the plan's method, told what is known of the Jacobian."""
    given = {**_tolerances(plan, system), **({"max_step": longest} if longest else {})}
    band = system.band
    if plan.method == "lsoda":
        bands = {} if band is None or 2 * band + 1 >= system.count else {"lband": band, "uband": band}
        return integrate.LSODA(rates, span[0], y, span[1], **given, **bands)
    if plan.method == "bdf":
        return integrate.BDF(rates, span[0], y, span[1], **given, jac_sparsity=system.sparsity)
    return integrate.DOP853(rates, span[0], y, span[1], **given)
