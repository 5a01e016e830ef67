"""ListOps of Long Range Arena (Tay2021): nested MIN, MAX, MED, SM over digits; generated, or the released files.

Sequences of 501 to 1999 tokens, 10 classes. Labels 0 and 9 are about 17 % each, so the majority row is not 10 %.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation.cli import Progress
from foundation.errors import DamagedFileError, UserError
from rmaat.tasks import listops_trees as generator
from rmaat.tasks.cache import kept
from rmaat.tasks.checks import check_dials, check_positive, check_seed, check_split
from rmaat.tasks.documents import lines_of
from rmaat.tasks.splits import FIELDS, RaggedSplit
from rmaat.tasks.task import SPLITS, Split, Task
from rmaat.tasks.trees import Tree, checksum_text, find_tree

OFFICIAL = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}
FOLDERS = ("listops-1000", "lra_release/listops-1000", "lra_release/lra_release/listops-1000")
ARCHIVES = ("lra_release*", "lra_release.gz", "listops*")
MISSING = (f"{', '.join(OFFICIAL.values())} (lra_release/lra_release/listops-1000 of the Long Range Arena release); "
           "without --data the task generates its trees")
HEADER = "Source\tTarget"
PARALLEL_FROM = 2_000  # starting workers takes longer than making fewer samples


@dataclass(frozen=True)
class ListOps(Task):
    """Trees with `min_length` < tokens < `max_length`; every split generated from `seed`, no tree twice."""

    name: ClassVar[str] = "listops"
    summary: ClassVar[str] = "nested MIN, MAX, MED, SM over digits; generated, or --data with the official basic_*.tsv"
    vocabulary: ClassVar[str] = "0 padding, 1..10 the values 0..9, 11..14 MIN MAX MED SM, 15 the closing bracket"
    source: ClassVar[str] = "Nangia2018; as in Long Range Arena (Tay2021)"
    licence: ClassVar[str] = "generated here, as this project; that of the official files: see their release"
    vocab_size: ClassVar[int] = 1 + len(generator.VOCABULARY)
    num_classes: ClassVar[int] = 10
    kept: ClassVar[bool] = True
    opening: ClassVar[str] = "the root's operator"

    train: int = 96_000
    validation: int = 2_000
    test: int = 2_000
    min_length: int = 500
    max_length: int = 2_000
    max_depth: int = 10
    max_arguments: int = 10
    seed: int = 0

    def __post_init__(self):
        check_dials(self)
        check_positive(self, train=self.train, validation=self.validation, test=self.test, max_length=self.max_length,
                       max_depth=self.max_depth)
        check_seed(self)
        for field, low, high in (("min_length", 0, self.max_length - 2), ("max_arguments", 2, 1_000),
                                 ("max_depth", 1, 100)):
            if not low <= getattr(self, field) <= high:
                raise UserError(f"task.{field} = {getattr(self, field)} of task listops is not in {low}..{high}")

    @property
    def lengths(self) -> tuple[int, int]:
        """Of generated trees."""
        return self.min_length + 1, self.max_length - 1

    def place(self, data: Path | None = None) -> Path | None:
        """The folder or the archive; None where the trees are generated. Raises `UserError` where there is none."""
        return None if data is None else official(Path(data)).path

    def readable(self, tokens: np.ndarray) -> str:
        """The symbols, operators with their brackets."""
        return " ".join(map(_WORDS.__getitem__, tokens.tolist()))

    def split(self, name: str, data: Path | None = None) -> Split:
        """Generated and kept in the cache, or read from the official files under `data`."""
        check_split(name)
        return generated(self)[name] if data is None else read_official(Path(data), name, self.max_length)


# ---------------------------------------------------------------------------------------------- generated


def generated(task: ListOps, workers: int | None = None) -> dict[str, RaggedSplit]:
    """All splits of `task`, from the cache when it holds them whole, else generated (same result for any `workers`)."""
    sizes = {name: getattr(task, name) for name in reversed(SPLITS)}  # test first: the same whatever train's size
    shape = generator.Shape(task.min_length, task.max_length, task.max_depth, task.max_arguments)
    arrays = kept("listops", [1, shape.__dict__, task.seed, sizes],
                  lambda: _made(shape, task.seed, sizes, workers=workers))
    return {name: RaggedSplit(*(arrays[f"{name}.{field}"] for field in FIELDS)) for name in SPLITS}


def _made(shape: generator.Shape, seed: int, sizes: dict[str, int], *, workers: int | None) -> dict[str, np.ndarray]:
    total = sum(sizes.values())
    if workers is None:
        workers = (os.cpu_count() or 1) if total >= PARALLEL_FROM else 1
    with Progress(f"listops: generating {total} trees", total) as progress:
        made = generator.generate(shape, seed, sizes, workers=workers, report=progress.update)
    splits = {name: RaggedSplit.join(*zip(*samples, strict=True)) for name, samples in made.items()}
    return {f"{name}.{field}": getattr(split, field) for name, split in splits.items() for field in FIELDS}


# ---------------------------------------------------------------------------------------------- official files


def official(data: Path) -> Tree:
    """Where the released files are: `data`, a folder below it, or an archive. Raises `UserError` where there are none.
    """
    def is_layout(folder: Path) -> bool:
        return any((folder / name).is_file() for name in OFFICIAL.values())

    return find_tree(data, folders=FOLDERS, archives=ARCHIVES, is_layout=is_layout, missing=MISSING)


def read_official(data: Path, name: str, max_length: int) -> RaggedSplit:
    """The released split `name` under `data`, as `official` finds it; kept in the cache once it has been read.

    Raises `UserError` when a file is missing or holds a token out of the vocabulary, `DamagedFileError` when a line
    is cut or a label is none. Both parentheses are dropped and `]` reads as X, as in the release's own reader.
    """
    tree = official(data)
    arrays = kept("listops-official", [1, tree.stamp(), max_length], lambda: _read(tree, max_length))
    if f"{name}.labels" not in arrays:
        raise UserError(f"no {OFFICIAL[name]} in {tree.path}; it should hold {MISSING}")
    return RaggedSplit(*(arrays[f"{name}.{field}"] for field in FIELDS),
                       sources={str(tree.path): checksum_text(arrays)})


def _read(tree: Tree, max_length: int) -> dict[str, np.ndarray]:
    """All splits that are there, with the checksum of what was read."""
    wanted = re.compile(rf"(?:^|/)({'|'.join(map(re.escape, OFFICIAL.values()))})$")
    arrays, digests = {}, []
    splits = {file: name for name, file in OFFICIAL.items()}
    for name, read, digest in tree.hashed(wanted):
        where = tree.where(name)
        split = RaggedSplit.join(*_parsed(lines_of(read, where), where, max_length))
        arrays |= {f"{splits[wanted.search(name)[1]]}.{field}": getattr(split, field) for field in FIELDS}
        digests.append((name, digest()))
    return arrays | {"sha256": tree.checksum(digests)}


def _parsed(lines: Iterator[bytes], where: str, max_length: int) -> tuple[list[bytes], list[int]]:
    """Sequences and labels of a file's lines."""
    sequences, labels, number = [], [], 1
    try:
        if (header := next(lines, b"").decode("utf-8-sig").strip()) != HEADER:
            raise DamagedFileError(f"{where}, line 1: {header[:40]!r} is not the header {HEADER!r}")
        for number, line in enumerate(lines, start=2):
            if line.strip():
                tokens, label = _parse(line.decode(), f"{where}, line {number}", max_length)
                sequences.append(tokens)
                labels.append(label)
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{where}, line {number}: not text (byte 0x{error.object[error.start]:02x}); fetch it "
                               "again") from error
    if not sequences:
        raise DamagedFileError(f"{where}: no samples after the header; the file is cut")
    return sequences, labels


_STRIP = str.maketrans({"(": None, ")": None})
_TOKENS = {"]" if word == "X" else word: number for word, number in generator.VOCABULARY.items()}  # as files have them
_WORDS = {number: word for word, number in _TOKENS.items()}


def _parse(line: str, where: str, max_length: int) -> tuple[bytes, int]:
    source, tab, target = line.partition("\t")
    target = target.strip(" ")
    if not tab or len(target) != 1 or target not in "0123456789":
        raise DamagedFileError(f"{where}: expected an expression, a tab and a label 0-9, found {line[-30:]!r}")
    words = source.translate(_STRIP).split()
    try:
        tokens = bytes(_TOKENS[word] for word in words)
    except KeyError as error:
        raise UserError(f"{where}: token '{error.args[0][:40]}' is not in the vocabulary: "
                        f"{' '.join(_TOKENS)}") from None
    if len(tokens) > max_length:
        raise UserError(f"{where}: {len(tokens)} tokens, the task takes {max_length}; set task.max_length")
    value = _value(tokens, words, where)
    if value != int(target):
        raise DamagedFileError(f"{where}: the tree's value is {value}, its label {target}; the line is damaged")
    return tokens, value


def _value(tokens: bytes, words: list[str], where: str) -> int:
    """The value of a tree. Raises `DamagedFileError` naming the place of what makes it none."""
    open_ones: list[list[int]] = [[]]  # an operator and its arguments so far; first, what stands outside all of them
    for place, token in enumerate(tokens, start=1):
        if token < generator.OPERATOR_0:
            open_ones[-1].append(token - generator.VALUE_0)
        elif token < generator.CLOSE:
            open_ones.append([token - generator.OPERATOR_0])
        else:
            operator, *arguments = open_ones.pop() or [0]
            if not open_ones or not arguments:
                what = "closes no operator" if not open_ones else f"closes {words[place - 2]}, which has no argument"
                raise DamagedFileError(f"{where}: brackets do not match: token {place}, ']', {what}")
            open_ones[-1].append(generator.APPLY[operator](arguments))
    if len(open_ones) > 1 or len(open_ones[0]) != 1:
        what = "an operator is not closed" if len(open_ones) > 1 else f"{len(open_ones[0])} trees where one is expected"
        raise DamagedFileError(f"{where}: brackets do not match, {what}; the line is cut")
    return open_ones[0][0]
