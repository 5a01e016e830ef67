"""Measures of one course as arrays: where it turns, where it passes a level, whether it oscillates.

`time` and `values` are float64 (record,), times rising, in seconds; values in whatever unit they have.
"""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import find_peaks

from astro_sim.analysis.between import passes_of_monotone, passes_of_spline, turn
from foundation.errors import UserError
from foundation.shapes import Array, Float

PROMINENCE = 0.25  # of the range: a peak stands out from the lower of its two sides by at least so much
SUSTAINED = 0.5    # of the first swing: what falls below it by the last is dying out
FALLEN = 0.05      # of the first swing: a fall through all swings by more, noise apart, is held against where it leads
IRREGULAR = 0.4    # coefficient of variation of the intervals: above it they have no period
DRIFTS = 0.1       # of a swing: cycles whose middles are farther from each other drift
SILENT = 2.0       # longest intervals between peaks: no peak for so long at the end, and the oscillation is over
FLAT = 1e-9        # of the size: a smaller range is rounding
Course = Float[Array, "record"]
Peaks = Float[Array, "peak"]


def flat(values: Course) -> bool:
    """Whether a course stays where it is, but for rounding."""
    return bool(np.ptp(values) <= FLAT * max(np.abs(values).max(), 1e-300))


def peaks(time: Course, values: Course, prominence: float = PROMINENCE) -> tuple[Peaks, Peaks]:
    """Times and heights of the peaks. Errors: `UserError` for a prominence that is not above 0 and below 1."""
    if not 0 < prominence < 1:
        raise UserError(f"prominence: {prominence} is not allowed; it is a share of the range, above 0 and below 1")
    if flat(values):
        return np.empty(0), np.empty(0)
    at = find_peaks(values, prominence=prominence * np.ptp(values))[0]
    times, heights = np.array([turning(time, values, int(k)) for k in at]).reshape(-1, 2).T
    return times, heights


def turning(time: Course, values: Course, k: int) -> tuple[float, float]:
    """(time, value) of the maximum at record k: between records where the course is smooth, else the record itself."""
    bend = -np.diff(values[max(k - 2, 0): k + 3], 2)  # at k - 1, k, k + 1
    if len(bend) < 3 or bend.min() <= 0.5 * bend.max():  # a jump, an edge of an input, or an end of the recording
        return float(time[k]), float(values[k])
    return turn(time, values, k)


def no_oscillation(time: Course, values: Course, times: Peaks, *, through: Float[Array, "rise"] | None = None,
                   noisy: float | None = None) -> str | None:
    """Why there is no sustained oscillation with peaks at `times`, in words; None where there is one.

    through, noisy: its rises through the middle and its noise, where they are known.
    """
    if flat(values):
        return f"stays at {values[-1]:.6g}"
    if len(times) < 2:
        return f"has {len(times)} peaks, not two"
    swings = np.array([np.ptp(cycle) for cycle in _cycles(time, values, times)])
    if _dying(swings, noise(values) if noisy is None else noisy):
        return f"dies out: its swings fall from {swings[0]:.6g} to {swings[-1]:.6g}"
    if time[-1] - times[-1] > SILENT * np.diff(times).max():
        return f"is over: its last peak is at {times[-1]:.6g} s, {time[-1] - times[-1]:.3g} s before the end"
    intervals = np.diff(marks(time, values, times, through=through))
    if len(intervals) > 2 and intervals.std() > IRREGULAR * intervals.mean():
        return f"is irregular: {intervals.mean():.3g} +- {intervals.std():.2g} s from rise to rise, which is no period"
    return None


def _cycles(time: Course, values: Course, times: Peaks) -> list[np.ndarray]:
    starts, stops = np.searchsorted(time, times), np.searchsorted(time, times, side="right")
    return [values[a:b] for a, b in zip(starts[:-1], stops[1:], strict=True)]


def _dying(swings: Float[Array, "cycle"], noisy: float) -> bool:
    """Whether swings end near nothing: they have fallen far, or fall towards less than half of the last.

    Where three swings at equal distances lead is Aitken's limit: 0 for a decaying spiral, the limit cycle's swing for
    a course that settles on one. Of two swings that fall nobody can tell.
    """
    swings = _without_outliers(swings)
    first, last, count = swings[0], swings[-1], len(swings)
    if last < SUSTAINED * first:
        return True
    if (np.diff(swings) >= 0).any() or first - last <= FALLEN * first + 4 * noisy:  # that of a swing's two extrema
        return False
    if count == 2:
        return True
    middle = (count - 1) // 2
    early, late = swings[0] - swings[middle], swings[middle] - swings[2 * middle]
    return bool(early <= late or swings[2 * middle] - late**2 / (early - late) < SUSTAINED * last)


def noise(values: Course) -> float:
    """Standard deviation of what differs between neighbours beside a smooth course, from differences of order four.

    Those of white noise are sqrt(70) times as large; of the course itself they are next to nothing.
    """
    fourth = np.abs(np.diff(values, 4))
    return float(np.median(fourth)) / (0.6745 * 70**0.5) if len(fourth) else 0.0


def _without_outliers(cycles: Float[Array, "cycle"]) -> Float[Array, "kept"]:
    """Medians of three in a row, where there are five: a cycle that noise made is one of three."""
    return np.median(sliding_window_view(cycles, 3), axis=1) if len(cycles) > 4 else cycles


def marks(time: Course, values: Course, times: Peaks, *, through: Float[Array, "rise"] | None = None
          ) -> Float[Array, "mark"]:
    """Times that are a cycle apart: the rises through the middle; the peaks (`times`) of a course that drifts.

    The peaks, too, where there are but two rises. through: the rises, where they are known.
    """
    cycles, through = _cycles(time, values, times), rises(time, values) if through is None else through
    middles = _without_outliers(np.array([(cycle.max() + cycle.min()) / 2 for cycle in cycles]))
    drifts = len(cycles) > 0 and np.ptp(middles) > DRIFTS * np.median([np.ptp(cycle) for cycle in cycles])
    return times if drifts or len(through) < 3 else through


def rises(time: Course, values: Course, noisy: float | None = None) -> Float[Array, "rise"]:
    """Times at which an oscillation rises through its middle, once a cycle.

    A rise comes from below a band around the middle to above it, three deviations of the noise to each side. Where
    noise passes the middle several times on the way, the time is the mean of the first and the last of them. noisy: the
    noise, where it is known.
    """
    if flat(values):
        return np.empty(0)
    beyond = values - (values.min() + values.max()) / 2
    at, _ = passes_of_spline(time, beyond)
    noisy = noise(values) if noisy is None else noisy
    known = np.abs(beyond) > min(3 * noisy, PROMINENCE / 2 * np.ptp(values))
    known[[0, -1]] = True  # a rise may be cut off by an end of the recording
    where = np.flatnonzero(known)
    above = beyond[where] > 0
    first = where[:-1][~above[:-1] & above[1:]]
    last = where[1:][~above[:-1] & above[1:]]
    early, late = np.searchsorted(at, time[first]), np.searchsorted(at, time[last], side="right") - 1
    return (at[early] + at[late]) / 2


def duty(time: Course, values: Course, times: Peaks | None = None) -> float:
    """Share of the time above the middle, in whole periods: from the first rise through the middle to the last.

    Where there are not two rises, as in a course that drifts, from the first peak (`times`) to the last.
    """
    beyond = values - (values.min() + values.max()) / 2
    at, rising = passes_of_monotone(time, beyond)
    up = np.flatnonzero(rising)
    if len(up) < 2 and times is not None and len(times) > 1:
        inside = (at > times[0]) & (at < times[-1])
        ends = np.concatenate([times[:1], at[inside], times[-1:]])
        starts_above = bool(beyond[np.searchsorted(time, times[0])] > 0)  # a peak lies on a record or beside it
        return float(np.diff(ends)[1 - starts_above::2].sum() / (times[-1] - times[0]))
    if len(up) < 2:
        raise UserError(f"duty: the variable rises {len(up)} times through its middle, not twice; simulate longer")
    lengths = np.diff(at[up[0]: up[-1] + 1])
    return float(lengths[::2].sum() / lengths.sum())


def rise_time(time: Course, values: Course, times: Peaks) -> float:
    """Mean time from 10 to 90 % of the way from each trough between two peaks (at `times`) to the second of them."""
    if len(times) < 2:
        raise UserError(f"rise time: {len(times)} peaks, not two; simulate longer, or it does not oscillate")
    found = []
    for a, b in pairwise(_nearest(time, times)):
        trough = a + int(values[a: b + 1].argmin())
        low, high = -turning(time, -values, trough)[1], turning(time, values, b)[1]
        part = slice(trough, b + 2)  # from the trough: on the way down a ripple may rise through either level too
        early, late = (_up(time[part], values[part] - low - share * (high - low)) for share in (0.1, 0.9))
        end = late[0] if len(late) else time[b]
        early = early[early < end]
        found.append(end - (early[-1] if len(early) else time[trough]))
    return float(np.mean(found))


def _nearest(time: Course, times: Peaks) -> list[int]:
    """The records that are nearest to times."""
    after = np.clip(np.searchsorted(time, times), 1, len(time) - 1)
    return (after - (times - time[after - 1] <= time[after] - times)).tolist()


def _up(time: Course, beyond: Course) -> np.ndarray:
    at, rising = passes_of_monotone(time, beyond)
    return at[rising]
