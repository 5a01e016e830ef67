"""What the forms of a record must do whatever their constants are: a form may be well written and mean nothing.

Standard library only. Each entry is looked at over the range that a network uses it in.
"""

import itertools
import math
from collections.abc import Callable, Mapping

from derivation.record.entry import Entry, Record
from foundation.errors import DamagedFileError

SLACK = 1e-9  # of 1: rounding
LENGTHS = (1.0, 2.0, 8.0, 64.0)
DISTANCES = (0.0, .5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
AMOUNTS = (1e-2, .1, .5, 1.0, 2.0, 8.0, 64.0, 1e3)


def _retention(entry: Entry) -> str:
    for length in LENGTHS:
        times = tuple(map(float, range(1, int(length) + 1)))
        values = [entry.evaluate(t=t, T=length) for t in times]
        if why := _off(times, values, f"t of T = {length:g}", rises=False, most=1.0):
            return why
    return ""


def _coupling(entry: Entry) -> str:
    values = [entry.evaluate(distance=distance) for distance in DISTANCES]
    return _off(DISTANCES, values, "distance", rises=False, most=1.0)


def _ring(entry: Entry) -> str:
    places = 2 * DISTANCES[-1]
    values = [entry.evaluate(distance=distance, places=places) for distance in DISTANCES]
    return _off(DISTANCES, values, "distance", rises=False, most=1.0)


def _calcium(entry: Entry) -> str:
    return _off(AMOUNTS, [entry.evaluate(drive=drive) for drive in AMOUNTS], "drive", rises=True)


def _feedback(entry: Entry) -> str:
    return _off(AMOUNTS, [entry.evaluate(calcium=amount) for amount in AMOUNTS], "calcium", rises=False)


def _off(at: tuple[float, ...], values: list[float], name: str, *, rises: bool, most: float = math.inf) -> str:
    """What is wrong with values at rising arguments; "" where they are positive, bounded, and never turn."""
    for (a, value), (b, other) in itertools.pairwise(zip(at, values, strict=True)):
        slack = SLACK * abs(value)
        if (other < value - slack) if rises else (other > value + slack):
            return (f"it {'falls' if rises else 'grows'} with {name}, from {value:.4g} at {a:g} to {other:.4g} at "
                    f"{b:g}; it must not")
    for a, value in zip(at, values, strict=True):
        if not 0 <= value <= most * (1 + SLACK):
            return f"it is {value:.4g} at {name} = {a:g}; it must be at least 0 and at most {most:g}"
    return ""


BOUNDS: Mapping[str, Callable[[Entry], str]] = {
    "retention": _retention, "relative_position": _coupling, "relative_position_diffusive": _coupling,
    "relative_position_sheet_diffusive": _coupling, "relative_position_ring": _ring,
    "relative_position_ring_diffusive": _ring, "calcium_response": _calcium, "calcium_response_fitted": _calcium,
    "feedback": _feedback, "feedback_bound": _feedback}


def check(record: Record) -> None:
    """Raises `DamagedFileError` naming the first entry whose form does what it must not, with its values."""
    for name, wrong in BOUNDS.items():
        if name in record.entries and (why := wrong(record.entries[name])):
            raise DamagedFileError(f"record: {name} = {record.entries[name].formula[:80]}: {why}; derive the record "
                                   "anew, or restore it")
