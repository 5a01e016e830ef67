"""An experiment is one complete frozen config: task, model, training. Its JSON is what a run's folder keeps of it."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UserError
from foundation.files import canonical_json, sha256_bytes
from foundation.outside import is_outside
from foundation.reference import fingerprints, reference
from rmaat.model.config import ModelConfig, with_retention
from rmaat.model.mixing import MIXING
from rmaat.tasks.checks import check_task
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Task
from rmaat.training.curriculum import Stage, stages

FOLLOWS = ("vocab_size", "num_classes", "num_segments", "documents")  # what task and segment_length decide of the model

LATER = ("curriculum",)  # fields of `train` that older runs do not have: written where they say something


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: AdamW, linear warm-up, cosine decay, clipped gradients, cross entropy.

    Steps count batches. Raises `UserError` that names the field, the value and what is allowed.
    """

    steps: int = 1_000
    batch_size: int = 64
    learning_rate: float = 2e-3
    final_rate: float = .05  # of learning_rate, reached at the last step
    warmup: int = 20
    weight_decay: float = .01
    beta1: float = .9
    beta2: float = .98
    clip: float = 1.0
    label_smoothing: float = 0.0
    evaluate_every: int = 100
    evaluate_samples: int = 1_000  # of the validation split
    test_samples: int = 0  # of the test split, spread over all of it; 0: all
    checkpoint_every: int = 100
    bucket_batches: int = 1  # batches that share their samples out by length, so that each holds like ones
    curriculum: str = ""  # DIAL=VALUE:STEPS,...: the first steps are on a task with another dial
    seed: int = 0

    def __post_init__(self):
        for names, low, high, what in (
                (("steps", "batch_size", "evaluate_every", "evaluate_samples", "checkpoint_every",
                  "bucket_batches"), 1, 10**12, "at least 1"),
                (("learning_rate", "clip"), 1e-12, 1e6, "above 0"),
                (("warmup", "weight_decay", "test_samples"), 0, 10**12, "at least 0"),
                (("seed",), 0, 2**32 - 1, f"in 0..{2**32 - 1}"),
                (("final_rate",), 0, 1, "in 0..1"),
                (("beta1", "beta2", "label_smoothing"), 0, 1 - 1e-9, "at least 0 and below 1")):
            for name in names:
                value = getattr(self, name)
                if not low <= value <= high:
                    top = f" and at most {high:,.0f}" if value > high > 1 and ".." not in what else ""
                    raise UserError(f"train.{name} = {value}: must be {what}{top}")

    def rate(self, step: int) -> float:
        """Learning rate of `step` (from 0): a pure function, so a resumed run needs no scheduler state."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class Experiment:
    """One complete config. An ablation is `dataclasses.replace` on one of its parts.

    Task, attention and retention may be of a user's own. Raises `UserError` for a task that is not what `Task` asks
    for, and for a network that gives no logits of a sample.
    """

    name: str
    task: Task
    model: ModelConfig
    train: TrainConfig

    def __post_init__(self):
        check_task(self.task)
        if self.task.per_token != (self.model.output == "tokens") and self.task.per_token:
            raise UserError(f"model.output = {self.model.output}: task {self.task.name} has one label a token; give "
                            "model.output=tokens")
        if self.task.causal and not self.model.causal:
            raise UserError(f"model.causal = {self.model.causal}: the labels of task {self.task.name} stand in the "
                            "tokens that follow, which the network would see; give model.causal=true")
        lengths = {each.max_length for each in (self.task, *(stage.task for stage in self.curriculum))}
        if "row_length" in MIXING[self.model.mixing].reads and (not self.task.pixels or len(lengths) > 1):
            raise UserError(f"model.mixing = {self.model.mixing}: it reads images of one size, and task "
                            f"{self.task.name} " + ("has images of several in train.curriculum" if self.task.pixels
                                                    else "has none (pixels = False)") + "; choose another mixing")
        if self.model.output != "classes" and not self.task.per_token:
            raise UserError(f"model.output = {self.model.output}: a task has one label a sample, so train with "
                            "output = classes; put another head on the network in a loop of your own")

    @property
    def curriculum(self) -> tuple[Stage, ...]:
        """What the training begins with, before the task itself."""
        return stages(self.train.curriculum, self.task, steps=self.train.steps, batch_size=self.train.batch_size)

    @property
    def hash(self) -> str:
        """SHA-256 of everything that decides a run, the files of a user's own among it."""
        return hash_of(to_json(self))

    def control(self) -> "Experiment":
        """The same experiment with the memory reset at every segment."""
        return dataclasses.replace(self, name=f"{self.name}_reset",
                                   model=with_retention(self.model, "reset"))


def experiment(name: str, task: Task, train: TrainConfig, *, segment_length: int, **model) -> Experiment:
    """Puts the parts together; what the task decides about the model is filled in here."""
    check_task(task)
    model = {"output": "tokens" if task.per_token else "classes", "causal": task.causal} | model
    sizes = ModelConfig(vocab_size=task.vocab_size, num_classes=task.num_classes, segment_length=segment_length,
                        documents=task.documents,
                        num_segments=-(-task.max_length // max(1, segment_length)), **model)
    return Experiment(name, task, sizes, train)


def to_json(value: Experiment) -> dict:
    """The experiment as JSON: what is of a user's own by its reference, with the SHA-256 of the files behind it."""
    model, task = ({name: _plain(field) for name, field in dataclasses.asdict(part).items()}
                   for part in (value.model, value.task))
    task = {"name": task_name(value.task)} | task
    files: dict[str, str] = {}
    for text in (task["name"], *model.values()):
        if isinstance(text, str) and is_outside(text):
            files |= fingerprints(text)
    train = {name: field for name, field in dataclasses.asdict(value.train).items() if field or name not in LATER}
    return {"name": value.name, "task": task, "model": model, "train": train, "files": files}


def hash_of(body: dict) -> str:
    """SHA-256 of an experiment's JSON; in which folder the files of a user's own lie decides nothing."""
    return sha256_bytes(canonical_json(without_folders(body)).encode())


def without_folders(body: dict) -> dict:
    """An experiment's JSON with the names of the user's files alone, as it is compared."""
    text = json.dumps(body)
    for file in body["files"]:
        text = text.replace(json.dumps(file)[1:-1], Path(file).name)
    return json.loads(text)


def task_name(task: Task) -> str:
    """The task's name among `TASKS`, or the reference of a class of a user's own."""
    return task.name if TASKS.get(task.name) is type(task) else reference(type(task))


def _plain(value):
    """As JSON has it: a class becomes its reference, a tuple a list."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return reference(value) if isinstance(value, (str, type)) else value
