"""Recall: one symbol in the first segment, noise everywhere else, the symbol asked for after the last segment.

The project's own test of a working memory (source: this project). It separates a memory that carries from one that
does not in seconds; it is no measure of anything else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from foundation.errors import UserError
from rmaat.tasks.checks import check_positive, check_seed, check_split
from rmaat.tasks.task import SPLITS, Batch, Split, Task

SYMBOLS = 10
NOISE = (64, 256)  # noise tokens are 64..255
_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def scatter(key: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele et al. 2014): a uniform uint64 for every uint64 counter.

    A counter instead of a generator's state: sample i is the same in any batch, on any machine and numpy version.
    """
    key = (key + np.uint64(0x9E3779B97F4A7C15)) & _MASK
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@dataclass(frozen=True)
class Recall(Task):
    """Sequences of `num_segments * segment` tokens; label = the symbol (0-9) hidden in the first `segment` of them."""

    name: ClassVar[str] = "recall"
    summary: ClassVar[str] = "one of 10 symbols in segment 1, noise after it, asked for after the last segment"
    vocabulary: ClassVar[str] = "0..9 the symbols, 64..255 noise; 10..63 never occur"
    source: ClassVar[str] = "this project"
    licence: ClassVar[str] = "generated"
    vocab_size: ClassVar[int] = NOISE[1]
    num_classes: ClassVar[int] = SYMBOLS

    num_segments: int = 8
    segment: int = 16
    train: int = 65_536
    validation: int = 1_000
    test: int = 2_000
    seed: int = 0

    def __post_init__(self):
        check_positive(self, num_segments=self.num_segments, segment=self.segment, train=self.train,
                       validation=self.validation, test=self.test)
        check_seed(self)

    @property
    def max_length(self) -> int:
        """Tokens of every sequence."""
        return self.num_segments * self.segment

    @property
    def lengths(self) -> tuple[int, int]:
        """All sequences have as many tokens."""
        return self.max_length, self.max_length

    def split(self, name: str, data: Path | None = None) -> Split:
        """Generated on the fly; raises `UserError` for a `data` folder, which would not be looked at."""
        if data is not None:
            raise UserError(f"task recall makes its own data; leave out --data {data}")
        return RecallSplit(self, SPLITS.index(check_split(name)), getattr(self, name))


@dataclass(frozen=True)
class RecallSplit:
    """Sample i is a function of (seed, split, i) alone."""

    task: Recall
    number: int
    samples: int

    def __len__(self) -> int:
        return self.samples

    def _key(self, indices: np.ndarray) -> np.ndarray:
        stream = scatter(np.array([self.task.seed * len(SPLITS) + self.number], dtype=np.uint64))
        return scatter(stream ^ np.asarray(indices, dtype=np.uint64))[:, None]  # [batch, 1]

    def _labels(self, key: np.ndarray) -> np.ndarray:
        return (scatter(key)[:, 0] % np.uint64(SYMBOLS)).astype(np.int64)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, each made from the seed and its index alone."""
        length, key = self.task.max_length, self._key(indices)
        labels = self._labels(key)
        places = (scatter(key + np.uint64(1))[:, 0] % np.uint64(self.task.segment)).astype(np.int64)
        noise = scatter(key + np.uint64(2) + np.arange(length, dtype=np.uint64))  # [batch, length]
        tokens = NOISE[0] + (noise % np.uint64(NOISE[1] - NOISE[0])).astype(np.int64)
        tokens[np.arange(len(tokens)), places] = labels
        return Batch(torch.from_numpy(tokens), torch.full((len(tokens),), length), torch.from_numpy(labels))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self._labels(self._key(np.arange(self.samples)))
