"""The retention factor three times: recorded increments, closed form, and the buffer of the network as built."""

import numpy as np

from derivation.simulation.nondimensional import cycle_shares
from derivation.simulation.simulations import NUM_CYCLES
from figures import style
from figures.sources import Sources
from rmaat.biology.biology import Biology
from rmaat.model.memory import RETENTION


def draw(sources: Sources):
    entry = sources.record.entry("retention")
    segment = np.arange(1, NUM_CYCLES + 1)
    recorded = cycle_shares(sources.cycles, sources.cycle_seconds, NUM_CYCLES).shares
    fine = np.linspace(1, NUM_CYCLES, 100)
    closed = [entry.evaluate(t=float(t), T=float(NUM_CYCLES)) for t in fine]
    buffer = RETENTION["accumulate"](Biology.of(sources.record), NUM_CYCLES).retention.numpy()
    figure, axis = style.subplots()
    axis.plot(fine, closed, color=style.BLACK, label="closed form  q^(t-1) (1-q)/(1-q^T)")
    axis.plot(segment, recorded, "o", ms=11, mfc="none", mew=2, color=style.ORANGE, label="recorded increments of p_l")
    axis.plot(segment, buffer, "x", ms=8, mew=2, color=style.BLUE, label="torch buffer memory.retention")
    off = np.abs(recorded - np.array([entry.evaluate(t=t, T=NUM_CYCLES) for t in segment])).max()
    q = entry.constants["q"].value
    axis.set(xlabel="cycle = segment t", ylabel="share of the capacity RF(t, T)",
             xticks=segment, ylim=(0, None),
             title=f"Retention, T = {NUM_CYCLES}, q = {q:.4f}: largest deviation of the recording {off:.1e}")
    axis.legend()
    return figure
