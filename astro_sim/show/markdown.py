"""A model as Markdown: its equations rendered from the text that Brian2 runs, its parameters as tables."""

import re
from collections.abc import Iterable

from astro_sim.model import Connection, Model, Population
from astro_sim.model.equation_text import Line, lines
from astro_sim.show import describe

_STATEMENT = re.compile(r"(\w+)\s*([-+*/]?)=\s*([^=].*)")
_CLAUSES = {"reset": "after a spike", "on_pre": "at an event of the source", "on_post": "at an event of the target"}
_CONDITIONS = ("threshold", "refractory", "events", "delay")


def as_markdown(model: Model, parameter_set: str) -> str:
    """The whole page; equations between $$ as LaTeX, which sympy writes from Brian2's reading of the text."""
    about = describe.as_dict(model, parameter_set)
    others = [f"`{name}`" for name in model.parameter_sets if name != parameter_set]
    parts = [f"# {model.name}", model.summary[:1].upper() + model.summary[1:] + ".",
             f"Sources: {', '.join(model.sources)}. Integrated by {model.method} unless another method is asked for."]
    if model.not_modelled:
        parts.append(f"Not modelled: {model.not_modelled}.")
    parts += [block for part in (*model.populations, *model.connections) for block in _part(part)]
    parts += [f"## Parameters, set `{parameter_set}`" + (f" (others: {', '.join(others)})" if others else ""),
              _table(("symbol", "value", "unit", "basis", "source", "meaning"), _values(about["parameters"])),
              "## Initial values",
              _table(("symbol", "value", "unit", "basis", "source", "meaning"), _values(about["initial"]))]
    if model.inputs or model.spike_inputs:
        rows = [(f"`{name}`", f"{i['default']:g}", _unit(i["unit"]), i["meaning"])
                for name, i in about["inputs"].items()]
        rows += [(f"`{name}`", "none", "spikes", meaning) for name, meaning in about["spike_inputs"].items()]
        parts += ["## Inputs", _table(("input", "default", "unit", "meaning"), rows)]
    parts += ["## Recorded", _table(("variable", "unit", "meaning"),
                                    [(symbol(name), _unit(o["unit"]), o["long_name"])
                                     for name, o in about["observables"].items()])]
    if model.options:
        parts += ["## Options", _table(("option", "default", "allowed", "meaning"), [
            (f"`{name}`", describe.default_text(o), describe.allowed_text(o), o.meaning)
            for name, o in model.options.items()])]
    return "\n\n".join(parts) + "\n"


def _part(part: Population | Connection) -> list[str]:
    """A population or a connection: heading, equations, what spikes and events do."""
    when = ", ".join(f"`{name}` = {' or '.join(values)}" for name, values in part.when.items())
    blocks = [f"## {part.name}", f"{part.meaning[:1].upper()}{part.meaning[1:]}." + (f" With {when}." if when else "")]
    for raw in part.equations.splitlines():
        said = raw.partition("#")[2].strip()
        blocks += [_equation(line, said) for line in lines(raw) if line.expression]
    blocks += [f"{symbol(name)}, once: $${latex(text)}$$" for name, text in getattr(part, "fixed", {}).items()]
    for clause in _CONDITIONS:
        given = getattr(part, clause, None)
        if given:
            blocks.append(f"{clause}: `{given if isinstance(given, str) else dict(given)}`")
    for clause, words in _CLAUSES.items():
        if getattr(part, clause, None):
            blocks += [f"{words[:1].upper()}{words[1:]}, in this order:", *_statements(getattr(part, clause))]
    return blocks


def _equation(line: Line, said: str) -> str:
    left = rf"\frac{{d {latex(line.name)}}}{{d t}}" if line.kind == "ode" else latex(line.name)
    total = r"\sum " if "summed" in line.flags else ""
    right = rf"{total}\left({latex(line.expression)}\right)" if total else latex(line.expression)
    return "\n\n".join(filter(None, (f"$${left} = {right}$$", ", ".join(filter(None, (_unit(line.unit), said))))))


def _statements(text: str) -> list[str]:
    """What happens at an event, one rendered line a statement; `x += y` is told as x <- x + y."""
    found = []
    for statement in re.split(r"[\n;]", text):
        match = _STATEMENT.fullmatch(statement.partition("#")[0].strip())
        if match:
            target, operator, value = match.groups()
            value = f"{target} {operator} ({value})" if operator else value
            found.append(rf"$${latex(target)} \leftarrow {latex(value)}$$")
    return found


def latex(expression: str) -> str:
    """LaTeX of an expression of ODE text, by Brian2's reader and sympy's printer."""
    import sympy
    from brian2.parsing.sympytools import str_to_sympy

    read = str_to_sympy(expression)
    return sympy.latex(read, symbol_names={one: _name(one.name) for one in read.free_symbols})


def _name(name: str) -> str:
    """Omega_5P -> \\Omega_{5P}, glutamate -> \\mathrm{glutamate}, d5 -> d_{5}; dt and xi as they are written."""
    import sympy

    base, _, below = re.sub(r"^([A-Za-z])(\d+)$", r"\1_\2", name).partition("_")
    if base == "dt":
        return r"\Delta t"
    greek = sympy.latex(sympy.Symbol(base))
    shown = greek if len(base) == 1 or greek.startswith("\\") else rf"\mathrm{{{base}}}"
    below = below.replace("_", ",")
    if below and len(below) > 1 and not below.isdigit():
        below = rf"\mathrm{{{below}}}"
    return f"{shown}_{{{below}}}" if below else shown


def symbol(name: str) -> str:
    """A variable's name as inline LaTeX."""
    return f"${latex(name)}$"


def _values(table: dict) -> list[tuple]:
    return [(symbol(name), f"{p['value']:.10g}", _unit(p["unit"]), p["basis"], p["source"], p["meaning"])
            for name, p in table.items()]


def _unit(name: str) -> str:
    return "" if name == "1" else name


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in cells)
