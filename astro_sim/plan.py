"""What a simulation will do, checked before anything is built; the answer to --dry-run, and a recording's meta."""

import functools
import itertools
import math
import operator
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from astro_sim.model import Model
from astro_sim.parameter import ALLOWED, MUST_BE, Parameter, convert, read, seconds, split_quantity
from astro_sim.protocols import Drive, drive_from_dict, drives
from astro_sim.protocols.trains import Train
from foundation.errors import ResourceError, UserError, choose, unknown

# name -> order of the state updater in dt, for smooth right-hand sides without coupling
# with noise the strong order: milstein's supporting value has the drift in it, which costs half an order (see gchi)
METHODS = {"euler": 1, "rk2": 2, "rk4": 4, "exponential_euler": 1, "heun": 1, "milstein": 0.5}
STOCHASTIC = ("heun", "milstein", "euler")  # Stratonovich; euler for noise that no state scales
FOR_NOISE = ("heun", "milstein")  # without noise both are euler
BACKENDS = ("numpy", "cython", "cpp")
DEFAULT_DURATION, DEFAULT_DT = "60 s", "1 ms"
MAX_STEPS = 100_000_000
MAX_ELEMENTS = 1_000_000
NOTHING: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class Plan:
    """A checked simulation. Times in seconds; `initial` are parameters, or tuples of numbers in the variable's unit."""

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

    def size(self, population: str) -> int:
        """Number of elements of a population. Errors: `UserError` for an unknown one."""
        return self.model.population(population).size(self.options)

    def reach(self, input: str) -> list[int]:
        """The elements of its population that an input reaches."""
        chosen = self.model.inputs[input]
        return list(chosen.elements(self.options)) if chosen.elements else list(range(self.size(chosen.population)))

    def meta(self) -> dict:
        """Everything that decides the result, as JSON; a recording's hash is over this."""
        coupled = self.model.coupling_order(self.options)
        return {
            "model": self.model.name, "parameter_set": self.parameter_set,
            "equations": {part.name: part.text for part in
                          (*self.model.active_populations(self.options), *self.model.active_connections(self.options))},
            "parameters": {name: parameter.as_dict() for name, parameter in self.parameters.items()},
            "options": dict(self.options),
            "initial": {name: value.as_dict() if isinstance(value, Parameter) else list(value)
                        for name, value in self.initial.items()},
            "protocol": [drive.as_dict() for drive in self.protocol],
            "solver": {"method": self.method, "order": METHODS[self.method], "coupling_order": coupled,
                       "dt_s": self.dt, "steps": self.steps, "duration_s": self.duration, "record_every": self.every,
                       "backend": self.backend},
            "seed": self.seed,
            "versions": dict(_versions()),
        }


@functools.cache
def _versions() -> Mapping[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in ("astro-rmaat", "brian2", "numpy")}}


def find_model(given: str | Model, parameter_set: str | None) -> tuple[Model, str]:
    """A model and the name of its parameter set, from "li_rinzel", "li_rinzel:FM" or a `Model`."""
    from astro_sim.models import MODELS

    if isinstance(given, Model):
        model = given
    else:
        name, colon, after = str(given).partition(":")
        if colon and parameter_set and after != parameter_set:
            raise UserError(f"parameter set: '{given}' and '{parameter_set}' contradict each other; give one")
        model, parameter_set = choose("model", name, MODELS), after if colon else parameter_set
    name = parameter_set if parameter_set is not None else model.default_set
    choose(f"parameter set of {model.name}", name, dict(model.parameter_sets))
    return model, name


def prepare(model: str | Model, protocol=None, *, parameter_set: str | None = None, parameters: Mapping = NOTHING,
            options: Mapping = NOTHING, initial: Mapping = NOTHING, duration=DEFAULT_DURATION, dt=DEFAULT_DT,
            method: str | None = None, seed: int = 0, backend: str = "numpy", record_every=None) -> Plan:
    """Check everything and make a `Plan`. Raises `UserError` that names the field, the value and what is allowed."""
    model, parameter_set = find_model(model, parameter_set)
    for field, given in (("parameters", parameters), ("options", options), ("initial", initial)):
        if not isinstance(given, Mapping):
            raise UserError(f"{field}: {given!r} is not allowed; give a dictionary of names and values")
    options = model.read_options(options)
    method = model.method if method is None else method
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if model.stochastic and method not in STOCHASTIC:
        raise UserError(f"method: {method} knows no noise, and {model.name} has some; choose one of: "
                        f"{', '.join(STOCHASTIC)}")
    if method in FOR_NOISE and not model.stochastic:
        raise UserError(f"method: {method} is for noise, and {model.name} has none; choose one of: "
                        f"{', '.join(name for name in METHODS if name not in FOR_NOISE)}")
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    by_fft = [connection.name for connection in model.active_connections(options) if connection.by_fft(options)]
    if backend == "cpp" and by_fft:
        raise UserError(f"backend: cpp cannot sum {by_fft[0]} by FFT; choose numpy or cython, or the option "
                        "dense_sum=pairs, which is slow for many")
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
        raise UserError(f"seed: {seed!r} is not allowed; give a whole number from 0 to {2**32 - 1}")
    step, length = seconds(dt, "dt"), seconds(duration, "duration")
    if step > length:
        raise UserError(f"dt: {step:g} s is longer than the duration, {length:g} s; give a shorter step")
    if length / step > MAX_STEPS:
        raise UserError(f"dt: {length:g} s in steps of {step:g} s are more than {MAX_STEPS} steps; give a longer step")
    plan = Plan(model, parameter_set, _parameters(model, parameter_set, parameters, options), options, {},
                drives(protocol), length, step, _every(record_every, step, length), method, operator.index(seed),
                backend)
    _check_sizes(plan)
    _check_protocol(plan)
    return Plan(**{**vars(plan), "initial": _initial(plan, initial)})


def plan_of(meta: Mapping) -> Plan:
    """The plan that a recording's meta describes; raises `UserError` when its model is not in `MODELS`."""
    stored = {name: Parameter(**{**entry, "allowed": "any"}) for name, entry in meta["parameters"].items()}
    initial = {name: Parameter(**{**value, "allowed": "any"}) if isinstance(value, dict) else value
               for name, value in meta["initial"].items()}
    solver = meta["solver"]
    return prepare(meta["model"], [drive_from_dict(drive) for drive in meta["protocol"]],
                   parameter_set=meta["parameter_set"], parameters=stored, options=meta["options"], initial=initial,
                   duration=solver["duration_s"], dt=solver["dt_s"], method=solver["method"], seed=meta["seed"],
                   backend=solver["backend"], record_every=solver["record_every"] * solver["dt_s"])


def _parameters(model: Model, parameter_set: str, given: Mapping, options: Mapping) -> dict[str, Parameter]:
    """The parameters that take part, with the given changes; a change without effect is refused."""
    table, used = model.parameters(parameter_set), model.used_parameters(options)
    for name in given:
        choose(f"parameter of {model.name}", name, dict(table))
        if name not in used:
            shown = ", ".join(f"{key}={value}" for key, value in options.items())
            raise UserError(f"{name}: takes no part in {model.name} with {shown}; leave it out or change the options")
    return {name: table[name].changed(name, given[name]) if name in given else table[name] for name in used}


def _every(record_every, dt: float, duration: float) -> int:
    """Record each n-th step, from a time; a multiple of dt."""
    if record_every is None:
        return 1
    interval = seconds(record_every, "record_every")
    every = round(interval / dt)
    if every < 1 or abs(every * dt - interval) > 1e-9 * interval or interval > duration:
        raise UserError(f"record_every: {interval:g} s is not allowed; give a multiple of dt ({dt:g} s), at most the "
                        "duration")
    return every


def _check_sizes(plan: Plan) -> None:
    """Refuse what would not fit into memory before anything is built."""
    for population in plan.model.populations:
        size = plan.size(population.name)
        if size > MAX_ELEMENTS:
            raise ResourceError(f"{population.name}: {size} elements are above {MAX_ELEMENTS}; choose fewer")


def _check_protocol(plan: Plan) -> None:
    taken: dict[str, set[int]] = {}
    for drive in plan.protocol:
        size = _check_input(plan, drive)
        elements = set(range(size)) if drive.elements is None else set(drive.elements)
        if not elements or min(elements) < 0 or max(elements) >= size:
            raise UserError(f"elements: {sorted(elements)} are not all elements of input {drive.input}; it has 0 to "
                            f"{size - 1}")
        if elements & taken.setdefault(drive.input, set()):
            raise UserError(f"protocol: two drives of input {drive.input} share elements; give each element one drive")
        taken[drive.input] |= elements
        gaps = [b - a for a, b in itertools.pairwise(drive.times)] if isinstance(drive, Drive) else []
        if gaps and min(gaps) < plan.dt * (1 - 1e-9):
            raise UserError(f"dt: {plan.dt:g} s is longer than a piece of the protocol ({min(gaps):g} s); give a "
                            "shorter step")


def _check_input(plan: Plan, drive: Drive | Train) -> int:
    """The number of elements that a drive or train may choose from; refuses one that does not fit its input."""
    model = plan.model
    target = choose(f"input of {model.name}", drive.input, {**model.inputs, **model.spike_inputs})
    if isinstance(drive, Drive) == (drive.input in model.spike_inputs):
        spiking = drive.input in model.spike_inputs
        kinds = "spikes, regular, poisson" if spiking else "constant, steps, ramp, square, cycles"
        raise UserError(f"protocol {drive.kind}: does not fit input {drive.input}; choose one of: {kinds}")
    if not model.population(target.population).active(plan.options):
        _refuse_idle(plan, f"input {drive.input}")
    if not isinstance(drive, Drive):
        return plan.size(target.population)
    for text in drive.values:
        value = convert(*split_quantity(text, drive.input), target.unit, f"input {drive.input}")
        if not ALLOWED[target.allowed](value):
            raise UserError(f"input {drive.input}: {text} is not allowed; '{target.meaning}' must be "
                            f"{MUST_BE[target.allowed]}")
    return len(plan.reach(drive.input))


def _refuse_idle(plan: Plan, what: str) -> None:
    """What is given and would have no effect is an error."""
    shown = ", ".join(f"{key}={value}" for key, value in plan.options.items())
    raise UserError(f"{what}: takes no part in {plan.model.name} with {shown}; leave it out or change the options")


def _initial(plan: Plan, given: Mapping) -> dict[str, Parameter | tuple[float, ...]]:
    """Initial values: text "VALUE UNIT", a number, a `Parameter`, or one number an element in the variable's unit."""
    model, variables = plan.model, plan.model.variables()
    found: dict[str, Parameter | tuple[float, ...]] = {
        name: value for name, value in model.initial.items() if variables[name][0].active(plan.options)}
    found |= {name: tuple(draw(plan)) for name, draw in model.drawn.items() if name in found and name not in given}
    for name, value in given.items():
        declared = choose(f"initial value of {model.name}", name, dict(model.initial))
        if name not in found:
            _refuse_idle(plan, f"initial value {name}")
        if isinstance(value, str | Parameter) or getattr(value, "ndim", 0 if not hasattr(value, "__len__") else 1) == 0:
            found[name] = declared.changed(name, value)
            continue
        numbers, size = tuple(read(number, declared.unit, name) for number in value), plan.size(variables[name][0].name)
        if len(numbers) != size or not all(map(ALLOWED[declared.allowed], numbers)):
            raise UserError(f"{name}: {len(numbers)} initial values; give {size}, each {MUST_BE[declared.allowed]}"
                            + (f" in {declared.unit}" if declared.unit != "1" else ""))
        found[name] = numbers
    return found
