"""What a trained network does inside, from a run's checkpoint: retention, gradients, memories, and one answer's tokens.

On the CPU, on samples that are the same for everybody; a run whose checkpoint or data are not at hand says so.
"""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from figures import style
from figures.report import saliency
from figures.report.gathering import plain
from figures.report.pictures import Missing, Picture, as_it_is_written, picture
from foundation.errors import UserError
from rmaat.model.model import RMAAT
from rmaat.tasks.look import place_of
from rmaat.tasks.splits import first
from rmaat.tasks.task import SPLITS, Batch, Split, Task
from rmaat.trace.inside import Inside, inside
from rmaat.trace.inspection import Inspection, inspect
from rmaat.training import run_folder
from rmaat.training.evaluation import load_model

SAMPLES = 8  # over which gradients and similarities are taken
MADE = 16  # of a task that makes its data, unless more are asked for


def workings(folder: Path, label: str) -> list[Picture | Missing]:
    """The pictures of the run in `folder`; where there is something that they need, `Missing` says why."""
    name = plain(f"{label}, {folder.name}")
    try:
        run = run_folder.read(folder)
        model, step = load_model(run, torch.device("cpu"))
        if not isinstance(model, RMAAT):
            raise UserError(f"a {type(model).__name__} has no memory tokens")
        split = samples(run.experiment.task, run.data)
        several, one = (split.batch(first(split, count)) for count in (SAMPLES, 1))
        found = _of(model, several)
        tokens = inside(model, one.tokens, one.lengths, labels=one.labels)
    except UserError as error:
        return [Missing(f"Inside of {name}", plain(str(error), most=400))]
    with as_it_is_written():
        command = shlex.join(["python", "-m", "rmaat", "inspect", str(folder)])
        return [memory_picture(*found, name=f"{name}, step {step}", command=command),
                saliency.draw(run.experiment.task, one, tokens.saliency.numpy(), name=name,
                              first=getattr(split, "first", 0))]


def samples(task: Task, data: Path | None, made: int = MADE) -> Split:
    """The test split; of a task that makes its data `made` samples. Raises `UserError` where it is not there."""
    about = place_of(task, data)
    if about["state"] == "missing":
        raise UserError(f"the data of task {task.name} are not at hand: {about['where']}")
    fields = {field.name for field in dataclasses.fields(task)}
    if about["state"] == "made" and fields.issuperset(SPLITS):
        task = dataclasses.replace(task, **dict.fromkeys(SPLITS, made))
    return task.split("test", data)


def _of(model: RMAAT, batch: Batch) -> tuple[Inspection, Inside]:
    return (inspect(model, batch.tokens, batch.lengths, labels=batch.labels),
            inside(model, batch.tokens, batch.lengths, labels=batch.labels))


def memory_picture(inspection: Inspection, found: Inside, *, name: str, command: str) -> Picture:
    """Retention of each segment, gradient by distance from the end, similarity of the memories."""
    rows = inspection.rows
    segment, distance = ([row[key] for row in rows] for key in ("segment", "distance"))
    figure, (retention, gradient, alike) = style.subplots(1, 3, width=11.5, height=3.9)
    for key, words, look in (("retention", "RF(t, T) of the record", "o-"), ("written", "what is written", "s--"),
                             ("kept", "what is kept", "^:")):
        if all(row[key] is not None for row in rows):
            retention.plot(segment, [row[key] for row in rows], look, ms=5, mfc="none", label=words,
                           color=_COLOURS[key])
    retention.set(xlabel="segment t", ylabel="share of the memory", title=f"retention {inspection.retention}")
    for key, words, look in (("gradient_input", "tokens of the segment", "o-"),
                             ("gradient_memory", "memory after it", "s--")):
        gradient.plot(distance, [row[key] or np.nan for row in rows], look, ms=5, mfc="none", label=words,
                      color=_COLOURS[key])
    gradient.set(xlabel="distance from the last segment (segments)", ylabel="norm of the gradient of the loss",
                 yscale="log", title="how much gradient reaches it")
    gradient.yaxis.set_major_formatter("{x:g}")  # without formulas: names with a dollar are names here
    gradient.yaxis.set_minor_formatter("")
    for axes in (retention, gradient):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)
    values = found.similarity().numpy()
    end = len(values) + 0.5
    image = alike.imshow(values, origin="lower", extent=(0.5, end, 0.5, end), cmap=style.HEAT,
                         vmin=min(0.99, values.min()), vmax=1)
    alike.set(xlabel="memory after segment", ylabel="memory after segment ", title="likeness of the memories")
    alike.xaxis.get_major_locator().set_params(integer=True)
    alike.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(image, ax=alike, label="cosine", shrink=0.8)
    first, last = rows[0]["gradient_input"], rows[-1]["gradient_input"]
    says = (f"{len(rows)} segments, retention {inspection.retention}; the gradient at the tokens of the first segment "
            f"has the norm {first:.3g}, of the last {last:.3g}; {_told(rows)}the memories after the first and the last "
            f"segment have the cosine {values[0, -1]:.3f}, neighbours at least {_least(values):.3f}.")
    return picture(figure, f"Inside of {name}", caption=f"On at most {SAMPLES} samples of the test split, in float64, "
                   "without dropout.", command=command, says=says)


_COLOURS = {"retention": style.BLACK, "written": style.BLUE, "kept": style.ORANGE, "gradient_input": style.BLUE,
            "gradient_memory": style.ORANGE}


def _told(rows: list[Mapping]) -> str:
    shares = [row["retention"] for row in rows if row["retention"] is not None]
    return f"RF falls from {shares[0]:.3g} to {shares[-1]:.3g}; " if shares else ""


def _least(values: np.ndarray) -> float:
    return float(np.diag(values, 1).min()) if len(values) > 1 else 1.0
