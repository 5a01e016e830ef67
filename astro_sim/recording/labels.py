"""Words and units on pictures and in tables: "calcium (µM)". Standard library only.

The code writes units as Brian2 names them, "umolar/second"; people read "µM/s".
"""

import re
import textwrap

ACROSS = 26  # letters of a label beside a panel
_PREFIXES = {"": "", "n": "n", "u": "µ", "m": "m", "k": "k"}
_SYMBOLS = {"second": "s", "molar": "M", "mole": "mol", "meter": "m", "metre": "m", "liter": "l", "hertz": "Hz",
            "volt": "V", "amp": "A", "siemens": "S", "farad": "F", "ohm": "Ω", "joule": "J", "watt": "W", "kelvin": "K"}
_SHORT = {prefix + name: shown + symbol for name, symbol in _SYMBOLS.items() for prefix, shown in _PREFIXES.items()}
_WORD = re.compile(r"[A-Za-z]+")
_POWER = re.compile(r"\s*(?:\*\*|\^)\s*(-?\d+)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pretty_unit(unit: str) -> str:
    """A unit as people write it: "umolar/second" -> "µM/s", "meter**2" -> "m²"; "" where there is none ("1")."""
    if unit.strip() in ("", "1"):
        return ""
    shown = _WORD.sub(lambda word: _SHORT.get(word[0], word[0]), unit.strip())
    shown = _POWER.sub(lambda power: power[1].translate(_RAISED), shown)
    return re.sub(r"\s*/\s*", "/", re.sub(r"\s*\*\s*", "·", shown))


def label(long_name: str, unit: str = "1") -> str:
    """What an axis or a column's head says: the words, and the unit in brackets where there is one."""
    shown = pretty_unit(unit)
    return f"{long_name} ({shown})" if shown else long_name


def beside(said: str) -> str:
    """A label beside a panel, in lines that are no longer than it is high."""
    return textwrap.fill(said, ACROSS)


def with_unit(value: float, unit: str = "1", digits: int = 4) -> str:
    """A number as people read it: "0.2514 µM", `digits` of them significant."""
    return f"{value:.{digits}g} {pretty_unit(unit)}".rstrip()
