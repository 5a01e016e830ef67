"""Which solver a plan takes: one with error control where the model is ODEs alone, else fixed steps by Brian2.

    method="auto"        lsoda or dop853 of scipy for ODEs alone, else the model's own method, in steps of dt
    method="rk4"         any of FIXED: steps of dt, by Brian2
    method="lsoda"       any of ADAPTIVE: refused, with the reason, where the model is not ODEs alone
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from astro_sim.model import Model
from astro_sim.model.flow import flow_of
from astro_sim.plan.backend_choice import choose_backend
from astro_sim.plan.plan import ADAPTIVE, FIXED, Plan
from foundation.errors import UserError, unknown

STOCHASTIC = ("heun", "milstein", "euler")  # Stratonovich; euler for noise that no state scales
FOR_NOISE = ("heun", "milstein")            # without noise both are euler
AUTO = "auto"
BRIAN2, SCIPY = ("numpy", "cython", "cpp"), "scipy"
# of a solver's step, relative and in the unit of the variable; docs/simulating.md has the errors that they give
TOLERANCES = {"lsoda": (1e-13, 1e-15), "dop853": (1e-12, 1e-14), "bdf": (1e-8, 1e-11)}
FEW, FINEST = 24, (3e-14, 1e-16)  # states that are not coupled, up to so many: there rounding is the only limit
SOFT = (1e-10, 1e-12)  # where rates bend sharply as elements meet: finer tolerances cost steps, and gain nothing
LEAST_RTOL = 3e-14   # below it rounding is larger
WITH_JACOBIAN = 3000  # coupled states: beyond, an explicit solver is taken, which needs no Jacobian
MANY_CORNERS, STEPS_A_CORNER = 1000, 20  # so many, and so dense: steps cut at them are cheaper than starting anew


@dataclass(frozen=True)
class Solver:
    """`method`, `backend`, tolerances (None with fixed steps), and `why` it is what it is, in words."""

    method: str
    backend: str
    rtol: float | None
    atol: float | None
    why: str


def check_names(model: Model, method: str | None, backend: str) -> None:
    """Errors: `UserError` for a method or backend that is none, or cannot run the model."""
    if method not in (None, AUTO, *FIXED, *ADAPTIVE):
        raise unknown("method", str(method), (AUTO, *FIXED, *ADAPTIVE))
    if backend not in (AUTO, *BRIAN2, SCIPY):
        raise unknown("backend", str(backend), (AUTO, *BRIAN2, SCIPY))
    if method in FIXED and model.stochastic and method not in STOCHASTIC:
        raise UserError(f"method: {method} cannot handle noise, which {model.name} has; choose one of: "
                        f"{', '.join(STOCHASTIC)}")
    if method in FOR_NOISE and not model.stochastic:
        raise UserError(f"method: {method} is for models with noise, and {model.name} has none; choose one of: "
                        f"{', '.join((AUTO, *(name for name in FIXED if name not in FOR_NOISE), *ADAPTIVE))}")
    if backend == SCIPY and method in FIXED:
        raise UserError(f"backend: scipy has no steps by {method}; leave --method out, or choose {', '.join(BRIAN2)}")
    if backend in BRIAN2 and method in ADAPTIVE:
        raise UserError(f"backend: {backend} cannot run {method}, which is scipy's; leave --backend out, or choose one "
                        f"of the methods {', '.join(FIXED)}")


def choose_solver(plan: Plan, method: str | None, backend: str, *, rtol: Any = None, atol: Any = None) -> Solver:
    """The solver of a plan whose inputs are resolved. Errors: `UserError` where what is asked for does not fit."""
    asked = method if method in ADAPTIVE else None
    if asked or (method in (None, AUTO) and backend in (AUTO, SCIPY)):
        why_not = _why_fixed(plan, asked or backend == SCIPY)
        if not why_not:
            chosen = asked or _adaptive(plan)
            return Solver(chosen, SCIPY, *_tolerances(plan, chosen, rtol=rtol, atol=atol),
                          "ODEs alone, solved with error control")
        if asked or backend == SCIPY:
            field, given = ("method", asked) if asked else ("backend", SCIPY)
            raise UserError(f"{field}: {given} is for ODEs alone, and {plan.model.name} is not: {why_not}; leave "
                            f"--{field} out, or choose one of the methods {', '.join(FIXED)}")
    else:
        why_not = f"backend {backend} was asked for" if method in (None, AUTO) else f"{method} was asked for"
    fixed = method if method in FIXED else plan.model.method
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None:
            raise UserError(f"{name}: takes no part in steps of a fixed length, by {fixed} ({why_not}); leave it out")
    _check_fft(plan, backend)
    if backend == AUTO:
        backend, cost = choose_backend(replace(plan, method=fixed))
        why_not = f"{why_not}; {cost}"
    return Solver(fixed, backend, None, None, why_not)


def _why_fixed(plan: Plan, named: bool) -> str:
    """Why a plan needs steps of a fixed length; "" where it does not. named: error control was asked for by name."""
    flow = flow_of(plan.model, plan.options)
    if isinstance(flow, str):
        return flow
    if flow.jumps and not named:
        return f"{flow.jumps} in its equations makes rates jump"
    if plan.options.get("coupling_scheme") == "held":
        return "coupling_scheme = held is a way of fixed steps"
    corners = len({float(time) for course in plan.inputs.values() for time in course.corners})
    if not named and corners > MANY_CORNERS and corners * STEPS_A_CORNER > plan.steps:
        return f"its inputs have {corners} corners in {plan.steps} steps"
    return ""


def _adaptive(plan: Plan) -> str:
    """LSODA where a Jacobian is small or has narrow bands, else an explicit method, whose cost grows with size alone.
    """
    connected = [one for one in plan.model.active_connections(plan.options) if one.filled()]
    if not connected:
        return "lsoda"
    return "lsoda" if _states(plan) <= WITH_JACOBIAN else "dop853"


def _states(plan: Plan) -> int:
    sizes = {p.name: plan.size(p.name) for p in plan.model.active_populations(plan.options)}
    flow = flow_of(plan.model, plan.options)
    return sum(sizes[population] for population, *_ in flow.states)


def _tolerances(plan: Plan, method: str, *, rtol: Any, atol: Any) -> tuple[float, float]:
    found, defaults = [], TOLERANCES[method]
    if method == "lsoda" and not any(one.filled() for one in plan.model.active_connections(plan.options)) and (
            _states(plan) <= FEW):
        defaults = FINEST
    if flow_of(plan.model, plan.options).soft:
        defaults = tuple(map(max, defaults, SOFT))
    for name, given, default in zip(("rtol", "atol"), (rtol, atol), defaults, strict=True):
        try:
            value = default if given is None else float(given)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name}: {given!r} is not a number; write one such as 1e-8") from error
        least = LEAST_RTOL if name == "rtol" else 0.0
        if not least <= value <= 0.1 or value == 0 or math.isnan(value):
            raise UserError(f"{name}: {value:g} is not allowed; give a number "
                            f"{'above 0' if name == 'atol' else f'from {LEAST_RTOL:g}'} to 0.1")
        found.append(value)
    return found[0], found[1]


def _check_fft(plan: Plan, backend: str) -> None:
    by_fft = [one.name for one in plan.model.active_connections(plan.options) if one.by_fft(plan.options)]
    if backend == "cpp" and by_fft:
        raise UserError(f"backend: cpp cannot sum {by_fft[0]} by FFT; choose numpy or cython, or the option "
                        "dense_sum=pairs, which is slow for many")
