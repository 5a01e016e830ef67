"""Border 1: the one file where a quantity of Brian2 becomes float64 and a unit's name.

A finished run, as Brian2's monitors hold it, becomes a recording here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.parameter import unit
from astro_sim.plan import NOTHING, Plan
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Assignment, Events, Series
from foundation.shapes import Array, Float, Int

if TYPE_CHECKING:
    from brian2 import EventMonitor, StateMonitor


@dataclass(frozen=True)
class Columns:
    """Raw numbers of one population: `time` (record,) and each variable (record, element), in SI base units."""

    time: Float[Array, "record"]
    values: Mapping[str, Float[Array, "record element"]]


def columns(monitor: "StateMonitor") -> Columns:
    """What a Brian2 monitor holds, not copied."""
    return Columns(monitor.variables["t"].get_value(), {name: monitor.variables[name].get_value()
                                                        for name in monitor.record_variables})


def collect(plan: Plan, monitors: Mapping[str, "StateMonitor"],
            event_monitors: Mapping[str, "EventMonitor"] = NOTHING, *, partial: bool = False) -> Recording:
    """Brian2's monitors, by population and by event -> a recording."""
    return recorded(plan, {name: columns(monitor) for name, monitor in monitors.items()},
                    {name: happened(monitor) for name, monitor in event_monitors.items()}, partial=partial)


def happened(monitor: "EventMonitor") -> tuple[Float[Array, "event"], Int[Array, "event"]]:
    """When (s) and where a Brian2 EventMonitor saw an event: float64 (event,), int (event,)."""
    return monitor.variables["t"].get_value(), monitor.variables["i"].get_value()


def labelled(plan: Plan, population: str, given: Columns) -> dict[str, Float[Array, "record element"]]:
    """A population's variables, each divided by the unit that it is labelled with; float64 (record, element)."""
    return {name: given.values[name] / float(unit(seen.unit)) for name, seen in plan.model.observables.items()
            if seen.population == population}


def recorded(plan: Plan, raw: Mapping[str, Columns], events: Mapping[str, tuple] = NOTHING, *,
             partial: bool = False) -> Recording:
    """Numbers by population, and events as of `happened` by name -> a recording.

    partial: the run was stopped; `meta` then says so, and the last time.
    """
    time, variables = None, {}
    for name, given in raw.items():
        population = plan.model.population(name)
        time = np.array(given.time, "f8")
        labels = population.labels(plan.options) if population.labels else range(plan.size(name))
        places = population.positions(plan.options) if population.positions else None
        labels, places = tuple(map(str, labels)), None if places is None else np.asarray(places, "f8")
        for variable, values in labelled(plan, name, given).items():
            seen = plan.model.observables[variable]
            variables[variable] = Series(values, seen.unit, seen.long_name, name, labels, places)
    meta = plan.meta()
    if partial:
        meta |= stopped_at(float(time[-1]))
    found = {name: events_of(plan, name, seen, last=float(time[-1])) for name, seen in events.items()}
    return Recording(time, variables, meta, found, assignments(plan))


def stopped_at(last: float) -> dict:
    """What the meta of a partial recording says besides."""
    return {"partial": True, "reached_s": last}


def events_of(plan: Plan, name: str, when_and_where: tuple, *, last: float) -> Events:
    """Events up to the record at `last` seconds, each at the end of the step in which it was seen."""
    when, where = when_and_where
    seen, steps = plan.model.events[name], np.rint(when / plan.dt).astype(int) + 1
    kept = steps <= round(last / plan.dt)
    return Events(steps[kept] * plan.dt, np.array(where, "i8")[kept], seen.population, seen.long_name)


def assignments(plan: Plan) -> dict[str, Assignment]:
    """The model's assignments between populations that are there."""
    active = {population.name for population in plan.model.active_populations(plan.options)}
    return {name: Assignment(np.asarray(given.indices(plan.options), "i8"), given.population, given.target,
                             given.long_name)
            for name, given in plan.model.maps.items() if {given.population, given.target} <= active}
