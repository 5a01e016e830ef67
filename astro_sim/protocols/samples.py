"""Measured or computed time courses: values at times of their own, and what holds between them.

    samples("ip3", values=array, unit="umolar", dt="100 ms", interpolation="cubic")
    samples("ip3", file="ip3.csv")                  # columns "time (s)" and "ip3 (uM)"

`linear` goes straight from sample to sample, `previous` holds each until the next, `cubic` is the smooth spline through
all of them. Before the first sample its value holds, after the last that of the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.parameter import (
    Amount,
    Column,
    as_text,
    base_unit,
    column_of,
    plain_unit,
    read,
    read_columns,
    seconds,
    split_quantity,
    unit,
)
from astro_sim.protocols.drive import Drive
from astro_sim.protocols.text import Elements, Several, chosen_elements, moment, several
from foundation.errors import UserError, unknown
from foundation.files import sha256_bytes
from foundation.shapes import Float

INTERPOLATIONS = ("linear", "previous", "cubic")
MAX_SAMPLES = 1_000_000


@dataclass(frozen=True, repr=False)
class Samples(Drive):
    """`values[n]`, in `unit`, at `times[n]` (s, rising), and `interpolation` between them."""

    input: str
    times: tuple[float, ...]
    values: tuple[float, ...]
    unit: str
    interpolation: str = "linear"
    elements: tuple[int, ...] | None = None
    kind = "samples"

    def __repr__(self) -> str:
        numbers = sha256_bytes(np.array([self.times, self.values]).tobytes())[:12]
        return f"<samples of {self.input}, {numbers}: {len(self.times)} in {self.unit}, {self.interpolation}>"

    def as_dict(self) -> dict:
        """The drive as JSON, every sample in it: a recording needs no file of the user's."""
        return {"kind": self.kind, "input": self.input, "sample_times_s": list(self.times),
                "samples": list(self.values), "unit": self.unit, "interpolation": self.interpolation,
                "elements": None if self.elements is None else list(self.elements)}


def samples_from_dict(entry: dict) -> Samples:
    """The drive that `as_dict` wrote."""
    elements = entry["elements"]
    return Samples(entry["input"], tuple(entry["sample_times_s"]), tuple(entry["samples"]), entry["unit"],
                   entry["interpolation"], None if elements is None else tuple(elements))


def samples(input: str, values: Several | None = None, dt: Amount | None = None, times: Several | None = None,
            unit: str | None = None, file: str | Path | None = None, interpolation: str = "linear",
            start: Amount = "0 s", elements: Elements = None) -> Samples | tuple[Samples, ...]:
    """Samples from an array or a file (CSV with units in its first line, or .npy), the first at `start`.

    They are `dt` apart, or at `times`, or at those of the column time of the file. Values of several columns, (time,
    element), are one course an element. `interpolation`: linear, previous or cubic.
    """
    if interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", interpolation, INTERPOLATIONS)
    if (file is None) == (values is None):
        raise UserError("samples: give values, or a file with a column of them; one of the two")
    columns, at = _of_file(file, input) if values is None else (_of_array(values, unit), None)
    if sum(known is not None for known in (at, dt, times)) != 1:
        raise UserError("samples: say when they are, once: by dt, by times, or by a column 'time (s)' in the file")
    at = _times(at, dt, times, count=len(columns[0].values)) + moment(start, "start")
    chosen = chosen_elements(elements)
    written = [_written(column, unit, input) for column in columns]
    made = [Samples(input, tuple(at.tolist()), tuple(column.values.tolist()), plain_unit(name), interpolation, chosen)
            for column, name in zip(columns, written, strict=True)]
    if len(made) == 1:
        return made[0]
    places = range(len(made)) if chosen is None else chosen
    if len(places) != len(made):
        raise UserError(f"elements: {len(places)} for {len(made)} columns of values; give one for each")
    return tuple(Samples(one.input, one.times, one.values, one.unit, interpolation, (place,))
                 for one, place in zip(made, places, strict=True))


def _of_file(file: str | Path, input: str) -> tuple[list[Column], Float[np.ndarray, "sample"] | None]:
    """The columns of values in a file, and the times in seconds, where it has them."""
    columns = read_columns(file, "file")
    time = next((column for column in columns if column.name.lower() in ("time", "t")), None)
    rest = [column for column in columns if column is not time]
    if not rest:
        raise UserError(f"file: {file} has no values besides the times; give a column such as '{input} (umolar)'")
    if any(column.name.lower() in (input.lower(), "value") for column in rest):
        rest = [column_of(rest, (input, "value"), "file", file)]
    return rest, None if time is None else time.numbers("second", "time")


def _of_array(values: Several, written: str | None) -> list[Column]:
    """The columns of an array; a Brian2 quantity has its unit."""
    given: Any = values
    if isinstance(values, str) or (isinstance(values, Sequence) and len(values) and isinstance(values[0], str)):
        texts = several(values, "values")
        written = written or split_quantity(str(as_text(texts[0], "values")), "values")[1]
        given = np.array([read(text, written, "values") for text in texts])
        return [Column("values", written, given)]
    array = np.asarray(given, float)
    if array.ndim not in (1, 2) or not array.size:
        raise UserError(f"values: an array of shape {array.shape}; give (time,), or (time, element)")
    if not np.isfinite(array).all():
        raise UserError(f"values: sample {int(np.argwhere(~np.isfinite(array))[0][0])} is not finite; give numbers")
    own = None if getattr(given, "dim", None) is None else base_unit(given, "values")
    return [Column("values", own, column) for column in array.reshape(len(array), -1).T]


def _written(column: Column, given: str | None, input: str) -> str:
    """The unit of a column: its own or the given one."""
    name = column.unit or given or "1"
    if column.unit and given and float(unit(column.unit)) != float(unit(given)):
        raise UserError(f"unit: the samples of {input} are in {column.unit}, and unit={given} is given; give one")
    unit(name, "unit")
    return name


def _times(at: Float[np.ndarray, "sample"] | None, dt: Amount | None, times: Several | None, *, count: int
           ) -> Float[np.ndarray, "sample"]:
    """When the samples are, in seconds."""
    if dt is not None:
        at = seconds(dt, "dt") * np.arange(count)
    elif times is not None:
        given = list(times) if getattr(times, "dim", None) is not None else several(times, "times")
        at = np.array([moment(time, "times") for time in given])
    if len(at) != count or not 2 <= count <= MAX_SAMPLES:
        raise UserError(f"samples: {count} values at {len(at)} times; give one for each, from 2 to {MAX_SAMPLES}")
    if at[0] < 0 or (np.diff(at) <= 0).any():
        raise UserError(f"times: sample {int(np.argmax(np.diff(at) <= 0)) + 1} is not later than the one before it; "
                        "give times that rise from 0 s or later")
    return at
