"""The ODE text that Brian2 runs, read by sympy: nothing is typed twice."""

import sympy

from astro_sim.model.equation_text import lines, symbols
from foundation.errors import UserError


def right_side(equations: str, name: str) -> sympy.Expr:
    """Right side of `dname/dt = ...` or `name = ...` in ODE text, every name a plain symbol.

    Raises `UserError` naming the lines that the text has.
    """
    found = {line.name: line.expression for line in lines(equations) if line.expression}
    if name not in found:
        raise UserError(f"the model text defines no '{name}'; it defines {', '.join(found) or 'nothing'}")
    return parse(found[name])


def parse(expression: str) -> sympy.Expr:
    """Model text as sympy has it; plain symbols, so that sympy's own I, S or beta never stand in for a model's."""
    return sympy.sympify(expression, locals={symbol: sympy.Symbol(symbol) for symbol in symbols(expression)})


def text_of(expression: sympy.Expr) -> str:
    """A closed form as the text that travels in the record."""
    return sympy.sstr(expression).replace(" ", "")
