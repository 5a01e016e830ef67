"""Pairs: keys with their values, noise between them, and at the end one of the keys: what was its value?

Key-value recall (source: this project, after the associative recall of Graves2014): the memory has to hold several
bindings at once, and to be read by content.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmaat.tasks.memory_task import SYMBOLS, MemoryTask, below, draw

KEYS = (10, 26)                               # tokens 10..25 are keys
_KEYS, _VALUES, _PLACES, _ASKED = 1, 2, 3, 4  # what is drawn


@dataclass(frozen=True)
class Pairs(MemoryTask):
    """`pairs` different keys, each followed by its value, anywhere in all segments but the last; the last token is one
    of the keys, and the label its value. With one segment, anywhere before the last token."""

    name: ClassVar[str] = "pairs"
    summary: ClassVar[str] = "keys and their values amid noise, and at the end one of the keys: what was its value?"
    vocabulary: ClassVar[str] = "0..9 the values, 10..25 the keys, 64..255 noise"

    pairs: int = 4

    def __post_init__(self):
        super().__post_init__()
        most = min(KEYS[1] - KEYS[0], self._slots)
        where = "in the segments before the last" if self.num_segments > 1 else "before the last token"
        self._check_count("pairs", most,
                          f"there are {KEYS[1] - KEYS[0]} keys, and room for {self._slots} pairs {where}")

    @property
    def _per_segment(self) -> int:
        return self.segment // 2 if self.num_segments > 1 else (self.segment - 1) // 2

    @property
    def _slots(self) -> int:
        """Places for a pair: two tokens each, so that none overlaps another one."""
        return max(1, self.num_segments - 1) * self._per_segment

    def _drawn(self, key: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys and values [batch, pairs], and which of them is asked for [batch]."""
        keys = draw(key, _KEYS, KEYS[1] - KEYS[0]).argsort(axis=1)[:, :self.pairs]
        return (KEYS[0] + keys, below(draw(key, _VALUES, self.pairs), SYMBOLS),
                below(draw(key, _ASKED, 1)[:, 0], self.pairs))

    def labels(self, key: np.ndarray) -> np.ndarray:
        """The value of the key that is asked for."""
        _, values, asked = self._drawn(key)
        return np.take_along_axis(values, asked[:, None], axis=1)[:, 0]

    def fill(self, tokens: np.ndarray, key: np.ndarray) -> None:
        """The pairs in slots that are drawn without replacement, and the key at the end."""
        keys, values, asked = self._drawn(key)
        slots = draw(key, _PLACES, self._slots).argsort(axis=1)[:, :self.pairs]
        segment, slot = np.divmod(slots, self._per_segment)
        places, rows = segment * self.segment + 2 * slot, np.arange(len(tokens))
        tokens[rows[:, None], places], tokens[rows[:, None], places + 1] = keys, values
        tokens[:, -1] = keys[rows, asked]
