"""What a simulation will do, as data; a recording's meta is made from it."""

import functools
import itertools
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from astro_sim.model import Model
from astro_sim.parameter import Parameter
from astro_sim.protocols import Drive
from astro_sim.protocols.course import Course
from astro_sim.protocols.text import joined_elements
from astro_sim.protocols.trains import Train
from foundation.errors import UserError
from foundation.shapes import Float, Int

# name -> order of the state updater in dt, for smooth right-hand sides without coupling
# with noise the strong order: milstein's supporting value has the drift in it, which costs half an order (see gchi)
FIXED = {"euler": 1, "rk2": 2, "rk4": 4, "exponential_euler": 1, "heun": 1, "milstein": 0.5}
ADAPTIVE = ("lsoda", "bdf", "dop853")  # of scipy, with error control: their order changes as they go


@dataclass(frozen=True)
class Plan:
    """A checked simulation. Times in seconds; `initial` are parameters, or tuples of numbers in the variable's unit.

    `inputs` holds the course of every input variable, resolved from model and protocol: (population, variable) -> it.
    `rtol`, `atol` (in the unit of each variable) are the tolerances of a solver with error control, else None; `why`
    says in words why the solver is what it is.
    `per_element` holds the parameters that have one value per element, in the unit of the `Parameter` of that name.
    """

    model: Model
    parameter_set: str
    parameters: Mapping[str, Parameter]
    options: Mapping[str, object]
    initial: Mapping[str, Parameter | tuple[float, ...]]
    protocol: tuple[Drive | Train, ...]
    duration: float
    dt: float
    every: int
    method: str
    seed: int
    backend: str
    inputs: Mapping[tuple[str, str], Course] = field(default_factory=dict, compare=False, repr=False)
    per_element: Mapping[str, Float[np.ndarray, "element"]] = field(default_factory=dict, compare=False, repr=False)
    rtol: float | None = None
    atol: float | None = None
    why: str = field(default="", compare=False)

    @property
    def adaptive(self) -> bool:
        """Whether a solver with error control runs it; dt is then the distance of the records alone."""
        return self.method in ADAPTIVE

    @property
    def steps(self) -> int:
        """Whole steps; the last one reaches or passes the duration."""
        return math.ceil(self.duration / self.dt * (1 - 1e-12) - 1e-9)

    @property
    def steps_run(self) -> int:
        """Steps that Brian2 takes. A monitor records at the start of a step, so one more shows the last state; where a
        step is below 1e-4 of the recording interval, Brian2 takes it for rounding, and needs some more.
        """
        return max(self.steps + 1, self.steps // self.every * self.every + self.every // 5000 + 1)

    @property
    def edges(self) -> Float[np.ndarray, "edge"]:
        """Where the steps begin and end (s): those that are recorded, and the one that shows the last state."""
        return self.dt * np.arange(self.steps + 2)

    def size(self, population: str) -> int:
        """Number of elements of a population. Errors: `UserError` for an unknown one."""
        return self.model.population(population).size(self.options)

    def numbers(self, name: str) -> float | Float[np.ndarray, "element"]:
        """A parameter's value in its own unit: one, or one an element."""
        return self.per_element[name] if name in self.per_element else self.parameters[name].value

    def with_one_value(self) -> "Plan":
        """The plan for functions of a model, which take one value of a parameter: asked for several it refuses."""
        return replace(self, parameters=OneValue(self.parameters, self.per_element)) if self.per_element else self

    def at_ends(self) -> "list[Plan]":
        """Plans with one value of every parameter, all combinations of the lowest and the highest of several."""
        names = list(self.per_element)
        ends = itertools.product(*((float(self.per_element[name].min()), float(self.per_element[name].max()))
                                   for name in names))
        return [replace(self, per_element={}, parameters={
            **self.parameters, **{name: replace(self.parameters[name], value=value)
                                  for name, value in zip(names, values, strict=True)}}) for values in ends]

    def reach(self, input: str) -> Int[np.ndarray, "reached"]:
        """The elements of its population that an input reaches."""
        chosen = self.model.inputs[input]
        if chosen.elements is None:
            return np.arange(self.size(chosen.population))
        return np.asarray(chosen.elements(self.options), int)

    def courses(self, population: str) -> dict[str, Course]:
        """The variables of a population that inputs set, each with its course."""
        return {variable: course for (name, variable), course in self.inputs.items() if name == population}

    def trains(self, population: str) -> list[Train]:
        """The spike trains that a population of sources sends."""
        sent = {name for name, target in self.model.spike_inputs.items() if target.population == population}
        return [train for train in self.protocol if train.input in sent]

    def meta(self) -> dict:
        """Everything that decides the result, as JSON; a recording's hash is over this."""
        return {
            "model": self.model.name, "parameter_set": self.parameter_set,
            "equations": self.model.texts(self.options),
            "parameters": {name: parameter.as_dict() for name, parameter in self.parameters.items()},
            "options": self.model.told_options(self.options),
            "initial": {name: value.as_dict() if isinstance(value, Parameter) else list(value)
                        for name, value in self.initial.items()},
            "protocol": [drive.as_dict() for drive in self.protocol],
            "solver": self._solver(),
            **({"per_element": {name: values.tolist() for name, values in self.per_element.items()}}
               if self.per_element else {}),
            "seed": self.seed,
            "declared": declared(self.model, self.options),
            "versions": {**_versions(), **({"scipy": _version("scipy")} if self.adaptive else {})},
        }

    def _solver(self) -> dict:
        """How it is solved, as JSON."""
        control = {"rtol": self.rtol, "atol": self.atol} if self.adaptive else {
            "order": FIXED[self.method], "coupling_order": self.model.coupling_order(self.options)}
        return {"method": self.method, **control, "dt_s": self.dt, "steps": self.steps, "duration_s": self.duration,
                "record_every": self.every, "backend": self.backend}


class OneValue(dict[str, Parameter]):
    """Parameters by name, of which some have one value an element. Errors: `UserError` where one of those is read."""

    def __init__(self, parameters: Mapping[str, Parameter], several: Iterable[str]):
        super().__init__(parameters)
        self.several = frozenset(several)

    def _refuse(self, names: Iterable[str]) -> None:
        for name in sorted(self.several.intersection(names)):
            raise UserError(f"{name}: has one value an element, and what this model computes from it takes one for "
                            "all; give one")

    def __getitem__(self, name: str) -> Parameter:
        self._refuse([name])
        return super().__getitem__(name)

    def items(self) -> Any:
        """All of them, where each has one value."""
        self._refuse(self.several)
        return super().items()

    def values(self) -> Any:
        """As of `items`."""
        self._refuse(self.several)
        return super().values()


def declared(model: Model, options: Mapping[str, object]) -> dict:
    """What equations alone do not say of a model, as JSON: sizes, what drives it, what is recorded, in which units.

    With it a recording is read by its own equations, whatever the model of its name has become. A bound that is
    computed by the model's own function is left out.
    """
    active = {population.name: population.size(options) for population in model.active_populations(options)}
    units = {name: value.unit for name, value in model.initial.items() if model.variables()[name][0].name in active}
    inputs = {name: {"population": i.population, "variable": i.variable, "unit": i.unit, "default": i.default,
                     "elements": None if i.elements is None else joined_elements(i.elements(options))}
              for name, i in model.inputs.items() if i.population in active}
    observables = {name: {"population": o.population, "unit": o.unit, "long_name": o.long_name,
                          "low": None if callable(o.low) else o.low, "high": None if callable(o.high) else o.high}
                   for name, o in model.observables.items() if o.population in active}
    senders = {name: s.population for name, s in model.spike_inputs.items() if s.population in active}
    return {"populations": active, "initial_units": units, "inputs": inputs, "spike_inputs": senders,
            "observables": observables}


@functools.cache
def _versions() -> Mapping[str, str]:
    return {"python": platform.python_version(),
            **{name: _version(name) for name in ("astro-rmaat", "brian2", "numpy")}}


@functools.cache
def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)
