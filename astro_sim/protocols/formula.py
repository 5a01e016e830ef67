"""Drives that move smoothly: exponential and alpha pulses, sines, and any expression in t.

    alpha("glutamate", high="5 umolar", tau="200 ms", start="2 s")
    sine("ip3", mean="0.4 umolar", amplitude="0.1 umolar", period="12 s")
    expression("ip3", "0.3*uM + 0.2*uM*tanh(t/(20*s))", stop="50 s")

All four are one expression between two times, and a constant value outside: as such they are kept in recordings.
"""

import functools
import math
from dataclasses import dataclass

from astro_sim.parameter import Amount, read, seconds, split_quantity
from astro_sim.protocols.drive import Drive, value_text, with_unit_of
from astro_sim.protocols.expression import Expression, factor
from astro_sim.protocols.text import Elements, chosen_elements, moment
from foundation.errors import UserError


@dataclass(frozen=True)
class Formula(Drive):
    """`value`, an expression in t, from `start` to `stop` (s; None: to the end), else `outside` ("VALUE UNIT")."""

    kind: str
    input: str
    value: str
    outside: str
    start: float = 0.0
    stop: float | None = None
    elements: tuple[int, ...] | None = None

    @functools.cached_property
    def expression(self) -> Expression:
        """The expression, read."""
        return Expression(self.value)

    @property
    def end(self) -> float:
        """When it stops, in seconds; infinity where it does not."""
        return math.inf if self.stop is None else self.stop

    def as_dict(self) -> dict:
        """The drive as JSON: times in seconds, values with their units."""
        return {"kind": self.kind, "input": self.input, "expression": self.value, "outside": self.outside,
                "start_s": self.start, "stop_s": self.stop,
                "elements": None if self.elements is None else list(self.elements)}


def formula_from_dict(entry: dict) -> Formula:
    """The drive that `as_dict` wrote."""
    elements = entry["elements"]
    return Formula(entry["kind"], entry["input"], entry["expression"], entry["outside"], entry["start_s"],
                   entry["stop_s"], None if elements is None else tuple(elements))


def _factor(text: str) -> str:
    return factor(*split_quantity(text, "value"))


def _time(value: float) -> str:
    return factor(value, "second")


def exponential(input: str, high: Amount, tau: Amount, start: Amount = "0 s", low: Amount = 0,
                elements: Elements = None) -> Formula:
    """`low`, then from `start` on `high`, which decays to `low` with the time constant `tau`."""
    high, low, begin = _levels(high, low, start)
    since = f"((t - {_time(begin)})/{_time(seconds(tau, 'tau'))})"
    return Formula("exponential", input, f"{_factor(low)} + ({_factor(high)} - {_factor(low)})*exp(-{since})", low,
                   begin, None, chosen_elements(elements))


def alpha(input: str, high: Amount, tau: Amount, start: Amount = "0 s", low: Amount = 0,
          elements: Elements = None) -> Formula:
    """`low`, from `start` on an alpha function that reaches its peak `high` after `tau` and returns to `low`."""
    high, low, begin = _levels(high, low, start)
    since = f"((t - {_time(begin)})/{_time(seconds(tau, 'tau'))})"
    return Formula("alpha", input, f"{_factor(low)} + ({_factor(high)} - {_factor(low)})*{since}*exp(1 - {since})", low,
                   begin, None, chosen_elements(elements))


def _levels(high: Amount, low: Amount, start: Amount) -> tuple[str, str, float]:
    high = value_text(high, "high")
    return high, with_unit_of(low, high), moment(start, "start")


def sine(input: str, mean: Amount, amplitude: Amount, period: Amount, phase: Amount = 0, start: Amount = "0 s",
         stop: Amount | None = None, elements: Elements = None) -> Formula:
    """`mean` + `amplitude` sin(2 pi (t - `start`)/`period` + `phase`) from `start` to `stop`, else `mean`."""
    mean, begin, end = value_text(mean, "mean"), *_times(start, stop)
    cycles = f"(t - {_time(begin)})/{_time(seconds(period, 'period'))}"
    value = (f"{_factor(mean)} + {_factor(value_text(amplitude, 'amplitude'))}"
             f"*sin(2*pi*{cycles} + {read(phase, '1', 'phase')!r})")
    return Formula("sine", input, value, mean, begin, end, chosen_elements(elements))


def expression(input: str, value: str, start: Amount = "0 s", stop: Amount | None = None, outside: Amount = 0,
               elements: Elements = None) -> Formula:
    """`value`, an expression in t with units, from `start` to `stop`, else `outside`.

    As in 0.4*uM + 0.1*uM*sin(2*pi*t/(10*s)): + - * / ** and smooth functions; what jumps is given as several drives.
    """
    begin, end = _times(start, stop)
    Expression(value)
    return Formula("expression", input, value.strip(), value_text(outside, "outside"), begin, end,
                   chosen_elements(elements))


def _times(start: Amount, stop: Amount | None) -> tuple[float, float | None]:
    begin = moment(start, "start")
    end = None if stop is None else moment(stop, "stop")
    if end is not None and end <= begin:
        raise UserError(f"stop: {stop} is not after start {start}; give a later time")
    return begin, end
