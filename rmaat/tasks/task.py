"""What a task is: named splits whose batches are a pure function of their indices, so that resume is bit-exact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from foundation.errors import UserError, unknown

SPLITS = ("train", "validation", "test")


class Batch(NamedTuple):
    """Padded token sequences; what stands beyond `lengths` is padding and must not matter."""

    tokens: torch.Tensor   # int64 [batch, length]
    lengths: torch.Tensor  # int64 [batch], 1..length
    labels: torch.Tensor   # int64 [batch]

    def to(self, device) -> "Batch":
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in self))


@runtime_checkable
class Split(Protocol):
    """One part of a task's data: samples by index."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> Batch:
        """The samples at `indices` (int64 [batch]), padded to the longest of them."""
        ...

    def all_labels(self) -> np.ndarray:
        """int64 [samples]."""
        ...


@runtime_checkable
class Task(Protocol):
    """A frozen dataclass: its fields are the task's dials, and `split` gives the data.

    `data` is the folder with the task's files; None means the default place, or generated data.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    pixels: ClassVar[bool]  # tokens are grey values in fixed places, so a linear classifier on them is a fair control
    vocab_size: int
    num_classes: int
    max_length: int

    def split(self, name: str, data: Path | None = None) -> Split:
        """A split by name ("train", "validation", "test"), read from `data` where the task has files."""


@dataclass(frozen=True)
class ArraySplit:
    """Samples of one length held as small integers: tokens uint8 [samples, length], labels int64 [samples]."""

    tokens: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, all of one length."""
        tokens = torch.from_numpy(self.tokens[indices].astype(np.int64))
        return Batch(tokens, torch.full((len(indices),), tokens.shape[1]), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels


@dataclass(frozen=True)
class RaggedSplit:
    """Samples of different lengths, end to end: sample i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray   # uint8 [sum of lengths]
    offsets: np.ndarray  # int64 [samples + 1]
    labels: np.ndarray   # int64 [samples]

    @classmethod
    def join(cls, sequences: Sequence[bytes], labels: Sequence[int]) -> "RaggedSplit":
        """A split of byte sequences of any length."""
        offsets = np.cumsum([0] + [len(sequence) for sequence in sequences], dtype=np.int64)
        tokens = np.frombuffer(b"".join(sequences), dtype=np.uint8)
        return cls(tokens, offsets, np.asarray(labels, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> np.ndarray:
        """Tokens of one sample, uint8 [length]."""
        return self.tokens[self.offsets[index]:self.offsets[index + 1]]

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, padded with 0 to the longest of them."""
        lengths = (self.offsets[1:] - self.offsets[:-1])[indices]
        tokens = np.zeros((len(indices), lengths.max()), dtype=np.int64)
        for row, index in enumerate(indices.tolist()):
            tokens[row, :lengths[row]] = self.sample(index)
        return Batch(torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels


def training_indices(samples: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Indices of the batch of `step` (from 0): every epoch a new order, its last batch as long as what is left.

    A pure function of its arguments: a resumed run sees what the uninterrupted one would have seen.
    """
    epoch, batch = divmod(step, -(-samples // batch_size))
    return _order(samples, seed, epoch)[batch * batch_size:(batch + 1) * batch_size]


@lru_cache(maxsize=2)
def _order(samples: int, seed: int, epoch: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(samples, generator=generator).numpy()


def evaluation_batches(split: Split, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
    """All samples (or the first `limit`) once, in order; the last batch may be smaller."""
    samples = len(split) if limit is None else min(limit, len(split))
    for start in range(0, samples, batch_size):
        yield split.batch(np.arange(start, min(start + batch_size, samples)))


def check_batch(batch: Batch, task: Task) -> Batch:
    """The batch itself, if its tokens, labels and lengths are the task's.

    Raises `UserError` naming the sample, the value and what is allowed.
    """
    inside = torch.arange(batch.tokens.shape[1]) < batch.lengths[:, None]
    for kind, values, bad, top in (
            ("token", batch.tokens, inside & ((batch.tokens < 0) | (batch.tokens >= task.vocab_size)), task.vocab_size),
            ("label", batch.labels, (batch.labels < 0) | (batch.labels >= task.num_classes), task.num_classes),
            ("length", batch.lengths, (batch.lengths < 1) | (batch.lengths > task.max_length), task.max_length + 1)):
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            where = f"sample {place[0]} of the batch" + (f", place {place[1]}" if len(place) > 1 else "")
            raise UserError(f"task {task.name}: {where}: {kind} {values[place].item()} is not in "
                            f"{1 if kind == 'length' else 0}..{top - 1}; correct the data")
    return batch


def check_split(name: str) -> str:
    """The name. Raises `UserError` for an unknown one."""
    if name not in SPLITS:
        raise unknown("split", name, SPLITS)
    return name


def check_positive(task: Task, **values: int) -> None:
    """Raises `UserError` for the first dial that is not a positive whole number."""
    for field, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"task.{field} = {value!r} of task {task.name}: give a whole number of at least 1")


def check_seed(task) -> None:
    """Raises `UserError` for a seed that is no whole number in 0..2**32 - 1."""
    if isinstance(task.seed, bool) or not isinstance(task.seed, int) or not 0 <= task.seed < 2**32:
        raise UserError(f"task.seed = {task.seed!r} of task {task.name}: give a whole number in 0..{2**32 - 1}")


def majority(labels: np.ndarray) -> tuple[int, float]:
    """The commonest label and its share: what a model that looks at nothing reaches."""
    counts = np.bincount(labels)
    return int(counts.argmax()), float(counts.max() / counts.sum())
