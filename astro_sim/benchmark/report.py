"""What a simulation costs: a step of one cell by network size, `simulate` against bare Brian2 and against LSODA.

Nothing is timed before the numbers were found right. Everything runs in one process on one thread of it, and what is
told is the processor's time, which on an idle machine is the time one waits. Sizes, and two programs that are compared,
are taken in turns, and the fastest of several turns counts: what else runs on the machine disturbs that least.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from astro_sim.benchmark import lsoda
from astro_sim.benchmark.step_cost import NETWORKS, astrocytes, growth, step_costs
from astro_sim.models.tripartite.release import regular_train
from astro_sim.parameter import unit
from astro_sim.plan import Plan, prepare
from astro_sim.run.simulation import run, simulate
from foundation.errors import ResourceError, UserError

BACKENDS = ("numpy", "cython")
SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
GROWTH, OVERHEAD = 1.05, 1.05  # targets: exponent of cost against size; time of `simulate` over bare Brian2
ACCURACY = 1e-3                # relative to each variable's range, that all solvers must reach to be timed
AGREES = 1e-9                  # of the closed form of the synapse, which rk4 at 1 ms meets to (0.04)^5/120 a step
CHECKED, COMPARED, RING_STEPS = 5.0, 20.0, 1000  # s, s: simulated for the check and against LSODA; steps of a ring
STEPS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # s
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
MOST = 1000  # repetitions


def benchmark(sizes: Sequence[int] = SIZES, *, repetitions: int = 5, backends: Sequence[str] = BACKENDS,
              progress: bool = False) -> dict:
    """Everything that is measured, as JSON: `check`, `scaling`, `exponents`, `overhead`, `lsoda`, `targets`.

    sizes: astrocytes (and synapses), each 10 to 1000000. backends: numpy, cython; the first is compared with bare
    Brian2 and LSODA. Times are CPU seconds. Errors: `UserError` for bad input, and where a result is wrong: no speed
    is reported then; `ResourceError` where cython finds no compiler.
    """
    from foundation.cli import Progress

    sizes = sorted(set(sizes))
    if (not sizes or not 10 <= sizes[0] <= sizes[-1] <= 1_000_000 or not 1 <= repetitions <= MOST or not backends
            or not set(backends) <= set(BACKENDS)):
        raise UserError(f"benchmark: sizes {', '.join(map(str, sizes))}, {repetitions} repetitions, backend "
                        f"{', '.join(backends)} are not allowed; give sizes from 10 to 1000000, 1 to "
                        f"{MOST} repetitions, numpy or cython or both")
    found: dict = {"conditions": _conditions(backends), "check": {backend: check(backend) for backend in backends},
                   "scaling": [], "exponents": {}}
    cases = [(backend, kind) for backend in backends for kind in NETWORKS]
    with Progress("benchmark", len(cases) + 2, quiet=not progress) as bar:
        for n, (backend, kind) in enumerate(cases):
            bar.update(n, f"{kind}, {backend}")
            rows = step_costs(kind, sizes, backend)
            found["scaling"] += rows
            found["exponents"][f"{kind}, {backend}"] = growth(rows)
        bar.update(len(cases), "bare Brian2")
        found["overhead"] = overhead(min(1000, sizes[-1]), repetitions, backends[0])
        bar.update(len(cases) + 1, "LSODA")
        found["lsoda"] = against_lsoda(min(1000, sizes[-1]), repetitions, backends[0])
    return found | {"targets": targets(found)}


def _conditions(backends: Sequence[str]) -> dict:
    from importlib.metadata import version

    from brian2.codegen.runtime.cython_rt.cython_rt import CythonCodeObject

    if "cython" in backends and not CythonCodeObject.is_available():
        raise ResourceError("benchmark: cython finds no C++ compiler here; install one, or give --backend numpy")
    return {"backends": list(backends), "platform": platform.platform(), "cpus": os.cpu_count(),
            "load_before": os.getloadavg()[0],
            **{name: version(name) for name in ("brian2", "numpy", "scipy")}}


# --- correctness first

def check(backend: str = "numpy") -> dict[str, float]:
    """Differences from LSODA and from a closed form, each relative to the variable's size. Raises `UserError`."""
    plan = astrocytes("line", 10, CHECKED, backend)
    apart = lsoda.error(run(plan), plan, lsoda.solve(plan, lsoda.EXACT))
    if not apart < ACCURACY:
        raise UserError(f"benchmark: a network differs by {apart:.2g} from LSODA, above {ACCURACY}; no speeds are "
                        "reported")
    synapse = abs(_released(backend) / _released_in_theory() - 1)
    if not synapse < AGREES:
        raise UserError(f"benchmark: release differs by {synapse:.2g} from its closed form; no speeds are reported")
    return {"network_against_lsoda": apart, "release_against_closed_form": synapse}


def _released(backend: str) -> float:
    """What a synapse releases at the last of 40 spikes at 20 Hz."""
    recording = simulate("tripartite", "regular:input=spikes,rate=20 hertz,count=40", options={"loop": "none"},
                         duration="2 s", dt="1 ms", backend=backend)
    return float(recording["r_S"].values[-1, 0])


def _released_in_theory() -> float:
    rates = prepare("tripartite", options={"loop": "none"}).parameters
    start, facilitation, recovery = (rates[name].value for name in ("U_0_star", "Omega_f", "Omega_d"))
    return regular_train(start, 20.0, Omega_f=facilitation, Omega_d=recovery)[2]


# --- against bare Brian2

def overhead(size: int, repetitions: int, backend: str = "numpy") -> dict:
    """`simulate` and the same ring written for Brian2 alone, in turns: seconds of each, ratios."""
    plan = astrocytes("ring", size, RING_STEPS * 0.01, backend, "held")  # as Brian2 alone has it
    given = {"model": "astrocyte_network:AM", "options": plan.options, "duration": plan.duration, "dt": plan.dt,
             "protocol": list(plan.protocol), "backend": backend}
    ours, bare = [], []
    for _ in range(repetitions):
        ours.append(_timed(lambda: simulate(**given)))
        bare.append(_timed(lambda: bare_ring(plan)))
    ratios = sorted(one / other for one, other in zip(ours, bare, strict=True))
    return {"cells": size, "steps": RING_STEPS, "repetitions": repetitions,
            "simulate_s": min(ours), "brian2_s": min(bare),
            "ratio": min(ours) / min(bare), "median_ratio": ratios[len(ratios) // 2]}


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def bare_ring(plan: Plan) -> dict:
    """The plan's ring as a user of Brian2 would write it: name -> float64 (element, record), in the recorded unit."""
    import brian2
    text = plan.model.populations[0].equations
    text += "\nglutamate : mmolar (constant)\nip3_source : mmolar (constant)\nip3_flux : mmolar/second (constant)"
    values = {name: parameter.quantity() for name, parameter in plan.parameters.items()}
    n = plan.size("astrocyte")
    old, brian2.prefs.codegen.target = brian2.prefs.codegen.target, plan.backend
    try:
        clock = brian2.Clock(dt=plan.dt * brian2.second)
        group = brian2.NeuronGroup(n, text, method=plan.method, namespace=values, clock=clock)
        group.C, group.h, group.I = (plan.initial[name].quantity() for name in "ChI")
        group.glutamate = 2 * brian2.umolar
        group.ip3_flux[0] = 0.2 * brian2.umolar / brian2.second
        gaps = brian2.Synapses(group, group, plan.model.connections[1].equations, namespace=values, clock=clock)
        k = np.arange(n)
        gaps.connect(i=np.stack([(k - 1) % n, (k + 1) % n], axis=1).ravel(), j=np.repeat(k, 2))
        seen = plan.model.observables
        monitor = brian2.StateMonitor(group, list(seen), record=True, clock=clock)
        brian2.Network(group, gaps, monitor).run((plan.steps + 1) * plan.dt * brian2.second, namespace={})
        return {name: getattr(monitor, name) / unit(one.unit) for name, one in seen.items()}
    finally:
        brian2.prefs.codegen.target = old


# --- against scipy

def against_lsoda(size: int, repetitions: int, backend: str = "numpy") -> dict:
    """A line of astrocytes by `simulate` and by LSODA in turns, each at the coarsest setting that reaches ACCURACY."""
    plan = astrocytes("line", size, COMPARED, backend)
    truth = lsoda.solve(plan, lsoda.EXACT)
    dt, error = _coarsest(STEPS, lambda dt: lsoda.error(run(replace(plan, dt=dt)), plan, truth))
    rtol, other_error = _coarsest(TOLERANCES, lambda rtol: lsoda.apart(lsoda.solve(plan, rtol), truth))
    ours, other = [], []
    for _ in range(repetitions):
        ours.append(_timed(lambda: run(replace(plan, dt=dt))))
        other.append(_timed(lambda: lsoda.solve(plan, rtol)))
    return {"cells": size, "simulated_s": COMPARED, "accuracy": ACCURACY, "dt_s": dt, "rtol": rtol,
            "error_simulate": error, "error_lsoda": other_error, "simulate_s": min(ours), "lsoda_s": min(other),
            "ratio": min(ours) / min(other)}


def _coarsest(settings: Sequence[float], error: Callable[[float], float]) -> tuple[float, float]:
    """The first setting within ACCURACY, and its error. Raises `UserError` where none is."""
    for setting in settings:
        try:
            found = error(setting)
        except UserError:  # the step is too large for a result at all
            continue
        if found < ACCURACY:
            return setting, found
    raise UserError(f"benchmark: no setting of {', '.join(map(str, settings))} reaches {ACCURACY}; no speeds are "
                    "reported")


# --- what it says

def targets(found: dict) -> list[dict]:
    """What was aimed at, what was measured, whether it is met; None where nothing was measured."""
    rows = [{"what": f"growth of a step's cost with size, {case}: exponent", "target": GROWTH,
             "measured": one and one["exponent"]} for case, one in found["exponents"].items()]
    rows.append({"what": "simulate over bare Brian2: time", "target": OVERHEAD, "measured": found["overhead"]["ratio"]})
    return [{**row, "met": None if row["measured"] is None else row["measured"] <= row["target"]} for row in rows]


def text(found: dict) -> str:
    """The tables, misses said."""
    about = found["conditions"]
    parts = [f"Brian2 {about['brian2']}, {about['cpus']} processors, load {about['load_before']:.1f} before; "
             f"{about['platform']}"]
    parts += [f"{backend} checked first: network against LSODA {seen['network_against_lsoda']:.1g} of its range, "
              f"release against its closed form {seen['release_against_closed_form']:.1g}"
              for backend, seen in found["check"].items()]
    parts += [f"\n{'backend':<9}{'network':<11}{'cells':>9}{'ms a step':>12}{'ns a cell-step':>16}{'s to build':>12}"]
    parts += [f"{row['backend']:<9}{row['network']:<11}{row['cells']:>9}{1e3 * row['seconds_a_step']:>12.3f}"
              f"{row['ns_a_cell_step']:>16.0f}{row['seconds_to_build']:>12.2f}" for row in found["scaling"]]
    over, other = found["overhead"], found["lsoda"]
    parts += [f"\nsimulate {over['simulate_s']:.3f} s, bare Brian2 {over['brian2_s']:.3f} s: {over['ratio']:.3f} "
              f"(median of {over['repetitions']} pairs {over['median_ratio']:.3f}); ring of {over['cells']}, "
              f"{over['steps']} steps, all recorded",
              f"simulate {other['simulate_s']:.3f} s at {1e3 * other['dt_s']:g} ms (error "
              f"{other['error_simulate']:.1g}), LSODA {other['lsoda_s']:.3f} s at rtol {other['rtol']:g} (error "
              f"{other['error_lsoda']:.1g}), both within {other['accuracy']:g}: {other['ratio']:.2f}; line of "
              f"{other['cells']}, {other['simulated_s']:g} s",
              ""]
    words = {True: "met", False: "MISSED", None: "not measured: give larger sizes"}
    parts += [f"{row['what']}: at most {row['target']}"
              + ("" if row["measured"] is None else f", measured {row['measured']:.3f}") + f": {words[row['met']]}"
              for row in found["targets"]]
    return "\n".join(parts)
