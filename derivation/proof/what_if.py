"""What would another value of a parameter do? The record computed anew, beside what its stored derivatives predict."""

import dataclasses
import math
from collections.abc import Mapping

from astro_sim.parameter import Parameter
from derivation.record import record
from derivation.record.closed_form import evaluate
from derivation.record.record import Entry, ParameterUse, Record
from derivation.reductions.registry import REDUCTIONS
from foundation.errors import DamagedFileError, UserError, choose


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
        if name not in table and short:
            raise UserError(f"--set {setting}: more than one model has {name}; write {' or '.join(sorted(short))}")
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
    found = {}
    for name, behind in acts_through.items():
        moved = {key.rpartition(".")[2]: value for key, value in changes.items() if key in behind}
        if moved and name not in changes:
            found[name] = REDUCTIONS[name].value(moved)
    return found


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
                        + ", ".join(f"{one.quantity} >= {one.low:g}" for one in entry.validity if one.low is not None)
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


def meaning(source: Record) -> dict[str, float]:
    """What the constants mean for the network: reach of the memory and of the kernels (to 1/e), level of feedback."""
    found = {"memory horizon (segments)": -1 / math.log(source.entry("retention").constants["q"].value)}
    for label, name, constant, mean in (
            ("kernel width (tokens)", "relative_position", "scale", lambda scale: 1 / scale),
            ("kernel width, diffusive (tokens)", "relative_position_diffusive", "scale", lambda scale: 1 / scale),
            ("half release at calcium (1)", "feedback", "K", float),
            ("half release at calcium, bound (1)", "feedback_bound", "K", float),
            ("calcium at twice the drive (times)", "calcium_response", "exponent", lambda power: 2**power),
            ("the same, as fitted (times)", "calcium_response_fitted", "exponent", lambda power: 2**power)):
        if name in source.entries and constant in source.entries[name].constants:
            found[label] = mean(source.entries[name].constants[constant].value)
    return found


def text(source: Record, changes: Mapping[str, float], after: Record) -> str:
    """The change for a reader: every constant, what it means for the network, and where a form no longer holds."""
    lines = [f"{'entry.constant':36} {'before':>11} {'after':>11} {'change':>9} {'by derivative':>14}"]
    for row in compare(source, changes, after):
        change, predicted = ((value / row.before - 1 if row.before else math.nan)
                             for value in (row.after, row.predicted))
        told = "unchanged" if row.after == row.before == row.predicted else f"{change:+9.2%} {predicted:+14.2%}"
        lines.append(f"{row.entry + '.' + row.constant:36} {row.before:11.6g} {row.after:11.6g} {told}")
    lines += [f"{name:36} {'no constant':>11}" for name, entry in source.entries.items() if not entry.constants]
    later = meaning(after)
    lines += ["", f"{'for the network':36} {'before':>11} {'after':>11}"]
    lines += [f"{name:36} {value:11.6g} {later[name]:11.6g}" for name, value in meaning(source).items()]
    lines += [f"note: {name} is outside its range now: {one.reason}" for name, entry in after.entries.items()
              for one in entry.outside() if one not in source.entries[name].outside()]
    return "\n".join(lines)
