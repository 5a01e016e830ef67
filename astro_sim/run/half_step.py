"""Is the step short enough, or the tolerance small enough? The same run at another, and how far the two are apart."""

import dataclasses

import numpy as np

from astro_sim.plan import Plan
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import run
from foundation.errors import UserError

COARSER = 100  # times the tolerance


def refuse_noise(plan: Plan) -> None:
    """Errors: `UserError` for a model with noise, whose two runs draw different numbers."""
    if plan.model.stochastic:
        raise UserError(f"check-dt: {plan.model.name} has noise, and at half the step it draws other numbers; compare "
                        "means over seeds instead")


def check_step(plan: Plan, recording: Recording, *, progress: bool = False) -> dict:
    """{variable: {largest, relative, at_s, unit}} between `recording` and a run of its plan with dt/2.

    `largest` is the largest difference at any record and element, `relative` is that over the variable's range there
    (its size where it does not move), `at_s` its time. For a method of order p the error of the recording itself is
    2^p/(2^p - 1) times the difference: 4/3 of it where coupling or method are of second order, twice at first.
    With error control the other run has `COARSER` times the tolerance, so that its error, not that of the recording, is
    what the two differ by. Errors: as of `refuse_noise`.
    """
    refuse_noise(plan)
    finer = run(_other(plan), progress=progress)
    found, count = {}, min(len(recording.time), len(finer.time))
    for name, series in recording.variables.items():
        apart = np.abs(series.values[:count] - finer[name].values[:count])
        where = np.unravel_index(apart.argmax(), apart.shape)
        moved = float(np.ptp(finer[name].values)) or float(np.abs(finer[name].values).max()) or 1.0
        found[name] = {"largest": float(apart.max()), "relative": float(apart.max()) / moved,
                       "at_s": float(recording.time[where[0]]), "unit": series.unit}
    return found


def _other(plan: Plan) -> Plan:
    """The plan that a recording is held against."""
    if plan.adaptive:
        return dataclasses.replace(plan, rtol=min(0.1, COARSER * plan.rtol), atol=COARSER * plan.atol)
    return dataclasses.replace(plan, dt=plan.dt / 2, every=plan.every * 2)


def text(found: dict, plan: Plan) -> str:
    """The comparison in lines."""
    other = _other(plan)
    lines = [f"against rtol = {other.rtol:g}:" if plan.adaptive else f"against dt = {other.dt:g} s:"]
    for name, row in found.items():
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        lines.append(f"  {name}: differs by at most {row['largest']:.3g}{unit}, {row['relative']:.2g} of its range, at "
                     f"{row['at_s']:g} s")
    return "\n".join(lines)
