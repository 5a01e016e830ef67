"""A number of biology: value, unit, meaning, source and basis; and how text becomes a number with a unit.

Nothing here imports Brian2 before a unit is needed, so that listing and help stay quick.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from astro_sim.parameter.units import convert, unit, unit_of
from foundation.basis import BASES
from foundation.errors import UserError

Amount = str | float | Any  # text "0.5 umolar", a number, or a Brian2 quantity, whose type is not loaded for its name

ALLOWED = {
    "positive": lambda value: value > 0,
    "nonnegative": lambda value: value >= 0,
    "fraction": lambda value: 0 <= value <= 1,
    "any": lambda value: True,
}
MUST_BE = {"positive": "above zero", "nonnegative": "zero or above", "fraction": "between 0 and 1",
           "any": "a finite number"}

MOST_LETTERS = 500  # of a number with its unit

# what a quantity of Brian2 is written in: units without a scale
_BASE = ("second", "mmolar", "mmolar/second", "hertz", "amp", "volt", "siemens", "farad", "meter")

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)


def split_quantity(text: str, field: str) -> tuple[float, str]:
    """"150 s" -> (150.0, "s"). Raises `UserError` when there is no finite number at the front."""
    match = _NUMBER.fullmatch(text) if len(text) <= MOST_LETTERS else None
    value = float(match[1]) if match else math.nan
    if not math.isfinite(value):
        raise UserError(f"{field}: '{text[:MOST_LETTERS]}' is not a number with a unit; write it like '150 second' or "
                        "'0.5 umolar'")
    return value, match[2] or "1"


def base_unit(quantity: Any, field: str) -> str:
    """The unit without a scale that a Brian2 quantity is written in, e.g. mmolar. Errors: `UserError`."""
    from brian2 import have_same_dimensions

    base = next((name for name in _BASE if have_same_dimensions(quantity, unit(name))), None) or unit_of(quantity)
    if base is None:
        raise UserError(f"{field}: {str(quantity)[:60]} has no unit of whole powers; give text such as '0.5 umolar'")
    return base


def as_text(given: Amount, field: str) -> Amount:
    """A Brian2 quantity as text such as "0.5 mmolar"; all else as it is. Raises `UserError` for several at once."""
    if getattr(given, "dim", None) is None:
        return given
    if getattr(given, "ndim", 0):
        raise UserError(f"{field}: {str(given)[:60]} is not one quantity; give one value, such as '0.5 umolar'")
    return f"{float(given)!r} {base_unit(given, field)}"


def read(given: Amount, wanted: str, field: str) -> float:
    """Text such as "2 ms", a Brian2 quantity, or a bare finite number taken as `wanted` -> the number of `wanted`."""
    given = as_text(given, field)
    if isinstance(given, str):
        return convert(*split_quantity(given, field), wanted, field)
    try:
        value = float(given)
    except (TypeError, ValueError) as error:
        shown = f"2 {wanted}".removesuffix(" 1")
        raise UserError(f"{field}: {given!r} is not a number; give one, or text such as '{shown}'") from error
    if not math.isfinite(value):
        raise UserError(f"{field}: {value} is not finite; give a finite number"
                        + (f" of {wanted}" if wanted != "1" else ""))
    return value


def seconds(given: Amount, field: str) -> float:
    """A time that must be above zero, in seconds; a bare number is seconds, text needs its unit."""
    value = read(given, "second", field)
    if value <= 0:
        raise UserError(f"{field}: {given} is not allowed; it must be above zero")
    return value


@dataclass(frozen=True)
class Parameter:
    """One number of a model. `source` is a key of references.bib or "assumed here"; `basis` says how it is known.

    Errors: `UserError` for an unknown basis, a value that is not finite, or a sign that is not allowed.
    """

    value: float
    unit: str
    meaning: str
    source: str
    basis: str
    allowed: str = "positive"

    def __post_init__(self):
        if self.basis not in BASES:
            raise UserError(f"basis '{self.basis}' of '{self.meaning}'; choose one of: {', '.join(BASES)}")
        if self.allowed not in ALLOWED:
            raise UserError(f"allowed '{self.allowed}' of '{self.meaning}'; choose one of: {', '.join(ALLOWED)}")
        if not math.isfinite(self.value) or not ALLOWED[self.allowed](self.value):
            raise UserError(f"'{self.meaning}' = {self.value:g} {self.unit} is not allowed; it must be {self._must()}")

    def _must(self) -> str:
        return MUST_BE[self.allowed]

    def quantity(self) -> Any:
        """The value as a Brian2 quantity (a plain float when it has no unit)."""
        return self.value * unit(self.unit)

    def changed(self, name: str, given: "Amount | Parameter") -> "Parameter":
        """This parameter with another value: text "VALUE UNIT", a Brian2 quantity, a bare number where it has no unit,
        or a `Parameter`.

        Keeps unit, meaning and allowed range. Text is "set by the user", assumed; a `Parameter` brings its source.
        """
        if isinstance(given, Parameter):
            value, source, basis = convert(given.value, given.unit, self.unit, name), given.source, given.basis
        else:
            given = as_text(given, name)
            if not isinstance(given, str) and self.unit != "1":
                raise UserError(f"{name}: {given!r} has no unit; write '{given} {self.unit}'")
            value, source, basis = read(given, self.unit, name), "set by the user", "assumed"
        if not ALLOWED[self.allowed](value):
            shown = f"{value:g} {self.unit}".removesuffix(" 1")
            raise UserError(f"{name}: {shown} is not allowed; '{self.meaning}' must be {self._must()}")
        return replace(self, value=value, source=source, basis=basis)

    def as_dict(self) -> dict:
        """The parameter as JSON, without what it may be."""
        return {"value": self.value, "unit": self.unit, "meaning": self.meaning, "source": self.source,
                "basis": self.basis}
