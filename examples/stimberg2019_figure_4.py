"""Figure 4 of Stimberg2019: transfer curves of synapses without gliotransmission, in the open and in the closed loop.

    python examples/stimberg2019_figure_4.py --out figure_4.png --backend cpp

Left: glutamate in the cleft, mean over synapses whose presynaptic rate grows tenfold every 5 s. Beside it: what a spike
releases, mean over time, against the rate; each point is one synapse with an astrocyte of its own. In the open loop a
source of IP3 at 1 uM makes the astrocytes release, whatever the synapse does; in the closed loop they sense its
glutamate. Bound gliotransmitter lowers the release probability (the paper's figure) or raises it (right).
"""

import argparse

import numpy as np

from astro_sim import simulate
from astro_sim.models.tripartite.release import poisson_release
from foundation.pictures import COLOURS, Picture

STEPS, STAY, SETTLED = (0.011, 0.11, 1.1, 11.0), 5.0, 15.0  # hertz; seconds at each; seconds left out of the means
LOOPS = {"none": "no gliotransmission", "open": "open loop", "closed": "closed loop"}
KINDS = (("release-decreasing", 0.0), ("release-increasing", 1.0))  # release probability with all receptors bound


def run(loop, stepped, rates, seconds, dt, backend):
    """`stepped` synapses under the steps of the rate, then those of the curve, once for either kind."""
    curve = np.tile(rates, len(KINDS))
    count = stepped + len(curve)
    drives = [f"poisson:input=spikes,rate={rate} hertz,start={k * STAY} s,stop={(k + 1) * STAY} s,seed={k},"
              f"elements=0-{stepped - 1}" for k, rate in enumerate(STEPS) if (k + 1) * STAY <= seconds]
    drives += [f"poisson:input=spikes,rate={rate} hertz,stop={seconds} s,seed=9,elements={stepped + k}"
               for k, rate in enumerate(curve)]
    signs = np.concatenate([np.zeros(stepped), *(np.full(len(rates), sign) for _, sign in KINDS)])
    options, acting = {"loop": loop, "n_synapses": count}, {}
    if loop != "none":
        options["n_astrocytes"], acting = count, {"glio_sign": signs}
    if loop == "open":
        drives.append("constant:input=ip3_source,value=1 umolar")
    return simulate("tripartite", drives, options=options, parameters=acting, duration=seconds, dt=dt, backend=backend,
                    record_every="50 ms")


def draw(stepped, count, seconds, dt, backend):
    rates, figure = np.logspace(-1, 2, count), Picture(figsize=(9.6, 7.4), layout="constrained")
    axes = figure.subplots(len(LOOPS), 1 + len(KINDS), sharex="col")
    for (loop, words), row, colour in zip(LOOPS.items(), axes, (COLOURS[5], COLOURS[2], COLOURS[3]), strict=True):
        recording = run(loop, stepped, rates, seconds, dt, backend)
        shown = recording.time <= STAY * len(STEPS)
        row[0].plot(recording.time[shown], recording["Y_S"].values[shown, :stepped].mean(axis=1), color=colour, lw=1)
        row[0].set(ylabel=f"{words}\nglutamate (µM)")
        late = recording["r_S"].values[recording.time > min(SETTLED, seconds / 2)]
        for k, (kind, _) in enumerate(KINDS):
            part = late[:, stepped + k * count:stepped + (k + 1) * count]
            row[1 + k].errorbar(rates, part.mean(axis=0), part.std(axis=0), fmt="o", ms=3, lw=0.6, color=colour)
            row[1 + k].set(ylabel="released by a spike", xscale="log",
                           ylim=(0, 0.2 if loop == "open" and not k else 1.0))
            means = part.mean(axis=0)
            print(f"{words}, {kind}: a spike releases {means[0]:.2f} at {rates[0]:g} Hz, at most {means.max():.2f} at "
                  f"{rates[means.argmax()]:.2g} Hz, {means[-1]:.3f} at {rates[-1]:g} Hz")
        if loop == "none":
            table = recording.parameter
            form = [poisson_release(table("U_0_star"), rate, table("Omega_f"), table("Omega_d")) for rate in rates]
            for axis in row[1:]:
                axis.plot(rates, form, color="0.6", lw=1, zorder=0, label="mean-field form")
                axis.legend(frameon=False, fontsize="small")
    for axis, title in zip(axes[0], ("rate: 0.011, 0.11, 1.1, 11 Hz", *(kind for kind, _ in KINDS)), strict=True):
        axis.set_title(title, fontsize="medium")
    axes[-1][0].set_xlabel("time (s)")
    for axis in axes[-1][1:]:
        axis.set_xlabel("presynaptic rate (Hz)")
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="figure_4.png", help="the picture")
    asked.add_argument("--backend", default="numpy", help="numpy, cython or cpp, the quickest here")
    asked.add_argument("--small", action="store_true", help="few synapses for a second, as a test")
    given = asked.parse_args()
    size = (2, 3, 1.0, "5 ms") if given.small else (200, 40, 120.0, "2 ms")
    draw(*size, given.backend).savefig(given.out, dpi=110)
