"""Which astrocyte each excitatory synapse belongs to: places on the sheet, and how many each astrocyte has."""

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.neuron_glia_network import wiring
from figures import style
from figures.sources import Sources

NETWORK = {"n_excitatory": 160, "n_inhibitory": 40, "n_rows": 4, "n_columns": 6, "synapse_spread": 0.35}


def draw(sources: Sources):
    options = MODELS["neuron_glia_network"].read_options(NETWORK)
    found = wiring.synapse_map(options)
    figure, (sheet, bars) = style.subplots(1, 2, width=9.6, height=4.0, width_ratios=(1.7, 1))
    _sheet(sheet, found, wiring.neuron_places(options))
    counts = found.in_degree
    bars.bar(np.arange(len(counts)), counts, color=style.SKY)
    bars.axhline(counts.mean(), color=style.BLACK, lw=1, ls="--", label=f"mean {counts.mean():.1f}")
    bars.set(xlabel="astrocyte (number)", ylabel="synapses", ylim=(0, 1.2 * counts.max()),
             title=found.describe().partition(";")[0].replace(", each", ",\neach"))
    bars.legend(loc="upper right")
    return figure


def _sheet(axis, found, neurons):
    """Synapses joined to their astrocytes; neighbouring astrocytes have different colours."""
    colors = np.array([style.BLUE, style.ORANGE, style.GREEN, style.RED])
    row, column = found.astrocyte_places.T.astype(int)
    color = colors[row % 2 * 2 + column % 2]
    synapses, mine = found.synapse_places, found.astrocytes
    for k in range(found.n_astrocytes):
        ends = np.stack([synapses[mine == k], np.broadcast_to(found.astrocyte_places[k], ((mine == k).sum(), 2))])
        axis.plot(ends[:, :, 1], ends[:, :, 0], color=color[k], lw=0.3, alpha=0.5)
    axis.scatter(synapses[:, 1], synapses[:, 0], s=5, c=color[mine], lw=0, label="synapse")
    axis.plot(neurons[:, 1], neurons[:, 0], "+", color="0.35", ms=4, mew=0.7, label="neuron")
    axis.scatter(column, row, s=70, c=color, marker="*", edgecolor="k", lw=0.7, zorder=3, label="astrocyte")
    axis.set(xlabel="column of the sheet (distances of astrocytes)", ylabel="row (distances of astrocytes)",
             aspect="equal", xlim=(-0.6, column.max() + 0.6), ylim=(row.max() + 0.6, -0.6), yticks=range(row.max() + 1))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3, columnspacing=1, handletextpad=0.2)
