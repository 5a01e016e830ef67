"""The data of a run: the task's splits, checked once when they are opened, and recognised when a run goes on."""

import os
from collections.abc import Mapping
from pathlib import Path

from foundation.errors import UserError
from foundation.machine import refuse_above_memory
from foundation.notes import note
from rmaat.tasks.checks import DataNote, check_data
from rmaat.tasks.fingerprint import contents, fingerprint
from rmaat.tasks.overlap import note_what_is_odd
from rmaat.tasks.task import SPLITS, Split, Task
from rmaat.training.experiment import Experiment

SAMPLE_BYTES = 32  # of a sample's label and index, while labels are looked at and orders are drawn


def load_splits(experiment: Experiment, data: Path | None, names: tuple[str, ...] = SPLITS, *,
                begun: Mapping | None = None) -> dict[str, Split]:
    """The task's splits by name, and beside "train" those that a curriculum begins with.

    Raises `UserError` where their data is not the task's. With the environment of a run that was `begun` the data must
    also be what that run was trained with.
    """
    refuse_too_many_samples(experiment.task)
    splits = {name: check_data(experiment.task.split(name, data), name, experiment.task) for name in names}
    if set(names) == set(SPLITS) and os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks for all
        note_what_is_odd(splits, experiment.task)
        asked, there = experiment.train.batch_size, len(splits["train"])
        if asked > there:
            note(DataNote, f"train.batch_size = {asked}: there are {there:,} training samples, and every step takes "
                           "all of them")
    for stage in experiment.curriculum if "train" in names else ():
        refuse_too_many_samples(stage.task)
        samples = stage.task.split("train", stage.task.data_of_stage(data))
        splits[stage.split] = check_data(samples, "train", stage.task)
    if begun is not None:
        _check_same(splits, data, begun)
    return splits


def _check_same(splits: dict[str, Split], data: Path | None, begun: Mapping) -> None:
    """Raises `UserError` where the data is not that with which a run of this environment was begun."""
    for name, split in splits.items():
        known = begun.get("contents", {}).get(name)  # runs from before there were any have none
        if begun["fingerprints"].get(name) == fingerprint(split) and (known is None or known == contents(split)):
            continue
        read = begun.get("read", {})
        changed = sorted(file for file, now in getattr(split, "sources", {}).items() if read.get(file, now) != now)
        raise UserError(f"the {name} data {f'under {data} ' if data else ''}is not what the run was trained with"
                        f"{f' ({changed[0]} has changed since)' if changed else ''}; give the same data with --data, "
                        "or train anew in another folder")


def describe(splits: Mapping[str, Split]) -> dict[str, dict]:
    """What a run's environment says of its data, by split or by file: how it is recognised, and what was read."""
    found = {name: contents(split) for name, split in splits.items()}
    return {"fingerprints": {name: fingerprint(split) for name, split in splits.items()},
            "contents": {name: one for name, one in found.items() if one is not None},
            "read": dict(source for split in splits.values() for source in getattr(split, "sources", {}).items())}


def refuse_too_many_samples(task: Task) -> None:
    """Raises `ResourceError` for more samples than have room, before any is made.

    A task that keeps its samples needs room for their tokens, too.
    """
    counts = {name: getattr(task, name, 0) for name in SPLITS}
    samples = sum(count for count in counts.values() if type(count) is int)
    each = SAMPLE_BYTES + (task.lengths[0] if task.kept else 0)
    told = ", ".join(f"task.{name} = {count}" for name, count in counts.items())
    refuse_above_memory(f"data of task {task.name}, {told}", samples * each, "give fewer samples")
