"""The part on the data: what a task says of itself; of data at hand samples, lengths, classes, checksums."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from figures import style
from figures.report.gathering import Gathered, plain
from figures.report.pictures import Missing, Picture, as_it_is_written, picture
from figures.report.workings import samples
from foundation.errors import UserError
from rmaat.tasks.describe import describe
from rmaat.tasks.look import look
from rmaat.tasks.registry import TASKS
from rmaat.tasks.splits import spread
from rmaat.tasks.task import Split, Task
from rmaat.training.run_folder import ENVIRONMENT, read_json
from rmaat.training.settings import find_task
from rmaat.training.studies.summary import Summary

DRAWN, LOOKED_AT = 4, 2_000  # samples that are shown, and those that are looked at for lengths and duplicates
MADE = 200  # of a task that makes its data


@dataclass(frozen=True)
class Data:
    """What is known of the data of some runs; `found` is what a look at them gives, empty if they are not at hand."""

    name: str
    said: Mapping
    dials: Mapping
    checksums: Mapping[str, str]
    found: Mapping
    pictures: Sequence[Picture | Missing]


def data(gathered: Gathered, *, looked_at: bool = True) -> list[Data]:
    """The test data of each task of the runs, once for each that is another, `looked_at` or by their words alone."""
    runs = gathered.runs
    first: dict[tuple, Summary] = {}
    for run in runs:
        first.setdefault((json.dumps(run.experiment["task"], sort_keys=True),
                          json.dumps(dict(run.fingerprints), sort_keys=True)), run)
    return [_about(run, _place(gathered.folder(run)), looked_at=looked_at) for run in first.values()]


def _place(folder: Path | None) -> Path | None:
    """Where the run's data were, if its folder is here."""
    where = read_json(folder / ENVIRONMENT).get("data") if folder else None
    return Path(where) if isinstance(where, str) and Path(where).exists() else None


def _about(run: Summary, place: Path | None, *, looked_at: bool) -> Data:
    name = run.experiment["task"]["name"]
    dials = {key: value for key, value in run.experiment["task"].items() if key != "name"}
    checksums = {plain(key): plain(value, most=80) for key, value in run.fingerprints.items()}
    if name not in TASKS or not looked_at:
        return Data(name, describe(find_task(name)) if name in TASKS else {}, dials, checksums, {}, ())
    found, pictures = {}, []
    try:
        task = find_task(TASKS[name](**{key: tuple(value) if isinstance(value, list) else value
                                        for key, value in dials.items()}))
        split = samples(task, place, MADE)
        found = look(task, split, samples=DRAWN, most=LOOKED_AT)
        with as_it_is_written():
            pictures = [_histograms(name, task, split, found)]
            pictures += [_images(name, task, split, found)] if task.pixels else []
    except (UserError, TypeError) as error:  # a dial of another version is none that the task takes
        pictures = [Missing(f"Data of {plain(name)}", plain(str(error), most=400), f"python -m rmaat data show {name}")]
    return Data(name, describe(find_task(name)), dials, checksums, found, pictures)


def _histograms(name: str, task: Task, split: Split, found: Mapping) -> Picture:
    """Lengths of the samples looked at, and how many there are of each class."""
    indices = spread(split, LOOKED_AT)
    lengths = np.concatenate([split.batch(part).lengths.numpy()
                              for part in np.array_split(indices, max(1, -(-len(indices) // 256)))])
    figure, (left, right) = style.subplots(1, 2, width=8.4, height=3.2)
    low, high = int(lengths.min()), int(lengths.max())
    count = min(40, high - low + 1)
    heights, edges = np.histogram(lengths, bins=count, range=(low - 0.5, high + 0.5))
    left.bar((edges[1:] + edges[:-1]) / 2, heights, width=np.diff(edges), color=style.SKY)
    left.set(xlabel="length (tokens)", ylabel="samples", title=f"{len(lengths):,} samples")
    left.xaxis.get_major_locator().set_params(integer=True)
    left.set_xlim(low - 3, high + 3)
    classes = found["classes"]
    right.bar(range(len(classes)), list(classes.values()), color=style.ORANGE)
    right.set(xlabel="class", ylabel="samples", title=f"{len(classes)} classes" if classes else "labels are of tokens")
    if len(classes) <= 20:
        right.set_xticks(range(len(classes)), list(classes))
    told = ", ".join(f"{label}: {number:,}" for label, number in list(classes.items())[:20])
    return picture(figure, f"Lengths and classes of {name}", command=f"python -m rmaat data show {name}",
                   says=f"{len(lengths):,} samples of {low:,} to {high:,} tokens, median {np.median(lengths):,.0f}; "
                        f"samples of each class {told or 'not counted'}.")


def _images(name: str, task: Task, split: Split, found: Mapping) -> Picture:
    """The drawn samples as what they are: images."""
    drawn = found["drawn"]
    tokens = split.batch(np.array([one["sample"] for one in drawn])).tokens.numpy()
    side = math.isqrt(tokens.shape[1])
    figure, panels = style.subplots(1, len(drawn), width=2.2 * len(drawn), height=2.6, squeeze=False)
    for one, row, axes in zip(drawn, tokens, panels[0], strict=True):
        axes.imshow(row[:side * side].reshape(side, side), cmap="gray", vmin=0, vmax=task.vocab_size - 1,
                    interpolation="nearest")
        axes.set(title=f"sample {one['sample']}, label {one['label']}", xticks=[], yticks=[])
    grey = ", ".join(f"sample {one['sample']} of class {one['label']}, mean grey {row.mean():.0f}"
                     for one, row in zip(drawn, tokens, strict=True))
    return picture(figure, f"Samples of {name}", table=(),
                   says=f"{len(drawn)} images of {side} x {side} pixels: {grey}.")

