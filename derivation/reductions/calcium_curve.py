"""Calcium against drive: the exponent of the power that comes nearest to the model's own curve, and its rivals.

The curve: calcium of G-ChI (DePitta2009, set AM, the one that gives the cycle) at held glutamate, averaged over its
oscillation, above its value without glutamate. Glutamate stands for the summed activity of the keys.
"""

from functools import cache

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root

from astro_sim.dynamics.local import Local, with_parameter
from astro_sim.dynamics.oscillations import SOLVER
from astro_sim.dynamics.periodic_orbit import POINTS, Orbit, orbit
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.reductions import resting
from derivation.reductions.cycle import oscillation
from derivation.reductions.reduction import REST_STEP, Changes, Held, Reduction, Valid, assumed
from foundation.errors import UserError

MODEL, SET, UNIT = "gchi", "AM", 1e-3  # a micromolar in SI base values
GLUTAMATE = tuple(float(x) for x in np.geomspace(0.1, 1.0, 12))  # umolar: a decade, well inside the oscillating range
POWER, START = "amplitude*drive**exponent", {"amplitude": 0.2, "exponent": 0.2}
EXPONENTS = (-3.0, 3.0)  # between which it is looked for
HALVINGS = 4  # a change that is too large for Newton's method is made in so many steps doubled


def parameters() -> dict[str, Parameter]:
    """Parameters that the curve depends on, by name."""
    return MODELS[MODEL].parameters(SET)


def owners() -> dict[str, str]:
    """Numbers that other reductions have, too, keep the name that they have there."""
    shared = {name: f"{resting.MODEL}:{resting.SET}" for name, one in resting.parameters().items()
              if name in parameters() and one.value == parameters()[name].value}
    return shared | resting.owners()


def _local(changes: Changes) -> Local:
    model = MODELS[MODEL]
    for name, value in (changes or {}).items():
        model = with_parameter(model, SET, name, value=value)
    return Local(model, SET, "glutamate")


def at_rest(changes: Changes = None) -> float:
    """Calcium without glutamate, in umolar."""
    right_side, size = _local(changes).derivative(), np.array([UNIT, 1.0, UNIT])
    found = root(lambda y: right_side(y * size, 0.0) / size, [0.08, 0.8, 0.15], tol=1e-14)
    if not np.abs(found.fun).max() < 1e-10:
        raise UserError(f"{MODEL}:{SET} has no steady calcium without glutamate")
    return float(found.x[0] * size[0] / UNIT)


@cache
def _base() -> tuple[Orbit, ...]:
    """The oscillation at every drive: the first by following the flow, the others one from the other."""
    first = GLUTAMATE[0] * UNIT
    local = _local(None)
    cycle = oscillation(local.model, SET, "glutamate", level=assumed(GLUTAMATE[0], "umolar", "glutamate, held"))
    right_side = local.derivative()
    course = solve_ivp(lambda t, y: right_side(y, first), (0, 2 * cycle.seconds), cycle.state, dense_output=True,
                       **SOLVER)
    time = np.linspace(0, cycle.seconds, 2001)
    top = time[course.sol(time)[0].argmax()]
    one = orbit(local, first, Orbit(course.sol(top + cycle.seconds * np.arange(POINTS) / POINTS), cycle.seconds))
    found = [one]
    for level in GLUTAMATE[1:]:
        found.append(orbit(local, level * UNIT, found[-1]))
    return tuple(found)


def response(changes: Changes = None) -> np.ndarray:
    """Mean calcium above rest, in umolar, at every drive of GLUTAMATE; float64 [12].

    Errors: `UserError` where calcium does not oscillate at one of them.
    """
    if not changes:
        return np.array([one.means[0] for one in _base()]) / UNIT - at_rest()
    table = {name: parameters()[name].value for name in changes}
    for steps in (2**k for k in range(HALVINGS)):
        orbits = list(_base())
        try:
            for part in np.arange(1, steps + 1) / steps:
                local = _local({name: old + part * (changes[name] - old) for name, old in table.items()})
                orbits = [orbit(local, level * UNIT, one) for level, one in zip(GLUTAMATE, orbits, strict=True)]
            break
        except UserError:
            if steps == 2 ** (HALVINGS - 1):
                raise
    return np.array([one.means[0] for one in orbits]) / UNIT - at_rest(changes)


def nearest_power(curve: np.ndarray) -> tuple[float, float]:
    """(amplitude, exponent) of the power that is nearest to `curve` at GLUTAMATE by least squares, to rounding."""
    logs = np.log(GLUTAMATE)

    def amplitude(alpha: float) -> float:
        power = np.exp(alpha * logs)
        return float(curve @ power / (power @ power))

    def slope(alpha: float) -> float:  # of the sum of squares, in alpha, up to a factor
        power = np.exp(alpha * logs)
        return float((curve - amplitude(alpha) * power) @ (power * logs))

    alpha = brentq(slope, *EXPONENTS, xtol=1e-15, rtol=1e-14)
    return amplitude(alpha), alpha


def exponent(changes: Changes = None) -> float:
    """Exponent of the power amplitude*drive^exponent that is nearest to the curve by least squares."""
    # (E4.13) C = amplitude drive^alpha
    return nearest_power(response(changes))[1]


@cache
def exponent_held() -> Held:
    """The power law against the full model's curve."""
    drive, curve = np.array(GLUTAMATE), response()
    amplitude, alpha = nearest_power(curve)
    error = float(np.abs(amplitude * drive**alpha / curve - 1).max())
    return Held(error, "mean calcium above rest at held glutamate",
                Valid("glutamate, held", "umolar", low=GLUTAMATE[0], high=GLUTAMATE[-1]))


REDUCTIONS = {  # not of the macro model: what the calcium response of the network rests on
    "calcium_exponent": Reduction(
        value=exponent,
        parameters=parameters,
        model=f"{MODEL}:{SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="exponent of calcium above rest, mean over its oscillation, against glutamate",
        equation="E4.13",
        protocol="glutamate held, from 0.1 to 1 umolar",
        neglected="that the curve bends, and the time course",
        held=exponent_held,
        owners=owners()),
}
