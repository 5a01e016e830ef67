"""Columns of a user's own file: CSV, TSV, JSON lines, Parquet, NumPy's .npz and .npy; each value with its place.

What is harmless is forgiven: a byte-order mark, CRLF, blank lines, quoted fields, semicolons, tabs or vertical bars
between columns, the line `sep=;`. What is wrong is an error with file, line and column. Nothing is unpickled.
"""

import csv
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import DamagedFileError, UserError
from foundation.reading import content_of, is_file, read_bytes

LARGEST = 4 << 30  # bytes of a file, and of what it unpacks to
OBJECTS = "save texts as np.array(texts, dtype=str): objects, which NumPy pickles, are not read"
ADVICE = "give a .csv, .tsv, .jsonl, .parquet, .npz or .npy file, or a folder with train, validation and test files"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
PACKED, ARCHIVES = (".gz", ".bz2", ".xz", ".zip"), (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK\3\4")  # endings, marks


@dataclass(frozen=True)
class Table:
    """Columns by name, all as long; `place(i)` says where row i stands, for an error."""

    path: Path
    columns: dict[str, Sequence]
    place: Callable[[int], str]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def where(self, row: int, column: str) -> str:
        """File, line and column of a value."""
        return f"{self.path}, {self.place(row)}, column {column!r}"


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """The named columns of a file. Raises `UserError` for a column that is not there (it lists those that are) and for
    a row that is no row, `DamagedFileError` for a file that is cut or not what its ending says.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        what = "it is packed; unpack it first" if path.suffix.lower() in PACKED else "its ending says nothing"
        raise UserError(f"{path}: {what}; {ADVICE}")
    table = reader(path, list(dict.fromkeys(columns)))
    lengths = {name: len(values) for name, values in table.columns.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{path}: its columns have different lengths: {lengths}")
    if not len(table):
        raise UserError(f"{path}: it holds no row")
    return table


def _check_columns(where: object, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raises `UserError` for a column that is not among those that are there, and for one that is there twice."""
    if lacking := [name for name in wanted if name not in there]:
        shown = ", ".join(repr(name[:40]) for name in list(there)[:20]) or "none"
        raise UserError(f"{where}: no column {', '.join(map(repr, lacking))}; it has {shown}. Name them with --set "
                        "task.text=COLUMN and --set task.label=COLUMN")
    if twice := next((name for name in wanted if list(there).count(name) > 1), None):
        raise UserError(f"{where}: two columns are called {twice!r}; rename one of them")


def _text(path: Path) -> str:
    data = read_bytes(path, "data file", LARGEST, advice=ADVICE, error=UserError)
    if data.startswith(ARCHIVES):
        raise UserError(f"{path}: it is packed, whatever its ending says; unpack it first")
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not {encoding} (byte 0x{data[error.start]:02x}); save the file as UTF-8"
                        ) from error
    if "\0" in text.partition("\n")[0]:  # UTF-16 without its mark, UTF-32, an archive
        raise UserError(f"{path}, line 1: it has bytes of value 0, so it is no plain text; save the file as UTF-8")
    return text


def _csv(path: Path, wanted: list[str]) -> Table:
    text, skipped = _text(path), 0
    if text[:4].lower() == "sep=":  # Excel's first line
        first, _, text = text.partition("\n")
        skipped, delimiter = 1, first[4:].strip("\r") or "\t"
        delimiter = delimiter if delimiter in DELIMITERS else ","
    else:
        delimiter = _delimiter(path, text.replace("\r", "\n").split("\n", 1)[0], wanted)
    columns, lines = {name: [] for name in wanted}, []
    for line, row in _rows(path, text, delimiter, skipped):
        if not lines:
            header = [name.strip() for name in row]
            _check_columns(f"{path}, line {line}", wanted, header)
            places = {name: header.index(name) for name in wanted}
            lines.append(line)
            continue
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} fields where the header has {len(header)}; put quotation "
                            f"marks around a text that holds {DELIMITERS[delimiter]} or line ends")
        lines.append(line)
        for name, place in places.items():
            columns[name].append(row[place])
    if not lines:
        raise UserError(f"{path}: the file is empty; its first line should name the columns")
    return Table(path, columns, lambda row: f"line {lines[row + 1]}")


def _delimiter(path: Path, header: str, wanted: list[str]) -> str:
    """What stands between columns: what makes the header hold those that are wanted."""
    for delimiter in ("\t", ",", ";") if path.suffix.lower() in (".tsv", ".tab") else tuple(DELIMITERS):
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:  # `_rows` says what is wrong, and where
            continue
        if set(wanted) <= {name.strip() for name in names}:
            return delimiter
    return max(DELIMITERS, key=header.count)


def _rows(path: Path, text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with the line on which each begins."""
    before = csv.field_size_limit(1 << 30)  # the default refuses a text of more than 128 kB
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = skipped + 1
    try:
        for row in reader:
            if row and any(field.strip() for field in row):
                yield line, row
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: {error}; is a quotation mark left open there?") from error
    finally:
        csv.field_size_limit(before)


def _jsonl(path: Path, wanted: list[str]) -> Table:
    columns, lines = {name: [] for name in wanted}, []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: expected an object like {{\"text\": ..., \"label\": ...}}, found "
                            f"{type(row).__name__}")
        _check_columns(f"{path}, line {number}", wanted, list(row))
        lines.append(number)
        for name in wanted:
            columns[name].append(row[name])
    return Table(path, columns, lambda row: f"line {lines[row]}")


def _parquet(path: Path, wanted: list[str]) -> Table:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs pyarrow, which is not installed: pip install "
                        "'astro-rmaat[parquet]'") from error
    if not is_file(path):
        read_bytes(path, "data file", LARGEST, advice=ADVICE)  # says what it is
    with content_of(f"{path}: no whole Parquet file"):
        file = parquet.ParquetFile(path)
        _check_columns(path, wanted, file.schema_arrow.names)
        size = sum(file.metadata.row_group(k).total_byte_size for k in range(file.metadata.num_row_groups))
        if size > LARGEST:
            raise UserError(f"{path}: it unpacks to {size:,} bytes; at most {LARGEST:,} are read")
        read = file.read(columns=wanted)
        return Table(path, {name: read.column(name).to_pylist() for name in wanted}, lambda row: f"row {row + 1}")


def _npz(path: Path, wanted: list[str]) -> Table:
    data = io.BytesIO(read_bytes(path, "data file", LARGEST, advice=ADVICE))
    with content_of(f"{path}: no whole .npz file of plain arrays", OBJECTS):
        with zipfile.ZipFile(data) as archive:
            if (size := sum(entry.file_size for entry in archive.infolist())) > LARGEST:
                raise UserError(f"{path}: it unpacks to {size:,} bytes; at most {LARGEST:,} are read")
        data.seek(0)
        with np.load(data, allow_pickle=False) as arrays:
            _check_columns(path, wanted, arrays.files)
            return _of_arrays(path, {name: arrays[name] for name in wanted})


def _npy(path: Path, wanted: list[str]) -> Table:
    """A structured array whose fields are the columns."""
    data = io.BytesIO(read_bytes(path, "data file", LARGEST, advice=ADVICE))
    with content_of(f"{path}: no whole .npy file of plain values", OBJECTS):
        array = np.load(data, allow_pickle=False)
    names = getattr(getattr(array, "dtype", None), "names", None)
    if names is None:
        raise UserError(f"{path}: no structured array, whose fields would be the columns; give a .npz file with an "
                        "array for each column")
    _check_columns(path, wanted, names)
    return _of_arrays(path, {name: array[name] for name in wanted})


def _of_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Table:
    for name, array in arrays.items():
        if array.ndim < 1 or array.ndim > 2 or array.dtype.kind not in "iubUSf":
            raise UserError(f"{path}, column {name!r}: an array of {array.dtype} of shape {array.shape}; give texts or "
                            "labels as [samples], tokens as whole numbers [samples, length]")
        if array.dtype.kind == "U" and array.size and array.itemsize:
            letters = np.ascontiguousarray(array).view(array.dtype.byteorder + "u4")
            if letters.max() > sys.maxunicode:
                raise DamagedFileError(f"{path}, column {name!r}: letters that there are not; the file is altered")
    return Table(path, {name: list(array) if array.ndim == 2 else array.tolist() for name, array in arrays.items()},
                 lambda row: f"row {row + 1}")


READERS: dict[str, Callable[[Path, list[str]], Table]] = {
    ".csv": _csv, ".tsv": _csv, ".tab": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet, ".npz": _npz,
    ".npy": _npy}
