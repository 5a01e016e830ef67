"""The project on one picture: calcium oscillates, its closed forms shape a network, whose memory stays flat."""

import numpy as np

from astro_sim.recording.labels import label
from derivation.simulation.nondimensional import cycle_shares
from derivation.simulation.simulations import NUM_CYCLES, calcium_oscillation
from figures import style
from figures.results import SPEED, table
from figures.sources import Sources

SHOWN_SECONDS, TOKENS = 60.0, 12


def draw(sources: Sources):
    figure, panels = style.subplots(1, 4, width=14.0, height=3.5)
    for number, (panel, axis) in enumerate(zip((_calcium, _retention, _kernel, _memory), panels, strict=True), 1):
        title = panel(axis, sources)
        axis.set_title(f"{number}  {title}", loc="left", fontsize=10.5, weight="bold")
    return figure


def _calcium(axis, sources: Sources) -> str:
    recording = calcium_oscillation()
    shown = recording.time <= SHOWN_SECONDS
    axis.plot(recording.time[shown], recording["C"].values[shown, 0], color=style.BLUE)
    axis.set(xlabel="time (s)", ylabel=label("calcium", recording["C"].unit), ylim=(0, None))
    axis.text(0.98, 0.03, f"period {sources.cycle_seconds:.2f} s", transform=axis.transAxes, ha="right", fontsize=9)
    return "simulate: an astrocyte's clock"


def _retention(axis, sources: Sources) -> str:
    entry, segment = sources.record.entry("retention"), np.arange(1, NUM_CYCLES + 1)
    recorded = cycle_shares(sources.cycles, sources.cycle_seconds, NUM_CYCLES).shares
    axis.bar(segment, [entry.evaluate(t=float(t), T=float(NUM_CYCLES)) for t in segment], color=style.SKY,
             label="closed form")
    axis.plot(segment, recorded, "o", ms=7, mfc="none", mew=1.6, color=style.BLACK, label="recorded")
    axis.set(xlabel="cycle = segment", ylabel="share of the memory",
             xticks=segment)
    axis.legend(fontsize=8.5)
    return "derive: the share of each segment"


def _kernel(axis, sources: Sources) -> str:
    entry, distance = sources.record.entry("relative_position"), np.arange(-TOKENS, TOKENS + 1)
    coupling = [entry.evaluate(distance=float(abs(d))) for d in distance]
    axis.fill_between(distance, coupling, color=style.GREEN, alpha=0.2, lw=0)
    axis.plot(distance, coupling, "o-", ms=3.5, lw=1.4, color=style.GREEN)
    axis.set(xlabel="distance of two tokens", ylabel="coupling", ylim=(0, None))
    return "derive: how far a token reaches"


def _memory(axis, sources: Sources) -> str:
    rows = table(SPEED, "Peak bytes of a training step")
    segments = [row["T"] for row in rows]
    for name, words, colour in (("bptt", "backpropagation", style.RED), ("amrb", "memory replay (AMRB)", style.BLUE)):
        axis.plot(segments, [row[name] / 2**20 for row in rows], "o-", ms=4, color=colour, label=words)
    axis.set(xlabel="number of segments", ylabel="peak of a step (MiB)",
             ylim=(0, None))
    axis.legend(fontsize=8.5)
    return "train: memory stays flat"
