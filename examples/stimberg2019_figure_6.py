"""Figure 6 of Stimberg2019: a recurrent network of spiking neurons whose excitatory synapses belong to astrocytes.

    python examples/stimberg2019_figure_6.py --out figure_6.png

A twentieth of the paper's neurons, with weights that much larger, so that a neuron's mean input is the same. From 2 to
4 s the current is a fifth larger. Every astrocyte senses the glutamate of its synapses, and each release lowers theirs.
"""

import argparse

import numpy as np

from astro_sim import simulate
from astro_sim.analysis.spiking import firing_rates
from foundation.pictures import COLOURS, Picture

CURRENT, FEWER = (0.1, 0.12), 20  # namp; times fewer neurons than the paper's 3200 and 800
BIN = 0.02  # seconds


def run(seconds, excitatory, backend):
    inhibitory = excitatory // 4
    current = (f"steps:input=current,times=0s+{seconds / 4}s+{seconds / 2}s,"
               f"values={CURRENT[0]} namp+{CURRENT[1]} namp+{CURRENT[0]} namp")
    return simulate("neuron_glia_network:figure_6", current, duration=seconds, dt="0.5 ms", record_every="20 ms",
                    backend=backend, seed=1,
                    options={"n_excitatory": excitatory, "n_inhibitory": inhibitory, "n_rows": 4, "n_columns": 4,
                             "synapse_spread": 0.3, "idle_astrocytes": "allowed"},
                    parameters={"w_e": f"{0.05 * FEWER:g} nsiemens", "w_i": f"{FEWER} nsiemens"})


def draw(seconds, excitatory, backend):
    recording, step = run(seconds, excitatory, backend), (seconds / 4, seconds / 2)
    spikes, releases = recording.events["spikes"], recording.events["releases"]
    figure = Picture(figsize=(7.6, 7.6), layout="constrained")
    top, raster, rate, calcium = figure.subplots(4, sharex=True, height_ratios=(0.6, 3, 1.1, 1.2))
    times = np.linspace(0, seconds, 801)
    top.plot(times, np.where((times >= step[0]) & (times < step[1]), *CURRENT[::-1]), color="black")
    top.set(ylabel="current\n(nA)", ylim=(0.095, 0.125))
    neurons = excitatory + excitatory // 4
    exciting = spikes.elements < excitatory
    for chosen, colour, words in ((exciting, COLOURS[0], "excitatory"), (~exciting, COLOURS[3], "inhibitory")):
        raster.plot(spikes.times[chosen], spikes.elements[chosen], "|", ms=2, mew=0.5, color=colour, label=words)
    raster.plot(releases.times, neurons + 3 * releases.elements, "|", ms=5, color=COLOURS[2], label="astrocyte")
    raster.set(ylabel="cell")
    for mark in raster.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False).legend_handles:
        mark.set(markersize=10, markeredgewidth=2)
    count, edges = np.histogram(spikes.times, np.arange(0, seconds + BIN / 2, BIN))
    rate.semilogy(edges[:-1], np.maximum(count / neurons / BIN, 0.1), color="black", lw=0.9)
    rate.set(ylabel="rate of\na neuron (Hz)")
    calcium.plot(recording.time, recording["C"].values, color=COLOURS[2], lw=0.7)
    calcium.axhline(recording.parameter("C_Theta"), color="0.6", ls=":", lw=1)
    calcium.set(ylabel="calcium of the\nastrocytes (µM)", xlabel="time (s)", xlim=(0, seconds))
    for axis in (top, raster, rate, calcium):
        axis.spines[["top", "right"]].set_visible(False)
    for kind, told in firing_rates(recording).items():
        print(f"{kind}: {told['neurons']} neurons, {told['mean_hertz']:.1f} Hz")
    said = [f"{((spikes.times >= a) & (spikes.times < b)).sum() / neurons / (b - a):.1f} Hz from {a:g} to {b:g} s"
            for a, b in ((0.0, step[0]), step, (step[1], seconds))]
    first = f", the first at {releases.times.min():.2f} s" if len(releases.times) else ""
    print(f"a neuron spikes at {', '.join(said)}; {len(releases.times)} releases{first}")
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="figure_6.png", help="the picture")
    asked.add_argument("--backend", default="numpy", help="numpy, cython or cpp")
    asked.add_argument("--small", action="store_true", help="some neurons for 0.2 s, as a test")
    given = asked.parse_args()
    size = (0.2, 20) if given.small else (8.0, 160)
    draw(*size, given.backend).savefig(given.out, dpi=110)
