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

FUNCTIONS = frozenset({"exp", "log", "tanh", "sqrt", "abs", "sign", "clip", "int", "sin", "cos", "rand", "randn",
                       "timestep"})
ARRIVING = frozenset({"since_arrival", "arrival_time"})  # in what a spike does: see protocols/arrivals.py
BUILT_IN = ARRIVING | {"t", "dt", "i", "j", "N", "N_pre", "N_post", "lastspike", "not_refractory", "inf", "pi"}

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
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if not match or bool(match["bare"]) == bool(match["rhs"]):
            raise UserError(f"ODE text: cannot read '{line}'; write 'dx/dt = ... : unit', 'y = ... : unit', 'z : unit'")
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
    """All names in an expression or a block of statements, Brian2's own too."""
    try:
        tree = ast.parse(expression.strip())
    except SyntaxError as error:
        raise UserError(f"ODE text: cannot read the expression '{expression}'") from error
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


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

    Like `right_sides`, for the project's own text alone.
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
    The text is the project's own model text, never input from a file.
    """
    steps = compiled(text)
    odes = {line.name: compile(line.expression, line.name, "eval") for line in lines(text) if line.kind == "ode"}
    scope = {"__builtins__": {}, **functions}

    def evaluate(values: Mapping[str, object]) -> dict[str, object]:
        local = dict(values)
        for name, code in steps.items():
            local[name] = eval(code, scope, local)
        return {name: eval(code, scope, local) for name, code in odes.items()}

    return evaluate
