"""A curriculum: a training begins with another dial of its task, shorter sequences say, or shorter contours.

Written as `DIAL=VALUE:STEPS,VALUE:STEPS,...`: so many steps with each value in turn, all others with the task as it is.
Validation and test are of the task as it is.
"""

import dataclasses

from foundation.errors import UserError, unknown
from rmaat.tasks.task import Task
from rmaat.training.fields import fields_of, typed

SAME = ("vocab_size", "num_classes", "documents", "per_token", "causal")  # what the network is built for


@dataclasses.dataclass(frozen=True)
class Stage:
    """`steps` steps on the training samples of `task`; `name` says which dial is other than the task's own."""

    name: str
    task: Task
    steps: int

    @property
    def split(self) -> str:
        """The name of its samples among the splits of a run."""
        return f"train, {self.name}"


def stages(text: str, task: Task, *, steps: int, batch_size: int) -> tuple[Stage, ...]:
    """The stages that a curriculum has before the task itself; none for an empty text.

    Of `steps` steps with `batch_size` samples each, those of the curriculum are the first.

    Raises `UserError` for a text of another form, for a dial or value that the task has not, for one with which the
    task asks for another network, and where no step would be left.
    """
    if not text:
        return ()
    dial, equals, values = text.partition("=")
    dial = dial.strip().removeprefix("task.")
    kinds = fields_of(task)
    if not equals or not dial:
        raise _malformed(text)
    if dial not in kinds:
        raise unknown("dial of train.curriculum", dial, kinds)
    found = tuple(_stage(text, task, dial, typed(f"train.curriculum: {dial}", kinds[dial], value.strip()), count)
                  for value, count in _pairs(text, values))
    if (taken := sum(stage.steps for stage in found)) >= steps:
        raise UserError(f"train.curriculum = {text}: its {taken} steps leave none of train.steps = {steps} for the "
                        "task itself; give more train.steps, a shorter curriculum, or none: --set train.curriculum=")
    return tuple(dataclasses.replace(stage, task=stage.task.of_stage(stage.steps * batch_size)) for stage in found)


def _pairs(text: str, values: str) -> list[tuple[str, int]]:
    pairs = [(value, count.strip()) for value, _, count in (each.rpartition(":") for each in values.split(","))]
    if not all(value.strip() and count.isascii() and count.isdecimal() and int(count[:19]) for value, count in pairs):
        raise _malformed(text)
    return [(value, int(count[:19])) for value, count in pairs]


def _malformed(text: str) -> UserError:
    return UserError(f"train.curriculum = {text!r}: write DIAL=VALUE:STEPS,VALUE:STEPS, a dial of the task and for how "
                     "many steps it has which value, for example num_segments=2:100,4:100")


def _stage(text: str, task: Task, dial: str, value: object, count: int) -> Stage:
    name = f"{dial}={value}"
    try:
        other = dataclasses.replace(task, **{dial: value})
    except UserError as error:
        raise UserError(f"train.curriculum = {text}: {error}") from error
    if other == task:
        raise UserError(f"train.curriculum = {text}: with {name} the task is as it is anyway; leave it out")
    for each in SAME:
        if getattr(other, each) != getattr(task, each):
            raise UserError(f"train.curriculum = {text}: with {name} the task has {each} = {getattr(other, each)}, and "
                            f"{getattr(task, each)} otherwise, which is another network; take another dial")
    if other.max_length > task.max_length:
        raise UserError(f"train.curriculum = {text}: with {name} sequences have up to {other.max_length} tokens, the "
                        f"task's own {task.max_length}; a curriculum may shorten them, not lengthen")
    return Stage(name, other, count)
