"""The cycle: tau_cycle from the calcium oscillation at a held IP3, against one whose IP3 moves with calcium."""

import dataclasses
from functools import cache

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.dynamics.local import Local, with_parameter
from astro_sim.dynamics.oscillations import Cycle, refine, refine_near
from astro_sim.model import Model
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, split_quantity
from derivation.reductions.reduction import PERIOD_STEP, WITHIN, Changes, Held, Reduction, Valid, assumed, values
from derivation.simulation.simulations import CALCIUM_MODEL, CALCIUM_SET, IP3
from foundation.errors import UserError

FULL_MODEL = "gchi"  # IP3 made at held glutamate
SETTLING, SPAN = 300.0, 20.0  # seconds: from the initial values to the oscillation; in which its period is looked for
GLUTAMATE = (0.03, 0.04, 0.05, 0.06, 0.08, 0.12, 0.2, 0.4, 0.7)  # umolar, over the range that oscillates


def parameters() -> dict[str, Parameter]:
    """Parameters that the cycle's duration depends on, by name."""
    level = assumed(*split_quantity(IP3, "ip3"), "IP3 concentration: the drive at which the period is taken")
    return {**MODELS[CALCIUM_MODEL].parameters(CALCIUM_SET), "ip3": level}


def tau_cycle(changes: Changes = None) -> float:
    """Period in seconds of the calcium oscillation, some parameters (or `ip3`) at other values of their own units."""
    table = parameters()
    given = values(table, changes)
    model, level = MODELS[CALCIUM_MODEL], dataclasses.replace(table["ip3"], value=given["ip3"])
    for name in (changes or {}).keys() - {"ip3"}:
        model = with_parameter(model, CALCIUM_SET, name, value=given[name])
    near = _base_cycle() if changes else None
    # (E3.1) tau_cycle = period of E2.1, E2.2 at a held IP3
    return oscillation(model, CALCIUM_SET, "ip3", level=level, near=near).seconds


def oscillation(model: Model, parameter_set: str, drive: str, *, level: Parameter, near: Cycle | None = None) -> Cycle:
    """The oscillation at an input `drive` held at a level, from the initial values or from that of almost the same
    model, `near`. Errors: `UserError` where there is none."""
    local, held = Local(model, parameter_set, drive), float(level.quantity())
    if near is not None:
        return refine_near(local, held, near)
    return refine(local, held, local.start(), transient=SETTLING, span=SPAN)


@cache
def _base_cycle() -> Cycle:
    return oscillation(MODELS[CALCIUM_MODEL], CALCIUM_SET, "ip3", level=parameters()["ip3"])


@cache
def full_cycles() -> list[tuple[float, float]]:
    """(mean IP3 in umolar, period in s) of the full model's oscillations, by rising IP3."""
    model, found = MODELS[FULL_MODEL], []
    right_side = Local(model, CALCIUM_SET, "glutamate").derivative()
    for level in GLUTAMATE:
        held = assumed(level, "umolar", "glutamate, held")
        try:
            one = oscillation(model, CALCIUM_SET, "glutamate", level=held)
        except UserError:  # at rest, or calcium constant
            continue
        glutamate, time = float(held.quantity()), np.linspace(0, one.seconds, 401)
        course = solve_ivp(lambda t, y, at=glutamate: right_side(y, at), (0, one.seconds), one.state, "LSODA", time,
                           rtol=1e-8, atol=1e-13)
        found.append((float(np.trapezoid(course.y[2], time) / one.seconds) * 1e3, one.seconds))  # mol/m^3 to umolar
    return sorted(found)


@cache
def tau_cycle_held() -> Held:
    """Both at the mean IP3 of the protocol; the range is that of the full model's mean IP3 around it."""
    level, constant = parameters()["ip3"].value, _base_cycle().seconds
    ip3, period = map(np.array, zip(*full_cycles(), strict=True))
    fine = np.linspace(ip3[0], ip3[-1], 2001)
    off = np.abs(constant / np.interp(fine, ip3, period) - 1)
    inside = fine[off <= WITHIN]
    return Held(float(abs(constant / np.interp(level, ip3, period) - 1)),
                f"period where IP3 moves with calcium ({FULL_MODEL}:{CALCIUM_SET}) around the same mean",
                Valid("mean IP3 of a cycle", "umolar", low=float(inside.min()), high=float(inside.max())))


REDUCTIONS = {
    "tau_cycle": Reduction(
        value=tau_cycle,
        parameters=parameters,
        model=f"{CALCIUM_MODEL}:{CALCIUM_SET}",
        relative_step=PERIOD_STEP,
        unit="second",
        meaning="period of the calcium oscillation",
        equation="E3.1",
        protocol=f"calcium at IP3 held at {IP3}, after its transient",
        neglected="IP3 moves with calcium: where glutamate is held instead, the cycle at the same mean IP3 is shorter",
        held=tau_cycle_held),
}
