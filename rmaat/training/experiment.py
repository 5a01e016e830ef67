"""An experiment is one complete frozen config: task, model, training. Changing one, and its JSON, strictly checked."""

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foundation.errors import DamagedFileError, UserError, choose, unknown
from foundation.files import canonical_json, sha256_bytes
from rmaat.model.config import ModelConfig
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Task

FOLLOWS = ("vocab_size", "num_classes", "num_segments")  # fields of the model that the task and segment_length decide


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
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self):
        for names, low, high, what in (
                (("steps", "batch_size", "evaluate_every", "evaluate_samples", "checkpoint_every"), 1, 10**12,
                 "at least 1"),
                (("learning_rate", "clip"), 1e-12, 1e6, "above 0"),
                (("warmup", "weight_decay"), 0, 10**12, "at least 0"),
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
    """One complete config. `ablation` is `dataclasses.replace` on one of its parts."""

    name: str
    task: Task
    model: ModelConfig
    train: TrainConfig

    @property
    def hash(self) -> str:
        """SHA-256 of everything that decides a run."""
        return sha256_bytes(canonical_json(to_json(self)).encode())

    def control(self) -> "Experiment":
        """The same experiment with the memory reset at every segment."""
        return dataclasses.replace(self, name=f"{self.name}_reset",
                                   model=dataclasses.replace(self.model, retention="reset"))


def experiment(name: str, task: Task, train: TrainConfig, segment_length: int, **model) -> Experiment:
    """Puts the parts together; what the task decides about the model is filled in here."""
    sizes = ModelConfig(vocab_size=task.vocab_size, num_classes=task.num_classes, segment_length=segment_length,
                        num_segments=-(-task.max_length // max(1, segment_length)), **model)
    return Experiment(name, task, sizes, train)


# ---------------------------------------------------------------------------------------------- field=value


def change(base: Experiment, settings: Iterable[str]) -> Experiment:
    """`base` with settings such as `train.steps=100` or, where the name is in one part only, `width=64`.

    Raises `UserError` naming field, value and what is allowed.
    """
    changes: dict[str, dict] = {"task": {}, "model": {}, "train": {}}
    for setting in settings:
        field, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write field=value, for example train.steps=100")
        part, name = _find(base, field.strip())
        changes[part][name] = _typed(f"{part}.{name}", _fields(getattr(base, part))[name], text.strip())
    task = dataclasses.replace(base.task, **changes["task"])
    model = {name: getattr(base.model, name) for name in _fields(base.model) if name not in FOLLOWS}
    return experiment(base.name, task, dataclasses.replace(base.train, **changes["train"]), **model | changes["model"])


def _fields(part) -> dict[str, type]:
    """Names and types of a config's fields; `part` may be the class."""
    hints = typing.get_type_hints(part if isinstance(part, type) else type(part))
    return {field.name: hints[field.name] for field in dataclasses.fields(part)}


def _find(base: Experiment, field: str) -> tuple[str, str]:
    free = {part: [name for name in _fields(getattr(base, part)) if part != "model" or name not in FOLLOWS]
            for part in ("task", "model", "train")}
    part, _, name = field.rpartition(".")
    homes = [home for home, names in free.items() if name in names and part in ("", home)]
    if not homes and name in FOLLOWS and part in ("", "model"):
        raise UserError(f"model.{name} cannot be set: it follows from the task and model.segment_length")
    if len(homes) > 1:
        raise UserError(f"--set {field}: more than one part has it; write {' or '.join(f'{h}.{field}' for h in homes)}")
    if not homes:
        raise unknown("field", field, [f"{home}.{name}" if part else name for home in free for name in free[home]])
    return homes[0], name


def _typed(field: str, kind: type, text: str):
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        value = kind(text)
        if kind is float and not math.isfinite(value):
            raise ValueError
    except (ValueError, KeyError):
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
        raise UserError(f"{field} = {text!r}: give {wanted}") from None
    return value


# ---------------------------------------------------------------------------------------------- JSON


def to_json(value: Experiment) -> dict:
    """The experiment as JSON."""
    return {"name": value.name, "task": {"name": value.task.name} | dataclasses.asdict(value.task),
            "model": dataclasses.asdict(value.model), "train": dataclasses.asdict(value.train)}


def from_json(body, where: str) -> Experiment:
    """The experiment that `to_json` wrote. Raises `DamagedFileError` naming what is missing, unknown or mistyped."""
    _keys(body, ("name", "task", "model", "train"), where)
    if not isinstance(body["task"], Mapping) or not isinstance(body["task"].get("name"), str):
        raise DamagedFileError(f"{where}: task.name is missing")
    try:
        task = choose("task", body["task"]["name"], TASKS)
        options = {name: value for name, value in body["task"].items() if name != "name"}
        return Experiment(str(body["name"]), _build(task, options, f"{where}: task"),
                          _build(ModelConfig, body["model"], f"{where}: model"),
                          _build(TrainConfig, body["train"], f"{where}: train"))
    except DamagedFileError:
        raise
    except UserError as error:
        raise DamagedFileError(f"{where}: {error}") from error


def _keys(body, names: Iterable[str], where: str) -> None:
    if not isinstance(body, Mapping):
        raise DamagedFileError(f"{where}: expected an object, found {type(body).__name__}")
    if wrong := sorted(set(names) ^ set(body)):
        raise DamagedFileError(f"{where}: {wrong[0]!r} is {'unknown' if wrong[0] in body else 'missing'}; "
                               f"known are {', '.join(names)}")


def _build(kind: type, body, where: str):
    fields = _fields(kind)
    _keys(body, fields, where)
    for name, value in body.items():
        if type(value) is not fields[name] and not (fields[name] is float and type(value) is int):
            raise DamagedFileError(f"{where}.{name}: expected {fields[name].__name__}, found {value!r}")
    return kind(**body)
