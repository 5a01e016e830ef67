"""The phase plane of calcium and h: nullclines, equilibria with their stability, a course, in both parameter sets."""

from astro_sim.analysis import period
from astro_sim.dynamics.phase_plane import phase_plane
from astro_sim.run.simulation import simulate
from figures import style
from figures.sources import Sources

SHOWN = (("AM", 0.5, 0.6), ("FM", 0.51, 0.4))  # set, IP3 (uM), highest calcium shown (uM)


def draw(sources: Sources):
    figure, axes = style.subplots(1, 2, width=8.6, height=4.2, sharey=True)
    for axis, (name, ip3, top) in zip(axes, SHOWN, strict=True):
        plane = phase_plane(f"li_rinzel:{name}", ip3, ranges=((0.0, top), (0.0, 1.0)))
        for state, color, label in (("C", style.BLUE, "calcium rests"), ("h", style.ORANGE, "h rests")):
            axis.plot(*plane.nullclines[state].T, color=color, label=label)
        recording = simulate(f"li_rinzel:{name}", f"constant:input=ip3,value={ip3} umolar", duration="60 s",
                             dt="10 ms")
        axis.plot(recording["C"].values[:, 0], recording["h"].values[:, 0], color="0.55", lw=1,
                  label="course from the start (triangle)", zorder=1)
        axis.plot(recording["C"].values[0, 0], recording["h"].values[0, 0], "^", color="0.4")
        for row in plane.equilibria:
            axis.plot(row["C"], row["h"], "o", ms=8, color=style.RED, mfc=style.RED if row["stable"] else "white",
                      label=f"{'stable' if row['stable'] else 'unstable'} equilibrium", zorder=4)
            axis.annotate(row["kind"], (row["C"], row["h"]), (7, 6), textcoords="offset points", fontsize=8)
        axis.set(title=f"li_rinzel:{name}, IP3 {ip3:g} µM: {_what(recording)}", xlabel="calcium (µM)", xlim=(0, top),
                 ylim=(0.3, 1.0))
    axes[0].set_ylabel("IP3 receptors not inactivated, h (1)")
    named = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=5, fontsize=8)
    return figure


def _what(recording) -> str:
    from foundation.errors import UserError

    try:
        return f"period {period(recording, 'C'):.1f} s"
    except UserError:
        return "at rest"
