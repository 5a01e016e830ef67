"""Training from end to end: `train` makes or resumes a run, fits it, and evaluates it beside its controls."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from derivation.record import record as records
from foundation.files import remove_leftovers
from foundation.lock import LOCK, locked
from rmaat.tasks.controls import control_rows
from rmaat.tasks.task import Task
from rmaat.training import checkpoint, run_folder
from rmaat.training.changes import TESTED, flat
from rmaat.training.configs import find_experiment
from rmaat.training.distributed import World, join
from rmaat.training.evaluation import CONTROL, control_row, evaluation_of, find_device, model_rows
from rmaat.training.experiment import Experiment, to_json, without_folders
from rmaat.training.logs import check_logs
from rmaat.training.loop import fit
from rmaat.training.metrics import METRICS, head, peak_bytes
from rmaat.training.opening import begin
from rmaat.training.result import Result, stored_result
from rmaat.training.run_folder import RESULT
from rmaat.training.settings import with_data
from rmaat.training.steps import Trainer
from rmaat.training.variants import DEFAULT, Change


def train(experiment: Experiment | str | Callable[[], Experiment], out: str | Path, *,
          changes: Mapping[str, object] | Iterable[str] = (), variant: str | Change = DEFAULT,
          data: str | Path | None = None, logs: Sequence[str] = (),
          record: str | Path | records.Record | None = None, resume: bool = False, device: str = "auto",
          control: bool = False, quiet: bool = False) -> Result | None:
    """Train in the folder `out`, evaluate on the test split with control rows, and return what came out.

    `experiment` is an `Experiment`, a function that returns one, the name of a config or `file.py:NAME`; `changes` are
    other values of its fields, `{"train.steps": 100}`; `variant` puts another network in its place, `"rmt"`. `data` is
    the folder of the task's files. `record` is a file or a record; the committed one by default, or with `resume` the
    run's own. `control` also trains the same config with the memory reset, in `out/control`. `logs` are copies of the
    metrics for other programs, `"csv"` and `"tensorboard"`. Under torchrun all processes call this, and those that do
    not lead get None.
    Raises what `begin`, `fit` and the task raise; after any of them `out` holds its last checkpoint, and `resume` goes
    on from there.
    """
    experiment, folder = find_experiment(experiment, changes, variant=variant), Path(out)
    check_logs(logs)
    experiment = _with_data(experiment, folder, data, resume=resume)
    source = records.load(record) if isinstance(record, (str, Path)) else record
    with contextlib.ExitStack() as held:
        with join(find_device(device)) as world:
            if world.size > 1:
                world.agree(flat(without_folders(to_json(experiment))) | {
                    "record": (source or records.load()).hash, "--resume": resume, "--control": control,
                    "version": run_folder.program_version()})
            _be_alone(folder, world, held)
            finished, control = _look(folder, experiment, source, resume=resume, control=control, world=world)
            if finished:
                return finished if world.leads else None
            options = {"resume": resume, "device": world.device, "world": world}
            started, cpu = time.perf_counter(), time.process_time()
            trainer = begin(experiment, folder, data=Path(data) if data else None, record=source, **options)
            begun_at, data = trainer.step, Path(data) if data else trainer.run.environment.get("data")
            fit(trainer, quiet, logs)
            timing = {"timed_steps": trainer.step - begun_at, "seconds": round(time.perf_counter() - started, 2),
                      "cpu_seconds": round(time.process_time() - cpu, 2), "processes": world.size}
            data = Path(data) if data else None
            if control:
                fit(begin(experiment.control(), folder / CONTROL, data=data, record=trainer.run.record, **options),
                    quiet)
        if not world.leads:
            return None
        try:
            return _result(trainer, data=data, control=control, timing=timing)
        except KeyboardInterrupt:
            print(f"stopped while the test split was evaluated; all {trainer.step} steps are kept in {folder}, go on "
                  "with --resume", file=sys.stderr)
            raise


def _be_alone(folder: Path, world: World, held: contextlib.ExitStack) -> None:
    """One training at a time in a folder, as long as `held` is; what one left half-written when killed is removed."""
    with world.together():
        if world.leads:
            run_folder.begun(folder)  # before anything is written there
            held.enter_context(locked(folder / LOCK, "training"))
            for each in (folder, folder / CONTROL):
                remove_leftovers(each)


def _with_data(experiment: Experiment, folder: Path, data: str | Path | None, *, resume: bool) -> Experiment:
    """What the data decide, from where they are, or were when the run that is to go on began."""
    if type(experiment.task).prepared is Task.prepared:
        return experiment
    if data is None and resume and run_folder.begun(folder):
        data = run_folder.read(folder).data
    return with_data(experiment, Path(data) if data else None)


def _look(folder: Path, experiment: Experiment, record: records.Record | None, *, resume: bool, control: bool,
          world: World) -> tuple[Result | bool, bool]:
    """The result of a run that is done already, and whether a control is to be trained; the same for all processes."""
    result = None
    with world.together("finished", "control") as told:
        if world.leads:
            result = _finished(folder, experiment, record, control=control) if resume else None
            told["finished"], told["control"] = bool(result), control or checkpoint.exists(folder / CONTROL)
    return result or bool(told["finished"]), bool(told["control"])


def _finished(folder: Path, experiment: Experiment, record: records.Record | None, *, control: bool) -> Result | None:
    """The result in `folder` if that run is done, with its control where asked for."""
    if not (folder / RESULT).exists() or (control and not checkpoint.exists(folder / CONTROL)):
        return None
    run = run_folder.read(folder, experiment)
    run_folder.check_record(run, record)
    if checkpoint.load(folder, run.configs, run.record.hash).fell_back:  # its last steps are done once more
        return None
    result = stored_result(run)
    if result.evaluation.step != run.experiment.train.steps or TESTED in run.changed:
        return None
    if run.changed:
        print(f"note: {folder} has done all its {result.evaluation.step} steps, and what is given for "
              f"{', '.join(run.changed)} changes nothing any more; give more train.steps to go on", file=sys.stderr)
    return result


def _result(trainer: Trainer, *, data: Path | None, control: bool, timing: dict) -> Result:
    """The trained model on the test split, with control rows, as the run's result file."""
    test, run, device = trainer.splits["test"], trainer.run, trainer.device
    most = run.experiment.train.test_samples
    rows = model_rows(trainer.model, test, device, most)
    if control:
        rows.append(control_row(run_folder.read(run.folder / CONTROL, run.experiment.control()), test, device, most))
    rows += control_rows(run.experiment.task, "test", run.experiment.model.segment_length, data=data)
    costs = {"parameters": sum(p.numel() for p in trainer.model.parameters()),
             "peak_bytes": peak_bytes(run.folder / METRICS), **timing,
             "metrics_hash": head(run.folder / METRICS), "config_hash": run.config,
             "commit": run.environment["commit"], "threads": torch.get_num_threads()}
    result = Result(run, evaluation_of(run, rows, split="test", step=trainer.step, device=device), costs)
    run_folder.write_result(run.folder, result.to_json())
    return result
