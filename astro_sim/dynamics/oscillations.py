"""Stable oscillations of a model over one input, by LSODA: what the unstable parts of its equilibria lead to."""

import math

CYCLES, STRETCHES = 8, 30
SETTLED = 1e-3  # of the range, a stretch: what is found is good to some of that
RESTS = 1e-6    # per second and value: at an equilibrium
DIED = 1e-3     # a range of less than this share of the value is a spiral into the equilibrium
FARTHEST = 300.0  # logarithm of the smallest and largest number that the solver may try


def oscillations(chosen, origins, grid) -> list[dict]:
    """Rows {input, low, high, period} of the first state, by input; chosen: `equilibria.Local`.

    origins: (unstable equilibrium in logarithms, angular frequency it is left with). From each the input
    of `grid` (its unit, rising) that is nearest is simulated, where no oscillation is known yet, then its neighbours
    outwards, each from where the last ended, until the oscillation dies.
    """
    import numpy as np

    found: dict[int, dict] = {}
    for origin, frequency in origins if len(chosen.states) > 1 else ():
        nearest = int(np.abs(grid - chosen.input_of(origin)).argmin())
        if nearest in found:
            continue
        for order in (range(nearest, len(grid)), range(nearest - 1, -1, -1)):
            state = origin[:-1] + 0.05 * np.arange(1, len(origin))  # off the equilibrium, in no special way
            for n in order:
                row, state = _settled_cycle(chosen, float(grid[n]), state, 2 * np.pi / frequency)
                if row is None:
                    break
                found.setdefault(n, row)
    return [found[n] for n in sorted(found)]


def _settled_cycle(chosen, value: float, start, guess: float):
    """(row, last state) of the oscillation that `start` leads to; (None, state) where it dies out or does not settle.

    Stretches of `CYCLES` guessed periods, until the range of the first state changes by less than SETTLED of itself.
    """
    import numpy as np
    from scipy.integrate import solve_ivp

    rates, before = _rates(chosen, value * chosen.input_scale), 0.0
    events = [lambda t, y: rates(t, y)[0], chosen.leaving()]
    for _ in range(STRETCHES):
        course = solve_ivp(rates, (0, CYCLES * guess), start, "LSODA", events=events, rtol=1e-7, atol=1e-9)
        if course.status != 0:  # out of the box: no oscillation
            return None, start
        times, start = course.t_events[0], course.y[:, -1]
        late = times > course.t[-1] / 2
        if late.sum() < 4:
            if np.abs(rates(0, start)).max() < RESTS:
                return None, start
            guess *= 2
            continue
        values = np.exp(course.y_events[0][late, 0]) / chosen.scales[0]
        low, high = float(values.min()), float(values.max())
        if high - low < DIED * high:
            return None, start
        if abs(high - low - before) < SETTLED * (high - low):
            tops = times[late][values > (low + high) / 2]
            return {"input": value, "low": low, "high": high, "period": float(np.diff(tops).mean())}, start
        before = high - low
    return None, start


def _rates(chosen, level: float):
    """The flow in logarithms for solve_ivp: on plain numbers, five times as fast as on those of numpy."""
    rates = chosen.rates({"exp": math.exp, "tanh": math.tanh, "sqrt": math.sqrt, "log": math.log})

    def flow(t, logarithms):
        states = [math.exp(max(-FARTHEST, min(FARTHEST, one))) for one in logarithms.tolist()]
        return [rate / state for rate, state in zip(rates(states, level), states, strict=True)]

    return flow
