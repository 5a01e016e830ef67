"""Accuracy on a split, and the control rows beside it: memory reset, majority, linear classifiers."""

import dataclasses
from pathlib import Path

import torch
from torch.nn import functional

from foundation.errors import ResourceError, UserError
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.tasks.controls import Row, control_rows
from rmaat.tasks.task import Split, Task, check_batch, evaluation_batches
from rmaat.training import checkpoint, run_folder
from rmaat.training.run_folder import Run

DEVICES = ("auto", "cpu", "cuda")
EVALUATION_BATCH = 128
CONTROL = "control"  # folder, inside a run's folder, of the run trained with the memory reset


@dataclasses.dataclass(frozen=True)
class Score:
    """Mean cross entropy (nats) and share of correct labels over `samples` samples."""

    loss: float
    accuracy: float
    samples: int


def find_device(name: str) -> torch.device:
    """The device of a name; auto is the GPU where there is one. Raises `ResourceError` when it is not there."""
    kind = name.partition(":")[0]
    if kind not in DEVICES:
        raise UserError(f"unknown device '{name}'; choose one of: {', '.join(DEVICES)}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"device '{name}': this machine or torch build has no CUDA; use --device cpu")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


@torch.no_grad()
def score(model: RMAAT, split: Split, task: Task, device: torch.device, limit: int | None = None,
          batch_size: int = EVALUATION_BATCH) -> Score:
    """Loss and accuracy of `model` on `split` (its first `limit` samples), without dropout."""
    training = model.training
    model.eval()
    loss, correct, samples = 0., 0, 0
    for batch in evaluation_batches(split, batch_size, limit):
        tokens, lengths, labels = check_batch(batch, task).to(device)
        logits = model(tokens, lengths)
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(1) == labels).sum().item()
        samples += len(labels)
    model.train(training)
    return Score(loss / samples, correct / samples, samples)


def with_memory_reset(model: RMAAT) -> RMAAT:
    """The same weights, every segment starting from the initial memory tokens."""
    device = next(model.parameters()).device
    other = RMAAT(dataclasses.replace(model.config, retention="reset"), model.biology).to(device)
    other.load_state_dict(model.state_dict())
    return other


def load_model(run: Run, device: torch.device) -> tuple[RMAAT, int]:
    """The model of the run's checkpoint and its step; nothing in the folder is trusted unverified."""
    saved = checkpoint.load(run.folder, run.experiment.hash, run.record.hash)
    model = RMAAT(run.experiment.model, Biology.of(run.record))
    checkpoint.fill(model, saved, run.folder)
    return model.to(device), saved.step


def model_rows(model: RMAAT, split: Split, task: Task, device: torch.device) -> list[Row]:
    """The trained model and, free of charge, the same weights with the memory reset at every segment."""
    kept, reset = (score(each, split, task, device) for each in (model, with_memory_reset(model)))
    return [Row("model", kept.accuracy, kept.samples, f"loss {kept.loss:.4f}"),
            Row("model, memory reset", reset.accuracy, reset.samples, "the same weights, evaluated")]


def evaluate(folder: str | Path, split: str = "test", data: Path | None = None, device: str = "auto",
             controls: bool = True) -> dict:
    """Evaluate a run's checkpoint on a split of its task, with the control rows unless `controls` is false.

    Raises `UserError` or `DamagedFileError` for a folder that is no whole run, or for other data than it was
    trained with.
    """
    run, target = run_folder.read(folder), find_device(device)
    task = run.experiment.task
    if data is None and run.environment["data"]:
        data = Path(run.environment["data"])
    samples = run_folder.load_splits(run.environment, run.experiment, data, (split,))[split]
    model, step = load_model(run, target)
    rows = model_rows(model, samples, task, target)
    control = run.folder / CONTROL
    if controls and checkpoint.exists(control):
        rows.append(control_row(run_folder.read(control), samples, target))
    if controls:
        rows += control_rows(task, split, run.experiment.model.segment_length, data)
    return {"config": run.experiment.name, "run": str(run.folder), "split": split, "step": step,
            "steps": run.experiment.train.steps, "record": run.record.hash, "seed": run.experiment.train.seed,
            "device": target.type, "rows": [dataclasses.asdict(row) for row in rows]}


def control_row(run: Run, samples: Split, device: torch.device) -> Row:
    """The row of the same config trained with the memory reset."""
    model, step = load_model(run, device)
    trained = score(model, samples, run.experiment.task, device)
    return Row("trained with memory reset", trained.accuracy, trained.samples, f"{step} steps, loss {trained.loss:.4f}")


def table(result: dict) -> str:
    """The rows as aligned text."""
    width = max(len(row["name"]) for row in result["rows"])
    lines = [f"{result['config']}, {result['split']} split, step {result['step']} of {result['steps']}, "
             f"record {result['record'][:12]}, seed {result['seed']}, {result['device']}"]
    lines += [f"  {row['name']:{width}}  {100 * row['accuracy']:6.2f} %  of {row['samples']:6d}  {row['note']}".rstrip()
              for row in result["rows"]]
    return "\n".join(lines)
