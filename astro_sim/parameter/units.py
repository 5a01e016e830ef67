"""Units as people write them: "uM/s", "µM", "1/min", "mol/m**3". Nothing here imports Brian2 before a unit is needed.

A name is a unit of Brian2, short or long, with a prefix from femto to giga; besides there are minute, hour and day.
`m` is metre, `M` molar, `min` minute, `s` second, `S` siemens, everywhere.
"""

import ast
import difflib
import math
import re
from typing import Any

from foundation.errors import UserError
from foundation.expression import tree_of

_PREFIXES = ("", "f", "p", "n", "u", "m", "k", "M", "G")
_STEMS = ("second", "molar", "mole", "meter", "metre", "liter", "litre", "hertz", "volt", "amp", "ampere", "siemens",
          "farad", "ohm", "joule", "watt", "gram", "coulomb", "newton", "pascal")
_SYMBOLS = {"s": "second", "M": "molar", "mol": "mole", "m": "metre", "L": "liter", "l": "liter", "Hz": "hertz",
            "V": "volt", "A": "amp", "S": "siemens", "F": "farad", "J": "joule", "W": "watt", "g": "gram",
            "Pa": "pascal", "N": "newton"}
# what a person writes -> (how many of it, the unit of Brian2)
UNITS: dict[str, tuple[float, str]] = {
    **{f"{prefix}{stem}": (1, f"{prefix}{stem}") for stem in _STEMS for prefix in _PREFIXES},
    **{f"{prefix}{symbol}": (1, f"{prefix}{stem}") for symbol, stem in _SYMBOLS.items() for prefix in _PREFIXES},
    **{f"c{name}": (1, f"c{name}") for name in ("meter", "metre")}, "cm": (1, "cmetre"), "kilogram": (1, "kilogram"),
    "candle": (1, "candle"), "kelvin": (1, "kelvin"), "K": (1, "kelvin"),
    "sec": (1, "second"), "seconds": (1, "second"),
    **dict.fromkeys(("min", "minute", "minutes"), (60, "second")),
    **dict.fromkeys(("h", "hour", "hours"), (3600, "second")), **dict.fromkeys(("day", "days"), (86400, "second")),
}
_MEANT = {"m": "m is metre; write min for minutes, M for molar", "M": "M is molar; write m for metres, min for minutes",
          "min": "min is minute; write m for metres, M for molar", "S": "S is siemens; write s for seconds",
          "s": "s is second; write S for siemens", "mM": "mM is millimolar; write mm for millimetres",
          "mm": "mm is millimetre; write mM for millimolar", "um": "um is micrometre; write uM for micromolar",
          "uM": "uM is micromolar; write um for micrometres", "nm": "nm is nanometre; write nM for nanomolar",
          "ms": "ms is millisecond; write mS for millisiemens", "mS": "mS is millisiemens; write ms for milliseconds"}
_SIGNS = str.maketrans({"\u00b5": "u", "\u03bc": "u", "\u03a9": "ohm", "\u2126": "ohm",  # micro, mu, omega, ohm
                        "\u00b7": "*", "\u22c5": "*", "\u00d7": "*", "\u2212": "-"})
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_POWER = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_WORD = re.compile(r"[A-Za-z_]+")


def plain_unit(text: str) -> str:
    """A unit in the letters that are read here: "µM·s⁻¹" -> "uM*s**-1", "/s" -> "1/s", "m3" -> "m**3"; "1" for none."""
    raised = _POWER.sub(lambda power: f"**{power[0].translate(_RAISED)}", text)
    cleaned = raised.translate(_SIGNS).replace("^", "**").strip()
    cleaned = re.sub(r"\b([A-Za-z]*m)([23])\b", r"\1**\2", cleaned)
    return (f"1{cleaned}" if cleaned.startswith("/") else cleaned) or "1"


def unit(text: str, field: str = "unit") -> Any:
    """The Brian2 unit that `text` names, e.g. "umolar/second"; "1" or "" has no dimension.

    Only unit names, *, /, ** (or ^), brackets and whole exponents are read. Raises `UserError` that names `field`.
    """
    cleaned = plain_unit(text)
    try:
        made = _evaluate(tree_of(cleaned, most=80))
        if not 0 < float(made) < math.inf:
            raise ValueError
        return made
    except (ValueError, ArithmeticError) as error:
        raise UserError(f"{field}: unknown unit '{text[:80]}'{_close(cleaned)}; allowed are second, min, uM, mmolar, "
                        "Hz, mV, ... with *, / and **, as in '2 umolar/second' or '3 1/min'") from error


def _close(cleaned: str) -> str:
    """What an unknown name may have meant, in words."""
    for name in _WORD.findall(cleaned[:80]):
        if name not in UNITS:
            same = sorted(known for known in UNITS if known.lower() == name.lower())
            close = same or difflib.get_close_matches(name, UNITS, n=1)
            return f" (did you mean {' or '.join(close)}?)" if close else ""
    return ""


def _evaluate(node: ast.expr) -> Any:
    match node:
        case ast.Constant(1):
            return 1.0
        case ast.Name(name) if name in UNITS:
            from brian2.units import allunits

            count, known = UNITS[name]
            return getattr(allunits, known) if count == 1 else count * getattr(allunits, known)
        case ast.BinOp(left, ast.Mult(), right):
            return _evaluate(left) * _evaluate(right)
        case ast.BinOp(left, ast.Div(), right):
            return _evaluate(left) / _evaluate(right)
        case ast.BinOp(base, ast.Pow(), ast.Constant(int(power))) if 1 <= power <= 9:
            return _evaluate(base) ** power
        case ast.BinOp(base, ast.Pow(), ast.UnaryOp(ast.USub(), ast.Constant(int(power)))) if 1 <= power <= 9:
            return 1 / _evaluate(base) ** power
    raise ValueError


def convert(value: Any, given: str, wanted: str, field: str) -> Any:
    """`value` (a number or an array) in the unit `given`, as `wanted`. Raises `UserError` on another dimension."""
    from brian2 import have_same_dimensions

    if given.strip() == wanted.strip():
        return value
    source, target = unit(given, field), unit(wanted, field)
    if not have_same_dimensions(source, target):
        raise UserError(f"{field}: {_wrong(value, given)}; give {_kind(wanted)}")
    return value * float(source) / float(target)


def _wrong(value: Any, given: str) -> str:
    """What is wrong with a value of another dimension, and what its unit means where it can be mistaken."""
    shown = f"{value:g}" if isinstance(value, int | float) else "the values"
    if given.strip() in ("", "1"):
        return f"'{shown}' has no unit"
    meant = [said for name, said in _MEANT.items() if name in _WORD.findall(plain_unit(given))]
    return f"'{shown} {given}' has the wrong dimension" + (f" ({'; '.join(meant)})" if meant else "")


def _kind(wanted: str) -> str:
    return "a pure number, without a unit" if wanted == "1" else f"a value in {wanted} or a unit of the same dimension"


def unit_of(quantity: Any) -> str | None:
    """The base unit of a Brian2 quantity, as `unit` reads it; None where a dimension has no whole power."""
    names = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candle")
    powers = quantity.dim._dims
    if any(power != int(power) for power in powers):
        return None
    return "*".join(f"{name}**{int(power)}" for name, power in zip(names, powers, strict=True) if power) or "1"
