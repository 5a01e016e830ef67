"""Text of Long Range Arena (Tay2021): is a film review of the Large Movie Review Dataset good or bad, byte by byte?

Reviews are read as released, `aclImdb/{train,test}/{pos,neg}/<id>_<stars>.txt`, from the folder or from the archive.
The release has no validation split, and the benchmark validates on the test set; here validation is carved from train.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation.errors import UserError
from foundation.files import sha256_bytes
from foundation.notes import note
from rmaat.tasks.cache import kept
from rmaat.tasks.checks import DataNote, check_dials, check_positive, check_split
from rmaat.tasks.splits import FIELDS, RaggedSplit, carved
from rmaat.tasks.task import Split, Task, text_of
from rmaat.tasks.trees import Tree, checksum_text, find_tree, natural

CLASSES = ("neg", "pos")
RELEASED = 12_500  # reviews of each class in train and in test
REVIEW = re.compile(r"(?:^|/)(train|test)/(neg|pos)/([^/]+)\.(?i:txt)$")
MISSING = ("aclImdb (Large Movie Review Dataset, ai.stanford.edu/~amaas/data/sentiment: aclImdb_v1.tar.gz) with "
           "train/{pos,neg}/*.txt and test/{pos,neg}/*.txt")


@dataclass(frozen=True)
class Text(Task):
    """25,000 + 25,000 film reviews, the first `max_length` bytes of each; `validation` of train are set aside."""

    name: ClassVar[str] = "text"
    summary: ClassVar[str] = "IMDB film reviews byte by byte, good or bad; --data with aclImdb or its archive"
    vocabulary: ClassVar[str] = "0 padding, 1..256 the bytes 0..255"
    source: ClassVar[str] = "Large Movie Review Dataset (Maas2011); as in Long Range Arena (Tay2021)"
    licence: ClassVar[str] = "see the data set's README; reviews are their authors' (IMDb)"
    vocab_size: ClassVar[int] = 257
    num_classes: ClassVar[int] = len(CLASSES)
    label_names: ClassVar[tuple[str, ...]] = CLASSES

    max_length: int = 4_096
    validation: int = 2_500

    def __post_init__(self):
        check_dials(self)
        check_positive(self, max_length=self.max_length, validation=self.validation)

    def place(self, data: Path | None = None) -> Path | None:
        """The folder or the archive. Raises `UserError` where there is none."""
        return _tree(data).path

    def readable(self, tokens: np.ndarray) -> str:
        """The bytes as a text."""
        return text_of(tokens, first=1)

    def split(self, name: str, data: Path | None = None) -> Split:
        """Reviews, one of each class in turn. "validation" is the last of train by the reviews' numbers.

        In the release the reviews of a film stand together, and no film is in train and in test: so validation, too,
        holds other films than what is trained on, but for the one or two at the border.
        """
        part = "test" if check_split(name) == "test" else "train"
        tree = _tree(data)
        arrays = kept("text", [1, tree.stamp(), self.max_length], lambda: _read(tree, self.max_length))
        tokens, offsets, labels = (arrays[f"{part}.{field}"] for field in FIELDS)
        if len(labels) != len(CLASSES) * RELEASED:
            note(DataNote, f"task text: {tree.path} holds {len(labels):,} reviews in {part}; the release has "
                           f"{len(CLASSES) * RELEASED:,}")
        split = RaggedSplit(tokens, offsets, labels.copy(), first=1, sources={str(tree.path): checksum_text(arrays)})
        return carved(split, name, self.validation, task=self.name)


def _tree(data: Path | None) -> Tree:
    return find_tree(data, folders=("aclImdb",), archives=("aclImdb*",), is_layout=_is_layout, missing=MISSING)


def _is_layout(folder: Path) -> bool:
    return all((folder / part / kind).is_dir() for part in ("train", "test") for kind in CLASSES)


def _read(tree: Tree, max_length: int) -> dict[str, np.ndarray]:
    """All reviews of a tree, cut to `max_length` bytes, with the checksum of what was read."""
    found: dict[tuple[str, str], list] = {(part, kind): [] for part in ("train", "test") for kind in CLASSES}
    digests, roots = [], set()
    for name, content in tree.files(REVIEW):
        review = REVIEW.search(name)
        part, kind, stem = review.groups()
        roots.add(name[:review.start(1)])
        if not content:
            raise UserError(f"{tree.path}: {name} is empty; take it away, or fetch the data again")
        digests.append((name, sha256_bytes(content)))
        found[part, kind].append((natural(stem), content[:max_length]))
    tree.check_root(roots)
    for (part, kind), reviews in found.items():
        if not reviews:
            raise UserError(f"no {part}/{kind}/*.txt in {tree.path}; it should hold {MISSING}")
    arrays = {"sha256": tree.checksum(digests)}
    for part in ("train", "test"):
        reviews = [(rank, label, content) for label, kind in enumerate(CLASSES)
                   for rank, (_, content) in enumerate(sorted(found[part, kind]))]
        reviews.sort(key=lambda review: review[:2])  # both classes in turn: the first N are a fair sample
        split = RaggedSplit.join([content for _, _, content in reviews], [label for _, label, _ in reviews])
        arrays |= {f"{part}.{field}": getattr(split, field) for field in FIELDS}
    return arrays
