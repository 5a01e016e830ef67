"""From parameter to tensor: how far each biological parameter moves each constant and each tensor of the network."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from derivation.record.record import Record
from figures import style
from figures.sources import Sources
from rmaat.trace.matrix import Matrix, matrix
from rmaat.training.configs import CONFIGS

CONFIG = "recall"
WEAKEST, STRONGEST = 1e-3, 3.0  # percent per percent; weaker ones are drawn as the weakest
WIDTH, ROW, AROUND = 6.5, 0.155, 2.6  # inches: of a page, of a row, of what stands around the rows
SMALL = 7.0  # points, at the width of a page


def draw(sources: Sources):
    effects = matrix(CONFIGS[CONFIG]().model, sources.record)
    names = rows(effects)
    shown = np.array([[abs(effects.effects[name].get(column, np.nan)) for column in effects.columns] for name in names])
    figure, axis = style.subplots(width=WIDTH, height=AROUND + ROW * len(names))
    image = axis.imshow(shown, aspect="auto", cmap=style.HEAT, norm=LogNorm(WEAKEST, STRONGEST, clip=True),
                        interpolation="nearest")
    _signs(axis, effects, names)
    _labels(axis, effects, names, basis=bases(sources.record))
    axis.axvline(effects.num_constants - 0.5, color=style.BLACK, lw=1.5)
    axis.set_title(f"What +1 % of a parameter moves, network {CONFIG!r} (white: no chain)", fontsize=9)
    bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.6, aspect=40, extend="min")
    bar.set_label("largest change (%) for +1 %; + and \u2212: the sign, of a constant", fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _signs(axis: Axes, effects: Matrix, names: list[str]) -> None:
    """+ or a minus in the cells of constants; a tensor's change has no one sign."""
    for row, name in enumerate(names):
        for column, key in enumerate(effects.columns[:effects.num_constants]):
            effect = effects.effects[name].get(key)
            if effect is not None:
                dark = abs(effect) < (WEAKEST * STRONGEST) ** 0.5
                axis.text(column, row, "+" if effect > 0 else "\u2212", ha="center", va="center", fontsize=SMALL,
                          color="w" if dark else "k")


def _labels(axis: Axes, effects: Matrix, names: list[str], *, basis: dict[str, str]) -> None:
    """Constants and tensors above the columns, parameters beside the rows, a grid between the cells."""
    axis.xaxis.tick_top()
    axis.set_xticks(range(len(effects.columns)))
    axis.set_xticklabels([f"{name}{' *' if name in effects.unread else ''}" for name in effects.columns], rotation=60,
                         ha="left", rotation_mode="anchor", fontsize=SMALL)
    axis.set_yticks(range(len(names)))
    axis.set_yticklabels([f"{'' if not effects.through[name] else '   '}{name} ({basis[name]})" for name in names],
                         fontsize=SMALL)
    for label, name in zip(axis.get_yticklabels(), names, strict=True):
        label.set_fontweight("normal" if effects.through[name] else "bold")
    axis.set_xlabel("left of the line: constants of the record (* not read here); right of it: tensors of the network\n"
                    "in bold: what the constants are made of; below it: what acts through it (its basis)",
                    fontsize=SMALL + 0.5)
    axis.set_xticks(np.arange(len(effects.columns) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="0.85", lw=0.5)
    axis.tick_params(which="both", length=0)


def rows(effects: Matrix) -> list[str]:
    """Each constant of the chain, then the parameters that act through it (through the first, where through more)."""
    direct = [name for name in effects.parameters if not effects.through[name]]
    return [one for name in direct
            for one in (name, *(other for other in effects.parameters if effects.through[other][:1] == (name,)))]


def bases(record: Record) -> dict[str, str]:
    """The basis of each parameter: measured, fitted, assumed, derived."""
    return {use.name: use.basis for entry in record.entries.values() for use in entry.parameters}
