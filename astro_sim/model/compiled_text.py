"""ODE text as one Python function: on plain numbers for a single element, on arrays for many.

    flow = function("def rates(C, h):", {...}, returned, constants=..., arrays=False)

Every expression is read as a tree of allowed nodes (nothing else is ever compiled), parts that occur twice are computed
once, and what depends on constants alone is computed when the function is made, not in every call.
"""

import ast
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from foundation.errors import UserError
from foundation.expression import UnreadableError, tree_of

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.FloorDiv: "//", ast.Lt: "<",
             ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
ONE = frozenset({"exp", "log", "tanh", "sqrt", "abs", "sign", "int", "sin", "cos"})  # functions of one number
INFINITE, TINY = math.inf, 1e-300


def _whole(x: ArrayLike) -> ArrayLike:
    return np.trunc(np.asarray(x, float))


def _clip(x: ArrayLike, low: ArrayLike, high: ArrayLike) -> ArrayLike:
    return np.minimum(np.maximum(x, low), high)


def _soft_sign(x: ArrayLike, width: ArrayLike) -> ArrayLike:
    """The sign of x, straight from -1 to 1 over +-width: a rate does not jump where two values stay together."""
    return np.minimum(np.maximum(x/(width + TINY), -1.0), 1.0)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INFINITE


ARRAYS: Mapping[str, object] = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "int": _whole,
    "sin": np.sin, "cos": np.cos, "clip": _clip, "_power": np.power, "_both": np.logical_and, "_either": np.logical_or,
    "_no": np.logical_not, "_soft_sign": _soft_sign, "pi": math.pi, "inf": INFINITE}
PLAIN: Mapping[str, object] = {
    "exp": _exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)), "int": lambda x: float(int(x)), "sin": math.sin, "cos": math.cos,
    "clip": lambda x, low, high: min(max(x, low), high), "_power": math.pow, "_both": lambda a, b: bool(a) and bool(b),
    "_either": lambda a, b: bool(a) or bool(b), "_no": lambda a: not a,
    "_soft_sign": lambda x, width: min(max(x/(width + TINY), -1.0), 1.0), "pi": math.pi, "inf": INFINITE}
WORDS = frozenset(ARRAYS)  # names that the text of a function means by these


@dataclass(frozen=True)
class Node:
    """A part of an expression: a leaf (a name or number as text), or an operator or function of parts."""

    kind: str  # "leaf", "unary", "binary", "call"
    text: str
    parts: tuple["Node", ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.text, self.parts))

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names that it depends on."""
        if self.kind == "leaf":
            return frozenset({self.text}) if self.text.isidentifier() and self.text not in WORDS else frozenset()
        return frozenset().union(*(part.names for part in self.parts))

    def replaced(self, instead: Mapping[str, "Node"]) -> "Node":
        """The same with other parts in the place of names."""
        if self.kind == "leaf":
            return instead.get(self.text, self)
        if not self.names & instead.keys():
            return self
        return Node(self.kind, self.text, tuple(part.replaced(instead) for part in self.parts))


def leaf(text: str | float) -> Node:
    """A name or a number."""
    return Node("leaf", text if isinstance(text, str) else repr(float(text)))


def binary(sign: str, a: Node, b: Node) -> Node:
    """Two parts under + - * / or another sign."""
    return Node("binary", sign, (a, b))


@functools.lru_cache(maxsize=4096)
def parsed(expression: str) -> Node:
    """An expression of ODE text as a tree. Errors: `UserError` for anything but numbers, names and known functions."""
    try:
        return _node(tree_of(expression.strip()))
    except (UnreadableError, _NotAllowedError) as error:
        raise UserError(f"ODE text: '{expression[:200]}' cannot be compiled; it may have numbers, names, + - * / ** %, "
                        f"comparisons and {', '.join(sorted(ONE))}, clip") from error


class _NotAllowedError(Exception):
    pass


def _node(tree: ast.expr) -> Node:
    match tree:
        case ast.Constant(bool(value)):
            return leaf(float(value))
        case ast.Constant(int(value) | float(value)):
            return leaf(float(value))
        case ast.Name(name):
            return leaf(name)
        case ast.UnaryOp(ast.USub(), operand):
            return Node("unary", "-", (_node(operand),))
        case ast.UnaryOp(ast.UAdd(), operand):
            return _node(operand)
        case ast.UnaryOp(ast.Not(), operand):
            return Node("call", "_no", (_node(operand),))
        case ast.BinOp(left, ast.Pow(), right):
            return _power(_node(left), _node(right))
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            return binary(OPERATORS[type(operator)], _node(left), _node(right))
        case ast.Compare(left, [operator], [right]) if type(operator) in OPERATORS:
            return binary(OPERATORS[type(operator)], _node(left), _node(right))
        case ast.BoolOp(operator, values):
            word = "_both" if isinstance(operator, ast.And) else "_either"
            return functools.reduce(lambda a, b: Node("call", word, (a, b)), map(_node, values))
        case ast.Call(ast.Name(name), arguments, []) if len(arguments) == (3 if name == "clip" else 1):
            if name in ONE or name == "clip":
                return Node("call", name, tuple(map(_node, arguments)))
    raise _NotAllowedError(ast.dump(tree))


def _power(base: Node, exponent: Node) -> Node:
    """Small whole powers as products: exact, and quicker than a power."""
    whole = {"2.0": 2, "3.0": 3, "4.0": 4}.get(exponent.text) if exponent.kind == "leaf" else None
    if whole is None:
        return Node("call", "_power", (base, exponent))
    square = binary("*", base, base)
    return {2: square, 3: binary("*", square, base), 4: binary("*", square, square)}[whole]


@dataclass
class _Writer:
    """Turns trees into lines of Python, each part that is used twice into a name of its own."""

    constants: frozenset[str]
    uses: dict[Node, int] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    once: list[str] = field(default_factory=list)   # lines of the maker
    each: list[str] = field(default_factory=list)   # lines of every call

    def count(self, node: Node) -> None:
        """Count how often each part is used."""
        self.uses[node] = self.uses.get(node, 0) + 1
        if self.uses[node] == 1:
            for part in node.parts:
                self.count(part)

    def write(self, node: Node, inside_constant: bool = False) -> str:
        """The text of a part; what it needs before stands in `once` or `each`."""
        if node.kind == "leaf":
            return node.text
        if node in self.names:
            return self.names[node]
        constant = node.names <= self.constants
        parts = [self.write(part, constant) for part in node.parts]
        text = (f"{node.text}({', '.join(parts)})" if node.kind == "call" else
                f"({node.text}{parts[0]})" if node.kind == "unary" else f"({parts[0]} {node.text} {parts[1]})")
        if (constant and not inside_constant) or self.uses.get(node, 0) > 1:
            self.names[node] = f"_part_{len(self.names)}"
            (self.once if constant else self.each).append(f"{self.names[node]} = {text}")
            return self.names[node]
        return text


def function(arguments: Sequence[str], items: Iterable[tuple[str, Node]], returned: Sequence[str], *,
             constants: Sequence[str], opening: Sequence[str] = (), rescue: bool = False) -> str:
    """Python source of `_make(constants)`, which returns `_call(arguments)`, which returns the tuple `returned`.

    items: name -> tree, in the order in which they can be computed; opening: lines before them. rescue: on a number
    that cannot be computed `call` returns `_otherwise(arguments)`, a constant of the maker.
    """
    return _function(tuple(arguments), tuple(items), tuple(returned), constants=tuple(constants),
                     opening=tuple(opening), rescue=rescue)


@functools.lru_cache(maxsize=256)
def _function(arguments: tuple[str, ...], items: tuple[tuple[str, Node], ...], returned: tuple[str, ...], *,
              constants: tuple[str, ...], opening: tuple[str, ...], rescue: bool) -> str:
    """See `function`."""
    held, trees = set(constants), []
    for name, tree in items:
        trees.append((name, tree))
        if tree.names <= held:
            held.add(name)
    writer = _Writer(frozenset(held))
    for _, tree in trees:
        writer.count(tree)
    for name, tree in trees:
        constant = tree.names <= held
        (writer.once if constant else writer.each).append(f"{name} = {writer.write(tree, constant)}")
    body = [*opening, *writer.each, f"return ({''.join(f'{name}, ' for name in returned)})"]
    lines = [f"def _make({', '.join(constants)}):", *(f"    {line}" for line in writer.once),
             f"    def _call({', '.join(arguments)}):"]
    if rescue:
        lines += ["        try:", *(f"            {line}" for line in body),
                  "        except (ArithmeticError, ValueError):",
                  f"            return _otherwise({', '.join(arguments)})"]
    else:
        lines += [f"        {line}" for line in body]
    return "\n".join([*lines, "    return _call", ""])


@functools.lru_cache(maxsize=256)
def made(source: str, arrays: bool):
    """The function `_make` of `function`'s source, with the functions of arrays or of plain numbers."""
    scope = {"__builtins__": {"ArithmeticError": ArithmeticError, "ValueError": ValueError},
             **(ARRAYS if arrays else PLAIN)}
    exec(compile(source, "ODE text", "exec"), scope)
    return scope["_make"]
