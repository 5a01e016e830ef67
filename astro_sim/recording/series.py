"""What a recording is made of: the course of one variable, events, and which element belongs to which."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_sim.parameter import read
from astro_sim.recording.labels import label, pretty_unit, with_unit
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int
from foundation.table import Table

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 20  # rows of a table; more are counted


@dataclass(frozen=True, eq=False, repr=False)
class Reading:
    """What a series shows at one time (s): float64 (element,) in `unit`. Of one element it is also a float."""

    values: Float[Array, "element"]
    unit: str
    long_name: str
    labels: tuple[str, ...]
    time: float

    def __float__(self) -> float:
        if len(self.values) != 1:
            raise UserError(f"{self.long_name}: {len(self.values)} elements are not one number; take .values")
        return float(self.values[0])

    def __array__(self, dtype: type | None = None, copy: bool | None = None) -> Float[Array, "element"]:
        return np.array(self.values, dtype)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{value:.4g}" for value in self.values[:6]) + (", ..." if len(self.values) > 6 else "")
        return f"{numbers} {pretty_unit(self.unit)}".rstrip() + f" at {self.time:g} s"

    def table(self) -> Table:
        """A row an element, the first of many."""
        rows = [(name, f"{value:.6g}") for name, value in zip(self.labels[:SHOWN], self.values, strict=False)]
        return Table(("element", label(self.long_name, self.unit)), rows, title=f"at {self.time:g} s",
                     note=_and_more(len(self.values)))

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() if len(self.values) > 1 else f"<p>{self!r}</p>"


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """One variable: `values` float64 (time, element), its unit's name, and what it is.

    `labels` names the elements, `positions` are their places (element, axis) or None; `population` is the dimension.
    `name` and `time` (s) are those of the recording that it belongs to.
    """

    values: Float[Any, "time element"]  # an array, or a dataset of an open file that is too large for one
    unit: str
    long_name: str
    population: str
    labels: tuple[str, ...]
    positions: Float[Array, "element axis"] | None = None
    name: str = ""
    time: Float[Any, "time"] | None = None

    def at(self, when: str | float) -> Reading:
        """The values at a time, "30 s" or seconds: as recorded, linearly between two records.

        What jumps, as at a spike, is between its values there for as long as a recording interval.
        Errors: `UserError` for a time before the first record or after the last.
        """
        moment, time = read(when, "second", "at"), self._times()
        if not time[0] <= moment <= time[-1]:
            raise UserError(f"at: {moment:g} s is outside the recording, which goes from {time[0]:g} to {time[-1]:g} s")
        after = max(1, int(np.searchsorted(time, moment)))
        share = (moment - time[after - 1]) / (time[after] - time[after - 1])
        values = self.values[after - 1] if share == 0 else (
            self.values[after] if share == 1 else (1 - share) * self.values[after - 1] + share * self.values[after])
        return Reading(values, self.unit, self.long_name, self.labels, moment)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """The course over time, axes with words and units: a new picture, or in the given matplotlib axes; a Figure.

        Up to six elements are lines; more are a picture of element against time.
        Errors: `UserError` where matplotlib is missing.
        """
        from astro_sim.recording import plot

        self._times()
        return plot.plot_series(self, ax)

    def to_xarray(self) -> "xarray.DataArray":
        """A DataArray (time, population) with labels, places, units and long names."""
        from astro_sim.recording import frames

        self._times()
        return frames.dataset(self.time, {self.name: self})[self.name]

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame with a column an element, by time in seconds; units in `attrs`."""
        from astro_sim.recording import frames

        return frames.frame(self._times(), {self.name: self})

    def table(self) -> Table:
        """A row an element, the first of many: lowest, highest, at the end."""
        rows = [(name, *(f"{number:.6g}" for number in (column.min(), column.max(), column[-1])))
                for name, column in zip(self.labels[:SHOWN], np.asarray(self.values).T, strict=False)]
        return Table((self.population, "lowest", "highest", "at the end"), rows,
                     title=f"{self.name}: {label(self.long_name, self.unit)}", note=_and_more(len(self.labels)))

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        count = len(self.labels)
        return (f"<Series {self.name}: {self.long_name}, {len(self.values)} records of {count} "
                f"element{'s' * (count != 1)}, {spread(self)}>")

    def _times(self) -> Float[Any, "time"]:
        if self.time is None:
            raise UserError(f"{self.long_name}: belongs to no recording, so it has no times; take it from one")
        return self.time


@dataclass(frozen=True, eq=False)
class Events:
    """What happened to single elements: `times` float64 (event,) in seconds, rising; `elements` int64 (event,).

    An event at t, such as a spike, is in the state that is recorded at t: the end of the step in which it fell.
    """

    times: Float[Array, "event"]
    elements: Int[Array, "event"]
    population: str
    long_name: str


@dataclass(frozen=True, eq=False)
class Assignment:
    """The element of `target` to which each element of `population` belongs: `indices` int64 (element,)."""

    indices: Int[Array, "element"]
    population: str
    target: str
    long_name: str


def spread(series: Series) -> str:
    """Lowest and highest value with the unit: "0.05 to 0.7 µM"."""
    return f"{np.min(series.values):.4g} to {with_unit(np.max(series.values), series.unit)}"


def _and_more(count: int) -> str:
    return f"and {count - SHOWN} more" if count > SHOWN else ""
