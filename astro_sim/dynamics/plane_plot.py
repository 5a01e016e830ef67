"""The picture of a phase plane: nullclines, equilibria, arrows of the flow."""

from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.labels import label, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from astro_sim.dynamics.plane import PhasePlane

BLUE, ORANGE, RED = "#0072B2", "#E69F00", "#D55E00"  # Okabe and Ito's palette (2008)
HEIGHT = 4.4  # inches
ARROWS = 15  # along each axis


def draw(plane: "PhasePlane", ax: "Axes | None" = None) -> "Figure":
    """Draw a phase plane, in a new picture where no axes are given; returns the figure."""
    from foundation.pictures import explain, panels, plain

    given, ax = ax, panels(1, height=HEIGHT)[1][0] if ax is None else ax
    for state, color in zip(plane.states, (BLUE, ORANGE), strict=True):
        ax.plot(*plane.nullclines[state].T, ".", ms=2.5, color=color, label=plain(f"nullcline of {state}"), zorder=2)
    _arrows(plane, ax)
    for row in plane.equilibria:
        at = [row[name] for name in plane.states]
        ax.plot(*at, "o", ms=7.5, color=RED, mfc=RED if row["stable"] else "white", ls="none", zorder=4,
                label=f"{'stable' if row['stable'] else 'unstable'} {row['kind']}")
    names = [getattr(plane.chosen.model.observables.get(name), "long_name", "") or name for name in plane.states]
    ax.set(xlabel=plain(label(names[0], plane.units[0])), ylabel=plain(label(names[1], plane.units[1])),
           xlim=plane.ranges[0], ylim=plane.ranges[1],
           title=plain(f"{plane.model}:{plane.parameter_set}, {plane.input} "
                       f"{with_unit(plane.level, plane.chosen.unit)}"))
    explain(ax, below=given is None)
    return ax.figure


def _arrows(plane: "PhasePlane", ax: "Axes") -> None:
    """Directions alone, each range counted as one: speeds differ by orders."""
    grids = np.meshgrid(*[np.linspace(low, high, ARROWS + 2)[1:-1] for low, high in plane.ranges])
    with np.errstate(all="ignore"):
        rates = plane.flow(*grids) / np.array([high - low for low, high in plane.ranges])[:, None, None]
        rates = rates / np.linalg.norm(rates, axis=0)
    ax.quiver(*grids, *rates, color="0.75", width=0.003, scale=32, zorder=1)
