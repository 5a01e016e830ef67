"""One step of training: every step is a function of (config, record, step), so that resume is bit-exact.

Bit-exact holds on one machine and torch version at an equal number of threads; a note says when those differ. Under
torchrun each process takes its part of the same global batches; docs/distributed.md says what is equal then.
"""

import math
from collections.abc import Callable
from itertools import accumulate

import numpy as np
import torch

from foundation.errors import DamagedFileError, UserError
from rmaat.biology.biology import Biology
from rmaat.gradient.budget import Plan
from rmaat.model.config import AUTO
from rmaat.model.network import build
from rmaat.resources import resource_errors
from rmaat.tasks.splits import all_lengths, training_indices
from rmaat.tasks.task import Split
from rmaat.training import checkpoint, diverged
from rmaat.training.answers import mean_answers
from rmaat.training.distributed import ALONE, World
from rmaat.training.run_folder import Run


class Trainer:
    """Model, optimizer and step of one run; `advance` does one step, `save` and `restore` are exact inverses."""

    def __init__(self, run: Run, splits: dict[str, Split], device: torch.device, *, world: World = ALONE):
        self.run, self.splits, self.device, self.world = run, splits, device, world
        self.config, self.step = run.experiment.train, 0
        self.stages = run.experiment.curriculum
        self.lengths = {}
        if self.config.bucket_batches > 1:
            self.lengths = {name: all_lengths(splits[name]) for name in ("train", *(one.split for one in self.stages))}
        self.kept: int | None = None  # segments that keep their graph, as keep_last = auto has chosen
        torch.manual_seed(self.config.seed)
        self.model = self.network = build(run.experiment.model, Biology.of(run.record)).to(device)
        decays = [p for p in self.model.parameters() if p.ndim > 1]  # neither biases nor the scales of the norms
        spared = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decays, "weight_decay": self.config.weight_decay}, {"params": spared, "weight_decay": 0.}],
            lr=self.config.learning_rate, betas=(self.config.beta1, self.config.beta2))

    def samples(self) -> tuple[Split, np.ndarray]:
        """The split that the next step learns from, and the indices of its global batch."""
        config, before = self.config, accumulate(stage.steps for stage in self.stages)
        name = next((stage.split for stage, end in zip(self.stages, before, strict=True) if self.step < end), "train")
        split = self.splits[name]
        return split, training_indices(len(split), config.batch_size, config.seed, step=self.step,
                                       lengths=self.lengths.get(name), together=config.bucket_batches)

    def plan(self) -> Plan | None:
        """What `model.keep_last = auto` decides for this run; None where the config has another value.

        It is asked for the largest batch of this process, its lengths spread evenly over those of the task.
        """
        experiment = self.run.experiment
        model = experiment.model
        if model.network != "rmaat" or model.gradient != "amrb" or model.keep_last != AUTO or model.budget_bytes:
            return None
        shortest, longest = experiment.task.lengths
        samples = -(-min(self.config.batch_size, len(self.splits["train"])) // self.world.size)
        lengths = torch.linspace(longest, shortest, samples * experiment.model.documents).round().long()
        with resource_errors(f"training {experiment.name}"):
            return self.model.plan(lengths.clamp(shortest, longest))

    def keep(self, keep_last: int) -> None:
        """Take what was chosen for `keep_last = auto`, by whichever process."""
        self.kept = keep_last
        self.model.keep(keep_last)

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
            raise self.world.said_once(self._diverged(told["loss"], norm))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        return told | {"gradient_norm": norm, "learning_rate": rate, "tokens": round(told["tokens"])}

    def _forward(self) -> tuple[torch.Tensor, float, float, int]:
        """Mean loss of this process' part of the batch, its share of the samples, their correct share, its tokens."""
        split, indices = self.samples()
        part, share = self.world.share(indices)
        batch = split.batch(part)
        tokens, lengths, labels = batch.to(self.device)
        logits = self.network(tokens, lengths)
        loss, correct = mean_answers(logits, labels, label_smoothing=self.config.label_smoothing)
        return loss, share, correct * share, int(batch.lengths.sum()) * bool(share)

    def _diverged(self, loss: float, norm: float) -> UserError:
        """Keep what made the step, and say what to do."""
        try:
            kept = diverged.keep(self, loss, norm) if self.world.leads else ""
        except UserError as error:
            kept = f"no file: {error}"
        return UserError(f"training diverged at step {self.step + 1}: loss {loss}, gradient norm {norm}; lower "
                         f"train.learning_rate ({self.config.learning_rate}), with --resume from the last checkpoint "
                         f"on. The batch, the seeds and the weights before the step are in {kept}")

    def save(self) -> None:
        """Write a checkpoint of model and optimizer, with the hashes of experiment and record."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        checkpoint.save(self.run.folder, checkpoint.Checkpoint(self.step, tensors, self.run.config,
                                                               self.run.record.hash))

    def restore(self) -> None:
        """Take the state from the run's checkpoint. Raises `DamagedFileError` when it is not whole."""
        saved = checkpoint.load(self.run.folder, self.run.configs, self.run.record.hash)
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
        if saved.fell_back and self.world.leads:
            checkpoint.take_the_one_before(self.run.folder)
