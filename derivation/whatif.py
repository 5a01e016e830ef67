"""What would another value of a parameter do? The record computed anew, beside what its stored derivatives predict."""

import dataclasses
import math
from collections.abc import Mapping

from astro_sim.parameter import Parameter
from derivation import record
from derivation.closed_form import evaluate
from derivation.record import ParameterUse, Record
from derivation.reduce import REDUCTIONS
from foundation.errors import UserError, choose


@dataclasses.dataclass(frozen=True)
class Change:
    """One constant of an entry: before, after, and what the derivatives at the old values predict for it."""

    entry: str
    constant: str
    before: float
    after: float
    predicted: float


def parameters(source: Record) -> dict[str, ParameterUse]:
    """Every parameter of the record by name."""
    return {use.name: use for entry in source.entries.values() for use in entry.parameters}


def read_changes(source: Record, settings: list[str]) -> dict[str, float]:
    """Settings such as "tau_pl=300 second" as numbers of the parameters' own units; "O_2" will do for "li_rinzel.O_2".

    Raises `UserError` for a name that the record does not have, a wrong unit, or a value that is not allowed.
    """
    table, changes = parameters(source), {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        short = [full for full in table if full.rpartition(".")[2] == name]
        if name not in table and len(short) == 1:
            name = short[0]
        use = choose("parameter of the record", name, table)
        if not equals or not text:
            raise UserError(f"--set {setting}: write NAME=VALUE UNIT, for example "
                            f"{name}={1.1 * use.value:g} {use.unit}")
        own = Parameter(use.value, use.unit, use.meaning, use.source, use.basis)
        changes[name] = own.changed(name, text).value
    return changes


def recompute(source: Record, changes: Mapping[str, float]) -> Record:
    """`source` with parameters at other values and every constant that rests on them computed anew.

    Constants come from their stored formulas; what was reduced from a biophysical model, when one of that model's
    parameters changes, from the reduction itself. Raises `UserError` when calcium does not oscillate then. Fits and
    evidence stay those of `source`: only `derive` simulates.
    """
    table = parameters(source)
    for name, reduction in REDUCTIONS.items():
        moved = {key.rpartition(".")[2]: value for key, value in changes.items() if table[key].through == name}
        if moved and name not in changes:
            changes = {**changes, name: reduction.value(moved)}
    entries = {}
    for key, entry in source.entries.items():
        uses = tuple(dataclasses.replace(use, value=changes.get(use.name, use.value)) for use in entry.parameters)
        values = {use.name: use.value for use in uses}
        constants = {name: dataclasses.replace(constant, value=evaluate(constant.formula, values))
                     if constant.formula else constant for name, constant in entry.constants.items()}
        entries[key] = dataclasses.replace(entry, parameters=uses, constants=constants)
    return record.make(entries, source.versions)


def compare(source: Record, changes: Mapping[str, float]) -> list[Change]:
    """Every constant of every entry before and after `changes`."""
    after, rows = recompute(source, changes), []
    for key, entry in source.entries.items():
        for name, constant in entry.constants.items():
            slope = sum(use.sensitivity[name] * (changes[use.name] - use.value) for use in entry.parameters
                        if use.name in changes)
            rows.append(Change(key, name, constant.value, after.entries[key].constants[name].value,
                               constant.value + slope))
    return rows


def meaning(source: Record) -> dict[str, float]:
    """What the constants mean for the network: memory horizon in segments (1/e), kernel width in tokens (1/e)."""
    return {"memory horizon (segments)": -1 / math.log(source.entry("retention").constants["q"].value),
            "kernel width (tokens)": 1 / source.entry("relative_position").constants["scale"].value}
