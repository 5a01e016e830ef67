"""Samples of two documents, each document kept once: what Retrieval and man pages read, and their files of pairs."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.task import Batch

LONGEST_LINE = 1 << 28  # bytes
CHUNK = 1 << 20


@dataclass(frozen=True)
class PairSplit:
    """Samples of two documents: sample i has the documents `pairs[i]`, of which j is `tokens[offsets[j]:offsets[j+1]]`.

    `sources` are the files that it was read from, with the SHA-256 of each.
    """

    tokens: np.ndarray   # uint8 [sum of lengths]
    offsets: np.ndarray  # int64 [documents + 1]
    pairs: np.ndarray    # int64 [samples, 2]
    labels: np.ndarray   # int64 [samples]
    first: int = 1       # the token that a byte of value 0 becomes
    sources: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def document(self, number: int) -> np.ndarray:
        """One document as it is stored, uint8 [length]."""
        return self.tokens[self.offsets[number]:self.offsets[number + 1]]

    def key(self, index: int) -> bytes:
        """What tells one sample from another, in this split and in others: the documents in their order."""
        one, other = (self.document(number) for number in self.pairs[index].tolist())
        return len(one).to_bytes(8, "little") + one.tobytes() + other.tobytes()

    def part(self, start: int, stop: int) -> "PairSplit":
        """The samples from `start` to before `stop`."""
        return replace(self, pairs=self.pairs[start:stop], labels=self.labels[start:stop])

    def batch(self, indices: np.ndarray) -> Batch:
        """Tokens [2 * batch, length]: all first documents, then all second ones, padded with 0; labels [batch]."""
        numbers = self.pairs[indices].T.reshape(-1)
        lengths = (self.offsets[1:] - self.offsets[:-1])[numbers]
        tokens = np.zeros((len(numbers), lengths.max()), dtype=np.int64)
        for row, number in enumerate(numbers.tolist()):
            tokens[row, :lengths[row]] = self.document(number)
            tokens[row, :lengths[row]] += self.first
        return Batch(torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels

    def all_lengths(self) -> np.ndarray:
        """Tokens of the longer document of all samples, int64 [samples]: both are padded to it."""
        return np.diff(self.offsets)[self.pairs].max(1)


class Store:
    """Documents cut to `max_length` bytes, each kept once however often it occurs."""

    def __init__(self, max_length: int):
        self.max_length, self.texts, self.numbers = max_length, [], {}

    def number(self, text: bytes) -> int:
        """The number of a document, given one where it is new."""
        cut = text[:self.max_length]
        key = hashlib.blake2b(cut, digest_size=16).digest()
        number = self.numbers.setdefault(key, len(self.texts))
        if number == len(self.texts):
            self.texts.append(cut)
        return number

    def arrays(self) -> dict[str, np.ndarray]:
        """Tokens uint8 and offsets int64 of all documents, by number."""
        offsets = np.cumsum([0] + [len(text) for text in self.texts], dtype=np.int64)
        return {"tokens": np.frombuffer(b"".join(self.texts), dtype=np.uint8), "offsets": offsets}


def lines_of(read: Callable[[int], bytes], where: str) -> Iterator[bytes]:
    """The lines of a file without their ends, LF or CRLF; a blank last line is none.

    Raises `UserError` for a line of more than `LONGEST_LINE` bytes.
    """
    left: list[bytes] = []
    held = 0
    while chunk := read(CHUNK):
        first, *others = chunk.split(b"\n")
        left.append(first)
        held += len(first)
        if held > LONGEST_LINE:
            raise UserError(f"{where}: a line of more than {LONGEST_LINE:,} bytes; is it the right file?")
        if others:
            yield b"".join(left).removesuffix(b"\r")
            yield from (line.removesuffix(b"\r") for line in others[:-1])
            left, held = [others[-1]], len(others[-1])
    if last := b"".join(left).removesuffix(b"\r"):
        yield last


def read_pairs(lines: Iterator[bytes], store: Store, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of documents int64 [n, 2] and labels int64 [n] of lines.

    A line is label, id1, id2, text1, text2 with tabs between them; the label is a number, 0 or 1, as a text ("1.0").
    Raises `DamagedFileError` or `UserError` naming the line.
    """
    pairs, labels = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip(b" "):
            continue
        fields = line.split(b"\t")
        if len(fields) != 5:
            raise DamagedFileError(f"{where}, line {number}: {len(fields)} fields between tabs; expected 5: label, "
                                   "id1, id2, text1, text2")
        label = _label(fields[0], f"{where}, line {number}")
        for column, text in ((4, fields[3]), (5, fields[4])):
            if not text:
                raise UserError(f"{where}, line {number}, column {column}: the document is empty; take the line out")
        pairs.append((store.number(fields[3]), store.number(fields[4])))
        labels.append(label)
    if not labels:
        raise DamagedFileError(f"{where}: no line in it; the file is cut")
    return np.array(pairs, dtype=np.int64), np.array(labels, dtype=np.int64)


def _label(text: bytes, where: str) -> int:
    try:
        value = float(text.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        value = math.nan
    if value not in (0., 1.):
        raise DamagedFileError(f"{where}: the label {text[:20].decode('utf-8', 'replace')!r} is neither 0 nor 1")
    return int(value)


def splits_of(arrays: Mapping[str, np.ndarray], name: str, source: Mapping[str, str]) -> PairSplit:
    """The split `name` of cached arrays."""
    return PairSplit(arrays["tokens"], arrays["offsets"], arrays[f"{name}.pairs"], arrays[f"{name}.labels"].copy(),
                     sources=source)
