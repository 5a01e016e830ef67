"""What the project's own tests of a working memory share: segments of noise, and samples that a counter draws.

Sample i of a split is a function of (seed, split, i) alone: the same in any batch, on any machine and numpy version.
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from foundation.errors import UserError
from rmaat.tasks.checks import check_dials, check_positive, check_seed, check_split
from rmaat.tasks.task import SPLITS, Batch, Split, Task

SYMBOLS = 10       # tokens 0..9 are what is remembered
NOISE = (64, 256)  # noise tokens are 64..255
_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def scatter(key: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele et al. 2014): a uniform uint64 for every uint64 counter."""
    key = (key + np.uint64(0x9E3779B97F4A7C15)) & _MASK
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def noise(key: np.ndarray, length: int) -> np.ndarray:
    """Noise tokens int64 [batch, length] of the keys uint64 [batch, 1]."""
    drawn = scatter(key + np.uint64(2) + np.arange(length, dtype=np.uint64))
    return NOISE[0] + (drawn % np.uint64(NOISE[1] - NOISE[0])).astype(np.int64)


def draw(key: np.ndarray, what: int, count: int) -> np.ndarray:
    """Uniform uint64 [batch, count] of the keys [batch, 1]; for each `what` (above 0) others, and none of `noise`'s."""
    return scatter(scatter(~key + np.uint64(what)) + np.arange(count, dtype=np.uint64))


def below(drawn: np.ndarray, top: int) -> np.ndarray:
    """Whole numbers 0..top - 1, int64, of uniform uint64."""
    return (drawn % np.uint64(top)).astype(np.int64)


@dataclass(frozen=True)
class MemoryTask(Task):
    """Sequences of `num_segments * segment` tokens, noise but for what `fill` writes into them."""

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
        check_dials(self)
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

    @abstractmethod
    def labels(self, key: np.ndarray) -> np.ndarray:
        """int64 [batch] of the keys uint64 [batch, 1] of samples."""

    @abstractmethod
    def fill(self, tokens: np.ndarray, key: np.ndarray) -> None:
        """Write into `tokens`, int64 [batch, max_length] and noise so far, what the labels follow from."""

    def split(self, name: str, data: Path | None = None) -> Split:
        """Generated on the fly; raises `UserError` for a `data` folder, which would not be looked at."""
        if data is not None:
            raise UserError(f"task {self.name} makes its own data; leave out --data {data}")
        return MemorySplit(self, SPLITS.index(check_split(name)), getattr(self, name))

    def _check_count(self, field: str, most: int, why: str) -> None:
        """Raises `UserError` where the dial is not in 1..most; `why` says what bounds it."""
        if most < 1:
            raise UserError(f"task.segment = {self.segment} of task {self.name} has no room for task.{field} with "
                            f"task.num_segments = {self.num_segments} ({why}); give longer segments")
        if not 1 <= getattr(self, field) <= most:
            raise UserError(f"task.{field} = {getattr(self, field)} of task {self.name} is not in 1..{most} ({why})")


@dataclass(frozen=True)
class MemorySplit:
    """Sample i is a function of (seed, split, i) alone."""

    task: MemoryTask
    number: int
    samples: int

    def __len__(self) -> int:
        return self.samples

    def _key(self, indices: np.ndarray) -> np.ndarray:
        stream = scatter(np.array([self.task.seed * len(SPLITS) + self.number], dtype=np.uint64))
        return scatter(stream ^ np.asarray(indices, dtype=np.uint64))[:, None]  # [batch, 1]

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, each made from the seed and its index alone."""
        key = self._key(indices)
        tokens = noise(key, self.task.max_length)
        self.task.fill(tokens, key)
        lengths = torch.full((len(tokens),), self.task.max_length)
        return Batch(torch.from_numpy(tokens), lengths, torch.from_numpy(self.task.labels(key)))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.task.labels(self._key(np.arange(self.samples)))
