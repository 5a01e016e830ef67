"""The matrix parameter x entry x tensor, from the record's stored derivatives, and what a sound trace may not have."""

import math
from dataclasses import dataclass

from derivation.record import closed_form
from derivation.record.record import Entry, Record
from rmaat.biology.provenance import FromRecord, collect, orphans
from rmaat.model.config import ModelConfig
from rmaat.trace.report import build, elasticities, influences, path_of

STEP, TOLERANCE = 1e-6, 1e-7  # of a parameter, for the derivative of a formula's text; of the derivative


@dataclass(frozen=True)
class Matrix:
    """`effects[parameter][column]`: share by which a column moves per share of the parameter; missing: no chain.

    Columns are constants ("retention.q") and tensors of the network as built ("retention.retention"), those of equal
    layers told once. `through[parameter]` names the constants of the chain by which it acts; `unread` holds the columns
    of entries that this network does not read.
    """

    columns: tuple[str, ...]
    num_constants: int
    effects: dict[str, dict[str, float]]
    through: dict[str, tuple[str, ...]]
    unread: frozenset[str]

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters, in the order of the rows."""
        return list(self.effects)


def matrix(config: ModelConfig, record: Record) -> Matrix:
    """Every parameter of the record against every constant, and every tensor of `config`'s network."""
    items = [item for item in collect(build(config, record)) if isinstance(item.origin, FromRecord)]
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(_without_layer(path_of(item)), path_of(item))
    kept = [item for item in items if path_of(item) in first.values()]
    measured, used = influences(config, record, kept), {item.origin.entry for item in items}
    constants = [f"{key}.{name}" for key, entry in record.entries.items() for name in entry.constants]
    effects: dict[str, dict[str, float]] = {}
    through: dict[str, tuple[str, ...]] = {}
    for key, entry in record.entries.items():
        for name, constant, via, effect in elasticities(entry):
            row, column = effects.setdefault(name, {}), f"{key}.{constant}"
            row[column] = row.get(column, 0.) + effect
            through[name] = tuple(dict.fromkeys((*through.get(name, ()), *([via] if via else []))))
    for item in kept:
        for use in record.entry(item.origin.entry).parameters:
            effects[use.name][_without_layer(path_of(item))] = measured.get((path_of(item), use.name), 0.)
    unread = {f"{key}.{name}" for key, entry in record.entries.items() if key not in used for name in entry.constants}
    return Matrix((*constants, *first), len(constants), effects, through, frozenset(unread))


def _without_layer(path: str) -> str:
    """blocks.3.attention.feedback -> attention.feedback"""
    parts = path.split(".")
    return ".".join(parts[2:]) if parts[0] == "blocks" else path


def text(found: Matrix) -> str:
    """The matrix in percent per +1 %, columns by letter; '.' where there is no chain."""
    letters = [chr(ord("A") + k) if k < 26 else f"A{chr(ord('A') + k - 26)}" for k in range(len(found.columns))]
    lines = ["by how many percent +1 % of a parameter moves a constant of the record or a tensor of this network "
             "(first order; '.' no chain)", ""]
    for k, (letter, name) in enumerate(zip(letters, found.columns, strict=True)):
        kind = "constant" if k < found.num_constants else "tensor, largest change over largest value"
        lines.append(f"  {letter:>2} {name}   {kind}{'; not read by this network' if name in found.unread else ''}")
    width = max(map(len, found.parameters), default=0)
    via = max((len(", ".join(names)) for names in found.through.values()), default=0)
    via = max(via, len("through"))
    lines += ["", f"{'parameter':{width}}  {'through':{via}} " + "".join(f"{letter:>9}" for letter in letters)]
    for name, row in found.effects.items():
        cells = "".join(f"{row[column]:9.2g}" if column in row else f"{'.':>9}" for column in found.columns)
        lines.append(f"{name:{width}}  {', '.join(found.through[name]):{via}} {cells}")
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------- what may not be


def complaints(config: ModelConfig, record: Record, table: Matrix | None = None) -> list[str]:
    """What is wrong with the trace of `config`'s network, as sentences; empty for a sound one. `table`: its matrix.

    A number without origin; a constant that is not what its formula gives; a derivative of a formula's parameter that
    is not the formula's; a derived parameter with nothing behind it; a parameter with a chain that moves nothing.
    """
    found = [f"{path} has no origin" for path in orphans(build(config, record))]
    if "changed" not in record.versions:  # one that was has the derivatives, and with noise not the values, of another
        found += [f"{key}: {what}" for key, entry in record.entries.items() for what in entry_complaints(entry)]
    table, read = table or matrix(config, record), _read(config, record)
    for key, entry in record.entries.items():
        constants = {f"{key}.{name}" for name in entry.constants}
        for name in dict.fromkeys(use.name for use in entry.parameters):
            for columns in (constants, read.get(key, set())):
                if columns and not any(table.effects[name].get(column) for column in columns):
                    found.append(f"{name} has a chain to {', '.join(sorted(columns))} and does not move it")
    return found


def _read(config: ModelConfig, record: Record) -> dict[str, set[str]]:
    """Entry -> the tensors of `config`'s network that come from it."""
    found: dict[str, set[str]] = {}
    for item in collect(build(config, record)):
        if isinstance(item.origin, FromRecord):
            found.setdefault(item.origin.entry, set()).add(_without_layer(path_of(item)))
    return found


def entry_complaints(entry: Entry) -> list[str]:
    """What an entry's own text contradicts, without a simulator."""
    found = []
    values = {use.name: use.value for use in entry.parameters if use.through is None}
    behind = {use.through for use in entry.parameters}
    for name, constant in entry.constants.items():
        if constant.formula is None:
            continue
        value = closed_form.evaluate(constant.formula, values)
        if not math.isclose(value, constant.value, rel_tol=1e-12):
            found.append(f"{name} is {constant.value}, its formula gives {value}")
        for use in entry.parameters:
            if use.through is None and use.name in closed_form.names(constant.formula):
                up, down = (closed_form.evaluate(constant.formula, values | {use.name: use.value * (1 + change)})
                            for change in (STEP, -STEP))
                slope, stored = (up - down) / (2 * STEP * use.value), use.sensitivity.get(name, 0.)
                if abs(slope - stored) * use.value > TOLERANCE * (abs(stored * use.value) + abs(value)):
                    found.append(f"d {name}/d {use.name} is {stored}, its formula gives {slope}")
    found += [f"{use.name} is derived, and nothing stands behind it" for use in entry.parameters
              if use.basis == "derived" and use.through is None and use.name not in behind]
    return found
