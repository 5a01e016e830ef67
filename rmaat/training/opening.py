"""Where training starts: a new run in its folder, or the run that is there, at its last checkpoint."""

from pathlib import Path

import torch

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.training import checkpoint, run_folder
from rmaat.training.data import fingerprint, load_splits
from rmaat.training.distributed import ALONE, World
from rmaat.training.experiment import Experiment
from rmaat.training.run_folder import Run
from rmaat.training.steps import Trainer


def begin(experiment: Experiment, folder: Path, *, data: Path | None = None, record: records.Record | None = None,
          resume: bool = False, device: torch.device | None = None, world: World = ALONE) -> Trainer:
    """A trainer for a new run in `folder` or, with `resume`, for the one there; an empty folder begins anew.

    Raises `UserError` where `folder` holds a run and `resume` is false, or holds another run or something else.
    """
    device = device or torch.device("cpu")
    with world.together("begun") as told:  # the process that leads goes first: it makes the folder, and caches of data
        if world.leads:
            told["begun"] = run_folder.begun(folder)
            if told["begun"] and not resume:
                raise UserError(f"{folder} already holds a run; add --resume to go on with it, or give another --out")
            trainer = _open(experiment, folder, begun=bool(told["begun"]), data=data, record=record, device=device,
                            world=world)
    with world.together():
        if not world.leads:
            trainer = _open(experiment, folder, begun=bool(told["begun"]), data=data, record=record, device=device,
                            world=world)
    return trainer.connect()


def _open(experiment: Experiment, folder: Path, *, begun: bool, data: Path | None, record: records.Record | None,
          device: torch.device, world: World) -> Trainer:
    """This process' trainer, at the run's last checkpoint where the run has begun."""
    if not begun:
        return _new(experiment, folder, data=data, record=record or records.load(), device=device, world=world)
    run = run_folder.read(folder, experiment)
    run_folder.check_record(run, record)
    if world.leads:
        run_folder.note_differences({"processes": 1} | run.environment, device, world.size)
    splits = load_splits(experiment, data or run.data, fingerprints=run.environment["fingerprints"])
    trainer = Trainer(run, splits, device, world=world)
    if checkpoint.exists(folder):
        trainer.restore()
    return trainer


def _new(experiment: Experiment, folder: Path, *, data: Path | None, record: records.Record, device: torch.device,
         world: World) -> Trainer:
    splits = load_splits(experiment, data)
    if not world.leads:
        return Trainer(Run(folder, experiment, record, {}), splits, device, world=world)
    fingerprints = {name: fingerprint(split) for name, split in splits.items()}
    read = dict(source for split in splits.values() for source in getattr(split, "sources", {}).items())
    environment = run_folder.environment(device, data, fingerprints) | {"processes": world.size, "read": read}
    run = run_folder.create(folder, experiment, record, environment=environment)
    return Trainer(run, splits, device, world=world)
