"""Gap junctions as graphs: the same astrocytes in a plane, joined by each topology; how many links they have."""

import warnings

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.astrocyte_graph.graph import LooseGraph, graph
from figures import style
from figures.sources import Sources

PLANE = {"dimensions": 2, "n_side": 10, "mean_degree": 4.0}
TOPOLOGIES = {"link_radius": "link radius", "regular": "regular", "erdos_renyi": "random (Erdos-Renyi)",
              "scale_free": "scale-free in space", "small_world": "small world"}
COLORS = (style.BLUE, style.ORANGE, style.RED, style.GREEN, style.BLACK)


def draw(sources: Sources):
    figure, axes = style.subplots(2, 3, width=10.0, height=7.0)
    *sheets, bars = axes.ravel()
    for axis, color, (topology, title) in zip(sheets, COLORS, TOPOLOGIES.items(), strict=True):
        with warnings.catch_warnings(action="ignore", category=LooseGraph):  # the title says it
            found = graph(MODELS["astrocyte_graph"].read_options({**PLANE, "topology": topology}))
        _sheet(axis, found, color, title=title)
        share = np.bincount(found.degrees) / len(found.degrees)
        bars.plot(np.arange(len(share)), share, "o-", ms=4, color=color, label=title)
    bars.set(xlabel="links of an astrocyte", ylabel="share of the astrocytes", title="degrees")
    bars.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small")
    return figure


def _sheet(axis, found, color, *, title):
    """Links as lines, astrocytes as points that grow with their degree."""
    x, y = found.places.T
    for a, b in found.links:
        axis.plot(x[[a, b]], y[[a, b]], color=color, lw=0.7, alpha=0.6)
    axis.scatter(x, y, s=6 + 4 * found.degrees, color=color, lw=0, zorder=3)
    pieces = found.pieces.max() + 1
    axis.set(xlabel="x (µm)", ylabel="y (µm)", aspect="equal",
             title=f"{title}: {len(found.links)} links,\n" + ("one piece" if pieces == 1 else f"{pieces} pieces"))
