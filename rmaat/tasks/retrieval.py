"""Retrieval of Long Range Arena (Tay2021): does one paper of the ACL Anthology Network cite the other?

Two documents of up to 4,000 bytes pass through one network. Read as released: `new_aan_pairs.{train,eval,test}.tsv`,
without a header and without quoting, in a folder or an archive.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation.errors import UserError
from foundation.notes import note
from rmaat.tasks.cache import kept
from rmaat.tasks.checks import DataNote, check_dials, check_positive, check_split
from rmaat.tasks.documents import PairSplit, Store, lines_of, read_pairs
from rmaat.tasks.task import Split, Task, text_of
from rmaat.tasks.trees import Tree, checksum_text, find_tree

NAMES = {"train": "train", "validation": "eval", "test": "test"}
RELEASED = {"train": 147_086, "validation": 18_090, "test": 17_437}
FOLDERS = ("tsv_data", "lra_release/tsv_data", "lra_release/lra_release/tsv_data")


@dataclass(frozen=True)
class Retrieval(Task):
    """Pairs of papers, the first `max_length` bytes of each; label 1: the one cites the other."""

    name: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "does one paper cite the other? two documents of bytes; --data with new_aan_pairs.*.tsv"
    vocabulary: ClassVar[str] = "0 padding, 1..256 the bytes 0..255"
    source: ClassVar[str] = "ACL Anthology Network (Radev2013); as in Long Range Arena (Tay2021)"
    licence: ClassVar[str] = "see the release of the network"
    documents: ClassVar[int] = 2
    vocab_size: ClassVar[int] = 257
    num_classes: ClassVar[int] = 2
    stem: ClassVar[str] = "new_aan_pairs"  # of the files' names
    missing: ClassVar[str] = ("new_aan_pairs.{train,eval,test}.tsv (lra_release/lra_release/tsv_data of the Long Range "
                              "Arena release, storage.googleapis.com/long-range-arena/lra_release.gz)")

    max_length: int = 4_000

    def __post_init__(self):
        check_dials(self)
        check_positive(self, max_length=self.max_length)

    def place(self, data: Path | None = None) -> Path | None:
        """The folder or the archive. Raises `UserError` where there is none."""
        return self.tree(data).path

    def tree(self, data: Path | None) -> Tree:
        """Where the files are. Raises `UserError` where there are none."""
        def is_layout(folder: Path) -> bool:
            return any((folder / f"{self.stem}.{name}.tsv").is_file() for name in NAMES.values())

        archives = ("lra_release*", "lra_release.gz", f"{self.stem}*")
        return find_tree(data, folders=(*FOLDERS, self.name), archives=archives, is_layout=is_layout,
                         missing=self.missing)

    def readable(self, tokens: np.ndarray) -> str:
        """The bytes as a text."""
        return text_of(tokens, first=1)

    def split(self, name: str, data: Path | None = None) -> Split:
        """Pairs in the order of the file; both splits and documents are those of the release."""
        check_split(name)
        tree = self.tree(data)
        arrays = kept(self.name, [1, tree.stamp(), self.max_length], lambda: self._read(tree))
        labels = arrays[f"{name}.labels"].copy()
        if self.name == Retrieval.name and len(labels) != RELEASED[name]:
            note(DataNote, f"task {self.name}: {tree.path} holds {len(labels):,} pairs in {name}; the release has "
                           f"{RELEASED[name]:,}")
        return PairSplit(arrays["tokens"], arrays["offsets"], arrays[f"{name}.pairs"], labels,
                         sources={str(tree.path): checksum_text(arrays)})

    def _read(self, tree: Tree) -> dict[str, np.ndarray]:
        """All pairs of a tree, with the checksum of what was read."""
        store, arrays, digests = Store(self.max_length), {}, []
        pattern = re.compile(rf"(?:^|/){self.stem}\.({'|'.join(NAMES.values())})\.tsv$")
        splits = {file: name for name, file in NAMES.items()}
        for name, read, digest in tree.hashed(pattern):
            where = tree.where(name)
            pairs, labels = read_pairs(lines_of(read, where), store, where)
            arrays |= {f"{splits[pattern.search(name)[1]]}.{field}": array
                       for field, array in (("pairs", pairs), ("labels", labels))}
            digests.append((name, digest()))
        lack = [file for name, file in NAMES.items() if f"{name}.labels" not in arrays]
        if lack:
            raise UserError(f"no {self.stem}.{lack[0]}.tsv in {tree.path}; it should hold {self.missing}")
        return arrays | store.arrays() | {"sha256": tree.checksum(digests)}
