"""Times that a step cannot hold: what is moved, by how much, and the step that would not move it.

Spikes and delays that fall between steps are exact where the effect of a spike says how it moves until then
(`Connection.arriving`). All others are moved to a step: a given spike and a delay to the nearest, a refractory time to
the one before, a crossing of a threshold to the end of its step. A run that moves something says so.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from astro_sim.parameter import convert
from astro_sim.plan.plan import Plan
from astro_sim.protocols import Drive
from astro_sim.protocols.arrivals import SNAP, whole_steps
from astro_sim.protocols.trains import Poisson, nearest_steps
from foundation.notes import Note, note

FINEST = 1e-9   # s: given times are whole multiples of it, or have no step in common
SHORTEST = 1e-3  # of the step: a common step below it is no advice
CROWDED = 0.05   # Poisson spikes of a source in a step: up to it those that share one are few
DOCUMENTED = 1e-3  # s: up to this default step crossings that are late by a step are said in the documentation alone


class RoundedTimes(Note):
    """A run moves given spikes or delays to its steps."""


def warn_of_rounding(plan: Plan) -> None:
    """One `RoundedTimes` note where the plan moves a given time."""
    moved = list(moved_times(plan))
    if moved:
        note(RoundedTimes, f"{plan.model.name} at dt = {_text(plan.dt)}: {'; '.join(moved)}; {_advice(plan)}")


def moved_times(plan: Plan) -> Iterator[str]:
    """What is moved and by how much, in words. Poisson spikes are left out: they are drawn, and fall where they may."""
    for train in plan.protocol:
        if not isinstance(train, Drive | Poisson) and not _exact(plan, plan.model.spike_inputs[train.input].population):
            times = np.array(train.times)
            shift = nearest_steps(times, plan.dt) * plan.dt - times
            off = np.abs(shift) > SNAP * plan.dt
            if off.any():
                yield (f"{off.sum()} of {len(times)} given spikes of {train.input} fall between steps and are moved to "
                       f"the nearest, by up to {_text(np.abs(shift).max())}")
    yield from _crowded(plan)
    for name, value, taken in _durations(plan):
        if abs(taken - value) > SNAP * plan.dt:
            yield f"{name} = {_text(value)} is taken as {_text(taken)} ({100 * (taken / value - 1):+.2g} %)"
    if plan.dt > DOCUMENTED * (1 + 1e-9):
        for name, event in plan.model.events.items():
            population = plan.model.population(event.population)
            if population.threshold and event.event == "spike" and population.active(plan.options):
                yield f"{name} fall on the end of the step in which '{population.threshold}' comes true, up to " \
                      f"{_text(plan.dt)} late"


def _crowded(plan: Plan) -> Iterator[str]:
    """Poisson spikes of which a step is told before they come, and which often share one: it is told of one alone."""
    for train in plan.protocol:
        if isinstance(train, Poisson) and train.rate * plan.dt > CROWDED:
            source = plan.model.spike_inputs[train.input].population
            if any(one.arriving == "arrival_time" for one in plan.model.active_connections(plan.options)
                   if one.source == source):
                yield (f"{100 * -math.expm1(-train.rate * plan.dt):.2g} % of the spikes of {train.input} share a step "
                       f"with another, of which it is told late; dt = {_text(float(f'{CROWDED / train.rate:.1g}'))} "
                       f"makes that {100 * CROWDED:g} %")


def _durations(plan: Plan) -> Iterator[tuple[str, float, float]]:
    """Delays that are not exact, refractory times: (name, its value, what it is taken as), in seconds."""
    seen = set()
    for connection in plan.model.active_connections(plan.options):
        if connection.delay and not connection.arriving and connection.delay not in seen:
            seen.add(connection.delay)
            value = _seconds(plan, connection.delay)
            yield connection.delay, value, plan.dt * int(nearest_steps(np.array([value]), plan.dt)[0])
    for population in plan.model.active_populations(plan.options):
        name = population.refractory
        if name in plan.parameters.keys() - plan.per_element.keys() and name not in seen:
            seen.add(name)
            value = _seconds(plan, name)
            # Brian2 counts the steps that are whole, a thousandth of a step aside
            yield name, value, plan.dt * int(whole_steps(np.array([value + 1e-3 * plan.dt]), plan.dt, before=True)[0])


def _exact(plan: Plan, population: str) -> bool:
    """Whether all that the spikes of a population do is exact between steps."""
    reached = [one for one in plan.model.active_connections(plan.options) if one.source == population]
    return all(one.arriving for one in reached)


def _seconds(plan: Plan, name: str) -> float:
    parameter = plan.parameters[name]
    return convert(parameter.value, parameter.unit, "second", name)


def _given(plan: Plan) -> Iterator[float]:
    """All times that a step would have to hold, in seconds."""
    for train in plan.protocol:
        if not isinstance(train, Drive | Poisson) and not _exact(plan, plan.model.spike_inputs[train.input].population):
            yield from train.times
    for _, value, _ in _durations(plan):
        yield value


def common_step(times: Iterable[float], longest: float) -> float | None:
    """The longest step (s), at most `longest`, that has all times as multiples; None where they have none in common."""
    whole = 0
    for time in times:
        units = round(time / FINEST)
        if abs(time / FINEST - units) > 1e-3 * max(1.0, abs(units) * 1e-9):
            return None
        whole = math.gcd(whole, abs(units))
    if whole == 0:
        return None
    fewest = math.ceil(whole * FINEST / longest * (1 - 1e-9))
    # the first that is a whole number of units reads better, where it is near
    parts = next((n for n in range(fewest, 4 * fewest) if whole % n == 0), fewest)
    return whole / parts * FINEST


def _advice(plan: Plan) -> str:
    given = list(_given(plan))
    if not given:
        return "half the step halves that"
    step = common_step(given, plan.dt)
    if step is None or step < SHORTEST * plan.dt:
        return "no step has all of these times; half the step halves the shifts"
    return f"dt = {_text(step)} has all of these times on steps"


def _text(seconds: float) -> str:
    """A time in seconds or milliseconds."""
    return f"{seconds:.6g} s" if abs(seconds) >= 1 or seconds == 0 else f"{seconds * 1000:.6g} ms"
