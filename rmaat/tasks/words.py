"""Cosine of two documents' tf-idf vectors of words: what a pair gives away to who only counts words."""

import re
import zlib
from collections import Counter

import numpy as np

from rmaat.tasks.documents import PairSplit

WORD = re.compile(rb"[a-z0-9_]{2,}")
Vector = tuple[np.ndarray, np.ndarray]  # hashes of the words, ascending, and their weights; of length 1


class TfIdf:
    """Vectors of documents: 1 + log of a word's count, times log((1 + n) / (1 + documents with it)) + 1, of length 1.

    n and the counts of documents are those of the documents that `train`'s pairs have. A word is two or more letters,
    digits or underscores, in small letters; it is known by its CRC-32.
    """

    def __init__(self, train: PairSplit, indices: np.ndarray):
        numbers = np.unique(train.pairs[indices])
        found = Counter(word for number in numbers.tolist() for word in _counts(train.document(number)))
        self.documents, self.found, self.vectors = len(numbers), found, {}

    def vector(self, document: np.ndarray) -> Vector:
        """Hashes of the words, ascending, and their weights."""
        counts = _counts(document)
        words = np.array(sorted(counts), dtype=np.int64)
        weights = np.array([(1 + np.log(counts[word])) * (np.log((1 + self.documents) / (1 + self.found[word])) + 1)
                            for word in words.tolist()])
        return words, weights / np.linalg.norm(weights) if len(weights) else weights

    def cosines(self, split: PairSplit, indices: np.ndarray) -> np.ndarray:
        """Float64 [n], 0 to 1, of the pairs at `indices`."""
        numbers, pairs = np.unique(split.pairs[indices], return_inverse=True)
        vectors = [self.vector(split.document(number)) for number in numbers.tolist()]
        return np.array([_dot(vectors[one], vectors[other]) for one, other in pairs.reshape(-1, 2).tolist()])


def _counts(document: np.ndarray) -> Counter:
    return Counter(zlib.crc32(word) for word in WORD.findall(document.tobytes().lower()))


def _dot(one: Vector, other: Vector) -> float:
    _, left, right = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    return float(one[1][left] @ other[1][right])


def area(values: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: how often a pair of label 1 has the larger value than one of label 0; ties are half."""
    ordered = np.sort(values[labels == 0])
    positive = values[labels == 1]
    if not len(ordered) or not len(positive):
        return float("nan")
    below, up_to = (np.searchsorted(ordered, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(ordered))
