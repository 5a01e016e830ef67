"""How far the biology's uncertainty moves the retention schedule and the kernel: bands of draws, published sets."""

import itertools

import numpy as np

from derivation.record import ensemble, record
from derivation.record.record import Record
from figures import style
from figures.sources import Sources

NUM_SEGMENTS, SHOWN = 8, 12
BAND = (0.025, 0.5, 0.975)
COLOURS, DASHES, MARKERS = (style.ORANGE, style.GREEN, style.RED, style.SKY, style.BLUE), ("-", ":"), "os^vDP<>X*"


def draw(sources: Sources):
    found, source = sources.ensemble, sources.record
    entries = {name: source.entry(name) for name in ("retention", "relative_position")}  # what is drawn
    shown = record.make(entries, source.versions)
    drawn = [ensemble.changed(shown, one, "a draw") for one in found.draws]
    published = {name: ensemble.changed(shown, one, name) for name, one in found.published.items()}
    figure, axes = style.subplots(1, 2, width=10.0, height=5.4)
    looks = [(colour, dash) for dash, colour in itertools.product(DASHES, COLOURS)]
    segment, distance = np.arange(1, NUM_SEGMENTS + 1), np.arange(SHOWN + 1)
    for axis, place, curve in ((axes[0], segment, schedule), (axes[1], distance, kernel)):
        low, middle, high = np.quantile(np.array(list(map(curve, drawn))), BAND, axis=0)
        axis.fill_between(place, low, high, color="0.85", lw=0, label=f"95 % of {len(drawn)} draws")
        axis.plot(place, middle, color="0.5", ls="--", label="their median")
        for k, (name, its) in enumerate(published.items()):
            colour, dash = looks[k % len(looks)]
            axis.plot(place, curve(its), marker=MARKERS[k % len(MARKERS)], ms=5, mfc="none",
                      color=colour, ls=dash, lw=1.3, label=f"set {name}")
        axis.plot(place, curve(source), color=style.BLACK, lw=2.2, zorder=1.9, label="the record")
    axes[0].set(xlabel="segment t", ylabel="share of the capacity RF(t, T)", xticks=segment, ylim=(0, None),
                title=f"Retention, T = {NUM_SEGMENTS}")
    axes[1].set(xlabel="distance (places = tokens)", ylabel="coupling r", ylim=(0, 1.02), title="Position kernel")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8,
                  title="a set that leaves a curve as it is lies on the record's", title_fontsize=8)
    return figure


def schedule(source: Record) -> list[float]:
    """RF(1, T) to RF(T, T)."""
    entry = source.entry("retention")
    return [entry.evaluate(t=float(t), T=float(NUM_SEGMENTS)) for t in range(1, NUM_SEGMENTS + 1)]


def kernel(source: Record) -> list[float]:
    """r at 0 to SHOWN places."""
    entry = source.entry("relative_position")
    return [entry.evaluate(distance=float(d)) for d in range(SHOWN + 1)]
