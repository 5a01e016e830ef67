"""A number of biology: value, unit, meaning, source and basis. The only place where text becomes a number with a unit.

Nothing here imports Brian2 before a unit is needed, so that listing and help stay quick.
"""

import ast
import math
import re
from dataclasses import dataclass, replace
from typing import Any

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

_PREFIXES = ("", "n", "u", "m", "k")
_STEMS = ("second", "molar", "mole", "meter", "metre", "liter", "hertz", "volt", "amp", "siemens", "farad", "ohm",
          "joule", "watt", "kelvin")
UNITS = {prefix + stem: prefix + stem for stem in _STEMS for prefix in _PREFIXES}
UNITS |= {"s": "second", "ms": "msecond", "us": "usecond", "M": "molar", "mM": "mmolar", "uM": "umolar", "nM": "nmolar",
          "Hz": "hertz", "kHz": "khertz", "mV": "mvolt", "V": "volt", "um": "umeter", "mm": "mmeter"}

# what a quantity of Brian2 is written in: units without a scale
_BASE = ("second", "mmolar", "mmolar/second", "hertz", "amp", "volt", "siemens", "farad", "meter")

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)


def unit(text: str, field: str = "unit") -> Any:
    """The Brian2 unit that `text` names, e.g. "umolar/second"; "1" or "" has no dimension.

    Only unit names, *, /, ** and whole exponents are read. Raises `UserError` that names `field`.
    """
    cleaned = text.strip().replace("^", "**") or "1"
    try:
        if len(cleaned) > 80:
            raise ValueError
        return _evaluate(ast.parse(cleaned, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UserError(f"{field}: unknown unit '{text[:80]}'; allowed are second, msecond, umolar, mmolar, hertz, "
                        "mvolt, ... with *, / and **, as in '2 umolar/second'") from error


def _evaluate(node: ast.expr) -> Any:
    import brian2

    match node:
        case ast.Constant(1):
            return 1.0
        case ast.Name(name) if name in UNITS:
            return getattr(brian2, UNITS[name])
        case ast.BinOp(left, ast.Mult(), right):
            return _evaluate(left) * _evaluate(right)
        case ast.BinOp(left, ast.Div(), right):
            return _evaluate(left) / _evaluate(right)
        case ast.BinOp(base, ast.Pow(), ast.Constant(int(power))) if 1 <= power <= 9:
            return _evaluate(base) ** power
        case ast.BinOp(base, ast.Pow(), ast.UnaryOp(ast.USub(), ast.Constant(int(power)))) if 1 <= power <= 9:
            return 1 / _evaluate(base) ** power
    raise ValueError


def split_quantity(text: str, field: str) -> tuple[float, str]:
    """"150 s" -> (150.0, "s"). Raises `UserError` when there is no finite number at the front."""
    match = _NUMBER.fullmatch(text)
    value = float(match[1]) if match else math.nan
    if not math.isfinite(value):
        raise UserError(f"{field}: '{text}' is not a number with a unit; write it like '150 second' or '0.5 umolar'")
    return value, match[2] or "1"


def convert(value: float, given: str, wanted: str, field: str) -> float:
    """`value` in the unit `given`, as a number of `wanted`. Raises `UserError` on another dimension."""
    from brian2 import have_same_dimensions

    if given.strip() == wanted.strip():
        return value
    source, target = unit(given, field), unit(wanted, field)
    if not have_same_dimensions(source, target):
        shown = f"'{value:g} {given}' has the wrong dimension" if given != "1" else f"'{value:g}' has no unit"
        raise UserError(f"{field}: {shown}; give {_kind(wanted)}")
    return float(value * float(source) / float(target))


def _kind(wanted: str) -> str:
    return "a pure number, without a unit" if wanted == "1" else f"a value in {wanted} or a unit of the same dimension"


def as_text(given: Amount, field: str) -> Amount:
    """A Brian2 quantity as text such as "0.5 mmolar"; all else as it is. Raises `UserError` for several at once."""
    if getattr(given, "dim", None) is None:
        return given
    from brian2 import have_same_dimensions

    base = next((name for name in _BASE if have_same_dimensions(given, unit(name))), None)
    if base is None or getattr(given, "ndim", 0):
        raise UserError(f"{field}: {given!r} is not one quantity of time, concentration, flux, current, voltage or "
                        "conductance; write text such as '0.5 umolar'")
    return f"{float(given)!r} {base}"


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
