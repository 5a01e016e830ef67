"""Make a plan: everything is read, checked and resolved before anything is built."""

import operator
from collections.abc import Mapping
from dataclasses import replace

from astro_sim.model import Model
from astro_sim.parameter import Amount, convert, seconds
from astro_sim.plan.choice import find_model
from astro_sim.plan.defaults import DEFAULT_DT, DEFAULT_DURATION, NOTHING
from astro_sim.plan.given_values import read_initial, read_parameters
from astro_sim.plan.plan import METHODS, Plan
from astro_sim.plan.protocol_checks import check_courses, check_effects, check_protocol
from astro_sim.plan.rounding import warn_of_rounding
from astro_sim.protocols import Protocol, drives
from astro_sim.protocols.course import Course, resolved
from foundation.errors import ResourceError, UserError, unknown

STOCHASTIC = ("heun", "milstein", "euler")  # Stratonovich; euler for noise that no state scales
FOR_NOISE = ("heun", "milstein")  # without noise both are euler
BACKENDS = ("numpy", "cython", "cpp")
MAX_STEPS = 100_000_000
MAX_ELEMENTS = 1_000_000


def prepare(model: str | Model, protocol: Protocol = None, *, parameter_set: str | None = None,
            parameters: Mapping = NOTHING, options: Mapping = NOTHING, initial: Mapping = NOTHING,
            duration: Amount = DEFAULT_DURATION, dt: Amount = DEFAULT_DT, method: str | None = None, seed: int = 0,
            backend: str = "numpy", record_every: Amount | None = None) -> Plan:
    """Check everything and make a `Plan`; arguments as of `simulate`.

    Raises `UserError` that names the field, the value and what is allowed, and for a stimulus that does not happen in
    this run. Notes (`foundation.notes`) say of one that is partly after its end or changes nothing (`WithoutEffect`),
    and of given times that fall between steps and are moved (`RoundedTimes`).
    """
    plan = read_plan(model, protocol, parameter_set=parameter_set, parameters=parameters, options=options,
                     initial=initial, duration=duration, dt=dt, method=method, seed=seed, backend=backend,
                     record_every=record_every)
    check_effects(plan)
    warn_of_rounding(plan)
    return plan


def read_plan(model: str | Model, protocol: Protocol, *, parameter_set: str | None, parameters: Mapping,
              options: Mapping, initial: Mapping, duration: Amount, dt: Amount, method: str | None, seed: int,
              backend: str, record_every: Amount | None) -> Plan:
    """A plan whose protocol may be without effect, as that of a recording may."""
    chosen, parameter_set = find_model(model, parameter_set)
    for name, mapping in (("parameters", parameters), ("options", options), ("initial", initial)):
        if not isinstance(mapping, Mapping):
            raise UserError(f"{name}: {mapping!r} is not allowed; give a dictionary of names and values")
    options = chosen.read_options(options)
    method = chosen.method if method is None else method
    _check_method(chosen, method)
    _check_backend(chosen, backend, options)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
        raise UserError(f"seed: {seed!r} is not allowed; give a whole number from 0 to {2**32 - 1}")
    step, length = seconds(dt, "dt"), seconds(duration, "duration")
    _check_times(step, length)
    table, per_element = read_parameters(chosen, parameter_set, parameters, options=options)
    plan = Plan(chosen, parameter_set, table, options, initial={}, protocol=drives(protocol), duration=length, dt=step,
                every=_every(record_every, step, length), method=method, seed=operator.index(seed), backend=backend,
                per_element=per_element)
    _check_sizes(plan)
    check_protocol(plan)
    plan = replace(plan, inputs=_courses(plan))
    check_courses(plan)
    return replace(plan, initial=read_initial(plan, initial))


def _check_method(model: Model, method: str) -> None:
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if model.stochastic and method not in STOCHASTIC:
        raise UserError(f"method: {method} cannot handle noise, which {model.name} has; choose one of: "
                        f"{', '.join(STOCHASTIC)}")
    if method in FOR_NOISE and not model.stochastic:
        raise UserError(f"method: {method} is for models with noise, and {model.name} has none; choose one of: "
                        f"{', '.join(name for name in METHODS if name not in FOR_NOISE)}")


def _check_backend(model: Model, backend: str, options: Mapping) -> None:
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    by_fft = [connection.name for connection in model.active_connections(options) if connection.by_fft(options)]
    if backend == "cpp" and by_fft:
        raise UserError(f"backend: cpp cannot sum {by_fft[0]} by FFT; choose numpy or cython, or the option "
                        "dense_sum=pairs, which is slow for many")


def _check_times(step: float, length: float) -> None:
    if step > length:
        raise UserError(f"dt: {step:g} s is longer than the duration, {length:g} s; give a shorter step")
    if length / step > MAX_STEPS:
        raise UserError(f"dt: {length:g} s in steps of {step:g} s are more than {MAX_STEPS} steps; give a longer step")


def _every(record_every: Amount | None, dt: float, duration: float) -> int:
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


def _courses(plan: Plan) -> dict[tuple[str, str], Course]:
    """The course of every variable that inputs set, of the populations that are there."""
    setting: dict[tuple[str, str], list[str]] = {}
    for name, target in plan.model.inputs.items():
        if plan.model.population(target.population).active(plan.options):
            setting.setdefault((target.population, target.variable), []).append(name)
    found = {}
    for (population, variable), names in setting.items():
        unit, reached = plan.model.inputs[names[0]].unit, []
        for name in names:
            target = plan.model.inputs[name]
            reached.append((plan.reach(name), convert(target.default, target.unit, unit, name),
                            [drive for drive in plan.protocol if drive.input == name]))
        found[population, variable] = resolved(unit, plan.size(population), reached)
    return found
