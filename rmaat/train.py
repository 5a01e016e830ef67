"""Training: one loop whose every step is a function of (config, record, step), so that resume is bit-exact.

Bit-exact holds on one machine and torch version at an equal number of threads; a note says when those differ.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional

from derivation import record as records
from foundation.cli import Progress
from foundation.errors import DamagedFileError, UserError
from foundation.files import write_text
from rmaat import checkpoint, run_folder
from rmaat.benchmark import measure
from rmaat.biology import Biology
from rmaat.evaluate import CONTROL, control_row, find_device, model_rows, score
from rmaat.experiment import Experiment
from rmaat.interruptions import StopRequest, resources
from rmaat.model import RMAAT
from rmaat.run_folder import METRICS, RESULT, Metrics, Run, peak_bytes
from rmaat.tasks.linear import control_rows
from rmaat.tasks.task import Split, check_batch, training_indices


class Trainer:
    """Model, optimizer and step of one run; `advance` does one step, `save` and `restore` are exact inverses."""

    def __init__(self, run: Run, splits: dict[str, Split], device: torch.device):
        self.run, self.splits, self.device = run, splits, device
        self.config, self.task, self.step = run.experiment.train, run.experiment.task, 0
        torch.manual_seed(self.config.seed)
        self.model = RMAAT(run.experiment.model, Biology.of(run.record)).to(device)
        decays = [p for p in self.model.parameters() if p.ndim > 1]  # neither biases nor the scales of the norms
        spared = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decays, "weight_decay": self.config.weight_decay}, {"params": spared, "weight_decay": 0.}],
            lr=self.config.learning_rate, betas=(self.config.beta1, self.config.beta2))

    def advance(self) -> dict:
        """One optimizer step; returns loss, accuracy, gradient norm, learning rate and tokens of its batch.

        Raises `UserError` when the loss is not finite.
        """
        indices = training_indices(len(self.splits["train"]), self.config.batch_size, self.config.seed, self.step)
        batch = check_batch(self.splits["train"].batch(indices), self.task)
        tokens, lengths, labels = batch.to(self.device)
        logits = self.model(tokens, lengths)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if not torch.isfinite(loss + norm):
            raise UserError(f"training diverged at step {self.step + 1}: loss {loss.item()}, gradient norm "
                            f"{norm.item()}; lower train.learning_rate ({self.config.learning_rate})")
        rate = self.config.rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item(),
                "gradient_norm": norm.item(), "learning_rate": rate, "tokens": int(batch.lengths.sum())}

    def save(self) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
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
        if sum(len(group["params"]) for group in groups) != len(state) or "random.cpu" not in saved.tensors:
            raise DamagedFileError(f"the checkpoint in {self.run.folder} lacks the optimizer's or the random state")
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        torch.set_rng_state(saved.tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in saved.tensors:
            torch.cuda.set_rng_state(saved.tensors["random.cuda"], self.device)
        self.step = saved.step


def fit(trainer: Trainer, quiet: bool = False) -> None:
    """Run the remaining steps with metrics, progress and checkpoints.

    Raises `KeyboardInterrupt` after a checkpoint when asked to stop, `ResourceError` when memory or disk runs out.
    """
    config, run, peak = trainer.config, trainer.run, 0
    metrics = Metrics(run.folder / METRICS, trainer.step)
    with (StopRequest() as stop, resources(f"training {run.experiment.name}"),
          Progress(f"train {run.experiment.name}", config.steps, quiet=quiet) as progress):
        while trainer.step < config.steps:
            started, values = time.perf_counter(), {}
            if peak == 0:
                peak = measure(lambda values=values: values.update(trainer.advance()), trainer.device)
            else:
                values = trainer.advance()
            speed = values.pop("tokens") / (time.perf_counter() - started)
            metrics.write(step=trainer.step, **values, tokens_per_second=round(speed), peak_bytes=peak)
            progress.update(trainer.step, f"loss {values['loss']:.3f} accuracy {values['accuracy']:.1%} "
                                          f"{speed:,.0f} tokens/s peak {peak / 1e6:.0f} MB")
            last = trainer.step == config.steps
            if last or trainer.step % config.evaluate_every == 0:
                found = score(trainer.model, trainer.splits["validation"], trainer.task, trainer.device,
                              config.evaluate_samples)
                metrics.write(step=trainer.step, validation_loss=found.loss, validation_accuracy=found.accuracy)
            if last or stop.asked or trainer.step % config.checkpoint_every == 0:
                trainer.save()
            if stop.asked and not last:
                print(f"stopped after step {trainer.step} of {config.steps}; checkpoint in {run.folder}, "
                      "go on with --resume", file=sys.stderr)
                raise KeyboardInterrupt


def begin(experiment: Experiment, folder: Path, *, data: Path | None = None, record: records.Record | None = None,
          resume: bool = False, device: torch.device | None = None) -> Trainer:
    """A trainer for a new run in `folder` or, with `resume`, for the one there; an empty folder begins anew.

    Raises `UserError` where `folder` holds a run and `resume` is false, or holds another run or something else.
    """
    device = device or torch.device("cpu")
    if not run_folder.begun(folder):
        splits = run_folder.load_splits(None, experiment, data)
        fingerprints = {name: run_folder.fingerprint(split) for name, split in splits.items()}
        environment = run_folder.environment(device, data, fingerprints)
        run = run_folder.create(folder, experiment, record or records.load(), environment)
        return Trainer(run, splits, device)
    if not resume:
        raise UserError(f"{folder} holds a run already; add --resume to go on with it, or give another --out")
    run = run_folder.read(folder)
    run_folder.check_same(run, experiment, record)
    for name, now in (("threads", torch.get_num_threads()), ("torch", torch.__version__), ("device", device.type)):
        if run.environment[name] != now:
            print(f"note: the run began with {name} {run.environment[name]}, now {now}; the result may differ in the "
                  "last bits from an uninterrupted run", file=sys.stderr)
    if data is None and run.environment["data"]:
        data = Path(run.environment["data"])
    trainer = Trainer(run, run_folder.load_splits(run.environment, experiment, data), device)
    if checkpoint.exists(folder):
        trainer.restore()
    return trainer


def _finished(folder: Path, experiment: Experiment, record: str | Path | None, control: bool) -> dict | None:
    """The result in `folder` if that run is done, with its control where asked for."""
    if not (folder / RESULT).exists() or (control and not checkpoint.exists(folder / CONTROL)):
        return None
    run = run_folder.read(folder)
    run_folder.check_same(run, experiment, None if record is None else records.load(record))
    checkpoint.load(folder, run.experiment.hash, run.record.hash)  # whole and unaltered
    return run_folder.read_json(folder / RESULT)


def train(experiment: Experiment, out: str | Path, *, data: Path | None = None, record: str | Path | None = None,
          resume: bool = False, device: str = "auto", control: bool = False, quiet: bool = False) -> dict:
    """Train `experiment` in the folder `out` and evaluate it on the test split, with control rows; returns the result.

    `control` also trains the same config with the memory reset, in `out/control`. Raises what `begin`, `fit` and the
    task raise; after any of them `out` holds its last checkpoint, and `resume` goes on from there.
    """
    target, folder = find_device(device), Path(out)
    if resume and (finished := _finished(folder, experiment, record, control)):
        return finished
    source = None if record is None else records.load(record)
    started, cpu = time.perf_counter(), time.process_time()
    trainer = begin(experiment, folder, data=data, record=source, resume=resume, device=target)
    begun_at = trainer.step
    fit(trainer, quiet)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    test, task, run = trainer.splits["test"], experiment.task, trainer.run
    rows = model_rows(trainer.model, test, task, target)
    if control or checkpoint.exists(folder / CONTROL):
        other = begin(experiment.control(), folder / CONTROL, data=data, record=run.record, resume=resume,
                      device=target)
        fit(other, quiet)
        rows.append(control_row(other.run, test, target))
    rows += control_rows(task, "test", experiment.model.segment_length, data)
    result = {"config": experiment.name, "run": str(folder), "split": "test", "step": trainer.step,
              "steps": trainer.config.steps, "record": run.record.hash, "seed": trainer.config.seed,
              "device": target.type, "rows": [asdict(row) for row in rows],
              "parameters": sum(p.numel() for p in trainer.model.parameters()),
              "peak_bytes": peak_bytes(folder / METRICS),
              "timed_steps": trainer.step - begun_at, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
              "commit": run.environment["commit"], "threads": torch.get_num_threads()}
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    return result
