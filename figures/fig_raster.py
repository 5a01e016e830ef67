"""Spikes of a network of neurons and astrocytes, the calcium of its astrocytes, and what their releases bind."""

import numpy as np

from astro_sim.analysis.spiking import firing_rates
from astro_sim.recording.recording import Recording
from derivation.simulation.cache import simulate
from figures import style
from figures.sources import Sources

# a twentieth of the neurons of Stimberg2019, with weights that much larger: a neuron's mean input is the same
EXCITATORY, INHIBITORY, SIDE, STRONGER = 160, 40, 4, 20
STEP = (2.0, 3.5)  # seconds in which the current is a fifth larger
SECONDS = 4.5


def network(seconds: float = SECONDS, step: tuple[float, float] = STEP, dt: str = "0.5 ms"):
    """Spontaneous activity with a step of the current, every excitatory synapse in the closed loop."""
    current = f"steps:input=current,times=0s+{step[0]:g}s+{step[1]:g}s,values=0.1 namp+0.12 namp+0.1 namp"
    return simulate("neuron_glia_network", current, duration=f"{seconds:g} s", dt=dt, record_every="20 ms",
                    options={"n_excitatory": EXCITATORY, "n_inhibitory": INHIBITORY, "n_rows": SIDE, "n_columns": SIDE,
                             "synapse_spread": 0.3},
                    parameters={"w_e": f"{0.05 * STRONGER:g} nsiemens", "w_i": f"{STRONGER} nsiemens"})


def draw(sources: Sources):
    return raster_of(network(), STEP)


def raster_of(recording: Recording, step: tuple[float, float]):
    """Spikes, calcium of the astrocytes, receptors bound; grey where the current is larger."""
    seconds = recording.time[-1]
    spikes, releases = recording.events["spikes"], recording.events["releases"]
    figure, (raster, calcium, bound) = style.subplots(3, 1, width=7.6, height=6.6, sharex=True,
                                                      height_ratios=(2.4, 1, 0.8))
    rates = firing_rates(recording)
    excitatory = spikes.elements < EXCITATORY
    for kind, chosen, color in (("excitatory", excitatory, style.BLUE), ("inhibitory", ~excitatory, style.RED)):
        raster.plot(spikes.times[chosen], spikes.elements[chosen], "|", color=color, ms=2.2, mew=0.6)
        middle = spikes.elements[chosen].mean()
        raster.text(seconds * 1.01, middle, f"{kind}\n{rates[kind]['mean_hertz']:.1f} Hz", color=color, va="center")
    raster.axvspan(*step, color="0.9", lw=0, zorder=0)
    raster.set(ylabel="neuron", ylim=(-2, EXCITATORY + INHIBITORY + 1), title="current + 20 % where grey")
    calcium.plot(recording.time, recording["C"].values, color=style.GREEN, lw=0.8)
    threshold = recording.parameter("C_Theta")
    calcium.plot(releases.times, np.full(len(releases.times), threshold), "v", color=style.ORANGE, ms=5,
                 label=f"release of gliotransmitter at {threshold:g} µM")
    calcium.set(ylabel="calcium of\nastrocytes (µM)")
    calcium.legend(loc="lower right")
    bound.plot(recording.time, recording["Gamma_S"].values.mean(axis=1), color=style.BLACK)
    bound.set(ylabel="receptors bound,\nmean", ylim=(-0.05, 1.0), xlabel="time (s)", xlim=(0, seconds))
    figure.align_ylabels()
    return figure
