"""Loss and accuracy over the steps of a training run; with its memory-reset control where the run has one."""

import numpy as np

from figures import style
from figures.sources import Sources
from foundation.errors import UserError
from rmaat.training import run_folder
from rmaat.training.evaluation import CONTROL

WINDOW = 15  # steps


def draw(sources: Sources):
    folder = sources.need_run()
    run = run_folder.read(folder)
    curves = {"with memory": (folder, style.BLUE)}
    if (folder / CONTROL / run_folder.METRICS).exists():
        curves["memory reset"] = (folder / CONTROL, style.ORANGE)
    figure, (losses, accuracies) = style.subplots(1, 2, width=8.4, height=3.6)
    for name, (place, colour) in curves.items():
        lines = run_folder.read_metrics(place / run_folder.METRICS)
        steps, loss = series(lines, "loss")
        if not len(steps):
            raise UserError(f"{place / run_folder.METRICS} holds no step yet; train first")
        _, accuracy = series(lines, "accuracy")
        losses.plot(steps, loss, color=colour, lw=0.5, alpha=0.5, label=f"{name}, each step")
        losses.plot(*smooth(steps, loss), color=colour, label=f"{name}, mean of {WINDOW} steps")
        accuracies.plot(*smooth(steps, 100 * accuracy), color=colour, label=f"{name}, mean of {WINDOW} batches")
        checked, validation = series(lines, "validation_accuracy")
        accuracies.plot(checked, 100 * validation, "o", ms=6, color=colour, mec="k", label=f"{name}, validation")
    chance = 100 / run.experiment.task.num_classes
    accuracies.axhline(chance, color=style.BLACK, ls=":", lw=1, label=f"chance, {chance:.0f} %")
    losses.set(xlabel="step (1)", ylabel="cross entropy (nat)", ylim=(0, None), title=run.experiment.name)
    accuracies.set(xlabel="step (1)", ylabel="accuracy (%)", ylim=(0, 102), title=f"record {run.record.hash[:12]}")
    losses.legend(fontsize=8)
    accuracies.legend(fontsize=8)
    return figure


def series(lines: list[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the metric lines that have `name`."""
    found = [(line["step"], line[name]) for line in lines if name in line]
    return np.array([step for step, _ in found]), np.array([value for _, value in found], dtype=np.float64)


def smooth(steps: np.ndarray, values: np.ndarray, width: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Running mean over `width` steps, at the middle of each window; short series stay as they are."""
    width = min(width, len(values))
    middle = steps[(width - 1) // 2: len(steps) - width // 2]
    return middle, np.convolve(values, np.ones(width) / width, "valid")
