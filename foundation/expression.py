"""One way to take apart what someone wrote as an expression of Python: nothing of it is run. Standard library only.

What is too long, too deeply nested, or has a number that no float holds is refused before anything walks its tree.
"""

import ast
import math
import re
import warnings
from collections.abc import Iterator

MOST_DEPTH = 150  # nested parts: whoever walks a tree calls itself, and Python allows a thousand calls
MOST_LENGTH = 10_000
MOST_DIGITS = 310  # a number of more is above every float, or is written to be slow
_DIGITS = re.compile(rf"[\d_]{{{MOST_DIGITS},}}")


class UnreadableError(ValueError):
    """The text is no expression that may be looked at; says why."""


def tree_of(text: str, *, most: int = MOST_LENGTH, block: bool = False) -> ast.expr | ast.Module:
    """The tree of an expression, or of a block of statements. Raises `UnreadableError`, and nothing else.

    most: letters. All whole numbers in it can be floats, and all floats are finite.
    """
    if len(text) > most:
        raise UnreadableError(f"is longer than {most} letters")
    if _DIGITS.search(text):
        raise UnreadableError(f"has a number of {MOST_DIGITS} digits or more")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python's opinion on what such text would do
            tree = ast.parse(text, mode="exec" if block else "eval")
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"is not an expression ({type(error).__name__})") from error
    if not block:
        tree = tree.body
    for node, depth in _walked(tree):
        if depth > MOST_DEPTH:
            raise UnreadableError(f"is nested more than {MOST_DEPTH} deep")
        if isinstance(node, ast.Constant) and not _holds(node.value):
            raise UnreadableError("has a number that is too large")
    return tree


def _walked(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Every node with its depth, without a call for each level."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += ((child, depth + 1) for child in ast.iter_child_nodes(node))


def _holds(value: object) -> bool:
    """Whether a number is finite as a float; what is no number is for others to judge."""
    if not isinstance(value, int | float):
        return True
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
