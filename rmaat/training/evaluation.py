"""Accuracy on a split, and the control rows beside it: memory reset, majority, linear classifiers."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.table import Table
from rmaat.biology.biology import Biology
from rmaat.model.config import with_retention
from rmaat.model.network import build
from rmaat.tasks.controls import Row, control_rows
from rmaat.tasks.splits import evaluation_batches, spread
from rmaat.tasks.task import Split
from rmaat.training import checkpoint, run_folder
from rmaat.training.answers import answers, told
from rmaat.training.data import load_splits
from rmaat.training.run_folder import Run

if TYPE_CHECKING:
    from rmaat.training.result import Result

DEVICES = ("auto", "cpu", "cuda")
MOST_DIGITS = 4
EVALUATION_BATCH = 128
CONTROL = "control"  # folder, inside a run's folder, of the run trained with the memory reset


@dataclasses.dataclass(frozen=True)
class Score:
    """Mean cross entropy (nats) and share of correct labels over all labels of `samples` samples."""

    loss: float
    accuracy: float
    samples: int


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """A run's accuracy on one split: `rows`, the model's first, then those that it is held against."""

    config: str
    run: str
    split: str
    step: int
    steps: int
    record: str
    seed: int
    device: str
    rows: tuple[Row, ...]

    @property
    def accuracy(self) -> float:
        """Share of correct labels, of the trained model."""
        return self.rows[0].accuracy

    def to_json(self) -> dict:
        """All of it as JSON values."""
        return dataclasses.asdict(self) | {"rows": [dataclasses.asdict(row) for row in self.rows]}

    def table(self) -> Table:
        """The rows, accuracy in percent."""
        title = (f"{self.config}, {self.split} split, step {self.step} of {self.steps}, record {self.record[:12]}, "
                 f"seed {self.seed}, {self.device}")
        return Table(("what", "accuracy, %", "samples", "note"),
                     [(row.name, f"{100 * row.accuracy:.2f}", row.samples, row.note) for row in self.rows], title)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        others = ", ".join(f"{row.name} {row.accuracy:.1%}" for row in self.rows[1:])
        return f"<{self.config} on {self.split}: {self.accuracy:.1%} ({others})>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def evaluation_of(run: Run, rows: Sequence[Row], *, split: str, step: int, device: torch.device) -> Evaluation:
    """The rows of a split beside what they were made by."""
    experiment = run.experiment
    return Evaluation(experiment.name, str(run.folder), split, step, experiment.train.steps, run.record.hash,
                      experiment.train.seed, device.type, tuple(rows))


def find_device(name: str) -> torch.device:
    """The device of a name; auto is the GPU where there is one. Raises `ResourceError` when it is not there."""
    kind, colon, number = name.partition(":")
    if kind not in DEVICES or (colon and (kind != "cuda" or not number.isdecimal() or len(number) > MOST_DIGITS)):
        raise UserError(f"unknown device '{name[:80]}'; choose one of: {', '.join(DEVICES)}, or one of several as "
                        "cuda:0")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"device '{name}': this machine or torch build has no CUDA; use --device cpu")
    if number and int(number) >= torch.cuda.device_count():
        raise ResourceError(f"device '{name}': this machine has {torch.cuda.device_count()}; the first is cuda:0")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


@torch.no_grad()
def score(model: nn.Module, split: Split, device: torch.device, *, chosen: np.ndarray | None = None,
          batch_size: int = EVALUATION_BATCH, unless: Callable[[], bool] = lambda: False) -> Score | None:
    """Loss and accuracy of `model` on `split` (the samples of the indices `chosen`), without dropout.

    None as soon as `unless()`, looked at after each batch, is true: nobody waits for it any more.
    """
    training = model.training
    model.eval()
    loss, correct, asked, samples = 0., 0, 0, 0
    for batch in evaluation_batches(split, batch_size, chosen):
        tokens, lengths, labels = batch.to(device)
        logits = model(tokens, lengths)
        found = answers(logits, labels)
        loss, correct, asked = loss + found.loss.item(), correct + found.correct.item(), asked + found.asked
        samples += len(labels)
        if left := unless():
            break
    model.train(training)
    return None if left else Score(loss / asked, correct / asked, samples)


def with_memory_reset(model: nn.Module) -> nn.Module:
    """The same weights, every segment starting from the initial memory tokens."""
    device = next(model.parameters()).device
    other = build(with_retention(model.config, "reset"), model.biology).to(device)
    other.load_state_dict(model.state_dict())
    return other


def load_model(run: Run, device: torch.device) -> tuple[nn.Module, int]:
    """The model of the run's checkpoint and its step; nothing in the folder is trusted unverified."""
    configs = run.configs
    while True:
        try:
            saved = checkpoint.load(run.folder, configs, run.record.hash)
            break
        except DamagedFileError:
            if set(now := run_folder.configs_of(run.folder)) <= set(configs):
                raise
            configs = now  # somebody extends the run just now
    model = build(run.experiment.model, Biology.of(run.record))
    checkpoint.fill(model, saved, run.folder)
    return model.to(device), saved.step


def model_rows(model: nn.Module, split: Split, device: torch.device, most: int = 0) -> list[Row]:
    """The trained model and, free of charge, the same weights with the memory reset at every segment.

    `most` samples, spread over the split; 0: all.
    """
    chosen = spread(split, most or len(split))
    kept, reset = (score(each, split, device, chosen=chosen) for each in (model, with_memory_reset(model)))
    per_token, vocab_size = model.output.per_token, model.config.vocab_size
    without = "the same weights, evaluated" + (f": {told(reset.loss, vocab_size, per_token)}" if per_token else "")
    return [Row("model", kept.accuracy, kept.samples, told(kept.loss, vocab_size, per_token)),
            Row("model, memory reset", reset.accuracy, reset.samples, without)]


def control_row(run: Run, split: Split, device: torch.device, most: int = 0) -> Row:
    """The row of the same config trained with the memory reset; `most` as for `model_rows`."""
    model, step = load_model(run, device)
    trained = score(model, split, device, chosen=spread(split, most or len(split)))
    loss = told(trained.loss, model.config.vocab_size, model.output.per_token)
    return Row("trained with memory reset", trained.accuracy, trained.samples, f"{step} steps, {loss}")


def as_run(run: "str | Path | Run | Result") -> Run:
    """The run of a folder, or what `train` and `load_run` return. Raises what `run_folder.read` raises."""
    run = getattr(run, "run", run)  # a result brings its run
    return run if isinstance(run, Run) else run_folder.read(run)


def evaluate(run: "str | Path | Run | Result", split: str = "test", *, data: str | Path | None = None,
             device: str = "auto", controls: bool = True) -> Evaluation:
    """Evaluate a run's checkpoint on a split of its task, with the control rows unless `controls` is false.

    `run` is a folder, or what `train` and `load_run` return. Raises `UserError` or `DamagedFileError` for a folder that
    is no whole run, or for other data than it was trained with.
    """
    run, target = as_run(run), find_device(device)
    data = Path(data) if data else run.data
    samples = load_splits(run.experiment, data, (split,), begun=run.environment)[split]
    model, step = load_model(run, target)
    rows = model_rows(model, samples, target)
    if controls:
        if checkpoint.exists(run.folder / CONTROL):
            rows.append(control_row(run_folder.read(run.folder / CONTROL, run.experiment.control()), samples, target))
        rows += control_rows(run.experiment.task, split, run.experiment.model.segment_length, data=data)
    return evaluation_of(run, rows, split=split, step=step, device=target)
