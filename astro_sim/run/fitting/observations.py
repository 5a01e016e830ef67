"""What was measured, as the model knows it: courses of its variables at times, in its units."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.parameter import convert, unit
from astro_sim.plan import Plan
from astro_sim.recording.frames import element_names
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Series
from astro_sim.run.fitting.tables import TIME, Numbers, read_table
from foundation.errors import UserError, unknown
from foundation.shapes import Array, Float

ELEMENT = re.compile(r"(.*?)\s*\[([^\]]*)\]")


@dataclass(frozen=True, eq=False)
class Measured:
    """The course of one element of a variable: times (s, rising) and values in the model's unit; nothing is missing."""

    name: str
    variable: str
    element: int
    unit: str
    long_name: str
    times: Float[Array, "point"]
    values: Float[Array, "point"]


def observations(data: Any, plan: Plan, *, variables: Sequence[str] = (), columns: Mapping[str, str] | None = None,
                 bare: bool = True) -> tuple[Measured, ...]:
    """The columns of `data` that are variables of the model, one of them the time.

    variables: which to take (default: all, and each must be one of the model); columns: name in the data -> name in
    the model. bare: numbers without a unit are taken in seconds and in the variable's unit; else they are refused.
    Errors: `UserError` for a column that is no variable, another dimension, and times that are missing or before 0 s.
    """
    times, others = _times(renamed(data, columns), bare=bare)
    chosen = others if not variables else [_named(name, others) for name in variables]
    if not chosen:
        raise UserError("data: there is no column besides the time; give one for each variable, as in 't (s), C (uM)'")
    return tuple(_measured(column, times, plan, bare=bare) for column in chosen)


def renamed(data: Any, columns: Mapping[str, str] | None = None) -> list[Numbers]:
    """The columns of data (or columns that were read) under the model's names. Errors: `UserError` for an unknown one.
    """
    table, columns = data if isinstance(data, list) else read_table(data), columns or {}
    for name in columns:
        _named(name, table)
    return [Numbers(columns.get(column.name, column.name), column.unit, column.values) for column in table]


def last_time(table: Sequence[Numbers], *, bare: bool) -> float:
    """The last time (s) of columns. Errors: `UserError` where they have none."""
    times, _ = _times(table, bare=bare)
    return float(times.max())


def _named(name: str, columns: Sequence[Numbers]) -> Numbers:
    found = [column for column in columns if column.name == name]
    if not found:
        raise unknown("column of the data", name, [column.name for column in columns])
    return found[0]


def _times(table: Sequence[Numbers], *, bare: bool) -> tuple[np.ndarray, list[Numbers]]:
    found = [column for column in table if column.name.lower() in TIME]
    if len(found) != 1:
        raise UserError(f"data: {len(found)} columns are called t or time, among "
                        f"{', '.join(column.name for column in table)}; one must be, as in 't (s)'")
    told = _unit(found[0], "second", bare=bare)
    times = np.array([convert(1.0, told, "second", found[0].name)]) * found[0].values
    wrong = np.flatnonzero(~np.isfinite(times) | (times < 0))
    if wrong.size:
        raise UserError(f"data: the time in row {wrong[0] + 1} is {times[wrong[0]]:g} s; a simulation starts at 0 s: "
                        "give every row its time, counted from the start")
    names = [column.name for column in table]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"data: {', '.join(twice)} names two columns; give each a name of its own, C[0] and "
                        "C[1] for two elements")
    return times, [column for column in table if column is not found[0]]


def _unit(column: Numbers, wanted: str, *, bare: bool) -> str:
    if column.unit is not None:
        return column.unit
    if not bare and wanted != "1":
        raise UserError(f"data: column '{column.name}' has no unit in its head; write '{column.name} ({wanted})', or "
                        "another unit of the same dimension")
    return wanted


def _measured(column: Numbers, times: np.ndarray, plan: Plan, *, bare: bool) -> Measured:
    """A column as the course of an element."""
    variable, element, name = find_element(plan, column.name)
    seen = plan.model.observables[variable]
    factor = convert(1.0, _unit(column, seen.unit, bare=bare), seen.unit, f"data: column {column.name}")
    if len(times) != len(column.values):
        raise UserError(f"data: {column.name} has {len(column.values)} values for {len(times)} times")
    there = np.flatnonzero(~np.isnan(column.values))
    there = there[np.argsort(times[there], kind="stable")]
    values = factor * column.values[there]
    if not len(there) or not np.isfinite(values).all():
        raise UserError(f"data: column {column.name} has {'an infinite' if len(there) else 'no'} value; leave it out, "
                        "or give finite numbers")
    unit(seen.unit)
    return Measured(name, variable, element, seen.unit, seen.long_name, times[there], values)


def find_element(plan: Plan, name: str) -> tuple[str, int, str]:
    """"C" or "C[3]" -> variable, number of its element, and how the recording's table calls it.

    Errors: `UserError` for a variable that the model does not record, and where the element is not named.
    """
    match = ELEMENT.fullmatch(name)
    variable, label = (match[1], match[2]) if match else (name, None)
    active = {population.name for population in plan.model.active_populations(plan.options)}
    there = {key: seen for key, seen in plan.model.observables.items() if seen.population in active}
    if variable not in there:
        error = unknown(f"variable of {plan.model.name}", variable, there)
        raise UserError(f"data: {error}; or say which column is which with columns (--column {variable}=NAME), or name "
                        "those to fit with variables (--variable NAME)")
    population = plan.model.population(there[variable].population)
    labels = tuple(map(str, population.labels(plan.options) if population.labels else
                       range(plan.size(population.name))))
    names = element_names(variable, labels)
    if label is None and len(labels) > 1:
        raise UserError(f"data: {variable} has {len(labels)} elements; name one, as in {names[0]}")
    if label is not None and label not in labels:
        raise UserError(f"data: {variable} has no element '{label}'; it has {', '.join(labels[:6])}")
    element = 0 if label is None else labels.index(label)
    return variable, element, names[element]


def as_recording(courses: Sequence[Measured]) -> Recording:
    """Measured courses as a recording, for what is measured in it by name. Errors: `UserError` where times differ."""
    first = courses[0]
    if any(not np.array_equal(one.times, first.times) for one in courses):
        raise UserError("data: values are missing in some columns only; features need whole courses: fit one variable, "
                        "or the courses themselves, without features")
    variables: dict[str, list[Measured]] = {}
    for one in courses:
        variables.setdefault(one.variable, []).append(one)
    made = {name: Series(np.stack([one.values for one in many], axis=1), many[0].unit, many[0].long_name, name,
                         tuple(one.name.partition("[")[2].rstrip("]") or "0" for one in many))
            for name, many in variables.items()}
    return Recording(first.times, made, {"model": "data", "parameters": {}})
