"""What a picture is drawn from, as columns with units: read off a figure's own curves, images, bars and points."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

_UNIT = re.compile(r"(.*\S)\s*\(([^()]+)\)")
FORMULA = tuple("=+-@")  # what a spreadsheet would run


@dataclass(frozen=True)
class Column:
    """One column of a picture's table: numbers or words. `unit` is empty for a pure number."""

    name: str
    unit: str
    values: Sequence[float | str]


def columns(figure: Figure) -> tuple[Column, ...]:
    """The columns of everything that is drawn with data, panel by panel; curves over the same places share them.

    A colour bar and lines without a name that mark a place only are left out.
    """
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    found: list[Column] = []
    for axes in panels:
        before = len(found)
        for one in _of(axes, several=len(panels) > 1):
            if not any(_same(one, other) for other in found[before:]):
                found.append(one)
    return tuple(found)


def _same(one: Column, other: Column) -> bool:
    return one.name == other.name and np.array_equal(np.asarray(one.values), np.asarray(other.values))


def _of(axes: Axes, *, several: bool) -> Iterator[Column]:
    panel = " ".join((axes.get_title() or axes.get_ylabel()).split())
    across, up = _named(axes.get_xlabel() or "place"), _named(axes.get_ylabel() or "value")

    def pair(label: str, x: Sequence, y: Sequence) -> Iterator[Column]:
        words = "" if label.startswith("_") else " ".join(label.split())
        name = f"{words}: {up[0]}" if words else up[0]
        yield Column(across[0], across[1], np.asarray(x))
        yield Column(f"{panel}, {name}" if several and panel and panel != axes.get_ylabel() else name, up[1],
                     np.asarray(y))

    for line in axes.lines:
        x, y = (np.asarray(values) for values in line.get_data())
        if line.get_transform() == axes.transData and (len(x) > 2 or not line.get_label().startswith("_")):
            yield from pair(line.get_label(), x, y)
    for bars in (one for one in axes.containers if isinstance(one, BarContainer)):
        yield from pair(bars.get_label(), [one.get_x() + one.get_width() / 2 for one in bars],
                        [one.get_height() for one in bars])
    for points in (one for one in axes.collections if isinstance(one, PathCollection)):
        yield from pair(points.get_label(), *np.asarray(points.get_offsets()).T)
    for image in axes.images:
        yield from _pixels(image, across, up)


def _pixels(image, across: tuple[str, str], up: tuple[str, str]) -> Iterator[Column]:
    """An image as three columns: the middle of each cell, and its value."""
    values = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
    if values.ndim != 2:
        return
    left, right, low, high = image.get_extent()
    rows, many = values.shape
    x = left + (np.arange(many) + 0.5) * (right - left) / many
    y = low + (np.arange(rows) + 0.5) * (high - low) / rows
    y = y if image.origin == "lower" else y[::-1]
    value = _named(image.colorbar.ax.get_ylabel() or image.colorbar.ax.get_xlabel() if image.colorbar else "value")
    yield Column(*across, np.tile(x, rows))
    yield Column(*up, np.repeat(y, many))
    yield Column(*value, values.ravel())


def _named(label: str) -> tuple[str, str]:
    """Words and unit of a label such as 'calcium (µM)'."""
    label = " ".join(label.split())
    found = _UNIT.fullmatch(label)
    return (found[1], found[2]) if found else (label, "")


def as_csv(table: Sequence[Column]) -> str:
    """The table as CSV, its units in the head; shorter columns end in empty cells. No cell is a formula."""
    if not table:
        return ""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_text(f"{one.name} ({one.unit})" if one.unit else one.name) for one in table])
    writer.writerows(zip_longest(*([_text(value) for value in one.values] for one in table), fillvalue=""))
    return stream.getvalue()


def _text(value: object) -> str:
    if isinstance(value, str):
        return f" {value}" if value.startswith(FORMULA) else value
    return "" if value is None or not np.isfinite(value) else f"{float(value):.9g}"
