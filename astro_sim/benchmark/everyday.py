"""What everyday work costs: one cell, a fit, a row of periods, an analysis, a choice of backend.

Seconds are the processor's, the fewest of several turns; everything is warm, as in the second run of a session.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from astro_sim import analysis
from astro_sim.plan import prepare
from astro_sim.plan.backend_choice import choose_backend, costs
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import run, simulate
from foundation.errors import UserError
from foundation.shapes import Array, Float

TURNS = 3
CELL = {"model": "li_rinzel:AM", "duration": "60 s", "dt": "2 ms"}
TRIPARTITE = {"model": "tripartite", "protocol": "poisson:input=spikes,rate=10 hertz,stop=30s", "duration": "30 s",
              "dt": "1 ms"}
STEPS_TIMED = 2000  # of the 30,000 of the tripartite synapse: what a step costs does not change


def everyday(cells: int = 1000) -> list[dict]:
    """Rows {what, seconds, target, measured, met, command}; measured is what the target bounds."""
    return [*one_cell(), fit_of_one(), periods(), analysed(cells), *chosen()]


def _fewest(work: Callable[[], Any], turns: int = TURNS) -> float:
    taken = []
    for _ in range(turns):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def _row(what: str, seconds: float, measured: float, *, target: float, command: str) -> dict:
    return {"what": what, "seconds": seconds, "measured": measured, "target": target, "met": measured <= target,
            "command": command}


def one_cell() -> list[dict]:
    """`simulate` against LSODA's own time, and its error against that of rk4 at the same 2 ms."""
    from scipy.integrate import odeint, solve_ivp

    recording = simulate(**CELL)
    rates, start = _by_hand(recording), [float(recording[name].values[0, 0]) for name in "Ch"]
    solver = recording.meta["solver"]
    control = {"rtol": solver["rtol"], "atol": solver["atol"], "mxstep": 10_000}
    ours = _fewest(lambda: simulate(**CELL))
    theirs = _fewest(lambda: odeint(rates, start, recording.time, **control))
    exact = solve_ivp(lambda t, y: rates(y, t), (0, recording.time[-1]), start, "DOP853", recording.time, rtol=3e-14,
                      atol=1e-17, max_step=0.05).y.T
    stepped = _rk4(rates, np.array(start), len(recording.time) - 1, float(recording.time[1]))
    found = np.stack([recording[name].values[:, 0] for name in "Ch"], axis=1)
    errors = [float((np.abs(one - exact).max(axis=0) / np.ptp(exact, axis=0)).max()) for one in (found, stepped)]
    command = 'simulate("li_rinzel:AM", duration="60 s", dt="2 ms")'
    return [_row("one Li-Rinzel cell, 60 s at 2 ms: time over that of LSODA alone", ours, ours / theirs, target=3.0,
                 command=command),
            _row(f"the same: error over that of rk4 at 2 ms ({errors[0]:.2g} and {errors[1]:.2g} of the range)", ours,
                 errors[0] / errors[1], target=1.0, command=command)]


def _by_hand(recording: Recording) -> Callable:
    """The published equations of the cell as one would write them for scipy: rates(y, t) in uM and s."""
    p = {name: recording.parameter(name) for name in recording.meta["parameters"]}
    I, d5, K2 = 0.5, p["d5"], p["K_P"] ** 2
    Q2, bound = p["d2"] * (I + p["d1"]) / (I + p["d3"]), I / (I + p["d1"])

    def rates(y: Array, t: float) -> tuple[float, float]:
        C, h = y.tolist()
        stored = p["C_T"] - (1 + p["rho_A"]) * C
        open_share = bound * C / (C + d5) * h
        return ((p["Omega_C"] * open_share**3 + p["Omega_L"]) * stored - p["O_P"] * C * C / (C * C + K2),
                (Q2 / (Q2 + C) - h) * p["O_2"] * (Q2 + C))

    return rates


def _rk4(rates: Callable, y: Float[Array, "state"], steps: int, dt: float) -> Float[Array, "time state"]:
    found = [y]
    for _ in range(steps):
        k = np.array(rates(y, 0.0))
        middle = np.array(rates(y + dt / 2 * k, 0.0))
        other = np.array(rates(y + dt / 2 * middle, 0.0))
        y = y + dt / 6 * (k + 2 * middle + 2 * other + np.array(rates(y + dt * other, 0.0)))
        found.append(y)
    return np.array(found)


def fit_of_one() -> dict:
    """One parameter of one cell to a noisy trace of 601 points, with starts and interval as `fit` has them by default.
    """
    from astro_sim.run.fitting.data_fit import fit

    made = simulate("li_rinzel:AM", duration="60 s", dt="100 ms", parameters={"O_2": "0.21 1/umolar/second"})
    noise = 0.002 * np.random.default_rng(1).normal(size=len(made.time))
    data = {"t": made.time, "C": made["C"].values[:, 0] + noise}

    def work() -> Any:
        return fit("li_rinzel:AM", data, free={"O_2": "0.15:0.3 1/umolar/second"})

    found = work().table().rows[0][1]
    if abs(float(found) / 0.21 - 1) > 0.01:
        raise UserError(f"benchmark: a fit found {found}, not 0.21; no speeds are reported")
    seconds = _fewest(work)
    return _row("fit of one parameter to a trace, with its interval: seconds", seconds, seconds, target=0.5,
                command='fit("li_rinzel:AM", data, free={"O_2": "0.15:0.3 1/umolar/second"})')


def periods() -> dict:
    """The period at 50 values of IP3, a run each."""
    values = np.linspace(0.37, 0.62, 50)

    def work() -> list[float]:
        return [analysis.period(run(prepare("li_rinzel:AM", f"constant:input=ip3,value={value:.4f} umolar",
                                            duration="120 s", dt="20 ms")), "C") for value in values]

    found = work()
    if not all(5 < period < 30 for period in found):
        raise UserError("benchmark: a period is not between 5 and 30 s; no speeds are reported")
    seconds = _fewest(work, 2)
    return _row("period at 50 values of IP3, 120 s each: seconds", seconds, seconds, target=2.0,
                command='period(simulate("li_rinzel:AM", "constant:input=ip3,value=..."), "C"), 50 times')


def analysed(cells: int = 1000) -> dict:
    """`analyse` of a line of coupled astrocytes over 60 s at 20 ms, all four variables."""
    from astro_sim.analysis.summary import summarise

    recording = simulate("astrocyte_network:AM", ["constant:input=glutamate,value=2 umolar",
                                                  "constant:input=ip3_flux,value=0.2 umolar/second,elements=0"],
                         options={"layout": "line", "n_columns": cells, "gaps": "linear"}, duration="60 s", dt="20 ms")
    seconds = _fewest(lambda: summarise(recording), 1)
    return _row(f"analyse {cells} coupled astrocytes, 60 s at 20 ms, all variables: seconds", seconds, seconds,
                target=5.0, command="python -m astro_sim analyse FILE")


def chosen() -> list[dict]:
    """What the estimate says of a tripartite synapse, against NumPy's steps timed; the backend that it chooses."""
    plan = prepare(**TRIPARTITE, method="rk4", backend="numpy")
    short = {**TRIPARTITE, "duration": f"{STEPS_TIMED * 0.001} s",
             "protocol": f"poisson:input=spikes,rate=10 hertz,stop={STEPS_TIMED * 0.001}s"}
    half = {**short, "duration": f"{STEPS_TIMED * 0.0005} s",
            "protocol": f"poisson:input=spikes,rate=10 hertz,stop={STEPS_TIMED * 0.0005}s"}
    simulate(**half, method="rk4", backend="numpy")
    whole, part = (_fewest(lambda one=one: simulate(**one, method="rk4", backend="numpy"), 2) for one in (short, half))
    seconds = part + (plan.steps - STEPS_TIMED / 2) * (whole - part) / (STEPS_TIMED / 2)
    said = costs(plan)["numpy"]
    return [_row(f"tripartite, 30,000 steps: estimate over time by numpy, or the inverse; chosen: "
                 f"{choose_backend(plan)[0]}", seconds, max(said / seconds, seconds / said), target=2.0,
                 command='simulate("tripartite", ..., duration="30 s", dt="1 ms")')]


def text(rows: list[dict]) -> str:
    """The rows as a table, misses said."""
    lines = [f"{'CPU-s':>9}{'measured':>10}{'target':>8}  what"]
    for row in rows:
        lines += [f"{row['seconds']:>9.3f}{row['measured']:>10.3g}{row['target']:>8g}  {row['what']}: "
                  f"{'met' if row['met'] else 'MISSED'}", f"{'':>29}{row['command']}"]
    return "\n".join(lines)
