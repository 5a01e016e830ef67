"""What a threshold found: events with their heights and widths, their statistics, as tables and frames."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.labels import label, pretty_unit
from astro_sim.recording.series import Events
from foundation.shapes import Array, Float, Int
from foundation.table import Table

if TYPE_CHECKING:
    import pandas

SHOWN = 20  # rows of a table; more are counted
COLUMNS = ("element", "start", "end", "peak_time", "peak", "amplitude", "width", "half_width")


@dataclass(frozen=True, eq=False, repr=False)
class Detected:
    """Events of one variable, by element and then by time; times in s, heights in the variable's unit.

    `peak` is the farthest beyond the level, `amplitude` its height over the farthest on the other side since the event
    before, `width` the time beyond the level, `half_width` that beyond half the amplitude. NaN where an event is not
    over at the end of the recording. One that began before the part that was looked at is left out. `chosen` are the
    elements that were looked at for `lasted` s; `labels` are those of all.
    """

    condition: str
    variable: str
    unit: str
    population: str
    labels: tuple[str, ...]
    chosen: tuple[int, ...]
    lasted: float
    element: Int[Array, "event"]
    start: Float[Array, "event"]
    end: Float[Array, "event"]
    peak_time: Float[Array, "event"]
    peak: Float[Array, "event"]
    amplitude: Float[Array, "event"]
    width: Float[Array, "event"]
    half_width: Float[Array, "event"]

    @property
    def events(self) -> Events:
        """The starts, in order of time, as the recorded events are: for `analysis.events.rates` and `irregularity`."""
        order = np.argsort(self.start, kind="stable")
        return Events(self.start[order], self.element[order], self.population, self.condition)

    @property
    def intervals(self) -> Float[Array, "interval"]:
        """Times (s) from start to start within each element, one element after the other."""
        return np.diff(self.start)[np.diff(self.element) == 0]

    def statistics(self) -> dict:
        """Count, rate, and mean, deviation and range of intervals, amplitudes and widths: None where there are none.

        The rate is a mean over all elements that were looked at, silent ones included, per second.
        """
        found = {"condition": self.condition, "unit": self.unit, "elements": len(self.chosen),
                 "active": len(set(self.element.tolist())), "count": len(self.start),
                 "rate_hertz": len(self.start) / self.lasted / len(self.chosen)}
        parts = {"interval_s": self.intervals, "amplitude": self.amplitude, "peak": self.peak, "width_s": self.width,
                 "half_width_s": self.half_width}
        for name, values in parts.items():
            values = values[np.isfinite(values)]
            found[name] = None if not len(values) else {
                "count": len(values), "mean": float(values.mean()), "std": float(values.std()),
                "cv": float(values.std() / values.mean()) if values.mean() else None,
                "lowest": float(values.min()), "median": float(np.median(values)), "highest": float(values.max())}
        return found

    def to_dict(self) -> list[dict]:
        """A row an event as plain values; None where an event is not over."""
        columns = {name: getattr(self, name).tolist() for name in COLUMNS}
        return [{"label": self.labels[row[0]]} | {name: None if value != value else value for name, value in
                                                  zip(COLUMNS, row, strict=True)}
                for row in zip(*columns.values(), strict=True)]

    def to_pandas(self) -> "pandas.DataFrame":
        """A row an event; units in `attrs`."""
        import pandas as pd

        columns = {name: getattr(self, name) for name in COLUMNS}
        frame = pd.DataFrame({"label": [self.labels[k] for k in self.element]} | columns)
        frame.attrs["units"] = {name: self.unit if name in ("peak", "amplitude") else "second" for name in COLUMNS[1:]}
        return frame

    def table(self) -> Table:
        """A row an event, the first of many; below, what they are like together."""
        heads = ("element", "start (s)", "end (s)", label("peak", self.unit), label("amplitude", self.unit),
                 "width (s)", "half width (s)")
        rows = [(self.labels[k], *("" if value != value else f"{value:.6g}" for value in row))
                for k, *row in zip(self.element[:SHOWN], self.start, self.end, self.peak, self.amplitude, self.width,
                                   self.half_width, strict=False)]
        more = f"and {len(self.start) - SHOWN} more\n" if len(self.start) > SHOWN else ""
        return Table(heads, rows, title=f"events {self.condition}", note=more + text(self.statistics()))

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<Detected {text(self.statistics())}>"


def text(found: dict) -> str:
    """The statistics in a line of words and numbers."""
    unit = pretty_unit(found["unit"])
    said = [f"{found['condition']}: {found['count']} events in {found['active']} of {found['elements']} elements, "
            f"{found['rate_hertz']:.4g} per second"]
    for name, words, ending in (("interval_s", "interval", "s"), ("amplitude", "amplitude", unit),
                                ("width_s", "width", "s")):
        if found[name]:
            said.append(f"{words} {found[name]['mean']:.4g} +- {found[name]['std']:.2g} {ending}".rstrip())
    return ", ".join(said)
