"""Make a plan: everything is read, checked and resolved before anything is built."""

import operator
from collections.abc import Mapping
from dataclasses import replace

from astro_sim.model import Model
from astro_sim.parameter import Amount, convert, seconds
from astro_sim.plan.backend_choice import compiler, too_small_files
from astro_sim.plan.choice import find_model
from astro_sim.plan.defaults import DEFAULT_DT, DEFAULT_DURATION, NOTHING
from astro_sim.plan.given_values import read_initial, read_parameters
from astro_sim.plan.plan import Plan
from astro_sim.plan.protocol_checks import check_courses, check_effects, check_protocol, check_steps
from astro_sim.plan.rounding import warn_of_rounding
from astro_sim.plan.solver import AUTO, check_names, choose_solver
from astro_sim.protocols import Protocol, drives
from astro_sim.protocols.course import Course, resolved
from astro_sim.protocols.text import MAX_ELEMENTS
from foundation.errors import ResourceError, UserError
from foundation.machine import size_text
from foundation.notes import Note, note


class NoCompiler(Note):
    """A backend that compiles was asked for on a machine without a compiler."""


MAX_STEPS = 100_000_000


def prepare(model: str | Model, protocol: Protocol = None, *, parameter_set: str | None = None,
            parameters: Mapping = NOTHING, options: Mapping = NOTHING, initial: Mapping = NOTHING,
            duration: Amount = DEFAULT_DURATION, dt: Amount = DEFAULT_DT, method: str | None = None, seed: int = 0,
            backend: str = AUTO, record_every: Amount | None = None, rtol: float | None = None,
            atol: float | None = None) -> Plan:
    """Check everything and make a `Plan`; arguments as of `simulate`.

    Raises `UserError` that names the field, the value and what is allowed, and for a stimulus that does not happen in
    this run. Notes (`foundation.notes`) say of one that is partly after its end or changes nothing (`WithoutEffect`),
    and of given times that fall between steps and are moved (`RoundedTimes`).
    """
    plan = read_plan(model, protocol, parameter_set=parameter_set, parameters=parameters, options=options,
                     initial=initial, duration=duration, dt=dt, method=method, seed=seed,
                     backend=_with_a_compiler(backend), record_every=record_every, rtol=rtol, atol=atol)
    check_effects(plan)
    warn_of_rounding(plan)
    return plan


def _with_a_compiler(backend: str) -> str:
    """The backend, or numpy, with a note, where it would compile and there is nothing to compile with."""
    if backend not in ("cython", "cpp") or compiler():
        return backend
    why, remedy = "this machine has no C++ compiler", "install g++"
    if (limit := too_small_files()) is not None:
        why, remedy = f"no C++ compiler can work with files of {size_text(limit)} at most", "see ulimit -f"
    note(NoCompiler, f"backend {backend}: {why}, so numpy runs it, more slowly; {remedy}")
    return "numpy"


def read_plan(model: str | Model, protocol: Protocol, *, parameter_set: str | None, parameters: Mapping,
              options: Mapping, initial: Mapping, duration: Amount, dt: Amount, method: str | None, seed: int,
              backend: str, record_every: Amount | None, rtol: float | None, atol: float | None) -> Plan:
    """A plan whose protocol may be without effect, as that of a recording may."""
    chosen, parameter_set = find_model(model, parameter_set)
    for name, mapping in (("parameters", parameters), ("options", options), ("initial", initial)):
        if not isinstance(mapping, Mapping):
            raise UserError(f"{name}: {mapping!r} is not allowed; give a dictionary of names and values")
    options = chosen.read_options(options)
    check_names(chosen, method, backend)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
        raise UserError(f"seed: {seed!r} is not allowed; give a whole number from 0 to {2**32 - 1}")
    step, length = seconds(dt, "dt"), seconds(duration, "duration")
    _check_times(step, length)
    table, per_element = read_parameters(chosen, parameter_set, parameters, options=options)
    plan = Plan(chosen, parameter_set, table, options, initial={}, protocol=drives(protocol), duration=length, dt=step,
                every=_every(record_every, step, length), method=chosen.method, seed=operator.index(seed),
                backend=backend, per_element=per_element)
    _check_sizes(plan)
    check_protocol(plan)
    plan = replace(plan, inputs=_courses(plan))
    check_courses(plan)
    plan = replace(plan, **vars(choose_solver(plan, method, backend, rtol=rtol, atol=atol)))
    if not plan.adaptive:
        check_steps(plan)
    return replace(plan, initial=read_initial(plan, initial))


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
