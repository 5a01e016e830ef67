"""Several values of one parameter or variable, one an element: from arrays with a unit, text or a file."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from astro_sim.parameter.parameter import Parameter, as_text, base_unit, split_quantity
from astro_sim.parameter.table_files import column_of, read_columns
from astro_sim.parameter.units import convert
from foundation.errors import UserError
from foundation.reading import is_file
from foundation.shapes import Float

FILE = "file:"


def several_values(given: Any, wanted: str, name: str) -> Float[np.ndarray, "element"] | None:
    """Values one an element, in the unit `wanted`; None where `given` is one value.

    given: an array of Brian2 with its unit, (numbers, "unit"), a list of quantities or texts, bare numbers where there
    is no unit; text joined by +, as in "0.1uM+0.2uM"; "file:PATH", with a unit behind it where the file says none.
    Errors: `UserError` for bare numbers of what has a unit, and as of `read_columns`.
    """
    if isinstance(given, str):
        return _of_text(given, wanted, name)
    if isinstance(given, Parameter) or not np.iterable(given):
        return None
    if getattr(given, "dim", None) is not None:
        if np.ndim(given) == 0:
            return None
        return _numbers(np.asarray(given, float), base_unit(given, name), wanted, name)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str) and np.iterable(given[0]) \
            and not isinstance(given[0], str):
        return _numbers(given[0], given[1], wanted, name)
    values = list(given)
    if any(isinstance(value, str) or getattr(value, "dim", None) is not None for value in values):
        return np.array([_one(value, wanted, name) for value in values])
    if wanted != "1":
        shown = ", ".join(map(str, values[:2])) + (", ..." if len(values) > 2 else "")
        raise UserError(f"{name}: the numbers {shown} have no unit; write ([{shown}], '{wanted}'), or multiply them by "
                        "a unit of Brian2")
    return _numbers(values, "1", wanted, name)


def _one(value: Any, wanted: str, name: str) -> float:
    text = as_text(value, name)
    if not isinstance(text, str):
        if wanted != "1":
            raise UserError(f"{name}: {value!r} has no unit; write '{value} {wanted}'")
        return float(_numbers([text], "1", "1", name)[0])
    return float(convert(*split_quantity(text, name), wanted, name))


def _of_text(text: str, wanted: str, name: str) -> Float[np.ndarray, "element"] | None:
    if text.strip().startswith(FILE):
        path, _, written = text.strip().removeprefix(FILE).strip().partition(" ")
        if not is_file(path) and is_file(f"{path} {written}"):  # a blank in the file's name
            path, written = f"{path} {written}", ""
        columns = read_columns(path, name)
        return column_of(columns, (name, "value"), name, path).numbers(wanted, name, written.strip() or None)
    parts = re.split(r"(?<![eE])\+", text)
    if len(parts) < 2 or not all(part.strip() for part in parts):
        return None
    pieces = [split_quantity(part, name) for part in parts]
    if pieces[-1][1] != "1" and all(unit == "1" for _, unit in pieces[:-1]):  # 0.1+0.2 uM: the unit of all
        pieces = [(value, pieces[-1][1]) for value, _ in pieces]
    return np.array([float(convert(value, unit, wanted, name)) for value, unit in pieces])


def _numbers(values: Iterable, given: str, wanted: str, name: str) -> Float[np.ndarray, "element"]:
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        bad = next((value for value in values if not isinstance(value, int | float)), values)
        raise UserError(f"{name}: {bad!r} is not a number; give a number for each element") from error
    if array.ndim != 1:
        raise UserError(f"{name}: an array of shape {array.shape}; give one value an element, (element,)")
    if not np.isfinite(array).all():
        raise UserError(f"{name}: value {int(np.argmin(np.isfinite(array)))} is not finite; give finite numbers")
    return np.asarray(convert(array, given, wanted, name), float)
