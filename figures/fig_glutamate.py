"""Courses of one astrocyte under three levels of glutamate: calcium, IP3, h, in the sets AM and FM."""

from derivation.simulation.cache import simulate
from figures import style
from figures.sources import Sources

LEVELS, STAY = (0.05, 0.5, 2.0), 60.0  # uM of glutamate, seconds at each
ROWS = (("C", "calcium (µM)", style.BLUE), ("I", "IP3 (µM)", style.GREEN), ("h", "h", style.RED))


def draw(sources: Sources):
    figure, axes = style.subplots(len(ROWS), 2, width=9.0, height=5.2, sharex=True, sharey="row")
    times = "+".join(f"{n * STAY:g}s" for n in range(len(LEVELS)))
    values = "+".join(f"{level}umolar" for level in LEVELS)
    for column, name in zip(axes.T, ("AM", "FM"), strict=True):
        recording = simulate(f"gchi:{name}", f"steps:input=glutamate,times={times},values={values}",
                             duration=STAY * len(LEVELS), dt="50 ms", record_every="100 ms")
        for axis, (variable, label, color) in zip(column, ROWS, strict=True):
            axis.plot(recording.time, recording[variable].values[:, 0], color=color, lw=1.3)
            for n in range(1, len(LEVELS)):
                axis.axvline(n * STAY, color="0.75", lw=0.8, zorder=0)
            axis.set_ylabel(label if name == "AM" else "")
        for n, level in enumerate(LEVELS):
            column[0].text((n + 0.5) * STAY, 1.02, f"glutamate {level:g} µM", ha="center", va="bottom", fontsize=8,
                           transform=column[0].get_xaxis_transform())
        column[0].set_title(f"gchi:{name}", pad=18)
        column[-1].set_xlabel("time (s)")
    return figure
