"""A time course written as an expression in t, read through ast: names, numbers, + - * / **, and smooth functions.

    Expression("0.4*uM + 0.1*uM*sin(2*pi*t/(10*s))").numbers("umolar", "input ip3")(times)

t is the time with its unit, numbers have theirs behind them, and dimensions must agree. Nothing is evaluated as Python.
"""

import ast
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from astro_sim.parameter import UNITS, plain_unit, unit
from foundation.errors import UserError
from foundation.expression import UnreadableError, tree_of
from foundation.shapes import Float

FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan")  # smooth ones alone
MAX_LENGTH = 500
_SPACED = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s+(?=[A-Za-z(])")
_OPERATIONS: Mapping[type, Callable] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.Pow: lambda a, b: a**b}
_KINKED = {"abs", "sign", "clip", "min", "max", "floor", "ceil", "round", "int", "where", "heaviside", "mod"}


class Expression:
    """An expression in t that is read and known to hold names and functions that are allowed.

    Errors: `UserError` that names `field` and what cannot be read.
    """

    def __init__(self, text: str, field: str = "value"):
        self.text, self.field = text, field
        letters = plain_unit(text) if isinstance(text, str) and text.strip() else ""
        try:
            self.tree = tree_of(_SPACED.sub(r"\1*", letters[:MAX_LENGTH + 1]), most=MAX_LENGTH)
        except UnreadableError as error:
            raise self._refused(f"cannot be read: it {error}") from error
        self._check(self.tree)

    def _refused(self, why: str) -> UserError:
        return UserError(f"{self.field}: '{str(self.text)[:80]}' {why}; write an expression in t with units, such as "
                         f"'0.4*uM + 0.1*uM*sin(2*pi*t/(10*s))', of + - * / ** and {', '.join(FUNCTIONS)}")

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
                return None
            case ast.Name(name) if name in UNITS or name in ("t", "pi"):
                return None
            case ast.BinOp(left, operation, right) if type(operation) in _OPERATIONS:
                self._check(left)
                return self._check(right)
            case ast.UnaryOp(ast.USub() | ast.UAdd(), operand):
                return self._check(operand)
            case ast.Call(ast.Name(name), [argument], []) if name in FUNCTIONS:
                return self._check(argument)
            case ast.Call(ast.Name(name), _, _) | ast.Name(name) if name in _KINKED:
                raise self._refused(f"has {name}, which has corners (give pieces with start and stop, which add up)")
            case ast.Call(ast.Name(name), _, _) | ast.Name(name):
                raise self._refused(f"has {name}, which is none of its functions, no unit, and not t")
            case ast.Compare() | ast.IfExp() | ast.BoolOp():
                raise self._refused("has a condition, where it jumps (give pieces with start and stop, which add up)")
        raise self._refused(f"has '{ast.unparse(node)[:30]}', which is not allowed")

    def numbers(self, wanted: str, field: str) -> Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]:
        """The expression as a function: times in s -> numbers in the unit `wanted`.

        Errors: `UserError` where its dimension is another one, or dimensions inside it do not agree.
        """
        import brian2

        try:
            with np.errstate(all="ignore"):
                given = _value(self.tree, 0.7310585 * brian2.second, brian2, unit)
        except brian2.DimensionMismatchError as error:
            raise UserError(f"{field}: '{self.text[:80]}': {str(error)[:160]}") from error
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:  # as of a unit in an exponent
            raise UserError(f"{field}: '{self.text[:80]}' cannot be computed; look at its exponents and divisions"
                            ) from error
        dimension = brian2.Quantity(1, dim=brian2.get_dimensions(given))
        if not brian2.have_same_dimensions(dimension, unit(wanted)):
            bare = brian2.have_same_dimensions(dimension, 1)
            shown = "has no unit" if bare else "has another dimension"
            raise UserError(f"{field}: '{self.text[:80]}' {shown}; give a value in {wanted}, as in '0.4*({wanted})'")
        scale = float(unit(wanted))

        def evaluate(times: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
            with np.errstate(all="ignore"):
                return _value(self.tree, np.asarray(times, float), np, _factor) / scale + 0.0 * times

        return evaluate


@functools.cache
def _factor(name: str) -> np.float64:
    return np.float64(unit(name))


def _value(node: ast.expr, t: Any, functions: Any, unit_of: Callable) -> Any:
    """The value at t of an expression that `Expression` has checked; `functions` are NumPy's or Brian2's."""
    match node:
        case ast.Constant(value):
            return np.float64(value)  # whose divisions by zero are infinite, and found so
        case ast.Name("t"):
            return t
        case ast.Name("pi"):
            return np.pi
        case ast.Name(name):
            return unit_of(name)
        case ast.BinOp(left, operation, right):
            sides = [_value(side, t, functions, unit_of) for side in (left, right)]
            return _OPERATIONS[type(operation)](*sides)
        case ast.UnaryOp(operation, operand):
            value = _value(operand, t, functions, unit_of)
            return -value if isinstance(operation, ast.USub) else value
        case ast.Call(ast.Name(name), [argument], []):
            return getattr(functions, name)(_value(argument, t, functions, unit_of))
    raise TypeError(ast.dump(node))


def factor(value: float, written: str) -> str:
    """A number and its unit as a factor of an expression."""
    return f"({value!r})" if written == "1" else f"({value!r}*({written}))"
