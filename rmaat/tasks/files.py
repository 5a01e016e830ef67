"""Your own data: a table with a column of texts, or of tokens, and a column of labels, or arrays in Python.

    rmaat train files --data mails.csv --set task.text=body --set task.label=spam --out runs/mails

See docs/files.md. What the data decide (the classes, the characters) is found when they are first read, and kept in the
run's folder as dials of the task.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation.errors import UserError, unknown
from foundation.files import sha256_file
from foundation.notes import note
from foundation.reading import opened
from rmaat.tasks import given
from rmaat.tasks.checks import DataNote, check_dials, check_positive, check_seed, check_split
from rmaat.tasks.documents import PairSplit
from rmaat.tasks.samples import (
    KNOWN_FROM,
    NAMES,
    UNITS,
    Samples,
    as_text,
    classes_of,
    content,
    divided,
    document,
    encoder,
    label_text,
)
from rmaat.tasks.splits import RaggedSplit
from rmaat.tasks.tables import ADVICE, READERS, Table, read_table
from rmaat.tasks.task import Split, Task, text_of

MISSING = ("refuse", "skip")
UNSEEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Files(Task):
    """Samples of a user's own. `text`, `second`, `label` and `split_column` name columns; "" is none.

    `unit` says what a token is: bytes, characters, or tokens that are given. Documents longer than `max_length` are
    cut. Where neither files nor a column name splits, `validation` and `test` are shares that are drawn by `seed`.
    `classes`, `characters`, `size` (of a vocabulary of given tokens) and `arrays` (the SHA-256 of arrays given in
    Python) are found in the data where they are left out.
    """

    name: ClassVar[str] = "files"
    summary: ClassVar[str] = "your own data: --data FILE (csv, tsv, jsonl, parquet, npz, npy), or arrays in Python"
    source: ClassVar[str] = "the user"
    licence: ClassVar[str] = "that of the data"

    text: str = "text"
    label: str = "label"
    second: str = ""
    split_column: str = ""
    unit: str = "bytes"
    max_length: int = 1_024
    missing: str = "refuse"
    validation: float = .1
    test: float = .1
    seed: int = 0
    classes: tuple[str, ...] | str = ()
    characters: str = ""
    size: int = 0
    arrays: str = ""

    def __post_init__(self):
        check_dials(self)
        check_positive(self, max_length=self.max_length)
        check_seed(self)
        object.__setattr__(self, "classes", _classes(self.classes))
        for field, allowed in (("unit", UNITS), ("missing", MISSING)):
            if getattr(self, field) not in allowed:
                raise unknown(f"task.{field}", getattr(self, field), allowed)
        for field in ("validation", "test"):
            if not 0 < getattr(self, field) < 1:
                raise UserError(f"task.{field} = {getattr(self, field)} of task files: give a share between 0 and 1")
        if not self.text or not self.label:
            raise UserError("task.text and task.label of task files name columns; neither may be empty")
        columns = [name for name in (self.text, self.second, self.label, self.split_column) if name]
        if twice := next((name for name in columns if columns.count(name) > 1), None):
            raise UserError(f"task.text, task.second, task.label and task.split_column of task files: {twice!r} is "
                            "named twice; give each a column of its own")
        if self.size < 0:
            raise UserError(f"task.size = {self.size} of task files: give the number of tokens, or 0 to count them")
        if self.validation + self.test >= 1:
            raise UserError(f"task.validation = {self.validation} and task.test = {self.test} of task files leave "
                            "nothing to train on; give smaller shares")

    @property
    def documents(self) -> int:
        """2 where a sample is a pair."""
        return 2 if self.second else 1

    @property
    def num_classes(self) -> int:
        """Of the data; 2 before they were looked at."""
        return max(2, len(self.classes))

    @property
    def vocab_size(self) -> int:
        """Tokens of the unit, 0 the padding."""
        return {"bytes": 257, "characters": KNOWN_FROM + len(self.characters), "tokens": max(2, self.size)}[self.unit]

    @property
    def vocabulary(self) -> str:
        """What the numbers stand for."""
        return {"bytes": "0 padding, 1..256 the bytes 0..255 of UTF-8",
                "characters": "0 padding, 1 a character that the training data lack, from 2 on their characters",
                "tokens": "as given"}[self.unit]

    def place(self, data: Path | None = None) -> Path | None:
        """The file or folder that is given; None for arrays. Raises `UserError` where neither is."""
        if data is None and not self.arrays:
            raise UserError(f"task files reads your own data: give them with --data; {ADVICE}")
        return None if data is None else Path(data)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes, as the data write them."""
        return self.classes

    def readable(self, tokens: np.ndarray) -> str:
        """The text; given tokens are numbers."""
        if self.unit == "tokens":
            return super().readable(tokens)
        if self.unit == "bytes":
            return text_of(tokens, first=1)
        return "".join(self.characters[token - KNOWN_FROM] if token >= KNOWN_FROM else UNSEEN
                       for token in tokens.tolist())

    def prepared(self, data: Path | None) -> "Files":
        """The task with what the data decide filled in."""
        samples = self._samples(data)
        found = {}
        if not self.classes:
            found["classes"] = classes_of(samples.labels, samples.where[0](self.label).partition(", ")[0])
        if self.unit == "characters" and not self.characters:
            train = [row for row, name in enumerate(self._divided(samples)) if name == "train"]
            found["characters"] = "".join(sorted({c for column in samples.documents for row in train
                                                  for c in as_text(column[row])[:self.max_length]}))
        if self.unit == "tokens" and not self.size:
            found["size"] = 1 + max(1, *(int(tokens.max()) for column in samples.documents for tokens in column))
        return dataclasses.replace(self, **found) if found else self

    def split(self, name: str, data: Path | None = None) -> Split:
        """The samples of a split, in the order of the file."""
        check_split(name)
        task, samples = self.prepared(data), self._samples(data)
        rows = [row for row, split in enumerate(self._divided(samples)) if split == name]
        return task._encoded(samples, rows, task._numbers(samples, rows), name,
                             {} if data is None else _checksums(Path(data)))

    def unlabelled(self, data: Path | Iterable) -> tuple[Split, list[str]]:
        """New samples without labels, in their order: of a file with the columns of texts, or a list of documents.

        Where documents are compared a list has pairs of them. A column of labels is not read.
        """
        if isinstance(data, (str, Path)):
            samples = self._new(Path(data))
        else:
            samples = _of_documents(data, self)
        rows = list(range(len(samples)))
        places = [where("").removesuffix(", column ''") for where in samples.where]
        return self._encoded(samples, rows, [0] * len(rows), "what is to be predicted", {}), places

    def _new(self, data: Path) -> Samples:
        if data.is_dir():
            raise UserError(f"{data} is a folder; give one file whose samples are to be predicted")
        files = {None: data}
        return _read(tuple(files.items()), _stamps(files), tuple(name for name in (self.text, self.second) if name),
                     self._as_read(), labelled=False)

    def _as_read(self) -> "Files":
        return dataclasses.replace(self, classes=(), characters="", size=0)

    def _divided(self, samples: Samples) -> list[str]:
        return divided(samples, validation=self.validation, test=self.test, seed=self.seed)

    def _samples(self, data: Path | None) -> Samples:
        if self.arrays:
            return given.look_up(self.arrays)
        data = self.place(data)
        columns = [name for name in (self.text, self.second, self.label, self.split_column) if name]
        files = _files(data)
        return _read(tuple(files.items()), _stamps(files), tuple(columns), self._as_read(), labelled=True)

    def _numbers(self, samples: Samples, rows: list[int]) -> list[int]:
        numbers_of = {label: number for number, label in enumerate(self.classes)}
        for row in rows:
            if (label := samples.labels[row]) not in numbers_of:
                raise UserError(f"{samples.where[row](self.label)}: {label!r} is none of the classes "
                                f"{', '.join(self.classes[:20])}")
        return [numbers_of[samples.labels[row]] for row in rows]

    def _encoded(self, samples: Samples, rows: list[int], labels: list[int], name: str,
                 sources: dict[str, str]) -> Split:
        encode, documents, cut = encoder(self.unit, self.characters, self.vocab_size), [], 0
        for row in rows:
            for column, values in zip((self.text, self.second), samples.documents, strict=False):
                try:
                    tokens = np.asarray(encode(values[row]), np.int32)
                except ValueError as error:
                    raise UserError(f"{samples.where[row](column)}: {error}") from error
                cut += len(tokens) > self.max_length
                documents.append(tokens[:self.max_length])
        if cut:
            note(DataNote, f"task files: {cut} of {len(documents)} documents of {name} are longer than "
                           f"task.max_length = {self.max_length} and are cut")
        offsets = np.cumsum([0] + [len(tokens) for tokens in documents], dtype=np.int64)
        flat, known = np.concatenate(documents), np.asarray(labels, np.int64)
        if self.second:
            pairs = np.arange(len(documents), dtype=np.int64).reshape(-1, 2)
            return PairSplit(flat, offsets, pairs, known, first=0, sources=sources)
        return RaggedSplit(flat, offsets, known, sources=sources)


def _files(data: Path) -> dict[str | None, Path]:
    """The file, or the files of a folder by the split that their names say."""
    if not data.is_dir():
        return {None: data}
    found: dict[str | None, Path] = {}
    for path in sorted(data.iterdir()):
        split = NAMES.get(path.stem.lower())
        if split and path.suffix.lower() in READERS:
            if split in found:
                raise UserError(f"{data}: {found[split].name} and {path.name} are both of the {split} split; keep one")
            found[split] = path
    if "train" not in found:
        raise UserError(f"{data}: no file train.csv (or .tsv, .jsonl, .parquet, .npz, .npy) in this folder; {ADVICE}")
    return found


def _stamps(files: Mapping[str | None, Path]) -> tuple:
    """Sizes and times of files. Raises `UserError` that says what is wrong with one."""
    for path in files.values():
        with opened(path, "data file", advice=ADVICE):
            pass
    return tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files.values())


@lru_cache(maxsize=2)
def _read(files: tuple, stamps: tuple, columns: tuple[str, ...], task: Files, *, labelled: bool) -> Samples:
    """All samples of the files; `stamps` say when a file has changed, and is read anew. Without labels they are ""."""
    documents: tuple[list, ...] = tuple([] for _ in range(task.documents))
    labels, splits, where, empty = [], [], [], []
    for split, path in files:
        table = read_table(path, columns)
        for row in range(len(table)):
            found = {name: _value(table, row, name, document, task.unit) for name in (task.text, task.second) if name}
            label = _value(table, row, task.label, label_text) or None if labelled else ""
            if lacking := next((name for name, value in [*found.items(), (task.label, label)] if value is None), None):
                empty.append(table.where(row, lacking))
                continue
            splits.append(_named(table, row, task) if labelled and task.split_column else split)
            labels.append(label)
            where.append(lambda column, table=table, row=row: table.where(row, column))
            for column, value in zip(documents, found.values(), strict=True):
                column.append(value)
    if empty and task.missing == "refuse":
        raise UserError(f"{empty[0]}: nothing stands there ({len(empty)} such row(s) in all); fill it, remove the row, "
                        "or leave such rows out with --set task.missing=skip")
    if empty:
        lacking = "text or label" if labelled else "text"
        note(DataNote, f"task files: {len(empty)} row(s) without {lacking} left out, the first: {empty[0]}")
    if not labels:
        raise UserError(f"{files[0][1]}: no row has {'both text and label' if labelled else 'a text'}")
    return Samples(documents, labels, splits, where)


def _value(table: Table, row: int, column: str, made: Callable, *options: object) -> object:
    """What `made` makes of a value of the table. Raises `UserError` with its place for what it cannot be made of."""
    try:
        return made(table.columns[column][row], *options)
    except ValueError as error:
        raise UserError(f"{table.where(row, column)}: {error}") from error


def _classes(given: str | Sequence) -> tuple[str, ...]:
    """Names of classes, as labels are read. Raises `UserError` for one alone, and for one that is named twice."""
    parts = given.split(",") if isinstance(given, str) else given  # a text: from a command line
    names = tuple(name for name in map(label_text, parts) if name)
    if len(names) == 1 or len(set(names)) < len(names):
        raise UserError(f"task.classes = {', '.join(names)} of task files: name two classes or more, each once")
    return names


def _named(table: Table, row: int, task: Files) -> str:
    said = _value(table, row, task.split_column, label_text).lower()
    if said not in NAMES:
        raise UserError(f"{table.where(row, task.split_column)}: {said!r} is no split; write train, validation or test")
    return NAMES[said]


def _checksums(data: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in _files(data).values()}


# ---------------------------------------------------------------------------------------------- arrays in Python

Column = Iterable  # a list, an array of NumPy or torch, a column of pandas
ARRAY_DIALS = {field.name for field in dataclasses.fields(Files)} - {"unit", "second", "split_column", "arrays"}


def from_arrays(documents: Column, labels: Column, *, second: Column | None = None, splits: Column | None = None,
                unit: str | None = None, **dials) -> Files:
    """A task of arrays or lists: texts, bytes, or tokens as whole numbers ([samples, length], or a list of arrays).

    `labels` are numbers or texts, one a sample; `second` the other document of each pair; `splits` says train,
    validation or test for each. `unit` is "bytes" for texts and "tokens" for numbers unless given. `dials` are other
    fields of `Files`. The arrays are kept in the cache, so that a run can be resumed in another session. Raises
    `UserError` for lengths that differ and for what is neither text nor whole number.
    """
    if strange := sorted(dials.keys() - ARRAY_DIALS):
        raise unknown("dial of from_arrays", strange[0], ARRAY_DIALS)
    columns = {"documents": documents, "labels": labels, "second": second, "splits": splits}
    lists = {what: _as_list(what, values) for what, values in columns.items()
             if values is not None or what in ("documents", "labels")}
    rows = len(lists["documents"])
    for what, values in lists.items():
        if len(values) != rows:
            raise UserError(f"from_arrays: {rows} documents and {len(values)} {what}; give one for each")
    if not rows:
        raise UserError("from_arrays: no document is given")
    if unit is None:
        unit = "bytes" if isinstance(lists["documents"][0], (str, bytes)) else "tokens"
    elif unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    columns = tuple(_made(what, lists[what], document, unit) for what in ("documents", "second") if what in lists)
    texts = _made("labels", lists["labels"], label_text)
    named: list[str | None] = [None] * rows
    if splits is not None:
        named = [NAMES.get(name.lower(), "") for name in _made("splits", lists["splits"], label_text)]
        if "" in named:
            raise UserError(f"from_arrays: splits[{named.index('')}] = {lists['splits'][named.index('')]!r}; write "
                            "train, validation or test")
    for row in range(rows):
        if not texts[row] or any(column[row] is None for column in columns):
            raise UserError(f"from_arrays: sample {row} has no text or no label; leave it out")
    digest = hashlib.sha256("\0".join([unit, *texts, *map(str, named)]).encode("utf-8", "surrogatepass"))
    for row in range(rows):
        digest.update(content([column[row] for column in columns]))
    key = digest.hexdigest()
    given.keep(key, Samples(columns, texts, named, [given.place(row) for row in range(rows)]))
    task = Files(unit=unit, arrays=key, **{"second": "second"} if second is not None else {}, **dials)
    return task.prepared(None)


def _of_documents(documents: Iterable, task: Files) -> Samples:
    """Samples without labels of a list in Python. Raises `UserError` for what are no documents of this task."""
    values = _as_list("documents", documents, "predict")
    if not values:
        raise UserError("predict: no document is given")
    pairs = [(value,) for value in values] if not task.second else values
    for row, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list, np.ndarray)) or len(pair) != task.documents:
            raise UserError(f"predict: documents, sample {row}: two documents are compared; give a pair for each")
    columns = tuple(_made("documents", [pair[k] for pair in pairs], document, task.unit, caller="predict")
                    for k in range(task.documents))
    for row in range(len(values)):
        if any(column[row] is None for column in columns):
            raise UserError(f"predict: documents, sample {row}: nothing stands there; leave it out")
    return Samples(columns, [""] * len(values), [None] * len(values), [_sample_of(row) for row in range(len(values))])


def _sample_of(row: int) -> Callable[[str], str]:
    return lambda column: f"sample {row}"


def _as_list(what: str, values: Column, caller: str = "from_arrays") -> list:
    """One value for each sample. Raises `UserError` for what is no list."""
    if isinstance(values, (str, bytes, Mapping)) or hasattr(values, "columns"):  # a table of pandas
        raise UserError(f"{caller}: {what} are a {type(values).__name__}; give a list or an array, one for each "
                        "sample")
    try:
        return values.tolist() if hasattr(values, "tolist") and getattr(values, "ndim", 1) == 1 else list(values)
    except TypeError as error:
        raise UserError(f"{caller}: {what} are {type(values).__name__}; give a list or an array, one for each sample"
                        ) from error


def _made(what: str, values: list, made: Callable, *options: object, caller: str = "from_arrays") -> list:
    found = []
    for row, value in enumerate(values):
        try:
            found.append(made(value, *options))
        except ValueError as error:
            raise UserError(f"{caller}: {what}, sample {row}: {error}") from error
    return found
