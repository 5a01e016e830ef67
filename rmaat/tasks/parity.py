"""Parity: is the number of ones among the first tokens of all segments odd?

The memory has to be changed by every segment, and by the last one as much as by the first: nothing that is only kept,
and no sum of what single segments say, gives the answer (source: this project; parity as in Graves2016's and
Hahn2020's tests).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmaat.tasks.memory_task import MemoryTask, below, draw

_BITS = 1  # what is drawn


@dataclass(frozen=True)
class Parity(MemoryTask):
    """The first token of each segment (of `segment` tokens) is 0 or 1, a fair coin; label = their sum modulo 2."""

    name: ClassVar[str] = "parity"
    summary: ClassVar[str] = "a bit at the first place of every segment, noise after it: is their sum odd?"
    vocabulary: ClassVar[str] = "0 and 1 the bits, 64..255 noise"
    num_classes: ClassVar[int] = 2

    num_segments: int = 4

    def _bits(self, key: np.ndarray) -> np.ndarray:
        return below(draw(key, _BITS, self.num_segments) >> np.uint64(63), 2)  # [batch, num_segments]

    def labels(self, key: np.ndarray) -> np.ndarray:
        """1 where the number of ones is odd."""
        return self._bits(key).sum(axis=1) % 2

    def fill(self, tokens: np.ndarray, key: np.ndarray) -> None:
        """A bit at the start of every segment."""
        tokens[:, ::self.segment] = self._bits(key)
