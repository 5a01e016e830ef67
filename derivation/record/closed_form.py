"""Evaluate a closed form that travels as text: names, numbers, + - * / **, and a few functions. Nothing else runs.

Standard library only; the caller supplies the functions, so the same text serves floats and torch tensors.
"""

import ast
import functools
import math
import operator
from collections.abc import Callable, Mapping

from foundation.errors import DamagedFileError
from foundation.expression import UnreadableError, tree_of

MATH: Mapping[str, Callable] = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt}


def _power(base, exponent):
    """A power that is real: Python gives complex ones of negative numbers, which no function of a form takes."""
    value = base**exponent
    if isinstance(value, complex):
        raise ValueError("a root of a negative number")
    return value


_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
           ast.Pow: _power}
_UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos}
MAX_LENGTH = 2000


def _refuse(text: str, why: str) -> DamagedFileError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return DamagedFileError(f"closed form {shown!r}: {why}; allowed are names, numbers, + - * / **, {', '.join(MATH)}")


def parse(text: str) -> ast.expr:
    """Parse and check a closed form. Raises `DamagedFileError` (exit code 3) on anything that is not allowed."""
    try:
        tree = tree_of(text, most=MAX_LENGTH)
    except UnreadableError as error:
        raise _refuse(text, str(error)) from error
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.BinOp(left, op, right) if type(op) in _BINARY:
            _check(left, text)
            _check(right, text)
        case ast.UnaryOp(op, operand) if type(op) in _UNARY:
            _check(operand, text)
        case ast.Call(ast.Name(name), [argument], []) if name in MATH:
            _check(argument, text)
        case ast.Name(name) if name not in MATH:
            pass
        case ast.Constant(value) if type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e300:
            pass
        case _:
            raise _refuse(text, f"{ast.unparse(node)[:40]!r} is not allowed")


@functools.lru_cache(maxsize=256)  # the network evaluates the same few texts in every step
def _function(text: str) -> Callable[[Mapping, Mapping], object]:
    return _built(parse(text))


@functools.lru_cache(maxsize=256)
def names(text: str) -> frozenset[str]:
    """The free names of a closed form (functions are not among them)."""
    return frozenset(node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)) - MATH.keys()


def evaluate(text: str, values: Mapping[str, object], functions: Mapping[str, Callable] = MATH):
    """Value of a closed form. `values` gives every free name; `functions` gives exp, log, tanh, sqrt for their type.

    Raises `DamagedFileError` when the text is not allowed, lacks a value, or has no finite value for floats.
    """
    function = _function(text)
    missing = names(text) - values.keys()
    if missing:
        raise _refuse(text, f"no value for {', '.join(sorted(missing))}")
    try:
        value = function(values, functions)
    except (ArithmeticError, ValueError) as error:
        raise _refuse(text, f"has no finite value here ({error})") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise _refuse(text, f"has no finite real value here ({value})")
    return value


def _built(node: ast.expr) -> Callable[[Mapping, Mapping], object]:
    """The function of (values, functions) that a checked expression stands for."""
    match node:
        case ast.BinOp(left, op, right):
            of, first, second = _BINARY[type(op)], _built(left), _built(right)
            return lambda values, functions: of(first(values, functions), second(values, functions))
        case ast.UnaryOp(op, operand):
            of, inner = _UNARY[type(op)], _built(operand)
            return lambda values, functions: of(inner(values, functions))
        case ast.Call(ast.Name(name), [argument], []):
            inner = _built(argument)
            return lambda values, functions: functions[name](inner(values, functions))
        case ast.Name(name):
            return lambda values, functions: values[name]
        case ast.Constant(value):
            number = float(value)  # floats throughout: 9**9**9 overflows at once instead of filling the memory
            return lambda values, functions: number
    raise AssertionError(f"parse() let {type(node).__name__} through")
