"""What would another value of a parameter do? The record computed anew, beside what its stored derivatives predict."""

import dataclasses
import math
from collections.abc import Mapping
from functools import cache

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, split_quantity
from derivation import limit_cycle, record
from derivation.closed_form import evaluate
from derivation.record import ParameterUse, Record
from derivation.simulations import CALCIUM_MODEL, CALCIUM_SET, IP3
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
    """Settings such as "tau_pl=300 second" as numbers of the parameters' own units.

    Raises `UserError` for a name that the record does not have, a wrong unit, or a value that is not allowed.
    """
    table, changes = parameters(source), {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        use = choose("parameter of the record", name, table)
        if not equals or not text:
            raise UserError(f"--set {setting}: write NAME=VALUE UNIT, for example "
                            f"{name}={1.1 * use.value:g} {use.unit}")
        own = Parameter(use.value, use.unit, use.meaning, use.source, use.basis)
        changes[name] = own.changed(name, text).value
    return changes


def recompute(source: Record, changes: Mapping[str, float]) -> Record:
    """`source` with parameters at other values and every constant that rests on them computed anew.

    Constants come from their stored formulas; the calcium period, when one of its parameters changes, from the
    oscillation itself. Raises `UserError` when calcium does not oscillate then. Fits and evidence stay those of
    `source`: only `derive` simulates.
    """
    calcium = {name: value for name, value in changes.items() if parameters(source)[name].through == "tau_cycle"}
    if calcium and "tau_cycle" not in changes:
        changes = {**changes, "tau_cycle": calcium_period(calcium)}
    entries = {}
    for key, entry in source.entries.items():
        uses = tuple(dataclasses.replace(use, value=changes.get(use.name, use.value)) for use in entry.parameters)
        values = {use.name: use.value for use in uses}
        constants = {name: dataclasses.replace(constant, value=evaluate(constant.formula, values))
                     if constant.formula else constant for name, constant in entry.constants.items()}
        entries[key] = dataclasses.replace(entry, parameters=uses, constants=constants)
    return record.make(entries, source.versions)


@cache
def _base_cycle() -> limit_cycle.Cycle:
    return limit_cycle.limit_cycle(MODELS[CALCIUM_MODEL], CALCIUM_SET, "ip3", _level(None))


def _level(value: float | None) -> Parameter:
    number, unit = split_quantity(IP3, "ip3")
    return Parameter(number if value is None else value, unit, "IP3 concentration", "assumed here", "assumed")


def calcium_period(changes: Mapping[str, float]) -> float:
    """Period in seconds of the calcium oscillation with some of its parameters (or `ip3`) at other values."""
    model = MODELS[CALCIUM_MODEL]
    for name, value in changes.items():
        if name != "ip3":
            model = limit_cycle.with_parameter(model, CALCIUM_SET, name, value)
    return limit_cycle.limit_cycle(model, CALCIUM_SET, "ip3", _level(changes.get("ip3")), _base_cycle()).seconds


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
