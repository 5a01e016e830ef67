"""Training: one loop whose every step is a function of (config, record, step), so that resume is bit-exact.

Bit-exact holds on one machine and torch version at an equal number of threads; a note says when those differ. Under
torchrun each process takes its part of the same global batches; docs/distributed.md says what is equal then.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional

from derivation.record import record as records
from foundation.cli import Progress
from foundation.errors import DamagedFileError, UserError
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.resources import measure, resource_errors
from rmaat.tasks.controls import control_rows
from rmaat.tasks.task import Split, check_batch, training_indices
from rmaat.training import checkpoint, run_folder
from rmaat.training.distributed import ALONE, World, join
from rmaat.training.evaluation import CONTROL, control_row, find_device, model_rows, score
from rmaat.training.experiment import Experiment
from rmaat.training.run_folder import METRICS, RESULT, Metrics, Run, peak_bytes
from rmaat.training.stop_request import StopRequest


class Trainer:
    """Model, optimizer and step of one run; `advance` does one step, `save` and `restore` are exact inverses."""

    def __init__(self, run: Run, splits: dict[str, Split], device: torch.device, world: World = ALONE):
        self.run, self.splits, self.device, self.world = run, splits, device, world
        self.config, self.task, self.step = run.experiment.train, run.experiment.task, 0
        torch.manual_seed(self.config.seed)
        self.model = self.network = RMAAT(run.experiment.model, Biology.of(run.record)).to(device)
        decays = [p for p in self.model.parameters() if p.ndim > 1]  # neither biases nor the scales of the norms
        spared = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decays, "weight_decay": self.config.weight_decay}, {"params": spared, "weight_decay": 0.}],
            lr=self.config.learning_rate, betas=(self.config.beta1, self.config.beta2))

    def connect(self) -> "Trainer":
        """Train with the other processes, all of which must call this in the same state."""
        self.network = self.world.connect(self.model)
        return self

    def advance(self, asked: Callable[[], bool] = lambda: False) -> dict:
        """One optimizer step; returns loss, accuracy, gradient norm, learning rate and tokens of its global batch.

        `stop` among them says whether `asked()` was true on any process. Raises `UserError` when the loss is not
        finite.
        """
        rate = self.config.rate(self.step)
        torch.manual_seed(self.world.seed(self.config.seed, self.step))  # dropout's
        with (self.world.together("loss", "accuracy", "tokens", "stop") as told,
              resource_errors(f"training {self.run.experiment.name}")):
            loss, share, told["accuracy"], told["tokens"] = self._forward()
            told["loss"], told["stop"] = loss.item() * share, asked()
        self.optimizer.zero_grad()
        self.world.backward(loss, share)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip).item()
        if not math.isfinite(told["loss"] + norm):
            raise self.world.said_once(UserError(
                f"training diverged at step {self.step + 1}: loss {told['loss']}, gradient norm {norm}; lower "
                f"train.learning_rate ({self.config.learning_rate})"))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        return told | {"gradient_norm": norm, "learning_rate": rate, "tokens": round(told["tokens"])}

    def _forward(self) -> tuple[torch.Tensor, float, float, int]:
        """Mean loss of this process' part of the batch, its share of the samples, their correct share, its tokens."""
        indices = training_indices(len(self.splits["train"]), self.config.batch_size, self.config.seed, self.step)
        part, share = self.world.share(indices)
        batch = check_batch(self.splits["train"].batch(part), self.task)
        tokens, lengths, labels = batch.to(self.device)
        logits = self.network(tokens, lengths)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        correct = (logits.argmax(1) == labels).float().mean().item()
        return loss, share, correct * share, int(batch.lengths.sum()) * bool(share)

    def save(self) -> None:
        """Write a checkpoint of model and optimizer, with the hashes of experiment and record."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        checkpoint.save(self.run.folder, checkpoint.Checkpoint(self.step, tensors, self.run.experiment.hash,
                                                               self.run.record.hash))

    def restore(self) -> None:
        """Take the state from the run's checkpoint. Raises `DamagedFileError` when it is not whole."""
        saved = checkpoint.load(self.run.folder, self.run.experiment.hash, self.run.record.hash)
        checkpoint.fill(self.model, saved, self.run.folder)
        state: dict[int, dict] = {}
        for name, value in saved.tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                state.setdefault(int(number), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        if sum(len(group["params"]) for group in groups) != len(state):
            raise DamagedFileError(f"the checkpoint in {self.run.folder} lacks the optimizer's state")
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step = saved.step


def fit(trainer: Trainer, quiet: bool = False) -> None:
    """Run the remaining steps with metrics, progress and checkpoints, all of them by the process that leads.

    Raises `KeyboardInterrupt` after a checkpoint when asked to stop, `ResourceError` when memory or disk runs out.
    """
    config, run, world, peak = trainer.config, trainer.run, trainer.world, 0
    with (StopRequest() as stop, resource_errors(f"training {run.experiment.name}"),
          Progress(f"train {run.experiment.name}", config.steps, quiet=quiet or not world.leads) as progress):
        metrics = Metrics(run.folder / METRICS, trainer.step) if world.leads else None
        while trainer.step < config.steps:
            started, values = time.perf_counter(), {}
            if world.leads and peak == 0:
                peak = measure(lambda values=values: values.update(trainer.advance(lambda: stop.asked)), trainer.device)
            else:
                values = trainer.advance(lambda: stop.asked)
            speed, stopping = values.pop("tokens") / (time.perf_counter() - started), values.pop("stop") > 0
            if metrics:
                metrics.write(step=trainer.step, **values, tokens_per_second=round(speed), peak_bytes=peak)
                progress.update(trainer.step, f"loss {values['loss']:.3f} accuracy {values['accuracy']:.1%} "
                                              f"{speed:,.0f} tokens/s peak {peak / 1e6:.0f} MB")
            _evaluate_and_save(trainer, metrics, stopping)
            if stopping and trainer.step < config.steps:
                if world.leads:
                    print(f"stopped after step {trainer.step} of {config.steps}; checkpoint in {run.folder}, "
                          "go on with --resume", file=sys.stderr)
                raise world.said_once(KeyboardInterrupt())


def _evaluate_and_save(trainer: Trainer, metrics: Metrics | None, stopping: bool) -> None:
    """What falls due after a step; the other processes wait for the one that leads."""
    config, last = trainer.config, trainer.step == trainer.config.steps
    evaluates = last or trainer.step % config.evaluate_every == 0
    saves = last or stopping or trainer.step % config.checkpoint_every == 0
    if not evaluates and not saves:
        return
    with trainer.world.together():
        if metrics and evaluates:
            found = score(trainer.model, trainer.splits["validation"], trainer.task, trainer.device,
                          config.evaluate_samples)
            metrics.write(step=trainer.step, validation_loss=found.loss, validation_accuracy=found.accuracy)
        if metrics and saves:
            trainer.save()


def begin(experiment: Experiment, folder: Path, *, data: Path | None = None, record: records.Record | None = None,
          resume: bool = False, device: torch.device | None = None, world: World = ALONE) -> Trainer:
    """A trainer for a new run in `folder` or, with `resume`, for the one there; an empty folder begins anew.

    Raises `UserError` where `folder` holds a run and `resume` is false, or holds another run or something else.
    """
    given = (experiment, folder, data, record, device or torch.device("cpu"), world)
    with world.together("begun") as told:  # the process that leads goes first: it makes the folder, and caches of data
        if world.leads:
            told["begun"] = run_folder.begun(folder)
            if told["begun"] and not resume:
                raise UserError(f"{folder} holds a run already; add --resume to go on with it, or give another --out")
            trainer = _open(bool(told["begun"]), *given)
    with world.together():
        if not world.leads:
            trainer = _open(bool(told["begun"]), *given)
    return trainer.connect()


def _open(begun: bool, experiment: Experiment, folder: Path, data: Path | None, record: records.Record | None,
          device: torch.device, world: World) -> Trainer:
    """This process' trainer, at the run's last checkpoint where the run has begun."""
    if not begun:
        splits, source = run_folder.load_splits(None, experiment, data), record or records.load()
        if not world.leads:
            return Trainer(Run(folder, experiment, source, {}), splits, device, world)
        fingerprints = {name: run_folder.fingerprint(split) for name, split in splits.items()}
        environment = run_folder.environment(device, data, fingerprints) | {"processes": world.size}
        return Trainer(run_folder.create(folder, experiment, source, environment), splits, device, world)
    run = run_folder.read(folder)
    run_folder.check_same(run, experiment, record)
    if world.leads:
        _note_differences({"processes": 1} | run.environment, device, world)
    if data is None and run.environment["data"]:
        data = Path(run.environment["data"])
    trainer = Trainer(run, run_folder.load_splits(run.environment, experiment, data), device, world)
    if checkpoint.exists(folder):
        trainer.restore()
    return trainer


def _note_differences(began: dict, device: torch.device, world: World) -> None:
    now = {"threads": torch.get_num_threads(), "torch": torch.__version__, "device": device.type,
           "processes": world.size}
    for name, value in now.items():
        if began[name] != value:
            print(f"note: the run began with {name} {began[name]}, now {value}; the result may differ in the "
                  "last bits from an uninterrupted run", file=sys.stderr)


def _finished(folder: Path, experiment: Experiment, record: records.Record | None, control: bool) -> dict | None:
    """The result in `folder` if that run is done, with its control where asked for."""
    if not (folder / RESULT).exists() or (control and not checkpoint.exists(folder / CONTROL)):
        return None
    run = run_folder.read(folder)
    run_folder.check_same(run, experiment, record)
    checkpoint.load(folder, run.experiment.hash, run.record.hash)  # whole and unaltered
    return run_folder.read_result(folder)


def train(experiment: Experiment, out: str | Path, *, data: Path | None = None,
          record: str | Path | records.Record | None = None, resume: bool = False, device: str = "auto",
          control: bool = False, quiet: bool = False) -> dict | None:
    """Train `experiment` in the folder `out` and evaluate it on the test split, with control rows; returns the result.

    `record` is a file or a record; the committed one by default, or with `resume` the run's own. `control` also trains
    the same config with the memory reset, in `out/control`. Under torchrun all processes call this, and those that do
    not lead get None. Raises what `begin`, `fit` and the task raise; after any of them `out` holds its last
    checkpoint, and `resume` goes on from there.
    """
    folder, source = Path(out), records.load(record) if isinstance(record, (str, Path)) else record
    with join(find_device(device)) as world:
        with world.together("finished", "control") as told:
            finished = _finished(folder, experiment, source, control) if resume and world.leads else None
            told["finished"] = finished is not None
            told["control"] = world.leads and (control or checkpoint.exists(folder / CONTROL))
        if told["finished"]:
            return finished
        given = {"data": data, "record": source, "resume": resume, "device": world.device, "world": world}
        started, cpu = time.perf_counter(), time.process_time()
        trainer = begin(experiment, folder, **given)
        begun_at, stored = trainer.step, trainer.run.environment.get("data")
        given["data"] = data = data or (Path(stored) if stored else None)
        fit(trainer, quiet)
        timing = {"timed_steps": trainer.step - begun_at, "seconds": round(time.perf_counter() - started, 2),
                  "cpu_seconds": round(time.process_time() - cpu, 2), "processes": world.size}
        if told["control"]:
            fit(begin(experiment.control(), folder / CONTROL, **given | {"record": trainer.run.record}), quiet)
    return _result(trainer, data, bool(told["control"]), timing) if world.leads else None


def _result(trainer: Trainer, data: Path | None, control: bool, timing: dict) -> dict:
    """The trained model on the test split, with control rows, as the run's result file."""
    test, task, run, device = trainer.splits["test"], trainer.task, trainer.run, trainer.device
    rows = model_rows(trainer.model, test, task, device)
    if control:
        rows.append(control_row(run_folder.read(run.folder / CONTROL), test, device))
    rows += control_rows(task, "test", run.experiment.model.segment_length, data)
    result = {"config": run.experiment.name, "run": str(run.folder), "split": "test", "step": trainer.step,
              "steps": trainer.config.steps, "record": run.record.hash, "seed": trainer.config.seed,
              "device": device.type, "rows": [asdict(row) for row in rows],
              "parameters": sum(p.numel() for p in trainer.model.parameters()),
              "peak_bytes": peak_bytes(run.folder / METRICS), **timing,
              "commit": run.environment["commit"], "threads": torch.get_num_threads()}
    run_folder.write_result(run.folder, result)
    return result
