"""The phase plane of calcium and h: nullclines, equilibria with their stability, a course, in both parameter sets."""

from matplotlib.figure import Figure

from astro_sim import analysis
from astro_sim.dynamics import phase_plane
from astro_sim.recording.recording import Recording
from derivation.simulation.cache import simulate
from figures import style
from figures.sources import Sources
from foundation.errors import UserError
from foundation.pictures import named

SHOWN = (("AM", "0.5 umolar", 0.6), ("FM", "0.51 umolar", 0.4))  # set, IP3, highest calcium shown (umolar)


def draw(sources: Sources) -> Figure:
    figure, axes = style.subplots(1, 2, width=9.0, height=4.8, sharey=True)
    for axis, (name, ip3, top) in zip(axes, SHOWN, strict=True):
        plane = phase_plane(f"li_rinzel:{name}", {"ip3": ip3}, box={"C": (0.0, top), "h": (0.0, 1.0)})
        plane.plot(axis)
        recording = simulate(f"li_rinzel:{name}", f"constant:input=ip3,value={ip3}", duration="60 s", dt="10 ms")
        calcium, h = (recording[state].values[:, 0] for state in ("C", "h"))
        axis.plot(calcium, h, color="0.45", lw=1, label="course of 60 s from the start (triangle)", zorder=2)
        axis.plot(calcium[0], h[0], "^", color="0.35", zorder=3)
        axis.get_legend().remove()
        axis.set(title=f"{axis.get_title()}: {_what(recording)}", ylim=(0.3, 1.0))
    axes[1].set_ylabel("")
    handles = named(*axes)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, fontsize=8)
    return figure


def _what(recording: Recording) -> str:
    try:
        return f"period {analysis.period(recording, 'C'):.1f} s"
    except UserError:
        return "at rest"
