"""What the record holds, as frozen dataclasses: the schema. The reader follows their annotations.

Standard library only. A file must hold every field; the defaults are for whoever makes an entry.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from derivation.record import closed_form
from foundation.errors import UserError, choose
from foundation.table import Table

SCHEMA = 2


@dataclass(frozen=True)
class Constant:
    """A number inside a closed form.

    `value` is what the form takes; `formula` gives it from the entry's parameters; `fitted`, with its 95 %
    `interval`, is what a recording of the full model gave for it.
    """

    value: float
    meaning: str
    formula: str | None = None
    fitted: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ParameterUse:
    """One biological number that an entry rests on. `sensitivity` maps a constant to d(constant)/d(parameter).

    `through` names the parameter of the entry that stands between, when the constants' formulas do not have this one.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    basis: str
    model: str
    sensitivity: Mapping[str, float]
    through: str | None = None


@dataclass(frozen=True)
class Evidence:
    """How the form was held against a recording: what was compared, the largest deviation, the range it covers.

    `rms_error` is the root of the mean square of the deviations; `warnings` say what the fit could not tell.
    """

    compared: str
    max_error: float
    error_unit: str
    range: str
    recording: str | None = None  # hash of the recording
    neglected: str = ""
    rms_error: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rival:
    """A form fitted to the same data as others; `weight` is Akaike's: how likely it is the best of them."""

    formula: str
    values: Mapping[str, float]
    max_error: float
    rms_error: float
    aicc: float
    weight: float


@dataclass(frozen=True)
class Comparison:
    """Rival forms fitted to one recording: which one Akaike's criterion chose, and what the entry's form loses."""

    data: str
    arguments: Mapping[str, str]
    points: int
    rivals: Mapping[str, Rival]
    chosen: str
    loss: str
    recording: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """Another reading of the same entry: a formula in the entry's arguments, its constants and `values` of its own."""

    formula: str
    values: Mapping[str, float]
    meaning: str
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """Where the form holds: `quantity`, in the entry's arguments, constants and parameters, lies in [low, high]."""

    quantity: str
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class Scale:
    """A dimension that was taken away: `quantity` had `unit`, and is divided by `value` of it."""

    quantity: str
    unit: str
    value: float
    meaning: str


@dataclass(frozen=True)
class Simulation:
    """What an entry was held against or computed by: SHA-256 of equations and parameters, of protocol, of solver."""

    name: str
    model: str
    protocol: str
    solver: str


@dataclass(frozen=True, repr=False)
class Entry:
    """One thing that the network takes from biology: a closed form as text, its constants, and its chain.

    `arguments` (name -> what it is) are what the form is called with; `equation` is its id on the equations page;
    `cancels` names parameters that one would expect in it, and says why they do nothing.
    """

    meaning: str
    equation: str
    formula: str
    arguments: Mapping[str, str]
    constants: Mapping[str, Constant]
    basis: str
    sources: tuple[str, ...]
    parameters: tuple[ParameterUse, ...] = ()
    cancels: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None
    validity: tuple[Range, ...] = ()
    scales: tuple[Scale, ...] = ()
    simulations: tuple[Simulation, ...] = ()
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    alternatives: Mapping[str, Alternative] = field(default_factory=dict)

    def evaluate(self, functions: Mapping[str, Callable] = closed_form.MATH, **arguments):
        """Value of the closed form at `arguments` (floats or, with torch's `functions`, tensors).

        Raises `UserError` for an argument that is missing, or that the form does not have. Whether the form holds there
        is what `outside` says.
        """
        if arguments.keys() != self.arguments.keys():
            takes = ", ".join(f"{name} ({what})" for name, what in self.arguments.items()) or "no arguments"
            missing, strange = self.arguments.keys() - arguments.keys(), arguments.keys() - self.arguments.keys()
            wrong = [f"{', '.join(sorted(names))} {what}"
                     for names, what in ((missing, "missing"), (strange, "unknown")) if names]
            raise UserError(f"{shortened(self.formula)}: {' and '.join(wrong)}; it takes {takes}")
        return closed_form.evaluate(self.formula, self.values() | arguments, functions)

    def values(self) -> dict[str, float]:
        """The constants by name."""
        return {name: constant.value for name, constant in self.constants.items()}

    def outside(self, **arguments: float) -> list[Range]:
        """The ranges that `arguments`, with the entry's constants and parameters, leave; those not given are not
        looked at. Empty: the form holds."""
        known = {use.name: use.value for use in self.parameters} | self.values() | arguments
        found = []
        for one in self.validity:
            if closed_form.names(one.quantity) <= known.keys():
                value = closed_form.evaluate(one.quantity, known)
                if not (-math.inf if one.low is None else one.low) <= value <= (
                        math.inf if one.high is None else one.high):
                    found.append(one)
        return found

    def table(self) -> Table:
        """The constants, and below them the parameters that they rest on; the formula stands in the title."""
        rows = [(name, f"{constant.value:.6g}", "", constant.meaning, constant.formula or "")
                for name, constant in self.constants.items()]
        rows += [(f"{'  ' if use.through else ''}{use.name}", f"{use.value:.6g}", "" if use.unit == "1" else use.unit,
                  use.meaning, f"{use.basis}, {use.source}")
                 for use in in_order(self.parameters)]
        note = "" if self.evidence is None else (
            f"held against {self.evidence.compared}: off by at most {self.evidence.max_error:.2g}")
        return Table(("name", "value", "unit", "meaning", "from"), rows, f"{self.meaning}: {self.formula}", note)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<Entry ({self.equation}) {shortened(self.formula)}>"


@dataclass(frozen=True, repr=False)
class Record:
    """All entries, the versions that made them, and the SHA-256 of the whole."""

    entries: Mapping[str, Entry]
    versions: Mapping[str, str]
    hash: str

    def entry(self, name: str) -> Entry:
        """An entry by name. Raises `UserError` for an unknown one."""
        return choose("record entry", name, dict(self.entries))

    def table(self) -> Table:
        """One row an entry: its form, its constants, how it is known, and how far it is off."""
        rows = []
        for name, entry in self.entries.items():
            constants = ", ".join(f"{key} = {value:.5g}" for key, value in entry.values().items())
            off = f"{entry.evidence.max_error:.1g}" if entry.evidence else "-"
            rows.append((name, shortened(entry.formula), constants, entry.basis, off))
        return Table(("entry", "form", "constants", "basis", "off by"), rows, f"record {self.hash[:12]}")

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<Record {self.hash[:12]}: {', '.join(self.entries)}>"


def shortened(formula: str, most: int = 40) -> str:
    """A formula cut to `most` characters, for a table."""
    return formula if len(formula) <= most else formula[:most - 3] + "..."


def in_order(uses: Iterable[ParameterUse]) -> list[ParameterUse]:
    """Each parameter followed by those that act through it, as a reader follows the chain."""
    uses = list(uses)
    return [one for use in uses if use.through is None
            for one in (use, *(other for other in uses if other.through == use.name))]
