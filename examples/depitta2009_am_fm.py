"""AM and FM of DePitta2009: the same glutamate in the amplitude or in the frequency of calcium oscillations.

    python examples/depitta2009_am_fm.py --out am_fm.png

Above: calcium while glutamate rises in steps. Below: smallest and largest calcium, and frequency, of the oscillations
that astrocytes have come to at held glutamate, each point one of them.
"""

import argparse

import numpy as np

from astro_sim import analysis, simulate
from astro_sim.dynamics.am_fm import modulation
from foundation.errors import UserError
from foundation.pictures import COLOURS, Picture

STEPS = (0.002, 0.02, 0.2, 1.0, 5.0)  # umolar
LOWEST, HIGHEST = 0.001, 20.0  # umolar


def stepped(name, stay):
    times = "+".join(f"{k * stay:g}s" for k in range(len(STEPS)))
    values = "+".join(f"{level} umolar" for level in STEPS)
    return simulate(f"gchi:{name}", f"steps:input=glutamate,times={times},values={values}", dt="80 ms",
                    duration=stay * len(STEPS))


def oscillations(name, levels, seconds):
    """(level, smallest and largest calcium, frequency) of those that oscillate."""
    drives = [f"constant:input=glutamate,value={level} umolar,elements={k}" for k, level in enumerate(levels)]
    recording = simulate(f"gchi:{name}", drives, options={"n": len(levels)}, duration=seconds, dt="80 ms")
    found = []
    for k, level in enumerate(levels):
        try:
            period = analysis.period(recording, "C", k)
        except UserError:  # at rest
            continue
        found.append((level, *analysis.amplitude(recording, "C", k), 1 / period))
    return np.array(found).T


def draw(stay, count, seconds):
    figure = Picture(figsize=(9.0, 8.4), layout="constrained")
    columns = figure.subplots(4, 2, sharex="row", sharey="row", height_ratios=(0.7, 1.4, 1.4, 1.2)).T
    for name, (stimulus, calcium, sizes, rates) in zip(("AM", "FM"), columns, strict=True):
        recording = stepped(name, stay)
        stimulus.step(stay * np.arange(len(STEPS) + 1), (*STEPS, STEPS[-1]), where="post", color="black")
        stimulus.set(title=f"gchi:{name}", yscale="log")
        calcium.plot(recording.time, recording["C"].values[:, 0], color=COLOURS[0], lw=1)
        calcium.set(xlabel="time (s)")
        levels, low, high, frequency = oscillations(name, np.geomspace(LOWEST, HIGHEST, count), seconds)
        for values, marker, words in ((high, "^", "largest"), (low, "v", "smallest")):
            sizes.plot(levels, values, marker, color=COLOURS[0], ms=4, label=words)
        rates.plot(levels, frequency, "o", color=COLOURS[3], ms=4)
        rates.set(xlabel="glutamate (µM)", xscale="log")
        sizes.set(xscale="log")
        told = modulation(levels, high - low, frequency)
        print(f"{name}: oscillates from {min(levels):.3g} to {max(levels):.3g} uM of glutamate, by "
              f"{min(high - low):.2f} to {max(high - low):.2f} uM, at {min(frequency):.3f} to {max(frequency):.3f} Hz; "
              f"depth of amplitude {told.depth_am:.2f}, of frequency {told.depth_fm:.2f}: {told.word}")
    labels = "glutamate (µM)", "calcium (µM)", "calcium (µM)", "frequency (Hz)"
    for axis, label in zip(columns[0], labels, strict=True):
        axis.set_ylabel(label)
    columns[0][2].legend(frameon=False, fontsize="small")
    for axis in columns.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="am_fm.png", help="the picture")
    asked.add_argument("--small", action="store_true", help="few levels for a shorter time, as a test")
    given = asked.parse_args()
    draw(*(6.0, 7, 70.0) if given.small else (80.0, 40, 400.0)).savefig(given.out, dpi=110)
