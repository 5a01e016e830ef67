"""The retention factor for several numbers of segments: one ratio q for all, shares that add up to one."""

import numpy as np

from derivation.simulation.nondimensional import cycle_shares
from derivation.simulation.simulations import NUM_CYCLES
from figures import style
from figures.sources import Sources
from rmaat.biology.biology import Biology

LENGTHS = (2, 4, 8, 16)
COLOURS, MARKERS = (style.ORANGE, style.GREEN, style.BLUE, style.RED), "os^D"


def draw(sources: Sources):
    biology = Biology.of(sources.record)
    figure, (shares, gains) = style.subplots(1, 2, width=9.0, height=4.0)
    for length, colour, marker in zip(LENGTHS, COLOURS, MARKERS, strict=True):
        segment, factor = np.arange(1, length + 1), biology.retention(length).numpy()
        look = {"marker": marker, "ms": 5, "mfc": "none", "color": colour, "lw": 1.2, "label": f"T = {length}"}
        shares.plot(segment, factor, **look)
        gains.plot(segment, np.cumprod(factor), **look)
    # the first T cycles of one recording are a recording of T cycles
    for length in (length for length in LENGTHS if length <= NUM_CYCLES):
        recorded = cycle_shares(sources.cycles, sources.cycle_seconds, length).shares
        shares.plot(np.arange(1, length + 1), recorded, "o", ms=12, mfc="none", mew=1.2, color="0.35",
                    label=f"recorded, up to {NUM_CYCLES} cycles" if length == LENGTHS[0] else None)
    ticks = (1, 4, 8, 12, 16)
    shares.set(xlabel="segment t", ylabel="share of the capacity RF(t, T)", ylim=(0, None), xticks=ticks,
               title=f"shares: each {biology.q:.2f} of the one before, sum 1")
    gains.set(xlabel="segment t", ylabel="product of RF(1, T) to RF(t, T)", yscale="log", xticks=ticks,
              title="what the rule 'multiply' leaves of the first memory")
    shares.legend()
    return figure
