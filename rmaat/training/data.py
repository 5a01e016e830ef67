"""The data of a run: the task's splits, checked once when they are opened, and recognised when a run goes on."""

import hashlib
import os
from pathlib import Path

from foundation.errors import UserError
from foundation.machine import refuse_above_memory
from foundation.notes import note
from rmaat.tasks.checks import DataNote, check_data, look_at
from rmaat.tasks.overlap import note_what_is_odd
from rmaat.tasks.task import SPLITS, Split, Task
from rmaat.training.experiment import Experiment

SAMPLE_BYTES = 32  # of a sample's label and index, while labels are looked at and orders are drawn


def load_splits(experiment: Experiment, data: Path | None, names: tuple[str, ...] = SPLITS, *,
                fingerprints: dict[str, str] | None = None) -> dict[str, Split]:
    """The task's splits by name. Raises `UserError` where their data is not the task's.

    With the `fingerprints` of a run the data must also be what that run was trained with.
    """
    refuse_too_many_samples(experiment.task)
    splits = {name: check_data(experiment.task.split(name, data), name, experiment.task) for name in names}
    for name, split in splits.items():
        if fingerprints is not None and fingerprints.get(name) != fingerprint(split):
            raise UserError(f"the {name} data {f'under {data} ' if data else ''}is not what the run was trained with; "
                            "give the same folder with --data")
    if set(names) == set(SPLITS) and os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks for all
        note_what_is_odd(splits, experiment.task)
        asked, there = experiment.train.batch_size, len(splits["train"])
        if asked > there:
            note(DataNote, f"train.batch_size = {asked}: there are {there:,} training samples, and every step takes "
                           "all of them")
    return splits


def refuse_too_many_samples(task: Task) -> None:
    """Raises `ResourceError` for more samples than have room, before any is made.

    A task that keeps its samples needs room for their tokens, too.
    """
    counts = {name: getattr(task, name, 0) for name in SPLITS}
    samples = sum(count for count in counts.values() if type(count) is int)
    each = SAMPLE_BYTES + (task.lengths[0] if task.kept else 0)
    told = ", ".join(f"task.{name} = {count}" for name, count in counts.items())
    refuse_above_memory(f"data of task {task.name}, {told}", samples * each, "give fewer samples")


def fingerprint(split: Split) -> str:
    """SHA-256 over all labels and the tokens of up to 64 samples: enough to notice other data."""
    batch = split.batch(look_at(split))
    digest = hashlib.sha256(split.all_labels().astype("<i8").tobytes())
    digest.update(batch.tokens.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
