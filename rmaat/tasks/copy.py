"""Copy: a word of several symbols in the first segment, noise after it, and at the end one of its symbols asked for.

Which one is asked for is known only in the last segment, so the memory has to carry the whole word: the accuracy is
that of a copy of the word, symbol by symbol (source: this project, after Hochreiter1997's and Graves2014's copy tasks).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmaat.tasks.memory_task import SYMBOLS, MemoryTask, below, draw

QUESTION = 32          # token 32 + i asks for symbol i of the word
MAX_WORD = 64 - QUESTION
_WORD, _ASKED = 1, 2   # what is drawn


@dataclass(frozen=True)
class Copy(MemoryTask):
    """`word` symbols at the first places of the first segment; the last token says which; label = that symbol."""

    name: ClassVar[str] = "copy"
    summary: ClassVar[str] = "a word of symbols at the start, noise, and at the end the question which its i-th one was"
    vocabulary: ClassVar[str] = "0..9 the symbols, 32 + i the question for symbol i, 64..255 noise"

    word: int = 4

    def __post_init__(self):
        super().__post_init__()
        longest = min(MAX_WORD, self.segment - (self.num_segments == 1))
        self._check_count("word", longest, "symbols; they stand in the first segment before the question")

    def _word(self, key: np.ndarray) -> np.ndarray:
        return below(draw(key, _WORD, self.word), SYMBOLS)  # [batch, word]

    def _asked(self, key: np.ndarray) -> np.ndarray:
        return below(draw(key, _ASKED, 1)[:, 0], self.word)  # [batch]

    def labels(self, key: np.ndarray) -> np.ndarray:
        """The symbol that is asked for."""
        return np.take_along_axis(self._word(key), self._asked(key)[:, None], axis=1)[:, 0]

    def fill(self, tokens: np.ndarray, key: np.ndarray) -> None:
        """The word at the start and the question at the end."""
        tokens[:, :self.word] = self._word(key)
        tokens[:, -1] = QUESTION + self._asked(key)
