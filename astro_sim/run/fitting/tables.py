"""Tables of measured numbers as columns with units: CSV files, pandas frames, arrays, recordings."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.parameter import as_text, split_quantity
from astro_sim.recording.frames import element_names
from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.reading import read_text
from foundation.shapes import Array, Float

HEAD = re.compile(r"\s*(.*?)\s*(?:\(([^()]*)\))?\s*")
MISSING = {"", "na", "nan", "n/a", "-", "none", "null"}
MAX_ROWS = 5_000_000
MOST_BYTES, MOST_LETTERS = 1 << 30, 500  # of a file; of a column's head
TIME = ("t", "time")


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column: its name, its unit's text (None where none is given), float64 values with NaN where one is missing."""

    name: str
    unit: str | None
    values: Float[Array, "row"]


def read_table(data: Any) -> list[Numbers]:
    """The columns of a CSV file or a recording (by path), a `Recording`, a pandas frame, or names -> arrays.

    Errors: `UserError` for what is none of these, and for a cell that is no number.
    """
    if isinstance(data, str | Path):
        path = Path(data)
        return read_table(Recording.load(path)) if path.suffix == ".nc" else _csv(path)
    if isinstance(data, Recording):
        return _recording(data)
    if hasattr(data, "columns") and hasattr(data, "index"):
        return _frame(data)
    if isinstance(data, Mapping):
        return [_column(str(name), values) for name, values in data.items()]
    raise UserError(f"data: {type(data).__name__} cannot be read; give the path of a CSV file, a pandas frame, a "
                    "recording, or a dictionary such as {'t': times, 'C': values}")


def _csv(path: Path) -> list[Numbers]:
    text = read_text(path, "data", MOST_BYTES, encoding="utf-8-sig", error=UserError,
                     advice="give a CSV file whose first line names the columns, as in 't (s), C (uM)'")
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    if len(lines) < 2 or len(lines) > MAX_ROWS:
        raise UserError(f"data: {path} has {len(lines)} lines; give a first line that names the columns, as in "
                        "'t (s), C (uM)', and a line for each time")
    between = next((mark for mark in "\t;" if mark in lines[0]), ",")
    try:
        heads, *rows = csv.reader(lines, delimiter=between, skipinitialspace=True)
    except csv.Error as error:
        raise UserError(f"data: {path} is no CSV ({error}); give numbers in columns") from error
    if max(map(len, heads), default=0) > MOST_LETTERS:
        raise UserError(f"data: {path}: a head has more than {MOST_LETTERS} letters")
    table = np.full((len(rows), len(heads)), np.nan)
    for number, row in enumerate(rows, start=1):
        if len(row) > len(heads):
            raise UserError(f"data: {path} has {len(row)} cells in row {number} under {len(heads)} heads; quote a head "
                            "that has a comma in it, or mend the row")
        for place, cell in enumerate(row):
            table[number - 1, place] = _number(cell, heads[place], number, comma=between == ";")
    return [Numbers(*_head(head), values) for head, values in zip(heads, table.T, strict=True)]


def _number(cell: str, head: str, row: int, *, comma: bool) -> float:
    text = cell.strip()
    if text.lower() in MISSING:
        return np.nan
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError as error:
        raise UserError(f"data: '{text[:40]}' in row {row} of column '{head.strip()}' is no number; leave the cell "
                        "empty where a value is missing") from error


def _head(text: str) -> tuple[str, str | None]:
    """"C (uM)" -> ("C", "uM")."""
    found = HEAD.fullmatch(text)
    assert found
    return found[1], found[2].strip() or "1" if found[2] is not None else None


def _frame(data: Any) -> list[Numbers]:
    """A pandas frame; its index is the time where no column is."""
    units = data.attrs.get("units", {})
    columns = {str(name): data[name].to_numpy() for name in data.columns}
    if not any(_head(name)[0].lower() in TIME for name in columns):
        columns = {str(data.index.name or "time"): data.index.to_numpy(), **columns}
    return [_column(name, values, units.get(name)) for name, values in columns.items()]


def _column(name: str, values: Any, unit: str | None = None) -> Numbers:
    """Numbers, a Brian2 quantity, or an array with `attrs["units"]`, as xarray's."""
    told, of_head = _head(name)
    unit = unit or of_head or getattr(values, "attrs", {}).get("units")
    if getattr(values, "dim", None) is not None and hasattr(values, "get_best_unit"):  # a Brian2 quantity
        unit = split_quantity(str(as_text(type(values)(1.0, dim=values.dim), name)), name)[1]
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise UserError(f"data: column '{name}' is not numbers ({error}); give an array of floats, NaN where a value "
                        "is missing") from error
    if numbers.ndim != 1:
        raise UserError(f"data: column '{name}' has the shape {list(numbers.shape)}; give one number a time, each "
                        "element as a column of its own")
    return Numbers(told, unit, numbers)


def _recording(data: Recording) -> list[Numbers]:
    columns = [Numbers("time", "second", np.asarray(data.time))]
    for name, series in data.variables.items():
        columns += [Numbers(head, series.unit, np.asarray(values)) for head, values in zip(
            element_names(name, series.labels), np.asarray(series.values).T, strict=True)]
    return columns
