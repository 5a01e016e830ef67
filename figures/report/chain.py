"""The part on the chain: parameter, constant, tensor; and sliders that the page moves by the closed forms itself."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from derivation import whatif
from derivation.record import closed_form
from derivation.record.entry import Entry, Record
from rmaat.model.config import ModelConfig
from rmaat.trace.matrix import Matrix, matrix

SPAN = 0.3  # of a parameter's value, to both sides, that a slider goes
MARKS = (0.8, 0.9, 1.1, 1.25)  # of the value: where the page shows what `whatif` gives
CURVES = {"retention": ("t", "segment t", 1, 8, {"T": 8.0}),
          "relative_position": ("distance", "distance (places = tokens)", 0, 12, {})}
_JAVASCRIPT = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Link:
    """One parameter of the chain; `moves` is constant or tensor -> share of its change per share of the parameter."""

    name: str
    value: float
    unit: str
    basis: str
    source: str
    meaning: str
    through: tuple[str, ...]
    moves: Mapping[str, float]


def links(record: Record, effects: Matrix) -> list[Link]:
    """Every parameter, those first of which a closed form is made."""
    uses = {use.name: use for entry in record.entries.values() for use in entry.parameters}
    found = [Link(name, use.value, use.unit, use.basis, use.source, use.meaning, effects.through[name],
                  dict(effects.effects[name])) for name, use in uses.items() if name in effects.effects]
    return sorted(found, key=lambda link: (bool(link.through), link.name))


def effects_of(config: ModelConfig, record: Record) -> Matrix:
    """What moves what in the network that `config` builds."""
    return matrix(config, record)


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


def forms(record: Record) -> Iterator[tuple[str, Entry]]:
    """The entries that the page moves: those with a curve, whose constants all have a formula."""
    for name in CURVES:
        entry = record.entries.get(name)
        if entry is not None and entry.constants and all(one.formula for one in entry.constants.values()):
            yield name, entry


def sliders(record: Record) -> dict:
    """What the page's script needs, as JSON values: parameters with marks, the curves as they are in the record."""
    found = {}
    for name, entry in forms(record):
        argument, words, low, high, fixed = CURVES[name]
        used = set().union(*(closed_form.names(one.formula) for one in entry.constants.values()))
        direct = [use for use in entry.parameters if use.through is None and use.name in used]
        found[name] = {
            "argument": argument, "words": words, "low": low, "high": high, "fixed": fixed,
            "constants": entry.values(),
            "parameters": [{"name": use.name, "value": use.value, "unit": "" if use.unit == "1" else use.unit,
                            "meaning": use.meaning, "low": use.value * (1 - SPAN), "high": use.value * (1 + SPAN),
                            "marks": _marks(record, name, use)} for use in direct]}
    return found


def _marks(record: Record, entry: str, use) -> list[dict]:
    """What `whatif` gives for the entry's constants at some values of a parameter."""
    unit = "" if use.unit == "1" else f" {use.unit}"
    marks = []
    for share in MARKS:
        value = use.value * share
        after = whatif(f"{use.name}={value!r}{unit}", record=record).after
        marks.append({"value": value, "constants": after.entry(entry).values()})
    return marks


def functions(record: Record) -> str:
    """The closed forms as JavaScript: FORMS[entry] = {form, constants}. Made of parsed names and numbers alone."""
    lines = []
    for name, entry in forms(record):
        constants = ",".join(f'"{key}":v=>{javascript(one.formula)}' for key, one in entry.constants.items())
        lines.append(f'"{name}":{{form:v=>{javascript(entry.formula)},constants:{{{constants}}}}}')
    return "const FORMS={" + ",\n".join(lines) + "};"
