"""What a sound trace may not have: numbers without origin, and constants or derivatives that their texts contradict."""

import math

from derivation.record import closed_form
from derivation.record.record import Entry, Record
from rmaat.biology.provenance import FromRecord, collect, orphans
from rmaat.model.config import ModelConfig
from rmaat.trace.matrix import Matrix, matrix
from rmaat.trace.report import build, path_of
from rmaat.trace.text import without_layer

STEP, TOLERANCE = 1e-6, 1e-7  # of a parameter, for the derivative of a formula's text; of the derivative


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
            found.setdefault(item.origin.entry, set()).add(without_layer(path_of(item)))
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
