"""The data of a run: the task's splits, checked once when they are opened, and recognised when a run goes on."""

import hashlib
from pathlib import Path

from foundation.errors import UserError
from rmaat.tasks.checks import check_data, look_at
from rmaat.tasks.task import SPLITS, Split
from rmaat.training.experiment import Experiment


def load_splits(experiment: Experiment, data: Path | None, names: tuple[str, ...] = SPLITS, *,
                fingerprints: dict[str, str] | None = None) -> dict[str, Split]:
    """The task's splits by name. Raises `UserError` where their data is not the task's.

    With the `fingerprints` of a run the data must also be what that run was trained with.
    """
    splits = {name: check_data(experiment.task.split(name, data), name, experiment.task) for name in names}
    for name, split in splits.items():
        if fingerprints is not None and fingerprints.get(name) != fingerprint(split):
            raise UserError(f"the {name} data {f'under {data} ' if data else ''}is not what the run was trained with; "
                            "give the same folder with --data")
    return splits


def fingerprint(split: Split) -> str:
    """SHA-256 over all labels and the tokens of up to 64 samples: enough to notice other data."""
    batch = split.batch(look_at(split))
    digest = hashlib.sha256(split.all_labels().astype("<i8").tobytes())
    digest.update(batch.tokens.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
