"""Numbers of a user's own from a file: CSV with units in its first line, or .npy. Nothing is unpickled.

    time (ms), ip3 (uM)
    0, 0.1
    10, 0.3
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_sim.parameter.units import convert, unit
from foundation.errors import UserError
from foundation.reading import is_file, read_bytes, read_text, shown
from foundation.shapes import Float

MAX_BYTES = 1 << 30
MOST_LETTERS = 500  # of a column's head
_HEAD = re.compile(r"\s*(?P<name>.*?)\s*(?:[\[(](?P<unit>[^\])]*)[\])])?\s*")


@dataclass(frozen=True, eq=False)
class Column:
    """Numbers of one column; `name` and `unit` as its first line says, else "" and None."""

    name: str
    unit: str | None
    values: Float[np.ndarray, "row"]

    def numbers(self, wanted: str, field: str, given_unit: str | None = None) -> Float[np.ndarray, "row"]:
        """The numbers in the unit `wanted`. given_unit: that of a column that does not say its own.

        Errors: `UserError` where neither says a unit and `wanted` has one, where both do and differ, and for another
        dimension.
        """
        said = self.unit or given_unit
        if self.unit and given_unit and float(unit(self.unit, field)) != float(unit(given_unit, field)):
            raise UserError(f"{field}: the file says {self.unit} and the unit given is {given_unit}; give one of them")
        if said is None and wanted != "1":
            raise UserError(f"{field}: the numbers have no unit; write it into the first line of the file, as in "
                            f"'{self.name or field} ({wanted})', or after its name, as in unit={wanted}")
        return np.asarray(convert(self.values, said or "1", wanted, field), float)


def read_columns(path: str | Path, field: str) -> list[Column]:
    """The columns of a .csv, .tsv, .txt or .npy file.

    Errors: `UserError` for a file that is missing, too large or not numbers; it names the line.
    """
    path = Path(path)
    if not is_file(path):
        raise UserError(f"{field}: {shown(path)} is not a file; give the path of a .csv or .npy file")
    columns = _from_npy(path, field) if path.suffix == ".npy" else _from_text(path, field)
    if not columns or not len(columns[0].values):
        raise UserError(f"{field}: {path} has no numbers; give a row for each time or element")
    for column in columns:
        wrong = np.flatnonzero(~np.isfinite(column.values))
        if len(wrong):
            raise UserError(f"{field}: {path}: row {wrong[0] + 1} of column '{column.name}' is "
                            f"{column.values[wrong[0]]}; give finite numbers")
    return columns


def _from_npy(path: Path, field: str) -> list[Column]:
    data = read_bytes(path, field, MAX_BYTES, error=UserError)
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)  # of what is in memory no more than that is made
        if not isinstance(values, np.ndarray):
            raise ValueError("an archive of arrays")
    except Exception as error:  # of a header that says anything
        raise UserError(f"{field}: {path} cannot be read ({str(error)[:80]}); save it by numpy.save from an array of "
                        "numbers") from error
    if values.ndim not in (1, 2) or values.dtype.kind not in "iuf":
        raise UserError(f"{field}: {path} holds {values.dtype} of {values.ndim} dimensions; give numbers, (row,) or "
                        "(row, column)")
    return [Column("", None, column.astype(float)) for column in values.reshape(len(values), -1).T]


def _from_text(path: Path, field: str) -> list[Column]:
    text = read_text(path, field, MAX_BYTES, encoding="utf-8-sig", error=UserError,
                     advice="give CSV in UTF-8, or .npy")
    numbered = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"]
    if not numbered:
        return []
    separator = next((one for one in "\t;," if one in numbered[0][1]), None)
    try:
        rows = [(n, next(csv.reader([line], delimiter=separator)) if separator else line.split())
                for n, line in numbered]
    except (csv.Error, StopIteration) as error:
        raise UserError(f"{field}: {path} is no CSV ({error}); give numbers in columns") from error
    if not rows[0][1] or max(map(len, rows[0][1])) > MOST_LETTERS:
        raise UserError(f"{field}: {path}: its first line has a cell of more than {MOST_LETTERS} letters, or none")
    heads = None
    if not _is_number(rows[0][1][0]):  # without a separator the first line is the name of the only column, blanks too
        first = rows.pop(0)[1]
        heads = first if separator else [numbered[0][1]]
    width = len(heads or rows[0][1])
    for n, row in rows:
        if len(row) != width or not all(map(_is_number, row)):
            raise UserError(f"{field}: {path}, line {n}: '{','.join(row)[:60]}' is not {width} numbers; give one in "
                            "each column")
    said = [_HEAD.fullmatch(head) for head in heads or [""] * width]
    values = np.array([[float(one) for one in row] for _, row in rows]).reshape(len(rows), width)
    return [Column(head["name"], head["unit"], column) for head, column in zip(said, values.T, strict=True)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def column_of(columns: list[Column], names: tuple[str, ...], field: str, path: str | Path) -> Column:
    """The column of one of these names, or the only one. Errors: `UserError` that lists those that are there."""
    found = next((column for name in names for column in columns if column.name.lower() == name.lower()), None)
    if found is None and len(columns) > 1:
        shown = ", ".join(column.name or "without a name" for column in columns)
        raise UserError(f"{field}: {path} has the columns {shown}; call the one that is meant {names[0]}, or leave the "
                        "others out")
    return found or columns[0]
