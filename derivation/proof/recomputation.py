"""The record computed anew under other values of its parameters, beside what its stored derivatives predict."""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import lru_cache

from astro_sim.parameter import Parameter
from derivation.record import record
from derivation.record.closed_form import evaluate
from derivation.record.record import Entry, ParameterUse, Record
from derivation.reductions.registry import reduction_of
from foundation.errors import DamagedFileError, UserError, unknown


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


def read_changes(source: Record, settings: Iterable[tuple[str, object]]) -> dict[str, float]:
    """Settings such as ("tau_pl", "300 second") as numbers of the parameters' own units, by their full names.

    "O_2" will do for "li_rinzel.O_2" where one model alone has it. Raises `UserError` for a name that the record does
    not have, a wrong unit, or a value that is not allowed.
    """
    table, changes = parameters(source), {}
    for name, given in settings:
        full = full_name(table, name)
        use = table[full]
        if full in changes:
            raise UserError(f"{name}: {full} is set twice; give it one value")
        own = Parameter(use.value, use.unit, use.meaning, use.source, use.basis)
        changes[full] = own.changed(full, given).value
    return changes


def full_name(table: Mapping[str, ParameterUse], name: str) -> str:
    """The name that the record has for a parameter. Raises `UserError` where it has none, or several models do."""
    if name in table:
        return name
    candidates = sorted(full for full in table if full.rpartition(".")[2] == name)
    if len(candidates) > 1:
        raise UserError(f"{name}: more than one model has it; write {' or '.join(candidates)}")
    if not candidates:
        raise unknown("parameter of the record", name, table)
    return candidates[0]


def recompute(source: Record, changes: Mapping[str, float]) -> Record:
    """`source` with parameters at other values and every constant that rests on them computed anew.

    Constants come from their stored formulas; what was reduced from a biophysical model, when one of that model's
    parameters changes, from the reduction itself. Raises `UserError` when calcium does not oscillate then. Fits and
    evidence stay those of `source`: only `derive` simulates.
    """
    every = {**reduced(source, changes), **changes}
    entries = {key: with_parameters(entry, every) for key, entry in source.entries.items()}
    told = ", ".join(f"{name} = {value:g}" for name, value in sorted(changes.items()))
    return record.make(entries, {**source.versions, "changed": told} if changes else source.versions)


def reduced(source: Record, changes: Mapping[str, float]) -> dict[str, float]:
    """The reduced constants that `changes` move, each from its reduction; one that is itself changed stays so."""
    acts_through: dict[str, set[str]] = {}
    for entry in source.entries.values():
        for use in entry.parameters:
            if use.through is not None:
                acts_through.setdefault(use.through, set()).add(use.name)
    moved = {name: {key: value for key, value in changes.items() if key in behind}
             for name, behind in acts_through.items() if name not in changes}
    return {name: _at(name, tuple(sorted(values.items()))) for name, values in moved.items() if values}


@lru_cache(maxsize=512)  # several entries rest on one reduction
def _at(name: str, moved: tuple[tuple[str, float], ...]) -> float:
    """A reduced constant with parameters of the record, by their full names, at other values. Raises `UserError`."""
    reductions = [reduction_of(name, parameter) for parameter, _ in moved]
    return reductions[0].at({parameter.rpartition(".")[2]: value for parameter, value in moved})


def with_parameters(entry: Entry, changes: Mapping[str, float]) -> Entry:
    """`entry` with parameters at other values and its constants by their formulas.

    Raises `UserError` where one has no value then: the response is no longer stable, or what it rests on is gone.
    """
    uses = tuple(dataclasses.replace(use, value=changes.get(use.name, use.value)) for use in entry.parameters)
    values = {use.name: use.value for use in uses}
    try:
        constants = {name: dataclasses.replace(constant, value=evaluate(constant.formula, values))
                     if constant.formula else constant for name, constant in entry.constants.items()}
    except DamagedFileError as error:
        raise UserError(f"{entry.meaning}: no value under these changes ({error}); the form holds while "
                        + ", ".join(f"{limit.quantity} >= {limit.low:g}" for limit in entry.validity
                                    if limit.low is not None)
                        + "; choose values nearer to the old ones") from error
    return dataclasses.replace(entry, parameters=uses, constants=constants)


def compare(source: Record, changes: Mapping[str, float], after: Record | None = None) -> list[Change]:
    """Every constant of every entry before and after `changes` (`after`: the record that `recompute` gave)."""
    after, rows = after or recompute(source, changes), []
    for key, entry in source.entries.items():
        for name, constant in entry.constants.items():
            slope = sum(use.sensitivity.get(name, 0.) * (changes[use.name] - use.value) for use in entry.parameters
                        if use.name in changes)
            rows.append(Change(key, name, constant.value, after.entries[key].constants[name].value,
                               constant.value + slope))
    return rows
