"""Release of a synapse against its presynaptic rate, without and with gliotransmission: closed form and simulation."""

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.tripartite.release import (
    bound_at_threshold,
    facilitation_threshold,
    regular_train,
    resting_probability,
)
from astro_sim.run.simulation import simulate
from figures import style
from figures.sources import Sources

RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.5, 25.0)  # hertz; each interval is a whole number of steps of 5 ms
SECONDS, START = 8.0, 0.5  # the longest interval is passed some times; a release of gliotransmitter has acted by then


def draw(sources: Sources):
    figure, axis = style.subplots(width=6.6, height=4.2)
    values = {name: parameter.value for name, parameter in MODELS["tripartite"].parameters().items()}
    rates = np.geomspace(RATES[0], RATES[-1], 200)
    for released, color, label in ((False, style.BLUE, "no gliotransmission"),
                                   (True, style.RED, "gliotransmission")):
        recording = _trains(released)
        bound = float(recording["Gamma_S"].values[-1, 0])
        resting = resting_probability(values["U_0_star"], bound, values["glio_sign"])
        form = [regular_train(resting, rate, values["Omega_f"], values["Omega_d"])[2] for rate in rates]
        axis.semilogx(rates, form, color=color, label=f"{label}, {bound:.0%} bound: closed form")
        axis.semilogx(RATES, recording["r_S"].values[-1], "o", color=color, ms=5, label="simulation")
    threshold = facilitation_threshold(values["Omega_f"], values["Omega_d"])
    turns = bound_at_threshold(values["U_0_star"], values["glio_sign"], values["Omega_f"], values["Omega_d"])
    axis.axhline(threshold, color="0.6", lw=0.8, ls="--")
    axis.text(RATES[-1], threshold, f"below: facilitating\n(from {turns:.0%} bound on)", ha="right", va="top",
              fontsize=8, color="0.35")
    axis.set(xlabel="presynaptic rate (Hz)", ylabel="resources released by a spike", ylim=(0, None))
    axis.set_xticks((0.5, 1, 2, 5, 10, 20), ("0.5", "1", "2", "5", "10", "20"))
    figure.legend(fontsize=8, loc="outside upper center", ncols=2)
    return figure


def _trains(released: bool):
    """Synapses at all rates; with a release of gliotransmitter at the start, which does not unbind."""
    given = [f"regular:input=spikes,rate={rate} hertz,start={START} s,count={int((SECONDS - START) * rate)},"
             f"elements={k}" for k, rate in enumerate(RATES)] + (["spikes:input=release,times=0s"] if released else [])
    return simulate("tripartite", given, options={"loop": "open", "n_synapses": len(RATES)}, duration=SECONDS,
                    dt="5 ms", parameters={"Omega_G": "1e-12 1/second"})
