"""Recall: one symbol in the first segment, noise everywhere else, the symbol asked for after the last segment.

The project's own test of a working memory (source: this project). It separates a memory that carries from one that
does not in seconds; it is no measure of anything else.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmaat.tasks.memory_task import NOISE, SYMBOLS, MemoryTask, below, scatter

__all__ = ["NOISE", "SYMBOLS", "Recall"]


@dataclass(frozen=True)
class Recall(MemoryTask):
    """Sequences of `num_segments * segment` tokens; label = the symbol (0-9) hidden in the first `segment` of them."""

    name: ClassVar[str] = "recall"
    summary: ClassVar[str] = "one of 10 symbols in segment 1, noise after it, asked for after the last segment"
    vocabulary: ClassVar[str] = "0..9 the symbols, 64..255 noise; 10..63 never occur"

    def labels(self, key: np.ndarray) -> np.ndarray:
        """The symbol."""
        return below(scatter(key)[:, 0], SYMBOLS)

    def fill(self, tokens: np.ndarray, key: np.ndarray) -> None:
        """The symbol, at a random place of the first segment."""
        places = below(scatter(key + np.uint64(1))[:, 0], self.segment)
        tokens[np.arange(len(tokens)), places] = self.labels(key)
