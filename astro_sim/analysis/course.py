"""What the course of one variable is like: crossings, period, amplitude, peaks, duty, rise time.

    found = oscillation(recording, "C")
    print(found.period, found.duty, found.rise_time)

Times are seconds, values in the unit of the variable. Where there is no oscillation `UserError` says why, in words.
Waves are in waves.py, events in events.py, AM and FM in levels.py; what a model does is in dynamics/.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from astro_sim.analysis import measures
from astro_sim.analysis.measures import PROMINENCE
from astro_sim.parameter import read
from astro_sim.recording.recording import Recording
from foundation.errors import UserError


def crossings(recording: Recording, variable: str, element: int = 0, *, after: float | str = 0.0,
              level: float | str | None = None) -> np.ndarray:
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
    passed, rising = measures.passes(CubicSpline(time, values - middle), time, values - middle)
    return passed[rising]


def period(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None) -> float:
    """Mean time (s) between upward crossings of the middle, after a first part (default: half) that may be transient.

    Errors: `UserError` where there is no sustained oscillation, in the words of `oscillation`.
    """
    start = _start(recording, after)
    return float(_intervals(recording, variable, element, after=start, times=_oscillating(
        variable, *_settled(recording, variable, element, after=start))[0]).mean())


def amplitude(recording: Recording, variable: str, element: int = 0, *,
              after: float | str | None = None) -> tuple[float, float]:
    """(lowest, highest) value in the variable's unit, after a first part (default: half) that may be transient.

    Extrema between records come from a cubic spline, where the course is smooth; at a jump the record counts.
    """
    time, values = _settled(recording, variable, element, after=_start(recording, after))
    return (-measures.turning(time, -values, int(values.argmin()))[1],
            measures.turning(time, values, int(values.argmax()))[1])


def peaks(recording: Recording, variable: str, element: int = 0, *, after: float | str | None = None,
          prominence: float = PROMINENCE) -> tuple[np.ndarray, np.ndarray]:
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
    """A sustained oscillation: times in s, values in the unit of the variable, `period_spread` one deviation in s."""

    period: float
    period_spread: float
    low: float
    high: float
    duty: float
    rise_time: float
    peak_times: tuple[float, ...]
    peak_heights: tuple[float, ...]

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

    Errors: `UserError` that says in words why there is none: it stays, moves without two peaks, dies out or is over.
    """
    start = _start(recording, after)
    time, values = _settled(recording, variable, element, after=start)
    times, heights = _oscillating(variable, time, values)
    intervals = _intervals(recording, variable, element, after=start, times=times)
    low, high = amplitude(recording, variable, element, after=start)
    return Oscillation(float(intervals.mean()), float(intervals.std()), low, high, measures.duty(time, values),
                       measures.rise_time(time, values, times), tuple(map(float, times)), tuple(map(float, heights)))


def _oscillating(variable: str, time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and heights of the peaks of a sustained oscillation; `UserError` says why there is none."""
    times, heights = measures.peaks(time, values)
    why_not = measures.no_oscillation(time, values, times)
    if why_not:
        raise UserError(f"no oscillation: {variable} {why_not}; simulate longer, or look at another part")
    return times, heights


def _intervals(recording: Recording, variable: str, element: int, *, after: float, times: np.ndarray) -> np.ndarray:
    """From rise to rise through the middle; from peak to peak where there are but two rises."""
    rises = crossings(recording, variable, element, after=after)
    return np.diff(rises) if len(rises) > 2 else np.diff(times)


def _start(recording: Recording, after: float | str | None) -> float:
    return float(recording.time[-1]) / 2 if after is None else read(after, "second", "after")


def _settled(recording: Recording, variable: str, element: int, *,
             after: float | str) -> tuple[np.ndarray, np.ndarray]:
    series, after = recording[variable], read(after, "second", "after")
    kept = recording.time >= after
    if not 0 <= element < series.values.shape[1] or kept.sum() < 4:
        raise UserError(f"{variable}: element {element} after {after:g} s is not in the recording; it has elements "
                        f"0 to {series.values.shape[1] - 1} until {recording.time[-1]:g} s")
    return recording.time[kept], series.values[kept, element]


def _flat(values) -> bool:
    import numpy as np

    return bool(np.ptp(values) <= FLAT * max(np.abs(values).max(), 1e-300))


def _peaks(time, values, prominence: float):
    import numpy as np
    from scipy.signal import find_peaks

    if not 0 < prominence < 1:
        raise UserError(f"prominence: {prominence} is not allowed; it is a share of the range, above 0 and below 1")
    if measures.flat(values):
        return np.empty(0), np.empty(0)
    at = find_peaks(values, prominence=prominence * np.ptp(values))[0]
    return np.array([_turning(time, values, int(k)) for k in at]).reshape(-1, 2).T


def _turning(time, values, k: int) -> tuple[float, float]:
    """(time, value) of the maximum at record k: between records where the course is smooth, else the record itself."""
    bend = -np.diff(values[max(k - 2, 0): k + 3], 2)  # at k - 1, k, k + 1
    if len(bend) < 3 or bend.min() <= 0.5 * bend.max():  # a jump, an edge of an input, or an end of the recording
        return float(time[k]), float(values[k])
    near = slice(max(k - 3, 0), k + 4)
    spline = CubicSpline(time[near], values[near])
    at = spline.derivative().roots(extrapolate=False)
    at = np.append(at[np.abs(at - time[k]) <= time[k + 1] - time[k]], time[k])
    return max(zip(at.tolist(), spline(at).tolist(), strict=True), key=lambda turn: turn[1])


def _no_oscillation(time, values, times) -> str | None:
    """Why there is none, in words; None where there is one."""
    import numpy as np

    if measures.flat(values):
        return f"stays at {values[-1]:.6g}"
    if len(times) < 2:
        return f"has {len(times)} peaks, not two"
    cycles = [values[(time >= a) & (time <= b)] for a, b in pairwise(times)]
    first, last = (np.ptp(cycle) for cycle in (cycles[0], cycles[-1]))
    if last < SUSTAINED * first:
        return f"dies out: its swings fall from {first:.6g} to {last:.6g}"
    if time[-1] - times[-1] > SILENT * np.diff(times).max():
        return f"is over: its last peak is at {times[-1]:.6g} s, {time[-1] - times[-1]:.3g} s before the end"
    return None


def _passes(course, time, values):
    """Times (s) at which a course through `values` changes sign, one between two records, and whether it rises there.

    The sides are those of the records: where a course is flat, the roots of its polynomials are not to be trusted.
    """
    import numpy as np

    side = (values > 0).astype(int)
    k = np.flatnonzero(np.diff(side))
    roots = course.roots(extrapolate=False)
    at = np.append(roots, np.inf)[np.searchsorted(roots, time[k])]
    straight = time[k] - values[k] * (time[k + 1] - time[k]) / (values[k + 1] - values[k])
    return np.where(at <= time[k + 1], at, straight), side[k + 1] == 1


def _monotone(time, values):
    """The course without overshoot at jumps, for times at which it passes a level."""
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(time, values)


def _duty(time, values) -> float:
    """Whole periods, from the first upward crossing of the middle to the last."""
    import numpy as np

    beyond = values - (values.min() + values.max()) / 2
    at, rising = _passes(_monotone(time, beyond), time, beyond)
    up = np.flatnonzero(rising)
    if len(up) < 2:
        raise UserError(f"duty: the variable rises {len(up)} times through its middle, not twice; simulate longer")
    lengths = np.diff(at[up[0]: up[-1] + 1])
    return float(lengths[::2].sum() / lengths.sum())


def _rise_time(time, values, times) -> float:
    """From each trough between two peaks to the second of them."""
    import numpy as np

    if len(times) < 2:
        raise UserError(f"rise time: {len(times)} peaks, not two; simulate longer, or it does not oscillate")
    found = []
    for a, b in pairwise(np.abs(time[:, None] - times).argmin(axis=0)):
        trough = a + int(values[a: b + 1].argmin())
        low, high = -_turning(time, -values, trough)[1], _turning(time, values, b)[1]
        part = slice(trough, b + 2)  # from the trough: on the way down a ripple may rise through either level too
        early, late = (_up(time[part], values[part] - low - share * (high - low)) for share in (0.1, 0.9))
        end = late[0] if len(late) else time[b]
        early = early[early < end]
        found.append(end - (early[-1] if len(early) else time[trough]))
    return float(np.mean(found))


def _up(time, beyond):
    at, rising = _passes(_monotone(time, beyond), time, beyond)
    return at[rising]
