"""The look of all figures: a palette that colour-blind people can read, labelled axes, PNG and SVG with a stamp."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from foundation.pictures import write_picture

# Okabe and Ito's palette (2008): distinct under every common colour blindness and in grey.
BLACK, ORANGE, SKY, GREEN, BLUE, RED = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
HEAT = "cividis"  # a colour map that rises evenly in lightness for everybody

plt.rcParams.update({
    "figure.dpi": 110, "savefig.dpi": 160, "figure.constrained_layout.use": True,
    "font.size": 10, "axes.titlesize": 10.5, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "lines.linewidth": 1.8, "svg.hashsalt": "astro-rmaat", "svg.fonttype": "none",
})


def subplots(rows: int = 1, columns: int = 1, *, width: float = 6.4, height: float = 4.0, **options):
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def save(figure: Figure, out: Path, name: str, *, stamp: str, endings: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write `name`.png and `name`.svg under `out`, stamped in the lower right corner; closes the figure."""
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    figure.text(0.995, 0.008, stamp, ha="right", va="bottom", fontsize=6.5, color="0.4")
    paths = []
    for ending in endings:
        path = out / f"{name}.{ending}"
        write_picture(figure, path, format=ending, metadata={"Date": None} if ending == "svg" else None)
        paths.append(path)
    plt.close(figure)
    return paths
