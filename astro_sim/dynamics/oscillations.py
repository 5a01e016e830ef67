"""The stable oscillation that a model comes to: found by following its flow, its period then refined to 1e-9.

By scipy's LSODA, from the ODE text that Brian2 runs: independent of the simulator's integrator.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.local import Local
from foundation.errors import UserError
from foundation.shapes import Array, Float

COUNTED, STRETCHES = 8, 30  # guessed periods that a stretch lasts; most stretches
SETTLED = 1e-3   # of the range, a stretch: what is found is good to some of that
RESTS = 1e-5     # change of a coordinate in a guessed period: at an equilibrium
DIED = 1e-3      # a range of less than this share of the value, or of its size, is a spiral into the equilibrium
OFF = 0.05       # how far from an equilibrium a course begins, in coordinates

CYCLES = 3       # averaged for a precise period
SOLVER = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-15}  # SI base values
MOVING = 1e-3    # of the largest value: a smaller range is rest
EVEN = 1e-4      # of the period: intervals that differ by more belong to what dies away
LONGEST = 50.0   # times the first span: the period is looked for in no longer course


@dataclass(frozen=True)
class Found:
    """A stable oscillation to about a thousandth: `low`, `high` of one state (SI base values), `seconds` a period.

    `point`: coordinates of the states on it, float64 (state,).
    """

    low: float
    high: float
    seconds: float
    point: Float[Array, "state"]


@dataclass(frozen=True)
class Cycle:
    """A stable oscillation: its period in seconds, and a state on it (SI base values) from which others nearby start.
    """

    seconds: float
    state: Float[Array, "state"]


def find(frame: Frame, level: float, start: Float[Array, "state"], *, guess: float, seen: int = 0) -> Found | None:
    """The oscillation of state number `seen` that the flow from `start` (coordinates) leads to at a level (SI).

    `guess` is about a period in seconds. Stretches of `COUNTED` guessed periods, until the range changes by less than
    SETTLED of itself; None where the oscillation dies out, leaves the box or does not settle.
    """
    flow, before, logarithmic = frame.plain_flow(level), 0.0, bool(frame.logarithmic[seen])
    size = float(frame.sizes[seen])
    events = [lambda t, y: flow(t, y)[seen], frame.leaving()]
    for _ in range(STRETCHES):
        course = solve_ivp(flow, (0, COUNTED * guess), start, "LSODA", events=events, rtol=1e-7, atol=1e-9)
        if course.status != 0:  # out of the box: no oscillation
            return None
        times, start = course.t_events[0], course.y[:, -1]
        late = times > course.t[-1] / 2
        if late.sum() < 4:
            if np.abs(flow(0, start)).max() * guess < RESTS:
                return None
            guess *= 2
            continue
        turns = course.y_events[0][late, seen]
        values = np.exp(turns) if logarithmic else turns * size
        low, high = float(values.min()), float(values.max())
        if high - low < DIED * (high if logarithmic else max(size, abs(low), abs(high))):
            return None
        if abs(high - low - before) < SETTLED * (high - low):
            tops = times[late][values > (low + high) / 2]
            return Found(low, high, float(np.diff(tops).mean()), start)
        before = high - low
    return None


def refine(local: Local, level: float, start: Float[Array, "state"], *, transient: float, span: float,
           seen: int = 0) -> Cycle:
    """The oscillation that `start` (SI base values) has come to after `transient` seconds at a level (SI).

    Its period is the mean of CYCLES between rises of state number `seen` through the middle of its range, looked for in
    twice `span` seconds, and in longer courses where that is too short. Relative error about 1e-9.
    Errors: `UserError` where there is no oscillation.
    """
    derivative = local.derivative()

    def flow(t: float, y: np.ndarray) -> np.ndarray:
        return derivative(y, level)

    settled = solve_ivp(flow, (0, transient), start, dense_output=True, **SOLVER)
    late = settled.sol(np.linspace(transient / 2, transient, 4000))[seen]
    middle = (late.min() + late.max()) / 2

    def rises(t: float, y: np.ndarray) -> float:
        return y[seen] - middle

    rises.direction = 1
    times, longest = np.array([]), LONGEST * span
    moving = np.ptp(late) > MOVING * np.abs(late).max()
    while moving and times.size <= CYCLES and span < longest:
        span *= 2
        times = solve_ivp(flow, (0, span), settled.y[:, -1], events=rises, **SOLVER).t_events[0]
    # one that dies away crosses the middle ever less, or ever sooner
    if times.size <= CYCLES or np.ptp(np.diff(times)) > EVEN * np.diff(times).mean():
        raise UserError(f"{local.name} does not oscillate at {local.over} = {level / local.unit_value:g} {local.unit}")
    return Cycle(float((times[CYCLES] - times[0]) / CYCLES), settled.y[:, -1])


def refine_near(local: Local, level: float, near: Cycle, *, seen: int = 0) -> Cycle:
    """The oscillation of almost the same model, or at almost the same level, as that of `near`; as `refine`."""
    return refine(local, level, near.state, transient=5 * near.seconds, span=(CYCLES + 1.2) * near.seconds / 2,
                  seen=seen)


def over_grid(frame: Frame, origins: list[tuple[np.ndarray, float]], grid: np.ndarray, *,
              seen: int = 0) -> dict[int, Found]:
    """Number of the value in `grid` (units of what is scanned, rising) -> the oscillation there.

    origins: (unstable equilibrium in coordinates, angular frequency it is left with). From each the value of the grid
    that is nearest is followed, where no oscillation is known yet, then its neighbours outwards, each from where the
    last ended, until the oscillation dies.
    """
    found: dict[int, Found] = {}
    for origin, frequency in origins if len(frame.states) > 1 else ():
        nearest = int(np.abs(grid - frame.input_of(origin)).argmin())
        if nearest in found:
            continue
        for order in (range(nearest, len(grid)), range(nearest - 1, -1, -1)):
            start = origin[:-1] + OFF * np.arange(1, len(origin))  # off the equilibrium, in no special way
            for n in order:
                one = find(frame, float(grid[n]) * frame.local.unit_value, start, guess=2 * np.pi / frequency,
                           seen=seen)
                if one is None:
                    break
                start = one.point
                found.setdefault(n, one)
    return {n: found[n] for n in sorted(found)}
