"""The simulations that the derivation rests on: a calcium oscillation, driven cycles, and driven lines of processes."""

from collections.abc import Callable, Sequence

import numpy as np

from astro_sim import analysis
from astro_sim.parameter import Parameter
from astro_sim.protocols import constant, cycles, spikes
from astro_sim.recording.recording import Recording
from derivation.simulation.cache import simulate
from foundation.errors import UserError

CALCIUM_MODEL, CALCIUM_SET, IP3 = "li_rinzel", "AM", "0.5 umolar"
NUM_CYCLES, STEPS_PER_CYCLE, DUTY = 6, 2400, 0.5
# seconds between releases: each divides the time of the simulation, and stores are nearly full again in each
RELEASES_SECONDS = 60.0
RELEASE_PERIODS = (60.0, 30.0, 20.0, 15.0, 12.0, 10.0, 7.5, 6.0, 5.0)
NO_OWN_RELEASE = "3 umolar"  # a threshold above all the calcium that there is
SETTLED_AFTER, RESPONSE_SECONDS = 80.0, 200.0  # of calcium at held glutamate
STEPPED = {"method": "rk4", "backend": "numpy"}  # named: the record must not move with a default
PLACES, SMALL_DRIVE = 101, 0.01  # a drive so small that psi stays linear to 3e-5, on a line longer than the response


def calcium_oscillation() -> Recording:
    """Li-Rinzel calcium at a constant IP3 in the oscillating range."""
    return simulate(f"{CALCIUM_MODEL}:{CALCIUM_SET}", constant("ip3", IP3), duration="120 s", dt="5 ms",
                    **STEPPED)


def calcium_period(oscillation: Recording) -> Parameter:
    """The mean period of the calcium oscillation, in seconds; its transient, the first 30 s, is left out.

    Raises `UserError` when single periods differ by more than a thousandth: then there is no one cycle.
    """
    periods = np.diff(analysis.crossings(oscillation, "C", after=30.0))
    if periods.size < 2 or np.ptp(periods) > 1e-3 * periods.mean():
        raise UserError(f"calcium set {CALCIUM_SET} at ip3 = {IP3} has no steady oscillation (periods {periods} s)")
    return Parameter(float(np.mean(periods)), "second", "calcium oscillation period: one cycle, one segment",
                     "LiRinzel1994, DePitta2009", "derived")


def driven_cycles(cycle_seconds: float, gamma_l: float, steps: int = STEPS_PER_CYCLE) -> Recording:
    """The macro model with both layers driven in square cycles of so many steps, a multiple of 4: their ends are
    samples."""
    dt = cycle_seconds / steps
    drives = [cycles(layer, high=1, period=cycle_seconds, duty=DUTY, count=NUM_CYCLES) for layer in ("b_pre", "b_post")]
    return simulate("macro", drives, parameters={"gamma_l": repr(gamma_l)}, duration=cycle_seconds * NUM_CYCLES, dt=dt,
                    record_every=4 * dt, **STEPPED)


def driven_line(coupling: str) -> Recording:
    """The short-term processes alone on a line, one of them driven: neurons silent, synapses uncoupled from them."""
    return simulate("macro", constant("d", SMALL_DRIVE, elements=(PLACES // 2,)),
                    options={"n_pre": 1, "n_post": PLACES, "layout": "line", "coupling": coupling},
                    parameters={"w_g": "0"}, duration="20 s", dt="5 ms", record_every="100 ms", **STEPPED)


def driven_layout(layout: str, dt: str = "5 ms") -> Recording:
    """The macro model, 3 + 3 neurons, under constant drive, its nine processes laid out as `layout` says."""
    drives = [constant(layer, 1) for layer in ("b_pre", "b_post")]
    return simulate("macro", drives, options={"layout": layout}, duration="20 s", dt=dt, record_every="100 ms",
                    **STEPPED)


def regular_releases(after: Callable[[float], tuple[float, float]]) -> Recording:
    """Tripartite synapses, each with releases of gliotransmitter at its own regular rate; no presynaptic spikes.

    `after(period)` is (receptors bound, stores) just after a release of a long train, with which a synapse starts: one
    that started elsewhere would move towards them, for minutes.
    """
    trains = [spikes("release", [n * period for n in range(1, round(RELEASES_SECONDS / period) + 1)], elements=(k,))
              for k, period in enumerate(RELEASE_PERIODS)]
    count, (bound, stores) = len(RELEASE_PERIODS), zip(*map(after, RELEASE_PERIODS), strict=True)
    return simulate("tripartite:release_decreasing", trains, duration=RELEASES_SECONDS + 0.1, dt="5 ms",
                    record_every="100 ms", options={"loop": "open", "n_synapses": count, "n_astrocytes": count},
                    parameters={"C_Theta": NO_OWN_RELEASE}, initial={"Gamma_S": bound, "x_A": stores}, **STEPPED)


def held_glutamate(model: str, levels: Sequence[float]) -> Recording:
    """Calcium at several held levels of glutamate (umolar), one astrocyte each."""
    drives = [constant("glutamate", f"{level!r} umolar", elements=(k,)) for k, level in enumerate(levels)]
    return simulate(model, drives, options={"n": len(levels)}, duration=RESPONSE_SECONDS, dt="20 ms",
                    record_every="100 ms", **STEPPED)
