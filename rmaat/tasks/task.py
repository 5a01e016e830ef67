"""What a task is: named splits whose batches are a pure function of their indices, so that resume is bit-exact."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from foundation.errors import UserError
from foundation.shapes import Int, Tensor

SPLITS = ("train", "validation", "test")
NOT_ASKED = -100  # in the place of a token's label: none is asked for there


class Batch(NamedTuple):
    """Padded token sequences; what stands beyond `lengths` is padding and must not matter.

    There are as many rows as samples or, where a task has two documents a sample, twice as many: the first documents
    of all samples, then the second ones.
    """

    tokens: Int[Tensor, "rows length"]  # int64, 0..vocab_size - 1
    lengths: Int[Tensor, "rows"]        # int64, 1..length
    labels: Int[Tensor, "batch *length"]  # int64, 0..num_classes - 1; [batch, length] where a task is per_token

    def to(self, device) -> "Batch":
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in self))


@runtime_checkable
class Split(Protocol):
    """One part of a task's data: samples by index. `rmaat.tasks.splits` has two that hold arrays."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> Batch:
        """The samples at `indices` (int64 [batch]), padded to the longest of them.

        A pure function: a sample is the same in every batch, in every process and at every call.
        """
        ...

    def all_labels(self) -> np.ndarray:
        """int64 [samples]."""
        ...

    # all_lengths() -> int64 [samples] may be there too: train.bucket_batches asks for it. held() -> (name, array), ...
    # goes through all that decides the samples, where they are not in the fields of a dataclass


def text_of(tokens: np.ndarray, *, first: int) -> str:
    """Bytes as a text, `first` being the token of byte 0; what is no UTF-8 becomes a replacement character."""
    return (tokens - first).astype(np.uint8).tobytes().decode("utf-8", "replace")


class Task(ABC):
    """What the network learns, as a frozen dataclass: its fields are the task's dials, `split` gives the data.

    One of your own derives from this class and says `vocab_size`, `num_classes`, `max_length` (as a field, a property
    or a constant) and `split`. Dials are numbers, texts, truth values, None, or tuples of these: a run's folder keeps
    them as JSON. What a sentence of a text, two documents or an image become is up to the task: a sequence of whole
    numbers, of any length up to `max_length`.
    """

    name: ClassVar[str] = ""        # the class's name in small letters, where a task gives none
    summary: ClassVar[str] = ""     # one line for a reader
    vocabulary: ClassVar[str] = ""  # what the numbers stand for
    source: ClassVar[str] = ""      # whose data or idea it is
    licence: ClassVar[str] = ""     # of the data
    per_token: ClassVar[bool] = False  # one label a token, or NOT_ASKED; all_labels gives those asked for, in a row
    causal: ClassVar[bool] = False  # the labels stand in the tokens that follow, which the network must not see
    documents: ClassVar[int] = 1    # sequences of a sample; 2: a pair to be compared
    pixels: ClassVar[bool] = False  # tokens are grey values in fixed places: a linear classifier is a fair control
    label_names: ClassVar[tuple[str, ...]] = ()  # what the labels 0, 1, ... are called; () for what numbers say
    opening: ClassVar[str] = ""  # what the first token is, where it alone tells much: it gets a control row

    kept: ClassVar[bool] = False    # all samples of a task that makes them are in memory at once

    vocab_size: int   # tokens are 0..vocab_size - 1
    num_classes: int  # labels are 0..num_classes - 1
    max_length: int   # tokens of the longest sample

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the shortest and of the longest sample that the task may give."""
        return 1, self.max_length

    def place(self, data: Path | None = None) -> Path | None:
        """Where the task's files are, `data` being what `split` takes; None for a task that makes its data.

        Raises `UserError` that says what is missing and how to get it.
        """
        return None

    def data_of_stage(self, data: Path | None) -> Path | None:
        """What `split` takes where the task is a stage of a curriculum, `data` being the run's; None to make its data.

        A release need not have the shorter samples with which a training begins.
        """
        return data

    def of_stage(self, samples: int) -> "Task":
        """The task as a stage of a curriculum whose steps take so many training samples; most tasks stay as they are.

        One whose samples cost much to make need not make more.
        """
        return self

    def prepared(self, data: Path | None) -> "Task":
        """The task with what only the data say, as the number of classes; most tasks know it, and are themselves."""
        return self

    def unlabelled(self, data: Path | Iterable) -> tuple[Split, list[str]]:
        """New samples without labels (0 stands there) of a file or a list, in its order, and where each stands in it.

        Raises `UserError`: most tasks have no samples but those of their splits.
        """
        raise UserError(f"task {self.name} reads no samples without labels; give one of its splits with --split")

    def called(self, label: int) -> str:
        """What a label is called: its name, else its number."""
        return str(self.label_names[label] if self.label_names else label)

    def readable(self, tokens: np.ndarray) -> str:
        """Tokens int64 [n] of a sample as a person reads them: the numbers, unless a task knows what they stand for."""
        return " ".join(map(str, tokens.tolist()))

    @abstractmethod
    def split(self, name: str, data: Path | None = None) -> Split:
        """A split by name: train, validation or test.

        `data` is the folder with the task's files; None means the default place, or generated data. Raises `UserError`
        for another name, and where the files are missing.
        """
