"""One number of a recording by name: "period(C)", "peak(C[2])", "event_rate(C>0.3 uM)".

Sweeps, ensembles and fits take such names; `MEASURES` lists them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from astro_sim.analysis import course
from astro_sim.analysis.detection import detect
from astro_sim.parameter import Amount, read
from astro_sim.recording.recording import Recording
from foundation.errors import UserError, choose

NAMED = re.compile(r"\s*(\w+)\s*\(\s*(\w+)\s*(?:\[([^\]]*)\])?\s*([<>][^()]*)?\)\s*")


def _kept(recording: Recording, variable: str, element: int, after: float) -> tuple[np.ndarray, np.ndarray]:
    kept = recording.time >= after
    if kept.sum() < 2:
        raise UserError(f"after: {after:g} s leaves {kept.sum()} records of {recording.time[-1]:g} s; give an earlier "
                        "time")
    return recording.time[kept], np.asarray(recording[variable].values)[kept, element]


def _mean(recording: Recording, variable: str, element: int, after: float) -> float:
    """Over time, by the trapezoidal rule."""
    time, values = _kept(recording, variable, element, after)
    return float(np.trapezoid(values, time) / (time[-1] - time[0]))


def _std(recording: Recording, variable: str, element: int, after: float) -> float:
    time, values = _kept(recording, variable, element, after)
    mean = _mean(recording, variable, element, after)
    return float(np.sqrt(np.trapezoid((values - mean) ** 2, time) / (time[-1] - time[0])))


# name -> (function of recording, variable, element, seconds to leave out; its unit, None for that of the variable;
# what it is)
MEASURES: dict[str, tuple[Callable[[Recording, str, int, float], float], str | None, str]] = {
    "period": (lambda r, v, e, a: course.period(r, v, e, after=a), "second", "period"),
    "frequency": (lambda r, v, e, a: 1 / course.period(r, v, e, after=a), "hertz", "frequency"),
    "amplitude": (lambda r, v, e, a: course.oscillation(r, v, e, after=a).amplitude, None,
                  "amplitude, highest less lowest,"),
    "duty": (lambda r, v, e, a: course.oscillation(r, v, e, after=a).duty, "1", "share of the period above the middle"),
    "rise_time": (lambda r, v, e, a: course.oscillation(r, v, e, after=a).rise_time, "second",
                  "time from 10 to 90 % of a rise"),
    "peak": (lambda r, v, e, a: course.amplitude(r, v, e, after=a)[1], None, "highest value"),
    "trough": (lambda r, v, e, a: course.amplitude(r, v, e, after=a)[0], None, "lowest value"),
    "mean": (_mean, None, "mean over time"),
    "std": (_std, None, "standard deviation over time"),
    "last": (lambda r, v, e, a: float(r[v].values[-1, e]), None, "last value"),
}
# name -> (key of the statistics of detected events, the entry inside, unit, what it is)
EVENT_MEASURES: dict[str, tuple[str, str, str | None, str]] = {
    "event_rate": ("rate_hertz", "", "hertz", "events per second and element"),
    "event_count": ("count", "", "1", "number of events"),
    "event_interval": ("interval_s", "mean", "second", "mean interval between events"),
    "event_amplitude": ("amplitude", "mean", None, "mean amplitude of events"),
    "event_width": ("width_s", "mean", "second", "mean time that an event lasts"),
}


@dataclass(frozen=True)
class Measure:
    """A number by name: `text` as given, the measure's name, its variable, element's label and condition."""

    text: str
    name: str
    variable: str
    label: str | None
    condition: str

    def unit(self, variable_unit: str) -> str:
        """The unit of the number, for a variable of that unit."""
        own = EVENT_MEASURES[self.name][2] if self.condition else MEASURES[self.name][1]
        return variable_unit if own is None else own

    @property
    def long_name(self) -> str:
        """What it is, in words."""
        return f"{(EVENT_MEASURES[self.name][3] if self.condition else MEASURES[self.name][2])} of " + (
            self.text[self.text.index("(") + 1: -1].strip())

    def of(self, recording: Recording, *, after: Amount | None = None) -> float:
        """The number in `unit`, after a first part (default: half; for events none).

        Over several elements it is the mean of those that have one. Errors: `UserError` where none has.
        """
        if self.condition:
            return self._of_events(recording, 0.0 if after is None else after)
        labels = recording[self.variable].labels
        if self.label is not None and self.label not in labels:
            raise UserError(f"{self.text}: {self.variable} has no element '{self.label}'; it has "
                            f"{', '.join(labels[:6])}")
        chosen = range(len(labels)) if self.label is None else [labels.index(self.label)]
        begin = float(recording.time[-1]) / 2 if after is None else read(after, "second", "after")
        found, why = [], None
        for element in chosen:
            try:
                found.append(MEASURES[self.name][0](recording, self.variable, element, begin))
            except UserError as error:
                why = error
        if not found:
            raise UserError(f"{self.text}: {why}") from why
        return float(np.mean(found))

    def _of_events(self, recording: Recording, after: Amount) -> float:
        place = "" if self.label is None else f"[{self.label}]"
        found = detect(recording, f"{self.variable}{place}{self.condition}", after=after).statistics()
        key, inside, *_ = EVENT_MEASURES[self.name]
        if found[key] is None:
            raise UserError(f"{self.text}: {found['count']} events have no such number; simulate longer")
        return float(found[key][inside] if inside else found[key])


def named(text: str) -> Measure:
    """A measure from its text. Errors: `UserError` that lists the measures, or shows how to write one."""
    match = NAMED.fullmatch(text)
    if not match:
        raise UserError(f"'{text}' names no number of a recording; write MEASURE(VARIABLE) as in 'period(C)', or "
                        "MEASURE(VARIABLE>LEVEL) as in 'event_rate(C>0.3 umolar)'")
    name, condition = match[1], (match[4] or "").strip()
    choose("measure", name, EVENT_MEASURES if condition else {**MEASURES, **EVENT_MEASURES})
    if name in EVENT_MEASURES and not condition:
        raise UserError(f"'{text}': {name} needs a threshold; write e.g. '{name}({match[2]}>0.3 umolar)'")
    return Measure(text.strip(), name, match[2], match[3], condition)


def measure(recording: Recording, text: str, *, after: Amount | None = None) -> float:
    """A number of a recording by name, such as "period(C)", in seconds or in the variable's unit (`Measure.of`)."""
    return named(text).of(recording, after=after)
