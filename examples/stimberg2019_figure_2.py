"""Figure 2 of Stimberg2019: an astrocyte under glutamate pulses, with the IP3 receptor without noise and with it.

    python examples/stimberg2019_figure_2.py --out figure_2.png

A synapse releases all it has at .5 Hz: each spike brings 500 uM of glutamate, which is cleared at 40/s. Both astrocytes
have the set figure_2: its values, its exchange of IP3 with a source at 0 and its start.
"""

import argparse

import numpy as np

from astro_sim import analysis, simulate
from foundation.pictures import COLOURS, panels

RATE, GLUTAMATE, CLEARED = 0.5, "500 umolar", "25 ms"  # hertz; rho_c Y_T; 1/Omega_c
SHOWN = (("Gamma_A", "receptors\nbound"), ("I", "IP3 (µM)"), ("C", "calcium (µM)"), ("h", "h"))
KINDS = (("gchi_receptor", "without noise"), ("gchi_receptor_stochastic", "with receptor noise"))


def pulses(seconds):
    """The glutamate of every spike, one after the other."""
    return [f"exponential:input=glutamate,high={GLUTAMATE},tau={CLEARED},start={time:g} s"
            for time in np.arange(1 / RATE, seconds, 1 / RATE)]


def draw(seconds, dt):
    figure, axes = panels(len(SHOWN), height=1.4)
    for (model, words), colour in zip(KINDS, COLOURS[::3], strict=False):
        recording = simulate(f"{model}:figure_2", pulses(seconds), duration=seconds, dt=dt,
                             record_every="20 ms", seed=3)
        for axis, (name, label) in zip(axes, SHOWN, strict=True):
            axis.plot(recording.time, recording[name].values[:, 0], color=colour, lw=1.1, label=words)
            axis.set_ylabel(label)
        times, heights = analysis.peaks(recording, "C", after=0.0, prominence=0.2)
        print(f"{words}: {len(times)} peaks of calcium in {seconds:g} s, up to {max(heights, default=0):.2f} uM, "
              f"at {', '.join(f'{time:.1f}' for time in times)} s")
    axes[-1].set_xlabel("time (s)")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="figure_2.png", help="the picture")
    asked.add_argument("--small", action="store_true", help="a shorter run, as a test")
    given = asked.parse_args()
    draw(*(4.0, "2.5 ms") if given.small else (30.0, "2.5 ms")).savefig(given.out, dpi=110)
