"""Fields of a config that may be changed when a run goes on, and the file that says which were, and from which step.

What a run learned depends on its task, model, batches and seed: those stay. How long it goes on, how quickly it learns,
how often it is looked at and how its gradient is computed may change. From its checkpoint on the learning rate is that
of the new schedule at that step, as if it had always been planned so: an extended run begins with a higher rate again,
and its result is not that of a run that was planned as long from the start.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from foundation import sealed
from foundation.errors import DamagedFileError, UserError
from rmaat.training.experiment import TrainConfig, without_folders

CHANGES = "changes.json"
TESTED = "train.test_samples"
# what is learned follows from the first ones; the others say how it is looked at or computed
LEARNED = ("train.steps", "train.learning_rate", "train.final_rate", "train.warmup", "train.clip")
CHANGEABLE = (*LEARNED, "train.evaluate_every", "train.evaluate_samples", TESTED, "train.checkpoint_every",
              "model.gradient", "model.replay", "model.keep_last", "model.budget_bytes", "model.memory_store")


def differences(stored: dict, given: dict) -> dict[str, tuple]:
    """Fields that two experiments' JSON have otherwise: name -> (stored, given); None where one has no such field."""
    before, now = flat(without_folders(stored)), flat(without_folders(given))
    return {field: (before.get(field), now.get(field)) for field in sorted(before.keys() | now.keys())
            if before.get(field) != now.get(field) or (field in before) != (field in now)}


def check_same(folder: Path, found: Mapping[str, tuple]) -> None:
    """Raises `UserError` naming every difference that may not be."""
    fixed = {field: pair for field, pair in found.items() if field not in CHANGEABLE}
    if not fixed:
        return
    if all(field.startswith("files.") and None not in pair for field, pair in fixed.items()):
        names = ", ".join(field.removeprefix("files.") for field in fixed)
        raise UserError(f"{folder} holds a run of your file {names} as it was then; it was changed since: take the "
                        "file of then to resume, or give another --out")
    told = "; ".join(f"{field} is {there} there, {here} here" for field, (there, here) in fixed.items())
    raise UserError(f"{folder} holds another run: {told}. Give the same config to resume, or another --out; of a run "
                    f"that goes on only {', '.join(CHANGEABLE)} may be changed")


def flat(body: Mapping, prefix: str = "") -> dict:
    """{"train": {"steps": 3}} -> {"train.steps": 3}."""
    found = {}
    for name, value in body.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def read(folder: Path) -> list[dict]:
    """The changes of a run in order, each {"step": ..., "fields": {name: [before, after]}}.

    Raises `DamagedFileError` for a file that is cut or altered.
    """
    if not (folder / CHANGES).exists():
        return []
    changes = sealed.read(folder / CHANGES, "changes").get("changes")
    for change in changes if isinstance(changes, list) else [None]:
        if not isinstance(change, dict) or type(change.get("step")) is not int or not isinstance(
                change.get("fields"), dict) or not set(change["fields"]) <= set(CHANGEABLE) or not all(
                isinstance(pair, list) and len(pair) == 2 for pair in change["fields"].values()):
            raise DamagedFileError(f"{folder / CHANGES}: no list of changes")
    return changes


def add(folder: Path, step: int, fields: Mapping[str, tuple]) -> None:
    """Write down what differs from `step` on."""
    sealed.write(folder / CHANGES, "changes",
                 {"changes": [*read(folder), {"step": step, "fields": {name: list(pair) for name, pair in
                                                                       fields.items()}}]})


def histories(body: dict, changes: list[dict]) -> list[dict]:
    """The experiment's JSON as the run began, and after each of the changes.

    Raises `DamagedFileError` for changes of another run, which began with other values.
    """
    found = [body]
    for change in changes:
        last = dict(found[-1])
        for name, (before, after) in change["fields"].items():
            part, _, field = name.partition(".")
            if last[part].get(field) != before:
                raise DamagedFileError(f"{CHANGES}: {name} is changed from {str(before)[:40]} there, but was "
                                       f"{str(last[part].get(field))[:40]}: it is of another run; restore it")
            last = last | {part: {**last[part], field: after}}
        found.append(last)
    return found


def learned(body: dict, changes: list[dict]) -> dict:
    """The experiment's JSON as the run goes on now, with the "changes" on the way to it, if any, for a comparison.

    How it is looked at and computed is as it began: seeds that differ in that are one network.
    """
    kept = [{"step": change["step"], "fields": {name: pair for name, pair in change["fields"].items()
                                                if name in (*LEARNED, TESTED)}} for change in changes]
    told = [{"step": change["step"], "fields": fields} for change in kept if change["step"] > 0 and (
        fields := {name: pair for name, pair in change["fields"].items() if name in LEARNED})]
    return histories(body, kept)[-1] | ({"changes": told} if told else {})


def said(fields: Mapping[str, tuple], step: int, now: TrainConfig) -> str:
    """What was changed, and what that means for the learning rate."""
    told = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in fields.items())
    before = dataclasses.replace(now, **{name.removeprefix("train."): old for name, (old, _) in fields.items()
                                         if name.startswith("train.")})
    rates = before.rate(max(0, step - 1)), now.rate(step)
    rate = f"; the learning rate goes from {rates[0]:.3g} to {rates[1]:.3g}, as the new schedule has it at this step"
    return f"changed from step {step} on: {told}{rate if step < now.steps else ''}"
