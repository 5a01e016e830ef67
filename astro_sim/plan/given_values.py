"""The parameters and initial values that a user gives: one for all, or one an element."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from astro_sim.model import Model
from astro_sim.model.equation_text import symbols
from astro_sim.parameter import ALLOWED, MUST_BE, Parameter, several_values
from astro_sim.plan.plan import Plan
from astro_sim.plan.protocol_checks import refuse_idle
from foundation.errors import UserError, choose
from foundation.shapes import Float


def read_parameters(model: Model, parameter_set: str, changes: Mapping, *, options: Mapping
                    ) -> tuple[dict[str, Parameter], dict[str, Float[np.ndarray, "element"]]]:
    """The parameters that take part, with the changes; and those that have one value an element, in the same unit.

    Errors: `UserError` for a change without effect, and for values an element of what belongs to no one population.
    """
    table, used = model.parameters(parameter_set), model.used_parameters(options)
    for name in changes:
        choose(f"parameter of {model.name}", name, dict(table))
        if name not in used:
            shown = ", ".join(f"{key}={value}" for key, value in options.items())
            raise UserError(f"{name}: takes no part in {model.name} with {shown}; leave it out or change the options")
    several = {name: several_values(given, table[name].unit, name) for name, given in changes.items()}
    per_element = {name: _checked(values, table[name], name, size=_elements(model, name, options))
                   for name, values in several.items() if values is not None}
    parameters = {name: table[name].changed(name, changes[name]) if name in changes and name not in per_element
                  else table[name] for name in used}
    return parameters, per_element


def _elements(model: Model, name: str, options: Mapping) -> int:
    """How many values a parameter may have: those of the population that it belongs to.

    A parameter of what a connection does is one of the element that it is done to.
    """
    def named(expressions: list[str]) -> bool:
        return any(name in symbols(expression) for expression in expressions)

    owners = {population.name for population in model.active_populations(options) if named(population.expressions())}
    for connection in model.active_connections(options):
        if named(connection.expressions()):
            if connection.delay == name or connection.by_fft(options):
                raise UserError(f"{name}: {connection.name} takes one value for all; give one")
            owners.add(connection.target)
    if len(owners) > 1:
        raise UserError(f"{name}: belongs to {' and '.join(sorted(owners))}, so one value an element has no meaning; "
                        "give one for all")
    return model.population(owners.pop()).size(options)


def _checked(values: Float[np.ndarray, "_"], declared: Parameter, name: str, *, size: int
             ) -> Float[np.ndarray, "element"]:
    if len(values) != size:
        raise UserError(f"{name}: {len(values)} values; give one, or {size}, one an element")
    allowed = [ALLOWED[declared.allowed](value) for value in values.tolist()]
    if not all(allowed):
        wrong = allowed.index(False)
        shown = f"{values[wrong]:g} {declared.unit}".removesuffix(" 1")
        raise UserError(f"{name}: {shown}, value {wrong}, is not allowed; '{declared.meaning}' must be "
                        f"{MUST_BE[declared.allowed]}")
    return values


def read_initial(plan: Plan, changes: Mapping) -> dict[str, Parameter | tuple[float, ...]]:
    """Initial values: one (text "VALUE UNIT", a quantity, a `Parameter`), or one an element as of `several_values`."""
    model, variables = plan.model, plan.model.variables()
    declares = model.initial_of(plan.parameter_set)
    values: dict[str, Parameter | tuple[float, ...]] = {
        name: value for name, value in declares.items() if variables[name][0].active(plan.options)}
    guarded = plan.with_one_value()
    values |= {name: tuple(draw(guarded)) for name, draw in model.drawn.items()
               if name in values and name not in changes}
    for name, value in changes.items():
        declared = choose(f"initial value of {model.name}", name, declares)
        if name not in values:
            refuse_idle(plan, f"initial value {name}")
        values[name] = _initial(value, declared, name, size=plan.size(variables[name][0].name))
    return values


def _initial(given: Any, declared: Parameter, name: str, *, size: int) -> Parameter | tuple[float, ...]:
    numbers = several_values(given, declared.unit, name)
    if numbers is None:
        return declared.changed(name, given)
    if len(numbers) != size or not all(map(ALLOWED[declared.allowed], numbers)):
        raise UserError(f"{name}: {len(numbers)} initial values; give {size}, each {MUST_BE[declared.allowed]}"
                        + (f" in {declared.unit}" if declared.unit != "1" else ""))
    return tuple(numbers.tolist())
