"""The loop: step after step, with metrics, progress, evaluations and checkpoints when they fall due."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from foundation.cli import Progress
from foundation.errors import ResourceError
from foundation.stopping import StopRequest
from rmaat.resources import measure, resource_errors
from rmaat.tasks.splits import first
from rmaat.training.answers import bits
from rmaat.training.evaluation import score
from rmaat.training.metrics import METRICS, Metrics
from rmaat.training.steps import Trainer


def fit(trainer: Trainer, quiet: bool = False, logs: Sequence[str] = ()) -> None:
    """Run the remaining steps with metrics, logs, progress and checkpoints, all of them by the process that leads.

    Raises `KeyboardInterrupt` after a checkpoint when asked to stop, `ResourceError` when memory or disk runs out.
    """
    config, run, world, peak = trainer.config, trainer.run, trainer.world, 0
    with (StopRequest() as stop, resource_errors(f"training {run.experiment.name}"), _still_there(run.folder),
          Progress(f"train {run.experiment.name}", config.steps, quiet=quiet or not world.leads) as progress,
          contextlib.ExitStack() as closing):
        metrics = Metrics(run.folder / METRICS, trainer.step, logs, of=run.configs[-1]) if world.leads else None
        if metrics:
            closing.callback(metrics.close)
        if trainer.kept is not None and not progress.quiet:
            print(f"keep_last = auto: {trainer.kept} of at most {run.experiment.model.num_segments} segments keep "
                  "their graph, what fits in half of the free memory; the others are replayed", file=sys.stderr)
        with world.together("stop") as told:
            told["stop"] = _evaluate(trainer, metrics, stop)  # what the run was stopped before
        stopping = told["stop"] > 0
        while trainer.step < config.steps and not stopping:
            started, values = time.perf_counter(), {}
            if world.leads and peak == 0:
                peak = measure(lambda values=values: values.update(trainer.advance(lambda: stop.asked)), trainer.device)
            else:
                values = trainer.advance(lambda: stop.asked)
            tokens, stopping = values.pop("tokens"), values.pop("stop") > 0
            speed = tokens / (time.perf_counter() - started)
            if metrics:
                metrics.write(step=trainer.step, **values, tokens_per_second=round(speed), peak_bytes=peak,
                              **metrics.totals.after(tokens))
                progress.update(trainer.step, f"loss {values['loss']:.3f} accuracy {values['accuracy']:.1%} "
                                              f"{speed:,.0f} tokens/s peak {peak / 1e6:.0f} MB")
            stopping = _evaluate_and_save(trainer, metrics, stop, stopping)
        if stopping:
            if world.leads:
                print(f"stopped after step {trainer.step} of {config.steps}; checkpoint in {run.folder}, "
                      "go on with --resume", file=sys.stderr)
            raise world.said_once(KeyboardInterrupt())


@contextlib.contextmanager
def _still_there(folder: Path) -> Iterator[None]:
    """Someone may move the folder away, or remove it, while a run writes into it."""
    try:
        yield
    except FileNotFoundError as error:
        if folder.exists():
            raise
        raise ResourceError(f"{folder} is no longer there: it was moved or removed while the run trained; go on from "
                            "its last checkpoint with --resume and the place where it is now") from error


def _evaluate_and_save(trainer: Trainer, metrics: Metrics | None, stop: StopRequest, stopping: bool) -> bool:
    """What falls due after a step, by the process that leads. Returns whether the run is to stop.

    An evaluation may take minutes. Where the run is asked to stop it is left out, or left, and the checkpoint saved
    without it; a run that goes on from there begins with it.
    """
    config, last = trainer.config, trainer.step == trainer.config.steps
    saves = last or stopping or trainer.step % config.checkpoint_every == 0
    if not saves and not _evaluates(trainer):
        return False
    with trainer.world.together("stop") as told:
        if metrics:
            stopping = stopping or _evaluate(trainer, metrics, stop)
            if saves or stopping:
                metrics.sync()  # first: a checkpoint is never ahead of its metrics
                trainer.save()
        told["stop"] = stopping
    return told["stop"] > 0


def _evaluates(trainer: Trainer) -> bool:
    """Whether the validation split follows the last step."""
    step, config = trainer.step, trainer.config
    return step > 0 and (step == config.steps or step % config.evaluate_every == 0)


def _evaluate(trainer: Trainer, metrics: Metrics | None, stop: StopRequest) -> bool:
    """Write a line for the validation split if it is due and not there. Returns whether a wish to stop came first."""
    if metrics is None or not _evaluates(trainer) or metrics.evaluated == trainer.step:
        return False
    split = trainer.splits["validation"]
    validation = score(trainer.model, split, trainer.device,
                       chosen=first(split, trainer.config.evaluate_samples), unless=lambda: stop.asked)
    if validation is None:
        return True
    told = {"validation_bits": bits(validation.loss)} if trainer.model.output.per_token else {}
    metrics.write(step=trainer.step, validation_loss=validation.loss, validation_accuracy=validation.accuracy, **told)
    return False
