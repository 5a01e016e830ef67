"""What may be wrong with a task and its data, looked for once, before anything is trained on it."""

import dataclasses
import typing

import numpy as np
import torch

from foundation.errors import UserError, unknown
from foundation.notes import Note
from rmaat.tasks.splits import spread
from rmaat.tasks.task import NOT_ASKED, SPLITS, Split, Task

SAMPLES = 64  # of a split, that are looked at one by one
PLAIN = (bool, int, float, str, type(None))
WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


class DataNote(Note):
    """Something to know of a task's data, that is no error."""


def check_split(name: str) -> str:
    """The name. Raises `UserError` for an unknown one."""
    if name not in SPLITS:
        raise unknown("split", name, SPLITS)
    return name


def check_positive(task: Task, **values: int) -> None:
    """Raises `UserError` for the first dial that is not a positive whole number."""
    for field, value in values.items():
        if not _is_whole(value) or value < 1:
            raise UserError(f"task.{field} = {value!r} of task {task.name}: give a whole number of at least 1")


def fits(value: object, kind: object) -> bool:
    """Whether `value` is of a field's type, where that is a plain one; whole numbers are numbers too."""
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind if kind in WANTED else True


def check_dials(task: Task) -> None:
    """Raises `UserError` for a dial that is not of its type, as a text is in the place of a number."""
    kinds = typing.get_type_hints(type(task))
    for field in dataclasses.fields(task):
        if not fits(value := getattr(task, field.name), kinds[field.name]):
            raise UserError(f"task.{field.name} = {value!r} of task {task.name}: give {WANTED[kinds[field.name]]}")


def check_seed(task: Task) -> None:
    """Raises `UserError` for a seed that is no whole number in 0..2**32 - 1."""
    if not _is_whole(task.seed) or not 0 <= task.seed < 2**32:
        raise UserError(f"task.seed = {task.seed!r} of task {task.name}: give a whole number in 0..{2**32 - 1}")


def check_task(task: object) -> Task:
    """The task, if it is what `Task` asks for. Raises `UserError` that says what is missing."""
    if not isinstance(task, Task):
        raise UserError(f"the task is of type {type(task).__name__}; give an object of a class that derives from "
                        "rmaat.tasks.task.Task")
    if not dataclasses.is_dataclass(task) or not type(task).__dataclass_params__.frozen:
        raise UserError(f"task {task.name}: {type(task).__name__} is not a frozen dataclass; write "
                        "@dataclass(frozen=True) above the class, so that a run knows its dials")
    for name in ("vocab_size", "num_classes", "max_length"):
        value = getattr(task, name, None)
        if not _is_whole(value) or value < 1:
            raise UserError(f"task {task.name}: {name} is {value!r}; give a whole number of at least 1")
    if task.label_names and len(task.label_names) != task.num_classes:
        raise UserError(f"task {task.name}: label_names are {len(task.label_names)}, and num_classes is "
                        f"{task.num_classes}; give a name for each label, or none")
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        if field.name == "name" or not _is_plain(value):
            raise UserError(f"task.{field.name} = {value!r} of task {task.name}: a dial is a number, a text, true or "
                            "false, None or a tuple of these, and is not called 'name'")
    return task


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_plain(value: object) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, tuple) and all(_is_plain(part) for part in value))


def look_at(split: Split) -> np.ndarray:
    """Indices of the samples that stand for a split: up to 64, evenly over all of it."""
    return spread(split, SAMPLES)


def check_data(split: Split, name: str, task: Task) -> Split:
    """The split, if all its labels and the samples that were looked at are the task's.

    Raises `UserError` naming the sample, the value and what is allowed. Every batch of a training is then only checked
    by the network, which knows its vocabulary and its longest sequence.
    """
    where = f"task {task.name}, {name} split"
    if len(split) < 1:
        raise UserError(f"{where}: it holds no sample")
    labels = np.array(split.all_labels())  # a copy: torch warns of what cannot be written
    if task.per_token and labels.ndim == 1 and len(labels) and labels.dtype == np.int64:
        pass  # one for each token that is asked for
    elif labels.shape != (len(split),) or labels.dtype != np.int64:
        raise UserError(f"{where}: all_labels gives {labels.dtype} of shape {labels.shape}; give int64 of shape "
                        f"({len(split)},)")
    _within(where, "label", torch.from_numpy(labels), bad=(labels < 0) | (labels >= task.num_classes),
            allowed=(0, task.num_classes - 1))
    indices = look_at(split)
    _check_samples(split, indices, where, task=task)
    _check_pure(split, indices, where)
    return split


def _check_samples(split: Split, indices: np.ndarray, where: str, *, task: Task) -> None:
    """Shapes and ranges of the samples at `indices`, whose labels `all_labels` knows."""
    tokens, lengths, labels = batch = split.batch(indices)
    shapes = [tuple(x.shape) for x in batch]
    rows, many = task.documents * len(indices), f"{task.documents} * " if task.documents > 1 else ""
    answered = tuple(tokens.shape) if task.per_token else (len(indices),)
    if tokens.ndim != 2 or shapes != [(rows, tokens.shape[1]), (rows,), answered]:
        raise UserError(f"{where}: a batch of {len(indices)} has tokens, lengths and labels of shapes {shapes}; give "
                        f"[{many}batch, length], [{many}batch] and [batch{', length' * task.per_token}]")
    samples = np.tile(indices, task.documents)
    if any(x.dtype != torch.int64 for x in batch):
        raise UserError(f"{where}: tokens, lengths and labels are of type {[str(x.dtype) for x in batch]}; give int64")
    top = min(task.max_length, tokens.shape[1])
    _within(where, "length", lengths, bad=(lengths < 1) | (lengths > top), allowed=(1, top), samples=samples)
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    _within(where, "token", tokens, bad=inside & ((tokens < 0) | (tokens >= task.vocab_size)),
            allowed=(0, task.vocab_size - 1), samples=samples)
    if task.per_token:
        _within(where, "label", labels, bad=(labels != NOT_ASKED) & (~inside | (labels < 0) | (
            labels >= task.num_classes)), allowed=(0, task.num_classes - 1), samples=indices)
    elif not np.array_equal(labels.numpy(), split.all_labels()[indices]):
        raise UserError(f"{where}: the labels of batch are not those of all_labels; both should follow the indices")


def _check_pure(split: Split, indices: np.ndarray, where: str) -> None:
    """A sample drawn anew at every call, or other in other company, would make a resumed run another run."""
    index = indices[-1:]
    alone, again = split.batch(index), split.batch(indices)
    for document, length in enumerate(alone.lengths.tolist()):
        row = (document + 1) * len(indices) - 1
        if int(again.lengths[row]) != length or not torch.equal(alone.tokens[document, :length],
                                                                again.tokens[row, :length]):
            raise UserError(f"{where}: sample {index[0]} differs from call to call or from batch to batch; make it a "
                            "function of its index alone, for example by a generator that is seeded with it")


def _within(where: str, kind: str, values: torch.Tensor, *, bad, allowed: tuple[int, int],
            samples: np.ndarray | None = None) -> None:
    bad = torch.as_tensor(bad)
    if not bad.any():
        return
    row, *place = bad.nonzero()[0].tolist()
    sample = row if samples is None else samples[row]
    value = values[(row, *place)].item()
    raise UserError(f"{where}: sample {sample}{f', place {place[0]}' if place else ''}: {kind} {value} is not in "
                    f"{allowed[0]}..{allowed[1]}; correct the data")
