"""The ODE text that Brian2 runs, read by sympy: nothing is typed twice."""

import re

import sympy

from foundation.errors import UserError

_LINE = re.compile(r"^\s*d(?P<name>\w+)/dt\s*=\s*(?P<right>[^:]+?)\s*:", re.MULTILINE)
_SUBEXPRESSION = re.compile(r"^\s*(?P<name>\w+)\s*=\s*(?P<right>[^:]+?)\s*:", re.MULTILINE)


def symbols_of(text: str) -> dict[str, sympy.Symbol]:
    """Every name in `text` as a plain symbol, so that sympy's own I, S or beta never shadow a model's."""
    functions = {"exp", "log", "tanh", "sqrt"}
    return {name: sympy.Symbol(name) for name in set(re.findall(r"[A-Za-z_]\w*", text)) - functions}


def right_side(equations: str, variable: str) -> sympy.Expr:
    """Right side of `d(variable)/dt` in the model text `equations`. Raises `UserError` naming the variables it has."""
    found = {match["name"]: match["right"] for match in _LINE.finditer(equations)}
    if variable not in found:
        raise UserError(f"the model has no equation for d{variable}/dt; it has {', '.join(found) or 'none'}")
    return sympy.sympify(found[variable], locals=symbols_of(found[variable]))


def subexpression(equations: str, name: str) -> sympy.Expr:
    """Right side of the line `name = ...` in a model or connection text."""
    found = {match["name"]: match["right"] for match in _SUBEXPRESSION.finditer(equations)}
    if name not in found:
        raise UserError(f"the model text has no line '{name} = ...'; it has {', '.join(found) or 'none'}")
    return sympy.sympify(found[name], locals=symbols_of(found[name]))


def text_of(expression: sympy.Expr) -> str:
    """A closed form as the text that travels in the record."""
    return sympy.sstr(expression).replace(" ", "")
