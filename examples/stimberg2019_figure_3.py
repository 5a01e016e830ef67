"""Figure 3 of Stimberg2019: gliotransmission changes what a synapse releases, here without sensing it (open loop).

    python examples/stimberg2019_figure_3.py --out figure_3.png

Three synapses get the same spikes. Their astrocytes sense no glutamate; IP3 flows to them from a source at 0 (nothing
is released), 0.8 or 1.25 uM. Each time that calcium rises through .5 uM gliotransmitter lowers what a spike releases.
"""

import argparse

import numpy as np

from astro_sim import simulate
from foundation.pictures import COLOURS, Picture

BEFORE = 16.5  # seconds in which the astrocytes come to where they are when the spikes arrive
SPIKES = (0, 50, 100, 150, 200, *range(300, 391, 10), 400)  # ms after that
SOURCES = ((0.0, "no gliotransmission"), (0.8, "source of IP3 at 0.8 µM"), (1.25, "source of IP3 at 1.25 µM"))
SLOW = (("C", "calcium (µM)"), ("G_A", "gliotransmitter\n(µM)"))
QUICK = (("u_S", "use of\nresources"), ("x_S", "resources\nready"), ("Y_S", "glutamate\n(µM)"))


def run(dt):
    spikes = "+".join(f"{BEFORE + time / 1000:g}s" for time in SPIKES)
    drives = [f"constant:input=ip3_source,value={level} umolar,elements={k}" for k, (level, _) in enumerate(SOURCES)]
    return simulate("tripartite:figure_3", [f"spikes:input=spikes,times={spikes}", *drives], duration=BEFORE + 0.6,
                    dt=dt, options={"loop": "open", "n_synapses": 3, "n_astrocytes": 3})


def draw(dt):
    recording = run(dt)
    figure = Picture(figsize=(6.4, 9.0), layout="constrained")
    axes = figure.subplots(len(SLOW) + len(QUICK))
    for axis, (name, label) in zip(axes, (*SLOW, *QUICK), strict=True):
        slow = (name, label) in SLOW
        shown = recording.time <= BEFORE if slow else recording.time >= BEFORE
        times = recording.time[shown] - BEFORE if slow else 1000 * (recording.time[shown] - BEFORE)
        for k, (_, words) in enumerate(SOURCES):
            axis.plot(times, recording[name].values[shown, k], color=COLOURS[(5, 2, 3)[k]], lw=1.1, label=words)
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
        if not slow:
            axis.plot(SPIKES, np.full(len(SPIKES), 1.06), "|", color="0.4", clip_on=False,
                      transform=axis.get_xaxis_transform())
    axes[0].axhline(recording.parameter("C_Theta"), color="0.6", ls=":", lw=1, zorder=0)
    axes[len(SLOW) - 1].set_xlabel("time from the first spike (s)")
    axes[-1].set_xlabel("time from the first spike (ms); ticks are the spikes")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    releases = recording.events["releases"]
    for k, (_, words) in enumerate(SOURCES):
        happened = releases.times[releases.elements == k]
        bound = recording["Gamma_S"].values[recording.time <= BEFORE][-1, k]
        print(f"{words}: {len(happened)} releases, at {', '.join(f'{t:.2f}' for t in happened) or '-'} s; "
              f"{bound:.2f} of the receptors bound at the first spike")
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="figure_3.png", help="the picture")
    asked.add_argument("--small", action="store_true", help="a longer step, as a test")
    given = asked.parse_args()
    draw("10 ms" if given.small else "2 ms").savefig(given.out, dpi=110)
