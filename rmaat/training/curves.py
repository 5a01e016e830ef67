"""Loss and accuracy over the steps of a training, drawn. matplotlib is loaded when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from foundation.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")  # of Okabe and Ito: distinct for colour-blind people, too
WINDOW = 15  # steps in a running mean


def draw(runs: Mapping[str, Sequence[dict]], *, title: str, chance: float) -> "Figure":
    """A figure of two axes: cross entropy in nats, and accuracy in percent, of the metrics of each run by name.

    `chance` is the share of correct labels that guessing reaches. Raises `UserError` where matplotlib is not installed
    or no run has done a step.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plot needs matplotlib, which is not installed; 'metrics' has the numbers") from error
    from foundation.pictures import plain

    if not any(len(series(lines, "loss")[0]) for lines in runs.values()):
        raise UserError("there is nothing to plot: no step was done yet; train first")
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for (name, lines), colour in zip(runs.items(), COLOURS, strict=False):
        name, (steps, loss) = plain(name), series(lines, "loss")
        losses.plot(steps, loss, color=colour, lw=.5, alpha=.5, label=f"{name}, each step")
        losses.plot(*smooth(steps, loss), color=colour, label=f"{name}, mean of {WINDOW} steps")
        accuracies.plot(*smooth(steps, 100 * series(lines, "accuracy")[1]), color=colour,
                        label=f"{name}, mean of {WINDOW} batches")
        checked, validation = series(lines, "validation_accuracy")
        accuracies.plot(checked, 100 * validation, "o", ms=6, color=colour, mec="k", label=f"{name}, validation")
    accuracies.axhline(100 * chance, color="k", ls=":", lw=1, label=f"chance, {100 * chance:.0f} %")
    losses.set(xlabel="step", ylabel="cross entropy (nat)", ylim=(0, None), title=plain(title))
    accuracies.set(xlabel="step", ylabel="accuracy (%)", ylim=(0, 102))
    for axes in (losses, accuracies):
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def series(lines: Sequence[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the metric lines that have `name`."""
    found = [(line["step"], line[name]) for line in lines if name in line]
    return np.array([step for step, _ in found]), np.array([value for _, value in found], dtype=np.float64)


def smooth(steps: np.ndarray, values: np.ndarray, width: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Running mean over `width` steps, at the middle of each window; short series stay as they are."""
    width = min(width, len(values))
    middle = steps[(width - 1) // 2: len(steps) - width // 2]
    return middle, np.convolve(values, np.ones(width) / width, "valid")
