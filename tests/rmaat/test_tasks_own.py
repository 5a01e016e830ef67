"""A task of a user's own: what it must say, and what its data is looked at for, once."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch

from foundation.errors import UserError
from rmaat.tasks.checks import check_data, check_task
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Batch, Task


class Samples:
    """Five samples of lengths 1 to 5, whose tokens are their index."""

    def __init__(self, **spoilt):
        self.spoilt = spoilt

    def __len__(self):
        return 5

    def all_labels(self):
        return self.spoilt.get("labels", np.arange(5) % 2)

    def batch(self, indices):
        lengths = torch.from_numpy(indices + 1)
        tokens = torch.from_numpy(indices)[:, None].expand(-1, int(lengths.max()))
        batch = Batch(tokens, lengths, torch.from_numpy(indices % 2))
        return self.spoilt.get("change", lambda batch: batch)(batch)


@dataclasses.dataclass(frozen=True)
class Indices(Task):
    vocab_size: ClassVar[int] = 5
    num_classes: ClassVar[int] = 2
    max_length: ClassVar[int] = 5
    words: tuple = ("a", 1, None)

    def split(self, name, data=None):
        return Samples()


def test_a_task_of_ones_own_says_little():
    task = check_task(Indices())
    assert (task.name, task.lengths, task.pixels) == ("indices", (1, 5), False)
    assert check_data(task.split("test"), "test", task)


@dataclasses.dataclass(frozen=True)
class Named(Indices):
    name: str = "mine"


@pytest.mark.parametrize(("task", "says"), [
    (object(), "of type object; give an object of a class that derives from"),
    (type("Bare", (Indices,), {"num_classes": 0})(), "num_classes is 0; give a whole number of at least 1"),
    (type("Bare", (Indices,), {"max_length": None})(), "max_length is None"),
    (Indices(words=([1],)), r"task.words = \(\[1\],\) of task indices: a dial is a number"),
    (Named(), "task.name = 'mine'"),
])
def test_what_is_missing_is_said(task, says):
    with pytest.raises(UserError, match=says):
        check_task(task)


def test_a_class_that_is_no_frozen_dataclass_is_refused():
    @dataclasses.dataclass
    class Loose(Task):
        vocab_size: int = 2
        num_classes: int = 2
        max_length: int = 2

        def split(self, name, data=None):
            return Samples()

    with pytest.raises(UserError, match=r"Loose is not a frozen dataclass; write @dataclass\(frozen=True\)"):
        check_task(Loose())


def token(value):
    def change(batch):
        tokens = batch.tokens.clone()
        tokens[(batch.lengths == 4).nonzero()[:, 0], 2] = value
        return batch._replace(tokens=tokens)

    return change


DRAWN = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("spoilt", "says"), [
    ({"labels": np.array([0, 1, 2, 1, 0])}, r"sample 2: label 2 is not in 0\.\.1"),
    ({"labels": np.array([0, 1, 0])}, r"all_labels gives int64 of shape \(3,\)"),
    ({"labels": np.zeros(5, dtype=np.int32)}, r"all_labels gives int32 .*; give int64 of shape \(5,\)"),
    ({"labels": np.zeros(5, dtype=np.int64)}, "the labels of batch are not those of all_labels"),
    ({"change": token(5)}, r"test split: sample 3, place 2: token 5 is not in 0\.\.4"),
    ({"change": token(-1)}, "token -1"),
    ({"change": lambda batch: batch._replace(lengths=batch.lengths + 1)}, r"sample 4: length 6 is not in 1\.\.5"),
    ({"change": lambda batch: batch._replace(tokens=batch.tokens.int())}, "torch.int32.*; give int64"),
    ({"change": lambda batch: batch._replace(labels=batch.labels[:, None])}, r"give \[batch, length\], \[batch\]"),
    ({"change": lambda batch: batch._replace(tokens=torch.randint(5, batch.tokens.shape, generator=DRAWN))},
     "differs from call to call or from batch to batch"),
])
def test_what_is_wrong_with_the_data_is_named(spoilt, says):
    with pytest.raises(UserError, match=says):
        check_data(Samples(**spoilt), "test", Indices())


def test_padding_is_not_looked_at():
    def padded(batch):
        beyond = torch.arange(batch.tokens.shape[1]) >= batch.lengths[:, None]
        return batch._replace(tokens=batch.tokens.masked_fill(beyond, 900))

    check_data(Samples(change=padded), "test", Indices())


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_here_say_lengths_vocabulary_source_and_licence(name):
    task = check_task(TASKS[name]())
    shortest, longest = task.lengths
    assert 1 <= shortest <= longest <= task.max_length
    assert all((task.summary, task.vocabulary, task.source, task.licence)) and task.name == name


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_dial_that_is_not_of_its_type_is_refused_by_every_task(name):
    kind = TASKS[name]
    plain = {field.name: getattr(kind(), field.name) for field in dataclasses.fields(kind)}
    for field, value in plain.items():
        if type(value) in (int, float, bool):
            for wrong in ("three", None, [2]):
                task = kind()  # not by kind(...), whose types the tests check before the task does
                object.__setattr__(task, field, wrong)
                with pytest.raises(UserError, match=rf"task\.{field} = .* of task {name}: give "):
                    task.__post_init__()
