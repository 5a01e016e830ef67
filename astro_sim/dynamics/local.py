"""A model as a function: the states of one element and one input or parameter -> derivatives.

Everything comes from the ODE text that Brian2 runs, evaluated here on plain and on complex numbers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from astro_sim.dynamics.functions import ARRAYS
from astro_sim.model import Model
from astro_sim.model.equation_text import right_sides
from astro_sim.parameter import ALLOWED, MUST_BE, Parameter, convert, read, unit
from astro_sim.plan import find_model
from foundation.errors import UserError, choose, unknown

ABOVE_ZERO = ("positive", "nonnegative", "fraction")  # what may be allowed of a number that is never negative
TIME_OR_CHANCE = re.compile(r"\b(t|dt|rand|randn|timestep|lastspike|not_refractory|i|j|N)\b")
Derivative = Callable[[Sequence, object], np.ndarray]


@dataclass(frozen=True)
class Local:
    """One element of an uncoupled model: states (SI base values) and `over`, an input or a parameter -> derivatives.

    `held` are values of the other inputs (SI base values); an input that is not named keeps its default.
    Errors: `UserError` for a model with coupling, noise, events or time in its equations, and for an unknown name.
    """

    model: Model
    parameter_set: str
    over: str
    held: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        names = [*self.model.inputs, *self.model.parameters(self.parameter_set)]
        if self.over not in names:
            raise unknown(f"input or parameter of {self.model.name}", self.over, names)
        for name in self.held:
            choose(f"input of {self.model.name}", name, dict(self.model.inputs))
        if len(self.model.populations) > 1 or self.model.connections:
            raise UserError(f"{self.model.name}: equilibria need one uncoupled population, as li_rinzel has")
        if self.model.stochastic:
            raise UserError(f"{self.model.name}: noise has no equilibria; give the model without it, as gchi is for "
                            "gchi_stochastic")
        _refuse_jumps(self.model)

    @property
    def name(self) -> str:
        """Model and parameter set, as on a command line."""
        return f"{self.model.name}:{self.parameter_set}"

    @property
    def states(self) -> list[str]:
        """Names of the states, in the order of every array of states."""
        return self.model.states()

    @cached_property
    def scales(self) -> np.ndarray:
        """SI base value of each state's unit, float64 (state,)."""
        return np.array([float(1 * unit(self.model.initial[name].unit)) for name in self.states])

    @cached_property
    def _initial(self) -> Mapping[str, Parameter]:
        return self.model.initial_of(self.parameter_set)

    @property
    def unit(self) -> str:
        """The unit of `over`."""
        return self._scanned.unit

    @property
    def allowed(self) -> str:
        """Which values `over` may have, as of a parameter."""
        return self._scanned.allowed

    @property
    def _scanned(self):
        return self.model.inputs.get(self.over) or self.model.parameters(self.parameter_set)[self.over]

    @cached_property
    def unit_value(self) -> float:
        """One unit of `over` in SI base units."""
        return float(1 * unit(self.unit))

    def start(self) -> np.ndarray:
        """The model's initial states, float64 (state,), in SI base units."""
        return np.array([float(self._initial[name].quantity()) for name in self.states])

    def rates(self, functions: Mapping[str, object]) -> Callable:
        """f(states, over) -> rates in the order of `states`, SI base values; functions: as in functions.py."""
        right_side = right_sides(self.model.populations[0].equations, functions)
        fixed = {name: float(p.quantity()) for name, p in self.model.parameters(self.parameter_set).items()}
        fixed |= {name: float(self._initial[name].quantity()) for name, (_, line) in self.model.variables().items()
                  if line.kind == "variable"}
        for name, target in self.model.inputs.items():
            fixed[target.variable] = self.held.get(name, float(target.default * unit(target.unit)))
        scanned, names = self.model.inputs.get(self.over), self.states
        symbol = scanned.variable if scanned else self.over

        def evaluate(states: Sequence, level: object) -> list:
            rate_of = right_side({**fixed, **dict(zip(names, states, strict=True)), symbol: level})
            return [rate_of[name] for name in names]

        return evaluate

    def derivative(self) -> Derivative:
        """f(states, over) -> array, all in SI base values; complex states are fine."""
        rates = self.rates(ARRAYS)

        def derivative(states: Sequence, level: object) -> np.ndarray:
            found = rates(states, level)
            try:
                return np.array(found)
            except ValueError:  # one of them is the same number at all places
                return np.array(np.broadcast_arrays(*found))

        return derivative

    def bound(self, name: str, end: str) -> float | None:
        """The `low` or `high` of a recorded state, in its unit; None where it has none that is a number."""
        declared = getattr(self.model.observables.get(name), end, None)
        if isinstance(declared, str):
            parameter = self.model.parameters(self.parameter_set)[declared]
            return convert(parameter.value, parameter.unit, self.model.initial[name].unit, name)
        return float(declared) if isinstance(declared, int | float) else None

    def levels(self, level: float) -> dict[str, float]:
        """All inputs, and what is scanned, in their own units, where that has a level (SI base value)."""
        found = {name: self.held[name] / float(1 * unit(target.unit)) if name in self.held else float(target.default)
                 for name, target in self.model.inputs.items()}
        return found | {self.over: level / self.unit_value}

    def read_level(self, value: object) -> float:
        """A value of `over` (text with a unit, or a number of its own) as SI base value. Errors: `UserError`."""
        level = read(value, self.unit, self.over)
        if not ALLOWED[self.allowed](level):
            raise UserError(f"{self.over}: {level:g} {self.unit} is not allowed; it must be {MUST_BE[self.allowed]}")
        return level * self.unit_value


def _refuse_jumps(model: Model) -> None:
    """Events and time in the equations move states in ways that a flow of the states alone does not have."""
    population = model.populations[0]
    if population.threshold or population.events:
        raise UserError(f"{model.name}: has events, which a flow cannot show; simulate it instead")
    for expression in population.expressions():
        named = TIME_OR_CHANCE.search(expression)
        if named:
            raise UserError(f"{model.name}: '{named[0]}' in its equations leaves no equilibria; make it an input that "
                            "can be held")


def local(model: str | Model, over: str | None = None, *, parameter_set: str | None = None,
          inputs: Mapping[str, object] | None = None) -> Local:
    """A model over one input or parameter, ready to be evaluated; `inputs` are values of the others.

    Without `over` it is the only input that the model has, or the first of `inputs`.
    Errors: `UserError` for an unknown model, set, input or parameter, or where `over` is not clear.
    """
    chosen, set_name = find_model(model, parameter_set)
    given = dict(inputs or {})
    if over is None:
        over = next(iter(given), None) or next(iter(chosen.inputs), None) or next(iter(chosen.parameters(set_name)))
        if len(chosen.inputs) > 1 and not given:
            raise UserError(f"{chosen.name}: over is missing; choose one of its inputs: {', '.join(chosen.inputs)}")
    held = {}
    for name, value in given.items():
        target = choose(f"input of {chosen.name}", name, dict(chosen.inputs))
        if name != over:
            held[name] = read(value, target.unit, name) * float(1 * unit(target.unit))
    return Local(chosen, set_name, over, held)


def at_level(model: str | Model, inputs: Mapping[str, object] | None, *,
             parameter_set: str | None = None) -> tuple[Local, float]:
    """A model at held inputs: it, over the first of them, and the value of that (SI base value).

    Inputs that are not named keep their defaults. Errors: `UserError`.
    """
    if inputs is not None and not isinstance(inputs, Mapping):
        raise UserError(f"inputs: {inputs!r} is not allowed; give a dictionary of names and values, as in "
                        "{'ip3': '0.5 umolar'}")
    chosen, _ = find_model(model, parameter_set)
    over = next(iter(inputs or chosen.inputs), None)
    one = local(model, over, parameter_set=parameter_set, inputs=inputs)
    default = one._scanned.default if one.over in one.model.inputs else one._scanned.value
    return one, one.read_level((inputs or {}).get(one.over, default))


def with_parameter(model: Model, parameter_set: str, name: str, *, value: float) -> Model:
    """`model` with one parameter of one set at another value (of the parameter's own unit)."""
    table = dict(model.parameters(parameter_set))
    table[name] = replace(table[name], value=value)
    return replace(model, parameter_sets={**model.parameter_sets, parameter_set: table})
