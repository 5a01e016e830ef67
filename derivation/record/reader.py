"""The strict reader of the record: JSON values to dataclasses by their annotations; what is wrong is named by its path.

Standard library only; nothing is executed, formulas are parsed and checked.
"""

import math
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from derivation.record import closed_form
from derivation.record.entry import Alternative, Comparison, Constant, Entry, ParameterUse, Simulation
from foundation.basis import BASES
from foundation.errors import DamagedFileError

_SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST = 40  # letters of a value in an error
WEIGHTS_SUM = 1e-9  # rounding of a handful of weights


class Reader:
    """Typed look-ups in one file, `where`. Raises `DamagedFileError`."""

    def __init__(self, where: str):
        self.where = where

    def fail(self, path: str, why: str) -> DamagedFileError:
        """The error for a place in the file."""
        return DamagedFileError(f"{self.where}: {path or 'top'}: {why}")

    def keys(self, value, path: str, names: tuple[str, ...]) -> dict:
        """The value as a dict of just these keys. Raises `DamagedFileError`."""
        value = self.read(value, path, dict)
        for name in names:
            if name not in value:
                raise self.fail(f"{path}.{name}".lstrip("."), "missing")
        for name in value:
            if name not in names:
                raise self.fail(f"{path}.{name}".lstrip("."), f"unknown key; known are {', '.join(names)}")
        return value

    def read(self, value, path: str, kind):
        """`value` as `kind`: str, float, int, dict, Mapping[str, X], tuple[X, ...], tuple[X, Y], a dataclass, X | None.
        """
        if kind in _PLAIN:
            words, fits = _PLAIN[kind]
            if not fits(value):
                raise self.fail(path, f"expected {words}, found {_shown(value, kind)}")
            return float(value) if kind is float else value
        if is_dataclass(kind):
            return self._dataclass(value, path, kind)
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is types.UnionType:
            return None if value is None else self.read(value, path, inner[0])
        if origin is Mapping:
            return {name: self.read(item, f"{path}.{name}", inner[1])
                    for name, item in self.read(value, path, dict).items()}
        items = self.read(value, path, list)
        kinds = [inner[0]] * len(items) if inner[-1] is ... else inner
        if len(items) != len(kinds):
            raise self.fail(path, f"expected {len(kinds)} items, found {len(items)}")
        return tuple(self.read(item, f"{path}[{k}]", one)
                     for k, (item, one) in enumerate(zip(items, kinds, strict=True)))

    def _dataclass(self, value, path: str, cls):
        hints = typing.get_type_hints(cls)
        given = self.keys(value, path, tuple(one.name for one in fields(cls)))
        made = cls(**{name: self.read(item, f"{path}.{name}", hints[name]) for name, item in given.items()})
        if cls in _CHECKS:
            _CHECKS[cls](self, made, path)
        return made

    # ------------------------------------------------------------------------------------------ meanings

    def one_of(self, value, path: str, allowed) -> None:
        """Raises `DamagedFileError` unless the value is one of the allowed."""
        if value not in allowed:
            raise self.fail(path, f"{value!r} is not one of {', '.join(allowed)}")

    def formula(self, text: str, path: str, allowed) -> None:
        """Raises `DamagedFileError` unless a closed form is well written and uses allowed names alone."""
        try:
            free = closed_form.names(text)
        except DamagedFileError as error:
            raise self.fail(path, str(error)) from error
        if free - set(allowed):
            raise self.fail(path, f"uses {', '.join(sorted(free - set(allowed)))}, which is not declared beside it")

    def ordered(self, low: float | None, high: float | None, path: str) -> None:
        """Raises `DamagedFileError` where low is above high."""
        if low is not None and high is not None and low > high:
            raise self.fail(path, f"{[low, high]} is not [low, high]")

    def constant(self, made: Constant, path: str) -> None:
        """Raises `DamagedFileError` for a constant that cannot be."""
        if made.interval is not None:
            self.ordered(*made.interval, f"{path}.interval")

    def basis(self, made: ParameterUse | Alternative, path: str) -> None:
        """Raises `DamagedFileError` for an unknown basis."""
        self.one_of(made.basis, f"{path}.basis", BASES)

    def hashes(self, made: Simulation, path: str) -> None:
        """Raises `DamagedFileError` for hashes that are none."""
        for name in ("model", "protocol", "solver"):
            if not _SHA256.fullmatch(getattr(made, name)):
                raise self.fail(f"{path}.{name}", "is not a SHA-256 in hexadecimal digits")

    def comparison(self, made: Comparison, path: str) -> None:
        """Raises `DamagedFileError` for rivals whose forms or weights cannot be."""
        self.one_of(made.chosen, f"{path}.chosen", made.rivals)
        for name, rival in made.rivals.items():
            self.formula(rival.formula, f"{path}.rivals.{name}.formula", {*made.arguments, *rival.values})
            if not 0 <= rival.weight <= 1:
                raise self.fail(f"{path}.rivals.{name}.weight", f"{rival.weight!r} is not between 0 and 1")
        if not math.isclose(math.fsum(rival.weight for rival in made.rivals.values()), 1, abs_tol=WEIGHTS_SUM):
            raise self.fail(f"{path}.rivals", "the weights do not sum to 1")

    def entry(self, made: Entry, path: str) -> None:
        """Raises `DamagedFileError` for an entry whose parts contradict each other."""
        self.one_of(made.basis, f"{path}.basis", BASES)
        uses = {use.name for use in made.parameters}
        for k, use in enumerate(made.parameters):
            if use.through is not None and use.through not in uses:
                raise self.fail(f"{path}.parameters[{k}].through", f"{use.through!r} is no parameter of the entry")
            for name in use.sensitivity:
                if name not in made.constants:
                    raise self.fail(f"{path}.parameters[{k}].sensitivity.{name}", "is no constant of the entry")
        for name, constant in made.constants.items():
            if constant.formula is not None:
                self.formula(constant.formula, f"{path}.constants.{name}.formula", uses)
        inside = {*made.constants, *made.arguments}
        self.formula(made.formula, f"{path}.formula", inside)
        for name, other in made.alternatives.items():
            self.formula(other.formula, f"{path}.alternatives.{name}.formula", {*inside, *other.values})
        for k, one in enumerate(made.validity):
            self.formula(one.quantity, f"{path}.validity[{k}].quantity", inside | uses)
            self.ordered(one.low, one.high, f"{path}.validity[{k}]")


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _shown(value, kind) -> str:
    return repr(value)[:LONGEST] if kind in (float, int) else type(value).__name__


_PLAIN = {
    str: ("text", lambda value: isinstance(value, str)),
    float: ("a finite number", _number),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    dict: ("an object", lambda value: isinstance(value, dict)),
    list: ("a list", lambda value: isinstance(value, list)),
}
_CHECKS = {Constant: Reader.constant, ParameterUse: Reader.basis, Alternative: Reader.basis,
           Simulation: Reader.hashes, Comparison: Reader.comparison, Entry: Reader.entry}
