"""Pictures that show themselves in a notebook, in colours that everybody can tell apart. Loads matplotlib.

Import it where a picture is made: a machine without matplotlib gets a clear error there and nowhere else.
"""

import io

from foundation.errors import UserError

try:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
except ImportError as error:
    raise UserError("plot: matplotlib is not installed; install it with: pip install matplotlib") from error

# Okabe and Ito's palette (2008): distinct under every common colour blindness and in grey
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#000000")
HEAT = "cividis"  # rises evenly in lightness for everybody
WIDTH, PANEL = 6.4, 1.8  # inches


class Picture(Figure):
    """A matplotlib Figure that belongs to no window and needs no pyplot; a notebook shows it as a PNG."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()


def panels(count: int, *, height: float = PANEL) -> tuple[Picture, list]:
    """A picture of `count` panels one below the other, `height` inches each, that share the horizontal axis."""
    picture = Picture(figsize=(WIDTH, 0.6 + height * count), layout="constrained")
    axes = list(picture.subplots(count, sharex=True, squeeze=False)[:, 0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return picture, axes


def shades(count: int) -> list[tuple[float, ...]]:
    """`count` colours from dark to light, for things that have an order."""
    return [colormaps[HEAT](0.9 * n / max(1, count - 1)) for n in range(count)]
