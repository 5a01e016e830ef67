"""Pictures that show themselves in a notebook, in colours that everybody can tell apart. Loads matplotlib.

Import it where a picture is made: a machine without matplotlib gets a clear error there and nowhere else.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.errors import UserError
from foundation.files import write_bytes

try:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
except ImportError as error:
    raise UserError("plot: matplotlib is not installed; install it with: pip install matplotlib") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette (2008): distinct under every common colour blindness and in grey
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#000000")
HEAT = "cividis"  # rises evenly in lightness for everybody
WIDTH, PANEL, LINE = 6.4, 1.8, 0.18  # inches; LINE is one of a legend


def plain(words: object) -> str:
    """The words as they are: a `$` in a name that a user gave begins no formula. For every text of a picture."""
    return str(words).replace("$", r"\$")


class Picture(Figure):
    """A matplotlib Figure that belongs to no window and needs no pyplot; a notebook shows it as a PNG."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()


def write_picture(figure: Figure, path: Path, **look) -> None:
    """Write a picture whole or not at all; `look` as savefig takes it, its format among it.

    It is drawn in memory: what matplotlib says of a file that it could not end is no error of a disk.
    """
    stream = io.BytesIO()
    figure.savefig(stream, **look)
    write_bytes(path, stream.getvalue())


def panels(count: int, *, height: float = PANEL) -> tuple[Picture, list]:
    """A picture of `count` panels one below the other, `height` inches each, that share the horizontal axis."""
    picture = Picture(figsize=(WIDTH, 0.6 + height * count), layout="constrained")
    axes = list(picture.subplots(count, sharex=True, squeeze=False)[:, 0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return picture, axes


def named(*axes: "Axes") -> dict:
    """Words of the legend -> what they stand for, each once, over all axes."""
    found: dict = {}
    for one in axes:
        for handle, words in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(words, handle)
    return found


def explain(axes: "Axes", *, below: bool) -> None:
    """The legend: below the axes, where it hides nothing, or inside at the emptiest place.

    Below, the picture grows by a line for each entry; axes that are a part of somebody's layout cannot.
    """
    entries, look = named(axes), {"fontsize": "small", "frameon": False, "markerscale": 1.2}
    if not below:
        axes.legend(entries.values(), entries.keys(), loc="best", **look)
        return
    axes.figure.set_figheight(axes.figure.get_figheight() + LINE * len(entries))
    axes.legend(entries.values(), entries.keys(), loc="upper left", bbox_to_anchor=(0, -0.14), **look)


def shades(count: int) -> list[tuple[float, ...]]:
    """`count` colours from dark to light, for things that have an order."""
    return [colormaps[HEAT](0.9 * n / max(1, count - 1)) for n in range(count)]
