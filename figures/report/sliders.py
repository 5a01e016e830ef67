"""The sliders: what the page's script moves by the closed forms itself."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from derivation.record import closed_form
from derivation.record import record as records
from derivation.record.entry import Entry, ParameterUse, Record
from figures.report import marks
from figures.report.marks import Mark, marks_of

SPAN = 0.3  # of a parameter's value, to both sides, that a slider of a closed form goes
CURVES = {"retention": ("t", "segment t", 1, 8, {"T": 8.0}),
          "relative_position": ("distance", "distance (places = tokens)", 0, 12, {})}
_JAVASCRIPT = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


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


def _moved(record: Record) -> Record:
    """The part of it that the sliders move: what does not move it need not be computed."""
    return records.make(dict(forms(record)), record.versions)


def are_known(record: Record) -> bool:
    """Whether its marks lie in the cache, so that the sliders are made in a moment."""
    return marks.place(_moved(record)).exists()


def sliders_of(record: Record) -> list[Slider]:
    """A slider for each parameter above zero behind the curves: those of the closed forms first."""
    moved = _moved(record)
    uses: dict[str, ParameterUse] = {}
    through: dict[str, set[str]] = {}
    for use in (use for _, entry in forms(record) for use in entry.parameters):
        uses.setdefault(use.name, use)
        through.setdefault(use.name, set()).update(() if use.through is None else (use.through,))
    known = marks_of(moved, {name: (use, frozenset(through[name])) for name, use in uses.items() if use.value > 0})
    found = [Slider(name, "closed forms" if not through[name] else name.partition(".")[0], uses[name].value,
                    uses[name].unit, uses[name].meaning, not through[name], own) for name, own in known.items()]
    return sorted(found, key=lambda one: (not one.exact, one.group, one.name))


def grouped(found: list[Slider]) -> dict[str, list[Slider]]:
    """By group, in their order."""
    groups: dict[str, list[Slider]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    return groups


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
