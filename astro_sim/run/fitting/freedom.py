"""What a fit may change: parameters, inputs that are held, initial values, each between two bounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.parameter import Amount, Parameter, convert, read, split_quantity
from astro_sim.plan import Plan
from astro_sim.protocols import constant
from foundation.errors import UserError, unknown
from foundation.shapes import Array, Float

KINDS = ("initial", "input")


@dataclass(frozen=True)
class Free:
    """One number that is free from `low` to `high`, in `unit`; `kind` is parameter, input or initial, `key` its name
    there. Where both bounds are above zero it is searched on a logarithmic scale."""

    name: str
    kind: str
    key: str
    unit: str
    low: float
    high: float
    start: float | None

    @property
    def logarithmic(self) -> bool:
        """Whether both bounds are above zero."""
        return self.low > 0

    def value(self, share: float) -> float:
        """The value at a share, 0 to 1, of the way from bound to bound."""
        if self.logarithmic:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share

    def share(self, value: float) -> float:
        """The way back of `value`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def text(self, value: float) -> str:
        """The value as the text that `prepare` reads."""
        return f"{value!r} {self.unit}".removesuffix(" 1")


def read_free(free: Mapping[str, Any], plan: Plan) -> tuple[Free, ...]:
    """What is free: name -> (low, high) or (low, high, start), or text "LOW:HIGH" or "LOW:HIGH:START".

    A name is a parameter, an input, or "initial.NAME"; "input.NAME" where a parameter is called alike. Bare numbers are
    in the declared unit. Errors: `UserError` for another name, and bounds that do not rise or are not allowed.
    """
    if not isinstance(free, Mapping) or not free:
        raise UserError("free: nothing is free; name what may change, as in free={'ip3': '0.1:1'}, or --free ip3=0.1:1")
    found = tuple(_one(name, bounds, plan) for name, bounds in free.items())
    driven = {drive.input for drive in plan.protocol}
    for one in found:
        if one.kind == "input" and one.key in driven:
            raise UserError(f"free: {one.key} is driven by the protocol; leave it out there, or here")
    return found


def _one(name: str, bounds: Any, plan: Plan) -> Free:
    kind, key, declared = _declared(name, plan)
    numbers = [_amount(part, declared.unit, name) for part in _parts(bounds, name)]
    low, high = numbers[:2]
    start = numbers[2] if len(numbers) > 2 else None
    if not low < high or (start is not None and not low <= start <= high):
        raise UserError(f"free: {name} from {low:g} to {high:g}{'' if start is None else f', from {start:g} on'}; the "
                        "bounds must rise, with the start between them")
    allowed = declared
    if kind == "input":
        allowed = Parameter(1.0, declared.unit, declared.meaning, "assumed here", "assumed", declared.allowed)
    for value in (low, high):
        allowed.changed(name, f"{value!r} {declared.unit}")  # refuses what the model does not allow
    return Free(name, kind, key, declared.unit, low, high, start)


def _declared(name: str, plan: Plan) -> tuple[str, str, Any]:
    """(kind, key, what declares its unit)."""
    kind, dot, key = name.partition(".")
    inputs = dict(plan.model.inputs)
    tables = {"parameter": dict(plan.parameters), "input": inputs,
              "initial": {key: value for key, value in plan.model.initial_of(plan.parameter_set).items()
                          if key in plan.initial}}
    if dot:
        if kind not in KINDS or key not in tables[kind]:
            raise unknown(f"{kind} of {plan.model.name}", key or name, tables.get(kind, {"initial.NAME": 0}))
        return kind, key, tables[kind][key]
    places = [place for place in ("parameter", "input") if name in tables[place]]
    if len(places) > 1:
        raise UserError(f"free: {name} is a parameter and an input of {plan.model.name}; write input.{name} for the "
                        "input")
    if not places:
        raise unknown(f"parameter or input of {plan.model.name}", name,
                      [*tables["parameter"], *inputs, *(f"initial.{key}" for key in tables["initial"])])
    return places[0], name, tables[places[0]][name]


def _parts(bounds: Any, name: str) -> list[Amount]:
    parts = [part.strip() for part in bounds.split(":")] if isinstance(bounds, str) else list(bounds) if hasattr(
        bounds, "__len__") else []
    if len(parts) not in (2, 3) or any(part == "" for part in parts if isinstance(part, str)):
        raise UserError(f"free: {name} = {bounds!r} is not LOW:HIGH or LOW:HIGH:START; write e.g. {name}=0.1:1, or "
                        "(0.1, 1) in Python")
    units = [split_quantity(part, name)[1] if isinstance(part, str) else "1" for part in parts]
    if isinstance(bounds, str) and units[-1] != "1":  # "0.1:1 uM": the unit stands once
        parts = [f"{part} {units[-1]}" if unit == "1" else part for part, unit in zip(parts, units, strict=True)]
    return parts


def _amount(part: Amount, unit: str, name: str) -> float:
    if isinstance(part, str):
        value, given = split_quantity(part, name)
        return value if given == "1" else convert(value, given, unit, name)
    return read(part, unit, name)


def keywords(free: tuple[Free, ...], values: Float[Array, "free"], common: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `prepare` with these values, besides those that are common."""
    found = {**common, "parameters": dict(common.get("parameters") or {}), "initial": dict(common.get("initial") or {})}
    given = common.get("protocol")
    protocol = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
    for one, value in zip(free, np.asarray(values, float).tolist(), strict=True):
        if one.kind == "input":
            protocol.append(constant(one.key, one.text(value)))
        else:
            found["parameters" if one.kind == "parameter" else "initial"][one.key] = one.text(value)
    return found | {"protocol": protocol}
