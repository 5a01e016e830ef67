"""Changing an experiment by the names of its fields, from a command line's texts or from Python's values."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from foundation.errors import UserError, unknown
from foundation.notes import Note, note
from foundation.outside import find
from rmaat.tasks.checks import check_task
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Task
from rmaat.training.experiment import FOLLOWS, Experiment, experiment
from rmaat.training.fields import fields_of, typed

PARTS = ("task", "model", "train")


class SettingNote(Note):
    """A field that is given twice, or one that another field leaves without its effect."""


def change(base: Experiment, settings: Iterable[str] | Mapping[str, object]) -> Experiment:
    """`base` with other fields; what follows from the task is made anew.

    `settings` are texts, `"train.steps=100"`, or a mapping, `{"train.steps": 100}`; where the name is in one part only,
    `width` is enough. `task` itself may be another one: `"task=listops"`. Raises `UserError` naming field, value and
    what is allowed.
    """
    values = dict(settings) if isinstance(settings, Mapping) else pairs(settings)
    task = find_task(values.pop("task")) if "task" in values else base.task
    changes: dict[str, dict] = {part: {} for part in PARTS}
    for field, value in values.items():
        part, name = _find(base, task, field)
        kind = fields_of(task if part == "task" else getattr(base, part))[name]
        value = typed(f"{part}.{name}", kind, value)
        _note_twice(f"{part}.{name}", changes[part].get(name, value), value)
        changes[part][name] = value
    model = {name: getattr(base.model, name) for name in fields_of(base.model) if name not in FOLLOWS}
    return experiment(base.name, dataclasses.replace(task, **changes["task"]),
                      dataclasses.replace(base.train, **changes["train"]), **model | changes["model"])


def change_task(task: Task, settings: Iterable[str]) -> Task:
    """The task with other dials, given as texts: "task.max_length=1024", or "max_length=1024"."""
    kinds, values = fields_of(task), {}
    for field, text in pairs(settings).items():
        name = field.removeprefix("task.")
        if name not in kinds:
            raise unknown("field", field, [f"task.{each}" for each in kinds])
        values[name] = typed(f"task.{name}", kinds[name], text)
    return dataclasses.replace(task, **values)


def with_data(base: Experiment, data: Path | None) -> Experiment:
    """`base` with what the task's data decide: the number of classes, say. Raises what the task raises."""
    task = base.task.prepared(data)
    if task == base.task:
        return base
    model = {name: getattr(base.model, name) for name in fields_of(base.model) if name not in FOLLOWS}
    return experiment(base.name, task, base.train, **model)


def pairs(settings: Iterable[str]) -> dict[str, str]:
    """Fields and values of texts "FIELD=VALUE", in their order; of a field given twice the last one, with a note."""
    values: dict[str, str] = {}
    for field, text in map(_split, settings):
        _note_twice(field, values.pop(field, text), text)  # popped: the last one also comes last
        values[field] = text
    return values


def _note_twice(field: str, before: object, value: object) -> None:
    if before != value:
        note(SettingNote, f"{field} is given as {before} and as {value}: the last one counts")


def _split(setting: str) -> tuple[str, str]:
    field, equals, text = setting.partition("=")
    if not equals:
        raise UserError(f"--set {setting}: write field=value, for example train.steps=100")
    return field.strip(), text.strip()


def find_task(given: str | type[Task] | Task) -> Task:
    """A task, from itself, its class, its name or `file.py:NAME`. Raises `UserError` for what is none."""
    task = find("task", given, TASKS, of=Task) if isinstance(given, str) else given
    return check_task(task() if isinstance(task, type) else task)


def _find(base: Experiment, task: Task, field: str) -> tuple[str, str]:
    """The part of the experiment that has the field, and its name there."""
    parts = {"task": task, "model": base.model, "train": base.train}
    free = {home: [name for name in fields_of(part) if home != "model" or name not in FOLLOWS]
            for home, part in parts.items()}
    part, _, name = field.rpartition(".")
    homes = [home for home, names in free.items() if name in names and part in ("", home)]
    if not homes and name in FOLLOWS and part in ("", "model"):
        raise UserError(f"model.{name} cannot be set: it follows from the task and model.segment_length")
    if len(homes) > 1:
        raise UserError(f"--set {field}: more than one part has it; write {' or '.join(f'{h}.{field}' for h in homes)}")
    if not homes:
        raise unknown("field", field, [f"{home}.{name}" if part else name for home in free for name in free[home]])
    return homes[0], name
