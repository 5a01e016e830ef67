"""Bifurcation diagram of calcium over IP3 in two parameter sets, and the period; AM's window of two stable states, an
equilibrium and an oscillation, enlarged."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_sim.dynamics import Diagram, scan
from astro_sim.dynamics.diagram_plot import BLUE, GREEN
from figures import style
from figures.sources import Sources
from foundation.pictures import named

SETS = ("AM", "FM")
WINDOW = (0.6355, 0.6395)  # umolar: about the upper Hopf point of AM


def draw(sources: Sources) -> Figure:
    figure, axes = style.subplots(2, 2, width=9.0, height=7.4, sharex=True, height_ratios=(2, 1))
    for column, name in enumerate(SETS):
        diagram = scan(f"li_rinzel:{name}", over="ip3", low="0 umolar", high="1 umolar", points=80)
        top, bottom = axes[:, column]
        diagram.plot(top)
        period(bottom, diagram)
        top.set(xlabel="", ylim=(0, None))
    _enlarge(axes[0, 0])
    handles = named(*axes.ravel())
    for axis in axes.ravel():
        if axis.get_legend():
            axis.get_legend().remove()
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


def period(axis: Axes, diagram: Diagram) -> None:
    """The period of the oscillations over the input; blue where two states are stable."""
    for rows, look, color, label in ((diagram.oscillations, ".-", BLUE, "stable oscillation: period"),
                                     (diagram.unstable_oscillations, ":", GREEN, "")):
        for born in dict.fromkeys(row.get("born") for row in rows):
            part = [row for row in rows if row.get("born") == born]
            axis.plot([row["input"] for row in part], [row["period"] for row in part], look, ms=4, color=color,
                      label=label)
    for row in diagram.bistable:
        axis.axvspan(row["low"], row["high"], color=style.SKY, alpha=0.3, lw=0.4)
    axis.set(xlabel="IP3 concentration (µM)", ylabel="period (s)", ylim=(0, 60))


def _enlarge(axis: Axes) -> None:
    """The window in which two states are stable, as an inset on a scale of its own."""
    inset = axis.inset_axes((0.10, 0.66, 0.42, 0.32))
    diagram = scan("li_rinzel:AM", over="ip3", low=WINDOW[0], high=WINDOW[1], points=33)
    diagram.plot(inset)
    inset.get_legend().remove()
    row, = diagram.bistable
    inset.set(title="", xlabel="", ylabel="", xlim=WINDOW, ylim=(0.15, 0.5), xticks=[row["low"], row["high"]],
              xticklabels=[f"{row['low']:.4f}", f"{row['high']:.4f}"])
    inset.tick_params(labelsize=7)
    axis.indicate_inset_zoom(inset, edgecolor="0.4", alpha=0.35)
    axis.set_ylim(0, 1.0)
