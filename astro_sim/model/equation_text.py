"""Read ODE text as Brian2 has it, without Brian2: which line defines what, and which symbols it uses.

    dC/dt = J_release - J_uptake : mmolar      an ODE
    m = I/(I + d1) : 1                         a subexpression
    coupling : 1                               a plain variable, filled by a connection or at the start
"""

import ast
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foundation.errors import UserError
from foundation.expression import UnreadableError, tree_of

FUNCTIONS = frozenset({"exp", "log", "tanh", "sqrt", "abs", "sign", "clip", "int", "sin", "cos", "rand", "randn",
                       "timestep"})
ARRIVING = frozenset({"since_arrival", "arrival_time"})  # in what a spike does: see protocols/arrivals.py
BUILT_IN = ARRIVING | {"t", "dt", "i", "j", "N", "N_pre", "N_post", "lastspike", "not_refractory", "inf", "pi"}

# what an expression or a statement may be made of: it is compiled, and may come from the file of a recording
NODES = (ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call,
         ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)
MOST_LINE, MOST_TEXT = 4_000, 400_000  # letters
MOST_POWER = 64  # of whole numbers that stand in the text: 9**9**9 fills the memory

_LINE = re.compile(r"(?:d(?P<ode>\w+)/dt\s*=|(?P<name>\w+)\s*=|(?P<bare>\w+))\s*(?P<rhs>.*?)\s*:\s*(?P<unit>[^:()]+?)"
                   r"\s*(?:\((?P<flags>[^)]*)\))?")


@dataclass(frozen=True)
class Line:
    """One line of Brian2's equation text: `name = expression : unit (flags)`."""

    kind: str  # "ode", "subexpression" or "variable"
    name: str
    expression: str
    unit: str
    flags: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1024)  # a sweep asks the same of every point
def lines(text: str) -> tuple[Line, ...]:
    """The definitions in ODE text, one a line; `#` starts a comment. Raises `UserError` on a line that is none."""
    found = []
    if len(text) > MOST_TEXT:
        raise UserError(f"ODE text: has {len(text)} letters; {MOST_TEXT} are allowed")
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line) if len(line) <= MOST_LINE else None
        if not match or bool(match["bare"]) == bool(match["rhs"]):
            raise UserError(f"ODE text: cannot read '{line[:200]}'; write 'dx/dt = ... : unit', 'y = ... : unit', "
                            "'z : unit'")
        kind = "ode" if match["ode"] else "subexpression" if match["name"] else "variable"
        flags = tuple(flag.strip() for flag in (match["flags"] or "").split(",") if flag.strip())
        found.append(Line(kind, match["ode"] or match["name"] or match["bare"], match["rhs"], match["unit"], flags))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def symbols(expression: str) -> frozenset[str]:
    """Names that an expression (or a block of statements, as in a reset) reads or writes, without functions."""
    return frozenset(name for name in names(expression) - FUNCTIONS - BUILT_IN if not noisy(name))


@functools.lru_cache(maxsize=1024)
def names(expression: str) -> frozenset[str]:
    """All names in an expression or a block of statements, Brian2's own too.

    Raises `UserError` for what is more than names, numbers, operators, comparisons, calls of functions by their name
    and assignments.
    """
    shown = " ".join(expression[:200].split())
    try:
        tree = tree_of(expression.strip(), most=MOST_LINE, block=True)
    except UnreadableError as error:
        raise UserError(f"ODE text: cannot read the expression '{shown}': it {error}") from error
    for node in ast.walk(tree):
        if not _allowed(node):
            raise UserError(f"ODE text: cannot read the expression '{shown}': {type(node).__name__} is not allowed; "
                            "write names, numbers, + - * / ** and functions, without large powers of whole numbers")
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _allowed(node: ast.AST) -> bool:
    """Whether a part of an expression may be compiled: nothing reaches beyond its names and numbers."""
    match node:
        case ast.Call(function, _, keywords):
            return isinstance(function, ast.Name) and not keywords
        case ast.Constant(value):
            return isinstance(value, int | float)
        case ast.Assign(targets):
            return all(isinstance(target, ast.Name) for target in targets)
        case ast.AugAssign(target):
            return isinstance(target, ast.Name)
        case ast.BinOp(base, ast.Pow(), exponent) if not any(isinstance(one, ast.Name) for one in ast.walk(node)):
            nested = any(isinstance(one, ast.Pow) for side in (base, exponent) for one in ast.walk(side))
            return not nested and isinstance(exponent, ast.Constant | ast.UnaryOp) and all(
                abs(one.value) <= MOST_POWER for one in ast.walk(exponent) if isinstance(one, ast.Constant))
    return isinstance(node, NODES)


def noisy(expression: str) -> bool:
    """Whether an expression has Brian2's white noise in it: xi, or xi_name."""
    return bool(re.search(r"\bxi(_\w+)?\b", expression))


def compiled(text: str) -> dict[str, ast.expr]:
    """Subexpressions and right-hand sides as code objects for `right_sides`, in the order in which they can be run."""
    table = {line.name: line for line in lines(text) if line.kind == "subexpression"}
    ordered, visiting = {}, set()

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name in visiting:
            raise UserError(f"ODE text: '{name}' is defined in terms of itself")
        visiting.add(name)
        for needed in sorted(symbols(table[name].expression) & table.keys()):
            visit(needed)
        ordered[name] = compile(table[name].expression, name, "eval")

    for name in table:
        visit(name)
    return ordered


def evaluator(expression: str, text: str):
    """An expression as a function of the values (name -> float or array) that it needs; `text` defines subexpressions.

    As `right_sides`.
    """
    steps, wanted = compiled(text), symbols(expression)
    table = {line.name: line for line in lines(text) if line.kind == "subexpression"}
    for name in reversed(steps):  # those that it needs, also through others
        wanted |= symbols(table[name].expression) if name in wanted else set()
    scope = {"__builtins__": {}, **{name: getattr(np, name) for name in FUNCTIONS if hasattr(np, name)}}
    code = compile(expression, "expression", "eval")
    steps = {name: step for name, step in steps.items() if name in wanted}

    def evaluate(values: Mapping[str, object]):
        local = dict(values)
        for name, step in steps.items():
            local[name] = eval(step, scope, local)
        return eval(code, scope, local)

    return evaluate


def right_sides(text: str, functions: Mapping[str, object]):
    """The ODE text as a function: values by name (states, inputs, parameters) -> d/dt of every state, by name.

    The same text that Brian2 runs, evaluated on plain or complex numbers; units must be coherent (SI base values).
    The text may be that of a recording: `names` has looked at every expression before it is compiled.
    """
    steps = compiled(text)
    odes = {}
    for line in lines(text):
        if line.kind == "ode":
            names(line.expression)
            odes[line.name] = compile(line.expression, line.name, "eval")
    scope = {"__builtins__": {}, **functions}

    def evaluate(values: Mapping[str, object]) -> dict[str, object]:
        local = dict(values)
        for name, code in steps.items():
            local[name] = eval(code, scope, local)
        return {name: eval(code, scope, local) for name, code in odes.items()}

    return evaluate
