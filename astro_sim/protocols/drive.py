"""A course as data: what an input is from when on, held or in straight lines.

    cycles("b_pre", high=1, period="11.5 s", duty=0.5, count=6)

Drives of one input that reach the same element add up; its default holds where there is none.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import Amount, as_text, read, seconds, split_quantity
from astro_sim.protocols.text import Elements, Several, chosen_elements, moment, several
from foundation.errors import UserError

MAX_CYCLES = 100_000


class Drive:
    """What an input is over time, as data. `elements` are places among those that it reaches; None means all."""

    kind: str
    input: str
    elements: tuple[int, ...] | None

    def as_dict(self) -> dict:
        """The drive as JSON."""
        raise NotImplementedError


@dataclass(frozen=True)
class Levels(Drive):
    """`values[n]` (text "VALUE UNIT") holds from `times[n]` (seconds, from 0 on) to the next.

    In a ramp the course goes straight from each value to the next, and holds the last.
    """

    kind: str
    input: str
    times: tuple[float, ...]
    values: tuple[str, ...]
    elements: tuple[int, ...] | None = None

    @property
    def straight(self) -> bool:
        """Whether the course goes straight from value to value instead of holding each."""
        return self.kind == "ramp"

    def as_dict(self) -> dict:
        """The drive as JSON: times in seconds, values in the input's unit."""
        return {"kind": self.kind, "input": self.input, "times_s": list(self.times), "values": list(self.values),
                "elements": None if self.elements is None else list(self.elements)}


def levels_from_dict(entry: dict) -> Levels:
    """The drive that `as_dict` wrote."""
    elements = entry["elements"]
    return Levels(entry["kind"], entry["input"], tuple(entry["times_s"]), tuple(entry["values"]),
                  None if elements is None else tuple(elements))


def value_text(value: Amount, field: str) -> str:
    """A value (text, number or Brian2 quantity) as text with its unit; NaN and infinity are refused here."""
    if not isinstance(value, str) and np.ndim(value):
        raise UserError(f"{field}: {str(value)[:60]} are several values; give one drive for each, with its elements, "
                        "or samples for values over time")
    value = as_text(value, field)
    text = value if isinstance(value, str) else repr(read(value, "1", field))
    split_quantity(text, field)
    return text.strip()


def constant(input: str, value: Amount, elements: Elements = None) -> Levels:
    """One value from the start on."""
    return Levels("constant", input, (0.0,), (value_text(value, "value"),), chosen_elements(elements))


def steps(input: str, times: Several, values: Several, elements: Elements = None) -> Levels:
    """`values[n]` from `times[n]` on; the times rise from 0 s. Text joins them by +, as in 0s+10s."""
    return _pieces("steps", input, times, values=values, elements=elements)


def ramp(input: str, times: Several, values: Several, elements: Elements = None) -> Levels:
    """Straight from each of `values` to the next, at their `times`, then the last; the times rise from 0 s."""
    drive = _pieces("ramp", input, times, values=values, elements=elements)
    if len(drive.times) < 2:
        raise UserError(f"times: a ramp goes from one time to another; {drive.times[0]:g} s alone is a constant")
    return drive


def _pieces(kind: str, input: str, times: Several, *, values: Several, elements: Elements) -> Levels:
    times, values = several(times, "times"), several(values, "values")
    at = tuple(moment(time, "times") for time in times)
    if not at or at[0] != 0 or any(b <= a for a, b in itertools.pairwise(at)):
        raise UserError(f"times: {', '.join(map(str, times))} do not rise from 0 s; the first must be 0 s")
    if len(values) != len(at):
        raise UserError(f"values: {len(values)} values for {len(at)} times; give one value for each time")
    return Levels(kind, input, at, tuple(value_text(value, "values") for value in values), chosen_elements(elements))


def square(input: str, high: Amount, start: Amount = "0 s", stop: Amount = "1 s", low: Amount = 0,
           elements: Elements = None) -> Levels:
    """`high` from `start` to `stop`, else `low`."""
    begin, end = moment(start, "start"), moment(stop, "stop")
    if end <= begin:
        raise UserError(f"stop: {stop} is not after start {start}; give a later time")
    high = value_text(high, "high")
    low = with_unit_of(low, high)
    course = [(begin, high), (end, low)] if begin == 0 else [(0.0, low), (begin, high), (end, low)]
    return Levels("square", input, *map(tuple, zip(*course, strict=True)), chosen_elements(elements))


def cycles(input: str, high: Amount, period: Amount, duty: Amount = 0.5, count: Amount = 6, low: Amount = 0,
           start: Amount = "0 s", elements: Elements = None) -> Levels:
    """`count` cycles from `start`: `high` for the share `duty` of each `period`, then `low`; `low` afterwards."""
    length, begin = seconds(period, "period"), moment(start, "start")
    share, number = read(duty, "1", "duty"), read(count, "1", "count")
    if not 0 < share < 1:
        raise UserError(f"duty: {duty} is not allowed; it is the driven share of a cycle, above 0 and below 1")
    if number != int(number) or not 1 <= number <= MAX_CYCLES:
        raise UserError(f"count: {count} is not allowed; give a whole number of cycles from 1 to {MAX_CYCLES}")
    high = value_text(high, "high")
    low = with_unit_of(low, high)
    course = [] if begin == 0 else [(0.0, low)]
    for n in range(int(number)):
        course += [(begin + n * length, high), (begin + (n + share) * length, low)]
    return Levels("cycles", input, *map(tuple, zip(*course, strict=True)), chosen_elements(elements))


def with_unit_of(low: Amount, high: str) -> str:
    """A bare 0 as `low` takes the unit of `high`."""
    text = value_text(low, "low")
    value, unit = split_quantity(text, "low")
    return f"0 {split_quantity(high, 'high')[1]}" if value == 0 and unit == "1" else text
