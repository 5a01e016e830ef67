"""Events of single elements, such as spikes or releases: when, how often, how regularly.

    found = releases(recording)
    print(found.times, rates(recording, found))
"""

import numpy as np

from astro_sim.analysis.course import crossings
from astro_sim.plan import plan_of
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Events
from foundation.errors import UserError, choose
from foundation.shapes import Array, Float


def of(recording: Recording, name: str) -> Events:
    """The recorded events of that name. Errors: `UserError` that lists those that the recording has."""
    return choose("events of the recording", name, dict(recording.events))


def releases(recording: Recording, variable: str = "C", threshold: str = "C_Theta") -> Events:
    """Releases of gliotransmitter: as recorded, else where calcium rises through the threshold, between records.

    `threshold` is a parameter in the unit of the variable. Errors: `UserError` for a model without it.
    """
    if "releases" in recording.events:
        return recording.events["releases"]
    if threshold not in recording.meta.get("parameters", {}) or variable not in recording.variables:
        raise UserError(f"releases: {recording.meta['model']} has no {variable} with a threshold {threshold}")
    level, count = recording.parameter(threshold), recording[variable].values.shape[1]
    found = [crossings(recording, variable, element, level=level) for element in range(count)]
    times, elements = np.concatenate(found), np.repeat(np.arange(count), [len(times) for times in found])
    order = np.argsort(times, kind="stable")
    return Events(times[order], elements[order], recording[variable].population,
                  f"{variable} rises through {threshold}")


def rates(recording: Recording, events: Events, after: float = 0.0) -> Float[Array, "element"]:
    """Events per second of every element, float64 (element,), from `after` s to the end."""
    lasts = float(recording.time[-1]) - after
    if lasts <= 0:
        raise UserError(f"after: {after:g} s is not before the end at {recording.time[-1]:g} s; give an earlier time")
    kept = np.asarray(events.elements)[np.asarray(events.times) > after]
    return np.bincount(kept, minlength=_size(recording, events)) / lasts


def irregularity(events: Events, after: float = 0.0) -> float:
    """Coefficient of variation of the intervals of each element, all together: 0 regular, 1 as a Poisson process.

    Errors: `UserError` with fewer than three intervals.
    """
    times, elements = np.asarray(events.times), np.asarray(events.elements)
    intervals = [np.diff(times[(elements == element) & (times > after)]) for element in np.unique(elements)]
    each = [part / part.mean() for part in intervals if len(part)]  # elements of other rates are as regular
    found = np.concatenate(each) if each else np.empty(0)
    if len(found) < 3:
        raise UserError(f"irregularity: {len(found)} intervals after {after:g} s, not three; simulate longer")
    return float(found.std() / found.mean())


def _size(recording: Recording, events: Events) -> int:
    """How many elements the population of the events has, silent ones included."""
    for series in recording.variables.values():
        if series.population == events.population:
            return series.values.shape[1]
    return plan_of(recording.meta).size(events.population)
