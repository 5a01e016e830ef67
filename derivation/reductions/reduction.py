"""What a reduction is: a number, what every parameter does to it, and how far it was held against the full model."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from astro_sim.parameter import Parameter
from derivation.record.record import ParameterUse
from foundation.errors import UserError, choose

WITHIN = 0.05  # the reduced model's range: where it stays this close to the full one
# Shares of a parameter for central differences: of the period, whose solver is off by 1e-9; of a steady state, which
# Newton's method gives to 1e-13; and of a closed form.
PERIOD_STEP, REST_STEP, CLOSED_FORM_STEP = 1e-3, 1e-4, 1e-5
Changes = Mapping[str, float] | None


@dataclasses.dataclass(frozen=True)
class Valid:
    """`quantity` in [low, high] of `unit`: there the reduced model stays within 5 % of the full one.

    `note` says where an end is that of the search, not of the range.
    """

    quantity: str
    unit: str
    low: float
    high: float
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Held:
    """How a reduction was held against the full model.

    `error` is the largest deviation under the protocol, as a share of what `compared` says; `others` are other
    readings of the same constant, in its unit.
    """

    error: float
    compared: str
    valid: Valid
    others: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reduction:
    """A macro constant as a function of biophysical parameters.

    `value(changes)` takes parameters by their short names, in their own units; `held()` runs the full model, under
    `protocol`; `equation` is its id on the equations page, `neglected` what the full model has beside it.
    `relative_step` is the share of a parameter for central differences; `owners` names the model whose parameter it is
    where that is not `model`, so that one number of biology has one name wherever it acts.
    """

    value: Callable[[Changes], float]
    parameters: Callable[[], dict[str, Parameter]]
    model: str
    relative_step: float
    unit: str
    meaning: str
    equation: str
    protocol: str
    neglected: str
    held: Callable[[], Held]
    owners: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def at(self, changes: Changes) -> float:
        """`value(changes)`. Raises `UserError` that names them where it has none: not finite, or no solution."""
        table = self.parameters()
        values(table, changes)  # names alone: raises for an unknown one
        try:
            with np.errstate(all="ignore"):
                value = self.value(changes)
            why = f"it would be {value}"
        except (UserError, ArithmeticError, ValueError, RuntimeError) as error:
            value, why = math.nan, str(error) or type(error).__name__
        if not math.isfinite(value):
            told = ", ".join(f"{name} = {number:g} {table[name].unit}".removesuffix(" 1")
                             for name, number in (changes or {}).items())
            raise UserError(f"{self.meaning} has no value at {told} of {self.model} ({why}); choose values nearer to "
                            "the old ones")
        return value

    @property
    def error(self) -> float:
        """Largest deviation from the full model, as `held` has it."""
        return self.held().error

    @property
    def valid(self) -> Valid:
        """Range in which the deviation stays within 5 %."""
        return self.held().valid

    @property
    def sources(self) -> list[str]:
        """Keys of references.bib behind its parameters."""
        found = {key for one in self.parameters().values() for key in one.source.split(", ")}
        return sorted(found - {"assumed here"})

    def slopes(self) -> dict[str, float]:
        """d(constant)/d(parameter), in the constant's unit per unit of each parameter, by central differences."""
        found = {}
        for name, parameter in self.parameters().items():
            step = self.relative_step * parameter.value
            up, down = (self.value({name: parameter.value + change}) for change in (step, -step))
            found[name] = (up - down) / (2 * step)
        return found

    def uses(self, constant: ParameterUse) -> Iterator[ParameterUse]:
        """The parameters behind `constant`, each with what it does to the entry's constants through it.

        Their names carry their model's, `li_rinzel.O_2`: the papers use one letter for several things.
        """
        slopes = self.slopes()
        for name, parameter in self.parameters().items():
            sensitivity = {key: slope * slopes[name] for key, slope in constant.sensitivity.items()}
            owner = self.owners.get(name, self.model)
            yield ParameterUse(f"{owner.partition(':')[0]}.{name}", parameter.value, parameter.unit,
                               parameter.meaning, parameter.source, parameter.basis, owner, sensitivity, constant.name)


def values(table: Mapping[str, Parameter], changes: Changes) -> dict[str, float]:
    """Numbers of a table of parameters in their own units, some of them changed. Errors: `UserError`, unknown name."""
    for name in changes or ():
        choose("parameter of the reduction", name, dict(table))
    return {name: (changes or {}).get(name, parameter.value) for name, parameter in table.items()}


def assumed(value: float, unit: str, meaning: str) -> Parameter:
    """A parameter that is assumed here."""
    return Parameter(value, unit, meaning, "assumed here", "assumed")


def reach(error: Callable[[float], float], start: float, end: float, *, points: int = 24) -> float:
    """How far from `start` towards `end` (both above zero) `error` stays below 5 %, to a thousandth of its value.

    Steps by equal ratios until the bound is passed, then halves; `end` itself where it never is.
    """
    steps = np.geomspace(start, end, points)
    inside = float(start)
    for outside in map(float, steps[1:]):
        if error(outside) > WITHIN:
            while abs(outside / inside - 1) > 1e-3:
                middle = float(np.sqrt(inside * outside))
                inside, outside = (middle, outside) if error(middle) <= WITHIN else (inside, middle)
            return inside
        inside = outside
    return float(end)
