"""Where training starts: a new run in its folder, or the run that is there, at its last checkpoint."""

import sys
from pathlib import Path

import torch

from derivation.record import record as records
from foundation.errors import UserError
from foundation.files import sha256_bytes
from foundation.notes import note
from rmaat.gradient.budget import Plan
from rmaat.resources import refuse_too_large_a_batch
from rmaat.training import changes, checkpoint, run_folder
from rmaat.training.data import describe, load_splits
from rmaat.training.distributed import ALONE, World
from rmaat.training.experiment import Experiment
from rmaat.training.metrics import METRICS, lines_until
from rmaat.training.run_folder import RESULT, Run
from rmaat.training.settings import SettingNote
from rmaat.training.steps import Trainer


def begin(experiment: Experiment, folder: Path, *, data: Path | None = None, record: records.Record | None = None,
          resume: bool = False, device: torch.device | None = None, world: World = ALONE) -> Trainer:
    """A trainer for a new run in `folder` or, with `resume`, for the one there; an empty folder begins anew.

    Raises `UserError` where `folder` holds a run and `resume` is false, or holds another run or something else.
    """
    device = device or torch.device("cpu")
    # the process that leads goes first: it makes the folder, and caches of data
    with world.together("begun", "kept") as told:
        if world.leads:
            told["begun"] = run_folder.begun(folder)
            if told["begun"] and not resume:
                raise UserError(f"{folder} already holds a run; add --resume to go on with it, or give another --out")
            trainer = _open(experiment, folder, begun=bool(told["begun"]), data=data, record=record, device=device,
                            world=world)
            told["kept"] = -1 if trainer.kept is None else trainer.kept
    with world.together():
        if not world.leads:
            trainer = _open(experiment, folder, begun=bool(told["begun"]), data=data, record=record, device=device,
                            world=world)
    if told["kept"] >= 0:
        trainer.keep(round(told["kept"]))
    _compare_data(trainer, new=not told["begun"])
    train = experiment.train
    if world.leads and train.warmup > train.steps:
        note(SettingNote, f"train.warmup = {train.warmup:,} is above train.steps = {train.steps:,}: the learning rate "
                          f"ends at {train.rate(train.steps - 1):.2g} and never comes to {train.learning_rate:g}")
    return trainer.connect()


def _compare_data(trainer: Trainer, *, new: bool) -> None:
    """Raises `UserError` where the processes have other data; a run that was begun with it is none then."""
    if trainer.world.size == 1:
        return
    try:
        described = describe(trainer.splits)
        trainer.world.agree({f"data.{name}": sha256_bytes(f"{one} {described['contents'].get(name)}".encode())
                             for name, one in described["fingerprints"].items()} | {"step": trainer.step})
    except (UserError, SystemExit):
        if new and trainer.world.leads:
            run_folder.forget(trainer.run.folder)
        raise


def _open(experiment: Experiment, folder: Path, *, begun: bool, data: Path | None, record: records.Record | None,
          device: torch.device, world: World) -> Trainer:
    """This process' trainer, at the run's last checkpoint where the run has begun."""
    if not begun:
        return _new(experiment, folder, data=data, record=record or records.load(), device=device, world=world)
    run = run_folder.read(folder, experiment)
    run_folder.check_record(run, record)
    if world.leads:
        run_folder.note_differences({"processes": 1} | run.environment, device, world.size)
    splits = load_splits(experiment, data or run.data, begun=run.environment)
    trainer = Trainer(run, splits, device, world=world)
    if world.leads:
        trainer.kept = kept_again(run.environment.get("keep_last"), trainer.plan())
    if checkpoint.exists(folder):
        trainer.restore()
    if world.leads:
        _go_on(trainer)
    return trainer


def _go_on(trainer: Trainer) -> None:
    """Say from which step, and write down what is other than it was. Raises `UserError` for fewer steps than done."""
    run, steps = trainer.run, trainer.config.steps
    if steps < trainer.step:
        raise UserError(f"train.steps = {steps}: the run in {run.folder} has done {trainer.step} already; give at "
                        f"least {trainer.step}")
    lines_until(run.folder / METRICS, trainer.step, run.configs[-1])  # whole, before anything is changed
    checkpoint.tidy(run.folder)
    print(f"going on with {run.folder} at step {trainer.step} of {steps}", file=sys.stderr)
    if trainer.step < steps or changes.TESTED in run.changed:  # before it could pass for that of the changed run
        (run.folder / RESULT).unlink(missing_ok=True)  # of fewer steps, or of a checkpoint that is damaged now
    if run.changed:
        print(changes.said(run.changed, trainer.step, trainer.config), file=sys.stderr)
        changes.add(run.folder, trainer.step, run.changed)


def _new(experiment: Experiment, folder: Path, *, data: Path | None, record: records.Record, device: torch.device,
         world: World) -> Trainer:
    if device.type == "cpu":
        size = experiment.train.batch_size
        refuse_too_large_a_batch(experiment.model, -(-size // world.size), experiment.task.lengths[0],
                                 given=f"train.batch_size = {size}")
    splits = load_splits(experiment, data)
    trainer = Trainer(Run(folder, experiment, record, {}), splits, device, world=world)
    if not world.leads:
        return trainer
    trainer.kept = kept_again(None, trainer.plan())
    environment = run_folder.environment(device, data) | describe(splits) | {
        "processes": world.size, "keep_last": trainer.kept}
    trainer.run = run_folder.create(folder, experiment, record, environment=environment)
    return trainer


def kept_again(began: int | None, plan: Plan | None) -> int | None:
    """How many segments keep their graph: as many as when the run began, unless fewer fit now.

    None where the config says it. The gradient is the same; a user's own attention may differ in its last bits.
    """
    if plan is None or began is None:
        return plan and plan.keep_last
    if plan.keep_last < began:
        print(f"note: the run began with the graphs of {began} segments kept, now {plan.keep_last} fit in half of the "
              "free memory; the gradient is the same, its time is longer", file=sys.stderr)
    return min(began, plan.keep_last)
