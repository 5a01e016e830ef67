"""The sliders: what the page's script moves by the closed forms itself, and what `whatif` gives at their marks."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from derivation import whatif
from derivation.record import closed_form
from derivation.record import record as records
from derivation.record.entry import Entry, ParameterUse, Record
from foundation.errors import UserError

SPAN = 0.3  # of a parameter's value, to both sides, that a slider of a closed form goes
DOWN, UP = (0.9, 0.8), (1.1, 1.2)  # of the value, from the middle outwards: where the page has what `whatif` gives
SHARES = (*DOWN[::-1], *UP)
CURVES = {"retention": ("t", "segment t", 1, 8, {"T": 8.0}),
          "relative_position": ("distance", "distance (places = tokens)", 0, 12, {})}
_JAVASCRIPT = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Mark:
    """What `whatif` gives at a value of a parameter: the constants that stand between, and those of the entries."""

    value: float
    share: float  # of the record's value
    through: Mapping[str, float]
    constants: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Slider:
    """A parameter that the page moves. `exact`: a closed form has it; else it acts through the marks' reductions."""

    name: str
    group: str
    value: float
    unit: str
    meaning: str
    exact: bool
    marks: tuple[Mark, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """How far it goes: a reduction is known as far as its marks."""
        if self.exact:
            return self.value * (1 - SPAN), self.value * (1 + SPAN)
        return self.marks[0].value, self.marks[-1].value

    def at(self, share: float) -> Mark | None:
        """The mark at a share of the value; None where there is none, as where calcium does not oscillate any more."""
        return next((mark for mark in self.marks if mark.share == share), None)

    def changes(self, curve: str) -> bool:
        """Whether it moves a curve."""
        return len({tuple(mark.constants[curve].values()) for mark in self.marks}) > 1


def forms(record: Record) -> Iterator[tuple[str, Entry]]:
    """The entries that the page moves: those with a curve, whose constants all have a formula."""
    for name in CURVES:
        entry = record.entries.get(name)
        if entry is not None and entry.constants and all(one.formula for one in entry.constants.values()):
            yield name, entry


def sliders(record: Record) -> list[Slider]:
    """A slider for each parameter above zero behind the curves: those of the closed forms first."""
    moved = records.make(dict(forms(record)), record.versions)  # what does not move it need not be computed
    uses: dict[str, ParameterUse] = {}
    through: dict[str, set[str]] = {}
    for use in (use for _, entry in forms(record) for use in entry.parameters):
        uses.setdefault(use.name, use)
        through.setdefault(use.name, set()).update(() if use.through is None else (use.through,))
    found = [Slider(name, "closed forms" if not through[name] else name.partition(".")[0], use.value, use.unit,
                    use.meaning, not through[name], tuple(_marks(moved, use, through[name])))
             for name, use in uses.items() if use.value > 0]
    return sorted(found, key=lambda one: (not one.exact, one.group, one.name))


def grouped(found: list[Slider]) -> dict[str, list[Slider]]:
    """By group, in their order."""
    groups: dict[str, list[Slider]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    return groups


def _marks(record: Record, use: ParameterUse, through: set[str]) -> list[Mark]:
    """From the lowest to the highest; to each side as far as there is a value."""
    marks = [_mark(record, use, through, 1.0)]
    for side in (DOWN, UP):
        for share in side:
            try:
                marks.append(_mark(record, use, through, share))
            except UserError:
                break
    return sorted(marks, key=lambda mark: mark.value)


def _mark(record: Record, use: ParameterUse, through: set[str], share: float) -> Mark:
    value = use.value * share
    after = record if share == 1 else whatif({use.name: f"{value!r} {use.unit if use.unit != '1' else ''}".strip()},
                                             record=record).after
    reached = {one.name: one.value for entry in after.entries.values() for one in entry.parameters
               if one.name in through}
    return Mark(value, share, dict(sorted(reached.items())),
                {name: entry.values() for name, entry in after.entries.items()})


def as_json(record: Record, found: list[Slider]) -> dict:
    """What the page's script needs, as JSON values."""
    curves = {}
    for name, entry in forms(record):
        argument, words, low, high, fixed = CURVES[name]
        curves[name] = {"argument": argument, "words": words, "low": low, "high": high, "fixed": fixed,
                        "constants": entry.values()}
    exact = {one.name: one.value for one in found if one.exact}
    reduced = {one.name: {"at": [mark.value for mark in one.marks],
                          "through": {name: [mark.through[name] for mark in one.marks]
                                      for name in one.marks[0].through}} for one in found if not one.exact}
    return {"curves": curves, "exact": exact, "reduced": reduced}


# ---------------------------------------------------------------------------------------------- in JavaScript


def javascript(text: str) -> str:
    """A closed form as an expression of JavaScript in `v`, an object with its names. Raises `DamagedFileError`."""
    return _written(closed_form.parse(text))


def _written(node: ast.expr) -> str:
    match node:
        case ast.BinOp(left, ast.Pow(), right):
            return f"Math.pow({_written(left)},{_written(right)})"
        case ast.BinOp(left, op, right):
            return f"({_written(left)}{_JAVASCRIPT[type(op)]}{_written(right)})"
        case ast.UnaryOp(ast.USub(), operand):
            return f"(-{_written(operand)})"
        case ast.UnaryOp(_, operand):
            return _written(operand)
        case ast.Call(ast.Name(name), [argument], []):
            return f"Math.{name}({_written(argument)})"
        case ast.Name(name):
            return f'v["{name}"]'
        case ast.Constant(value):
            return repr(float(value))
    raise AssertionError(f"the parser let {type(node).__name__} through")


def functions(record: Record) -> str:
    """The closed forms as JavaScript: FORMS[entry] = {form, constants}. Made of parsed names and numbers alone."""
    lines = []
    for name, entry in forms(record):
        constants = ",".join(f'"{key}":v=>{javascript(one.formula)}' for key, one in entry.constants.items())
        lines.append(f'"{name}":{{form:v=>{javascript(entry.formula)},constants:{{{constants}}}}}')
    return "const FORMS={" + ",\n".join(lines) + "};"
