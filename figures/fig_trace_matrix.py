"""From parameter to tensor: how far each biological parameter moves each constant and each tensor of the network."""

import numpy as np
from matplotlib.colors import LogNorm

from derivation.record.record import Record
from figures import style
from figures.sources import Sources
from rmaat.trace.matrix import Matrix, matrix
from rmaat.training.configs import CONFIGS

CONFIG = "recall"
WEAKEST, STRONGEST = 1e-3, 3.0  # percent per percent; weaker ones are drawn as the weakest


def draw(sources: Sources):
    found = matrix(CONFIGS[CONFIG]().model, sources.record)
    names = rows(found)
    shown = np.array([[abs(found.effects[name].get(column, np.nan)) for column in found.columns] for name in names])
    figure, axis = style.subplots(width=8.4, height=2.6 + 0.19 * len(names))
    image = axis.imshow(shown, aspect="auto", cmap=style.HEAT, norm=LogNorm(WEAKEST, STRONGEST, clip=True),
                        interpolation="nearest")
    for row, name in enumerate(names):
        for column, key in enumerate(found.columns):
            effect = found.effects[name].get(key)
            if effect is not None and column < found.num_constants:  # a tensor's change has no one sign
                dark = abs(effect) < (WEAKEST * STRONGEST) ** 0.5
                axis.text(column, row, "+" if effect > 0 else "\u2212", ha="center", va="center", fontsize=7,
                          color="w" if dark else "k")
    axis.set(xticks=range(len(found.columns)), yticks=range(len(names)),
             xlabel="constants of the record (sign of the effect in the cell)  |  tensors of the network",
             ylabel="biological parameter, under the constant that it acts through (its basis)",
             title=f"What +1 % of a parameter moves, network {CONFIG!r}; white: no chain")
    axis.set_xticklabels([f"{name}{' (not read)' if name in found.unread else ''}" for name in found.columns],
                         rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    basis = bases(sources.record)
    axis.set_yticklabels([f"{'' if not found.through[name] else '    '}{name} ({basis[name]})" for name in names],
                         fontsize=7.5)
    axis.set_xticks(np.arange(len(found.columns) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="0.85", lw=0.5)
    axis.tick_params(which="minor", length=0)
    axis.axvline(found.num_constants - 0.5, color=style.BLACK, lw=1.5)
    figure.colorbar(image, ax=axis, label="largest change (%) for +1 %", shrink=0.7, extend="min")
    return figure


def rows(found: Matrix) -> list[str]:
    """Each constant of the chain, then the parameters that act through it (through the first, where through more)."""
    direct = [name for name in found.parameters if not found.through[name]]
    return [one for name in direct
            for one in (name, *(other for other in found.parameters if found.through[other][:1] == (name,)))]


def bases(record: Record) -> dict[str, str]:
    return {use.name: use.basis for entry in record.entries.values() for use in entry.parameters}
