"""Pictures for the page: SVG inside of it, or PNG where that is smaller, each with a text made of its own numbers."""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.report.columns import Column, as_csv, columns

MOST_SVG = 500_000  # bytes
SHOWN = 12  # curves that a text names
COLOUR_BAR = "<colorbar>"  # as matplotlib labels the axes of one


@dataclass(frozen=True)
class Picture:
    """What the page shows of a figure.

    `source` is a data: address; `alt` says what is drawn for those who do not see it, in the figure's own numbers;
    `caption` says what to see in it, `command` what makes it again; `table` is what it is drawn from.
    """

    source: str
    alt: str
    title: str
    caption: str = ""
    command: str = ""
    table: tuple[Column, ...] = ()

    @property
    def csv(self) -> str:
        """The table as a file for a spreadsheet."""
        return as_csv(self.table)


@dataclass(frozen=True)
class Missing:
    """A picture that cannot be drawn, and why."""

    title: str
    why: str
    command: str = ""


@contextmanager
def as_it_is_written() -> Iterator[None]:
    """Dollars in names are dollars: nothing is read as mathematics."""
    with rc_context({"text.parse_math": False}):
        yield


def picture(figure: Figure, title: str, *, caption: str = "", command: str = "",
            table: Sequence[Column] | None = None, says: str | None = None) -> Picture:
    """The figure as a picture of the page; equal figures give equal bytes. Closes it.

    `table` and `says`, what stands in its place for those who do not see it, are read off the figure by default.
    """
    alt = f"{title}: {says or alt_text(figure)}"
    drawn = tuple(columns(figure) if table is None else table)
    _lay_out(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    kind, data = "svg+xml", stream.getvalue()
    if len(data) > MOST_SVG:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
        kind, data = "png", stream.getvalue()
    style.plt.close(figure)
    return Picture(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", alt, title, caption, command, drawn)


def _lay_out(figure: Figure) -> None:
    """Place the panels once; savefig would draw all of the figure once more for it, each time."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def alt_text(figure: Figure) -> str:
    """What the panels show: their axes, and each named curve or image with its ends and its range."""
    panels = [_panel(axes) for axes in figure.axes
              if axes.get_label() != COLOUR_BAR and (axes.lines or axes.collections or axes.images)]
    return " ".join(panel for panel in panels if panel) or "nothing is drawn."


def _panel(axes: Axes) -> str:
    title = " ".join(axes.get_title().split())
    lines = [line for line in axes.lines if len(line.get_xdata()) and line.get_transform() == axes.transData]
    named = [line for line in lines if not line.get_label().startswith("_")]
    told = [f"{line.get_label()} {_course(np.asarray(line.get_ydata(), dtype=float))}" for line in named[:SHOWN]]
    told += [f"{_named(image)} {_range(np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan))}"
             for image in axes.images]
    if not told:
        values = [np.asarray(line.get_ydata(), dtype=float) for line in lines]
        values = np.concatenate(values) if values else np.array([])
        told = [_course(values)] if len(values) else []
    if len(named) > SHOWN:
        told.append(f"and {len(named) - SHOWN} more curves")
    what = f"{_words(axes, 'y') or 'values'} against {_words(axes, 'x') or 'place'}"
    return f"{title + ', ' if title else ''}{' '.join(what.split())}: {'; '.join(told) or 'see the caption'}."


def _words(axes: Axes, way: str) -> str:
    """What stands at an axis: the panel's own words, or those of one that it shares the axis with."""
    sharing = (axes.get_shared_x_axes() if way == "x" else axes.get_shared_y_axes()).get_siblings(axes)
    own, *shared = (getattr(one, f"get_{way}label")() for one in (axes, *sharing))
    return own or max(shared, default="")


def _named(image) -> str:
    return image.colorbar.ax.get_ylabel() if image.colorbar else "the image"


def _range(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"between {values.min():.4g} and {values.max():.4g}" if len(values) else "has no finite value"


def _course(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return "has no finite value"
    if len(values) == 1 or values.min() == values.max():
        return f"at {values[0]:.4g}"
    return f"from {values[0]:.4g} to {values[-1]:.4g}, between {values.min():.4g} and {values.max():.4g}"
