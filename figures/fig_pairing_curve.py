"""Change of synaptic strength by pairs of spikes against their offset: the paper's closed form, the exact one, runs."""

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.graupner_brunel.pairing_curve import change_of_strength, exact_transitions, numbers
from astro_sim.run.simulation import simulate
from figures import style
from figures.sources import Sources

OFFSETS = tuple(range(-40, 41, 20)) + (-10, 10)  # ms
SYNAPSES = 300  # from each of the two states, at each offset
COUNT, PERIOD = 60, 1.0
DELAY = 0.01    # seconds: spikes and calcium then fall on steps of 10 ms, where the time above thresholds is exact


def draw(sources: Sources):
    figure, axis = style.subplots(width=6.6, height=4.2)
    published = numbers(MODELS["graupner_brunel_stochastic"].parameters())
    moved = {**published, "D": DELAY}
    offsets = np.linspace(-80, 80, 321)
    for values, by, look, label in (
            (published, None, {"color": style.BLACK}, "closed form, D = 13.7 ms (published)"),
            (moved, None, {"color": style.SKY, "ls": "--"}, "closed form, D = 10 ms"),
            (moved, exact_transitions, {"color": style.BLUE}, "exact but for the cubic term, D = 10 ms")):
        given = {"by": by} if by else {}
        axis.plot(offsets, [change_of_strength(values, offset / 1000, PERIOD, COUNT, **given) for offset in offsets],
                  lw=1.4, label=label, **look)
    change, error = _simulated()
    axis.errorbar(OFFSETS, change, error, fmt="o", color=style.RED, ms=4, lw=1,
                  label=f"{2 * SYNAPSES} synapses each, D = 10 ms; bars: standard error")
    axis.axhline(1, color="0.7", lw=0.8, zorder=0)
    axis.set(xlabel="postsynaptic after presynaptic spike (ms)", ylabel="strength after 60 pairs over before")
    axis.legend(fontsize=8)
    return figure


def _simulated():
    """Change of strength and its standard error at each offset, from half of the synapses in each state."""
    drives = [f"pairing:offset={offset} ms,period={PERIOD:g} s,count={COUNT},"
              f"elements={2 * SYNAPSES * k}-{2 * SYNAPSES * (k + 1) - 1}" for k, offset in enumerate(OFFSETS)]
    start = np.tile(np.repeat([0.0, 1.0], SYNAPSES), len(OFFSETS))
    recording = simulate("graupner_brunel_stochastic", drives, options={"n": len(start)}, initial={"rho": start},
                         parameters={"D": f"{DELAY} second"}, duration="60.2 s", dt="10 ms", record_every="60.2 s",
                         seed=3)
    high = (recording["rho"].values[-1] > 0.5).reshape(len(OFFSETS), 2, SYNAPSES).mean(axis=2)
    # (E2.11) with b = 5 and beta = 1/2: low = 1 - mean of both, (low + 5 (1 - low))/3
    return (1 + 4 * high.mean(axis=1)) / 3, 4 / 3 * np.sqrt((high * (1 - high)).sum(axis=1) / 4 / SYNAPSES)
