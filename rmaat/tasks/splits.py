"""Data that lies in memory as arrays, and the order in which it is gone through."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch

from foundation.errors import UserError
from foundation.files import sha256_bytes
from rmaat.tasks.task import Batch, Split

FIELDS = ("tokens", "offsets", "labels")  # of a RaggedSplit: what a cache keeps of it


@dataclass(frozen=True)
class ArraySplit:
    """Samples of one length held as small integers: tokens uint8 [samples, length], labels int64 [samples].

    `sources` are the files that it was read from, with the SHA-256 of each.
    """

    tokens: np.ndarray
    labels: np.ndarray
    sources: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, all of one length."""
        tokens = torch.from_numpy(self.tokens[indices].astype(np.int64))
        return Batch(tokens, torch.full((len(indices),), tokens.shape[1]), torch.from_numpy(self.labels[indices]))

    def key(self, index: int) -> bytes:
        """What tells one sample from another."""
        return self.tokens[index].tobytes()

    def part(self, start: int, stop: int) -> "ArraySplit":
        """The samples from `start` to before `stop`."""
        return replace(self, tokens=self.tokens[start:stop], labels=self.labels[start:stop])

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels

    def all_lengths(self) -> np.ndarray:
        """Tokens of all samples, int64 [samples]."""
        return np.full(len(self.labels), self.tokens.shape[1])


@dataclass(frozen=True)
class RaggedSplit:
    """Samples of different lengths, end to end: sample i is `tokens[offsets[i]:offsets[i + 1]]`, plus `first`.

    `sources` are the files that it was read from, with the SHA-256 of each.
    """

    tokens: np.ndarray   # uint8 [sum of lengths]
    offsets: np.ndarray  # int64 [samples + 1]
    labels: np.ndarray   # int64 [samples]
    first: int = 0       # the token that a byte of value 0 becomes
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def join(cls, sequences: Sequence[bytes], labels: Sequence[int], **fields) -> "RaggedSplit":
        """A split of byte sequences of any length."""
        offsets = np.cumsum([0] + [len(sequence) for sequence in sequences], dtype=np.int64)
        tokens = np.frombuffer(b"".join(sequences), dtype=np.uint8)
        return cls(tokens, offsets, np.asarray(labels, dtype=np.int64), **fields)

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> np.ndarray:
        """One sample as it is stored, uint8 [length]."""
        return self.tokens[self.offsets[index]:self.offsets[index + 1]]

    def key(self, index: int) -> bytes:
        """What tells one sample from another."""
        return self.sample(index).tobytes()

    def part(self, start: int, stop: int) -> "RaggedSplit":
        """The samples from `start` to before `stop`."""
        offsets = self.offsets[start:stop + 1]
        return replace(self, tokens=self.tokens[offsets[0]:offsets[-1]], offsets=offsets - offsets[0],
                       labels=self.labels[start:stop])

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, padded with 0 to the longest of them."""
        lengths = (self.offsets[1:] - self.offsets[:-1])[indices]
        tokens = np.zeros((len(indices), lengths.max()), dtype=np.int64)
        for row, index in enumerate(indices.tolist()):
            tokens[row, :lengths[row]] = self.sample(index)
            tokens[row, :lengths[row]] += self.first
        return Batch(torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels

    def all_lengths(self) -> np.ndarray:
        """Tokens of all samples, int64 [samples]."""
        return np.diff(self.offsets)


def spread(split: Split, most: int) -> np.ndarray:
    """Indices int64 of at most so many samples, evenly over all of the split."""
    return np.unique(np.linspace(0, len(split) - 1, min(most, len(split))).astype(np.int64))


def carved(split: ArraySplit | RaggedSplit, name: str, validation: int, *, task: str) -> ArraySplit | RaggedSplit:
    """What a release's training samples give: "validation" is the last of them, "train" the rest; "test" stays whole.

    Raises `UserError` where nothing would be left to train on.
    """
    if name == "test":
        return split
    if validation >= len(split):
        raise UserError(f"task.validation = {validation} of task {task}, but there are {len(split)} training samples; "
                        "give fewer")
    border = len(split) - validation
    return split.part(border, len(split)) if name == "validation" else split.part(0, border)


def training_indices(samples: int, batch_size: int, seed: int, *, step: int, lengths: np.ndarray | None = None,
                     together: int = 1) -> np.ndarray:
    """Indices of the batch of `step` (from 0): every epoch a new order, its last batch as long as what is left.

    `together`: so many batches in a row share their samples out by `lengths` [samples], so that a batch holds samples
    of like length; the batches keep a random order, and so do the samples in each. A pure function of its arguments: a
    resumed run sees what the uninterrupted one would have seen.
    """
    epoch, batch = divmod(step, -(-samples // batch_size))
    order = _order(samples, seed, epoch)
    if together == 1 or lengths is None:
        return order[batch * batch_size:(batch + 1) * batch_size]
    group, place = divmod(batch, together)
    drawn = order[group * together * batch_size:(group + 1) * together * batch_size]
    by_length = np.argsort(lengths[drawn], kind="stable")
    turn = _order(-(-len(drawn) // batch_size), seed, f"{epoch}, {group}")[place]
    return drawn[np.sort(by_length[turn * batch_size:(turn + 1) * batch_size])]


def all_lengths(split: Split) -> np.ndarray:
    """Tokens of every sample, int64 [samples], as the split itself says. Raises `UserError` where it does not."""
    if not hasattr(split, "all_lengths"):
        raise UserError(f"train.bucket_batches: a {type(split).__name__} does not say how long its samples are; give "
                        "it a method all_lengths() -> int64 [samples], or leave bucket_batches at 1")
    lengths = np.asarray(split.all_lengths())
    if lengths.shape != (len(split),) or not np.issubdtype(lengths.dtype, np.integer):
        raise UserError(f"all_lengths gives {lengths.dtype} of shape {lengths.shape}; give int64 of shape "
                        f"({len(split)},)")
    return lengths


@lru_cache(maxsize=4)
def _order(samples: int, seed: int, epoch: int | str) -> np.ndarray:
    """A permutation; an epoch's own, or that of one of its groups of batches."""
    number = epoch if isinstance(epoch, int) else int(sha256_bytes(epoch.encode())[:12], 16)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    return torch.randperm(samples, generator=generator).numpy()


def evaluation_indices(split: Split, batch_size: int, chosen: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The indices int64 of each of `evaluation_batches`."""
    order = np.arange(len(split)) if chosen is None else chosen
    if hasattr(split, "all_lengths"):
        order = order[np.argsort(all_lengths(split)[order], kind="stable")]
    for start in range(0, len(order), batch_size):
        yield np.sort(order[start:start + batch_size])


def evaluation_batches(split: Split, batch_size: int, chosen: np.ndarray | None = None) -> Iterator[Batch]:
    """All samples, or those of the indices `chosen`, once; the last batch may be smaller.

    In order, or samples of like length together where the split says how long they are: padding costs time.
    """
    return map(split.batch, evaluation_indices(split, batch_size, chosen))


def first(split: Split, most: int) -> np.ndarray:
    """Indices int64 of the first samples, so many at most."""
    return np.arange(min(most, len(split)))
