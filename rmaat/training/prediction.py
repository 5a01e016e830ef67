"""What a trained network answers: a label for each sample of a split, or of new data that nobody has labelled."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from foundation.errors import UserError
from foundation.files import write_text
from foundation.table import Table
from rmaat.tasks.splits import evaluation_indices
from rmaat.tasks.task import Split, Task
from rmaat.training.data import load_splits
from rmaat.training.evaluation import EVALUATION_BATCH, as_run, find_device, load_model
from rmaat.training.run_folder import Run
from rmaat.training.settings import change_task

if TYPE_CHECKING:
    from rmaat.training.result import Result

COLUMNS = ("task.text", "task.second")  # what may be named otherwise in new data
SHOWN = 20  # samples that are printed
DIGITS = 6  # of a probability in a file


@dataclass(frozen=True, repr=False)
class Predictions:
    """Answers to samples in their order: `probabilities` float64 [samples, classes], and the `labels` they say.

    `places` are where samples stand; `known` their labels where the data have them, else ().
    """

    config: str
    run: str
    data: str
    step: int
    classes: tuple[str, ...]
    places: tuple[str, ...]
    probabilities: np.ndarray
    known: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def labels(self) -> tuple[str, ...]:
        """The most probable class of each sample."""
        return tuple(self.classes[number] for number in self.probabilities.argmax(1).tolist())

    @property
    def counts(self) -> dict[str, int]:
        """How many samples are said to be of each class."""
        found = Counter(self.labels)
        return {name: found[name] for name in self.classes}

    def rows(self) -> list[dict[str, str | float]]:
        """A dictionary for each sample: where it stands, label, label known, and p(class) for each class."""
        shares = self.probabilities.round(DIGITS).tolist()
        said = zip(self.places, self.labels, shares, strict=True)
        return [{"sample": place, "label": label, **({"known": self.known[row]} if self.known else {}),
                 **{f"p({name})": share for name, share in zip(self.classes, each, strict=True)}}
                for row, (place, label, each) in enumerate(said)]

    def write(self, path: str | Path) -> None:
        """All rows as CSV or JSON lines, as the ending says. Raises `UserError` for another one."""
        path = check_ending(Path(path))
        write_text(path, WRITERS[path.suffix.lower()](self.rows()))

    def to_json(self) -> dict:
        """All of it as JSON values."""
        return {"config": self.config, "run": self.run, "data": self.data, "step": self.step, "counts": self.counts,
                "samples": self.rows()}

    def table(self) -> Table:
        """The first samples, each with the probability of its label."""
        sure = self.probabilities.max(1)
        shown = [(place, label, f"{share:.3f}", *((self.known[row],) if self.known else ()))
                 for row, (place, label, share) in enumerate(zip(self.places, self.labels, sure, strict=True))][:SHOWN]
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count)
        more = len(self) - len(shown)
        title = (f"{self.config}, step {self.step}, {self.data}: {len(self):,} samples, {counts}"
                 + (f"; the first {len(shown)}" if more else ""))
        return Table(("sample", "label", "probability", *(("known",) if self.known else ())), shown, title)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<{self.config} on {self.data}: {len(self)} samples>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _csv(rows: list[dict]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json_lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


WRITERS: dict[str, Callable[[list[dict]], str]] = {".csv": _csv, ".jsonl": _json_lines}


def check_ending(path: Path) -> Path:
    """The path. Raises `UserError` where its ending says no format."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"--out {path}: the ending says the format; give a file that ends in {' or '.join(WRITERS)}")
    return path


@torch.no_grad()
def probabilities(model: nn.Module, split: Split, device: torch.device) -> np.ndarray:
    """Softmax of the logits of every sample, float64 [samples, classes], without dropout.

    Raises `UserError` where an answer is no number.
    """
    training = model.training
    model.eval()
    found = np.empty((len(split), model.config.num_classes))
    for indices in evaluation_indices(split, EVALUATION_BATCH):
        tokens, lengths, _ = split.batch(indices).to(device)
        found[indices] = model(tokens, lengths).double().softmax(-1).cpu().numpy()
    model.train(training)
    if not np.isfinite(found).all():
        raise UserError("the network's answers are no numbers; its training has diverged: train anew with a lower "
                        "train.learning_rate")
    return found


def predict(run: "str | Path | Run | Result", data: str | Path | Iterable | None = None, *, split: str | None = None,
            settings: Sequence[str] = (), device: str = "auto") -> Predictions:
    """The answers of a run's checkpoint.

    `run` is a folder, or what `train` and `load_run` return. Without `split`, `data` is new: a file with the columns
    of texts that the run's data had, labels or not, or in Python a list of documents (of pairs, where two are
    compared). `settings` name other columns, `task.text=COLUMN`. With `split`, or without `data`, the samples are
    those of the run's own split (test by default). Raises `UserError` for a task that reads no new data.
    """
    run, target = as_run(run), find_device(device)
    task = run.experiment.task
    if task.per_token:
        raise UserError(f"task {task.name} has a label for each token, and predict gives one for each sample; for the "
                        "logits take the network in Python: rmaat.load_run(DIR).model()")
    if data is None or split is not None:
        if settings:
            raise UserError(f"{settings[0]}: columns are named of new data; leave out --split and give --data")
        split = split or "test"
        where = run.data if data is None else data
        if where is not None and not isinstance(where, (str, Path)):
            raise UserError("predict: a list of documents is new data, and has no splits; leave out split")
        samples = load_splits(run.experiment, where and Path(where), (split,), begun=run.environment)[split]
        places = [f"{split} {index}" for index in range(len(samples))]
        known, said = [task.called(label) for label in samples.all_labels().tolist()], f"{split} split"
    else:
        samples, places = _with_columns(task, settings).unlabelled(Path(data) if isinstance(data, str) else data)
        known, said = [], str(data) if isinstance(data, (str, Path)) else "documents given"
    model, step = load_model(run, target)
    classes = tuple(task.called(label) for label in range(task.num_classes))
    return Predictions(run.experiment.name, str(run.folder), said, step, classes, tuple(places),
                       probabilities(model, samples, target), tuple(known))


def _with_columns(task: Task, settings: Sequence[str]) -> Task:
    """The task with columns of other names; nothing else of it may change, for the network was trained with it."""
    for setting in settings:
        if setting.partition("=")[0].strip() not in COLUMNS:
            raise UserError(f"--set {setting}: the run keeps its task; what may be named anew is {', '.join(COLUMNS)}")
    return change_task(task, settings)
