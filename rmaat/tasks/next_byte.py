"""Next byte: any file, cut into samples; each byte is to be told from those before it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from foundation import reading
from foundation.errors import UserError
from rmaat.tasks.checks import check_dials, check_positive, check_split
from rmaat.tasks.task import NOT_ASKED, Batch, Split, Task, text_of

BYTES = 256
LARGEST = 1 << 33  # bytes of a file that is read


@dataclass(frozen=True)
class TextSplit:
    """Samples end to end of one text: sample i has the bytes i * length on, and as labels those one place further.

    The last sample may be shorter; a byte is a label once.
    """

    text: np.ndarray  # uint8 [bytes], at least 2
    length: int

    def __len__(self) -> int:
        return -(-(len(self.text) - 1) // self.length)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, padded with 0 to the longest of them, labels beyond the end `NOT_ASKED`."""
        lengths = np.minimum(self.length, len(self.text) - 1 - indices * self.length)
        tokens, labels = (np.full((len(indices), lengths.max()), fill, np.int64) for fill in (0, NOT_ASKED))
        for row, (index, length) in enumerate(zip(indices.tolist(), lengths.tolist(), strict=True)):
            part = self.text[index * self.length:index * self.length + length + 1]
            tokens[row, :length], labels[row, :length] = part[:-1], part[1:]
        return Batch(*(torch.from_numpy(x) for x in (tokens, lengths.astype(np.int64), labels)))

    def all_labels(self) -> np.ndarray:
        """All bytes but the first, int64."""
        return self.text[1:].astype(np.int64)


@dataclass(frozen=True)
class NextByte(Task):
    """A byte-level language model's task, on the file that --data names (of a folder: all its files, by name).

    The last `test` of the bytes is the test split, as much before as `validation` says that of validation. Samples are
    `length` bytes that follow one another.
    """

    name: ClassVar[str] = "next_byte"
    summary: ClassVar[str] = "any file, byte by byte: each from those before it; give --data FILE"
    vocabulary: ClassVar[str] = "bytes"
    source: ClassVar[str] = "the user's file"
    licence: ClassVar[str] = "that of the file"
    per_token: ClassVar[bool] = True
    causal: ClassVar[bool] = True
    vocab_size: ClassVar[int] = BYTES
    num_classes: ClassVar[int] = BYTES

    length: int = 1024
    validation: float = .05
    test: float = .05

    def __post_init__(self):
        check_dials(self)
        check_positive(self, length=self.length)
        for name in ("validation", "test"):
            if not 0 < getattr(self, name) < .5:
                raise UserError(f"task.{name} = {getattr(self, name)} of task {self.name}: give a share above 0 and "
                                "below 0.5")

    @property
    def max_length(self) -> int:
        """Bytes of a sample."""
        return self.length

    def place(self, data: Path | None = None) -> Path:
        """The file. Raises `UserError` where none is given."""
        if data is None:
            raise UserError(f"task {self.name} reads a file of yours: give --data FILE (any text, or a folder of them)")
        return Path(data)

    def readable(self, tokens: np.ndarray) -> str:
        """The bytes as a text."""
        return text_of(tokens, first=0)

    def split(self, name: str, data: Path | None = None) -> Split:
        """A part of the file's bytes; the parts share none."""
        check_split(name)
        text = _bytes_of(self.place(data))
        test, validation = (max(2, int(len(text) * share)) for share in (self.test, self.validation))
        start, stop = {"train": (0, -test - validation), "validation": (-test - validation, -test),
                       "test": (-test, None)}[name]
        part = text[start:stop]
        if len(text) < test + validation + 2:
            raise UserError(f"{data}: {len(text)} bytes are too few for three splits; give a longer text")
        return TextSplit(part, self.length)


def _bytes_of(path: Path) -> np.ndarray:
    """The bytes of a file, or of all files of a folder one after another, uint8."""
    if not path.exists():
        raise UserError(f"no file or folder {path}; give --data FILE")
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    parts = [np.frombuffer(reading.read_bytes(file, "text", LARGEST), np.uint8) for file in files]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)
