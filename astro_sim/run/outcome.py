"""What a sweep gave: which points there are, their recordings, and what failed; as a table, a picture, frames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.parameter import split_quantity
from astro_sim.recording.labels import label
from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.table import Table

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 30  # rows of a table; more are counted
NAMED = 8  # lines that a legend names


@dataclass(frozen=True, repr=False)
class Outcome:
    """Paths of the recordings (`done`: made now, `kept`: there before), and what failed: name -> message.

    `points` are the keywords of every point by its name, the hash of its recording, in the order they were given.
    """

    done: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: dict[str, str]
    points: Mapping[str, Mapping] = field(default_factory=dict)

    @property
    def varied(self) -> dict[str, dict[str, object]]:
        """What tells the points apart: name of a point -> {name of a keyword, as in `grid`: its value}."""
        flat = {name: _flat(point) for name, point in self.points.items()}
        keys = dict.fromkeys(key for values in flat.values() for key in values)
        differ = [key for key in keys if len({str(values.get(key)) for values in flat.values()}) > 1]
        return {name: {key: values.get(key) for key in differ} for name, values in flat.items()}

    def recordings(self) -> Iterator[tuple[str, Recording]]:
        """Name and recording of every point that has one, in the order of `points`; each loaded when its turn comes."""
        files = {path.stem: path for path in (*self.done, *self.kept)}
        return ((name, Recording.load(files[name])) for name in self.points if name in files)

    def table(self) -> Table:
        """A row a point: the values that tell it from the others, and what became of it."""
        done, varied = {path.stem for path in self.done}, self.varied
        keys = list(next(iter(varied.values()), {}))
        rows = [(name[:12], *(str(values[key]) for key in keys),
                 self.failed.get(name, "done" if name in done else "was there")) for name, values in varied.items()]
        note = f"and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        return Table(("point", *keys, "what became of it"), rows[:SHOWN], title=self._said(), note=note)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row a point that was recorded: what was varied, then lowest, highest and last value of each variable.

        Over all elements; the last value is their mean. Quantities are numbers, their units in `attrs["units"]`.
        """
        import pandas as pd

        rows, units = {}, {}
        for name, recording in self.recordings():
            values, named = _numbers(self.varied[name])
            units |= named
            for variable in recording:
                series = np.asarray(recording[variable].values)
                values |= {f"{variable}.lowest": series.min(), f"{variable}.highest": series.max(),
                           f"{variable}.last": series[-1].mean()}
            rows[name] = values
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.attrs["units"] = units
        return frame

    def to_xarray(self) -> "xarray.Dataset":
        """All recordings side by side along the dimension "point", what was varied as coordinates.

        Errors: `UserError` where they have not the same times and elements.
        """
        import xarray as xr

        sets, varied = [], []
        for name, recording in self.recordings():
            data = recording.to_xarray()[list(recording.variables)]
            data.attrs.clear()  # each recording's own hashes
            varied.append({"point": name, **_numbers(self.varied[name])[0]})
            sets.append(data)
        if not sets:
            raise UserError("sweep: no point was recorded, so there is nothing to put side by side")
        if any(not one.indexes["time"].equals(sets[0].indexes["time"]) or one.sizes != sets[0].sizes for one in sets):
            raise UserError("sweep: the recordings have other times or elements; put those side by side that have the "
                            "same, with recordings()")
        coordinates = {key: ("point", [values.get(key) for values in varied]) for key in varied[0]}
        return xr.concat(sets, "point").assign_coords(coordinates)

    def plot(self, name: str | None = None, ax: "Axes | None" = None) -> "Figure":
        """One variable (default: the first) of all points over time, in a new picture or the axes given; a Figure.

        Of several elements it is their mean. Errors: `UserError` where nothing was recorded, for an unknown variable,
        and where matplotlib is missing.
        """
        from foundation.pictures import panels, shades

        recorded = list(self.recordings())
        if not recorded:
            raise UserError("plot: no point was recorded; the table says what failed")
        panel = panels(1, height=2.6)[1][0] if ax is None else ax
        for (point, recording), colour in zip(recorded, shades(len(recorded)), strict=True):
            series = recording[name or next(iter(recording))]
            said = ", ".join(f"{key} = {value}" for key, value in self.varied[point].items())
            panel.plot(recording.time, np.asarray(series.values).mean(axis=1), color=colour, label=said)
        panel.set(xlabel=label("time", "second"), ylabel=label(series.long_name, series.unit))
        if 1 < len(recorded) <= NAMED:
            panel.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return panel.figure

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Outcome of a {self._said()}>"

    def _said(self) -> str:
        return f"sweep: {len(self.done)} done, {len(self.kept)} were there, {len(self.failed)} failed"


def _flat(point: Mapping) -> dict[str, object]:
    """A point's keywords by the names that `grid` takes; what drives an input by a course of its own is told as one."""
    flat = {key: value for key, value in point.items() if key not in ("parameters", "initial", "protocol", "options")}
    flat |= dict(point.get("parameters") or {})
    flat |= {f"initial.{key}": value for key, value in (point.get("initial") or {}).items()}
    flat |= {f"option.{key}": value for key, value in (point.get("options") or {}).items()}
    protocol = point.get("protocol") or ()
    for drive in protocol if isinstance(protocol, list | tuple) else (protocol,):
        held = getattr(drive, "kind", None) == "constant" and getattr(drive, "elements", None) is None
        flat |= {f"input.{drive.input}": drive.values[0]} if held else {f"protocol {drive}"[:60]: "yes"}
    return flat


def _numbers(values: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Texts with a unit as numbers, and their units; all else as it is."""
    numbers, units = {}, {}
    for key, value in values.items():
        try:
            numbers[key], units[key] = split_quantity(value, key) if isinstance(value, str) else (value, "1")
        except UserError:
            numbers[key] = value
    return numbers, units
