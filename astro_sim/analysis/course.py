"""What the course of one variable is like: crossings, period, amplitude, peaks, duty, rise time.

    found = oscillation(recording, "C")
    print(found.period, found.duty, found.rise_time)

Times are seconds, values in the unit of the variable. Where there is no oscillation `UserError` says why, in words.
Waves are in waves.py, events in events.py, AM and FM in levels.py; what a model does is in dynamics/.
"""

from dataclasses import dataclass

import numpy as np

from astro_sim.analysis import measures
from astro_sim.analysis.between import passes_of_spline
from astro_sim.analysis.measures import PROMINENCE
from astro_sim.parameter import read
from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.shapes import Array, Float


def crossings(recording: Recording, variable: str, element: int = 0, *, after: float | str = 0.0,
              level: float | str | None = None) -> Float[Array, "crossing"]:
    """Times (s, float64 (crossing,)) when a variable rises through `level`, after `after` s.

    The level is the middle of the variable's range there by default, else in its unit or text with one. Between
    two records the course is taken as a cubic through four of them: the error falls with the fourth power of the
    recording step, as that of rk4 does.
    """
    time, values = _settled(recording, variable, element, after=after)
    if measures.flat(values):
        return np.array([])
    unit = recording[variable].unit
    middle = (values.min() + values.max()) / 2 if level is None else read(level, unit, "level")
    passed, rising = passes_of_spline(time, values - middle)
    return passed[rising]


def period(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None) -> float:
    """Mean time (s) from rise to rise through the middle, after a first part (default: half) that may be transient.

    From peak to peak where the course drifts. What noise passes several times on one way up is one rise.

    Errors: `UserError` where there is no sustained oscillation, in the words of `oscillation`.
    """
    time, values = _settled(recording, variable, element, after=_start(recording, after))
    times, _, through = _oscillating(variable, time, values)
    return float(np.diff(measures.marks(time, values, times, through=through)).mean())


def amplitude(recording: Recording, variable: str, element: int = 0, *,
              after: float | str | None = None) -> tuple[float, float]:
    """(lowest, highest) value in the variable's unit, after a first part (default: half) that may be transient.

    Extrema between records come from a cubic spline, where the course is smooth; at a jump the record counts.
    """
    time, values = _settled(recording, variable, element, after=_start(recording, after))
    return (-measures.turning(time, -values, int(values.argmin()))[1],
            measures.turning(time, values, int(values.argmax()))[1])


def peaks(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None,
          prominence: float = PROMINENCE) -> tuple[Float[Array, "peak"], Float[Array, "peak"]]:
    """Times (s) and heights (the variable's unit) of the peaks, two float64 arrays, after `after` s (default: half).

    A peak stands out from the lower of its two sides by `prominence` of the range. What is highest at the first or
    last record is no peak: it may go on rising. Errors: `UserError` for a prominence that is not above 0 and below 1.
    """
    return measures.peaks(*_settled(recording, variable, element, after=_start(recording, after)), prominence)


def duty(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None) -> float:
    """Share of the period that the variable spends above the middle of its range: 1/2 for a sine; no unit."""
    return measures.duty(*_settled(recording, variable, element, after=_start(recording, after)))


def rise_time(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None) -> float:
    """Mean time (s) from 10 to 90 % of the way from each trough to the peak after it.

    Not finer than the recording step: a jump within one step has 0.8 of it.
    """
    time, values = _settled(recording, variable, element, after=_start(recording, after))
    return measures.rise_time(time, values, measures.peaks(time, values)[0])


@dataclass(frozen=True)
class Oscillation:
    """A sustained oscillation: times in s, values in the unit of the variable, `period_spread` one deviation in s.

    `rises` are the times at which it rises through its middle, once a cycle.
    """

    period: float
    period_spread: float
    low: float
    high: float
    duty: float
    rise_time: float
    peak_times: tuple[float, ...]
    peak_heights: tuple[float, ...]
    rises: tuple[float, ...] = ()

    @property
    def amplitude(self) -> float:
        """Highest less lowest."""
        return self.high - self.low

    @property
    def frequency(self) -> float:
        """1/s."""
        return 1 / self.period


def oscillation(recording: Recording, variable: str, element: int = 0, *,
                after: float | str | None = None) -> Oscillation:
    """All measures of a sustained oscillation after `after` s (default: half).

    Errors: `UserError` that says in words why there is none: it stays, moves without two peaks, dies out, is over,
    or is irregular.
    """
    start = _start(recording, after)
    time, values = _settled(recording, variable, element, after=start)
    times, heights, through = _oscillating(variable, time, values)
    intervals = np.diff(measures.marks(time, values, times, through=through))
    low, high = amplitude(recording, variable, element, after=start)
    return Oscillation(float(intervals.mean()), float(intervals.std()), low, high, measures.duty(time, values, times),
                       measures.rise_time(time, values, times), tuple(map(float, times)), tuple(map(float, heights)),
                       tuple(map(float, through)))


def _oscillating(variable: str, time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times and heights of the peaks of a sustained oscillation, and its rises; `UserError` says why there is none."""
    times, heights = measures.peaks(time, values)
    through, noisy = np.empty(0), None
    if len(times) > 1:
        noisy = measures.noise(values)
        through = measures.rises(time, values, noisy)
    why_not = measures.no_oscillation(time, values, times, through=through, noisy=noisy)
    if why_not:
        raise UserError(f"no oscillation: {variable} {why_not}; simulate longer, or look at another part")
    return times, heights, through


def _start(recording: Recording, after: float | str | None) -> float:
    return float(recording.time[-1]) / 2 if after is None else read(after, "second", "after")


def _settled(recording: Recording, variable: str, element: int, *,
             after: float | str) -> tuple[np.ndarray, np.ndarray]:
    series, after = recording[variable], read(after, "second", "after")
    first = int(np.searchsorted(recording.time, after))
    if not 0 <= element < series.values.shape[1] or len(recording.time) - first < 4:
        raise UserError(f"{variable}: element {element} after {after:g} s is not in the recording; it has elements "
                        f"0 to {series.values.shape[1] - 1} until {recording.time[-1]:g} s")
    return recording.time[first:], np.ascontiguousarray(series.values[first:, element])
