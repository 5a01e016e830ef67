"""What a sweep gave: which points there are, their recordings, and what failed; as a table, a picture, frames."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.parameter import Amount
from astro_sim.recording.foreign import try_out_all
from astro_sim.recording.labels import label
from astro_sim.recording.recording import Recording
from astro_sim.run.varied import flat, number, unit_of
from foundation.errors import UserError
from foundation.table import Table

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from astro_sim.run.varied import Layout

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
        told = {name: flat(point) for name, point in self.points.items()}
        keys = dict.fromkeys(key for values in told.values() for key in values)
        differ = [key for key in keys if len({str(values.get(key)) for values in told.values()}) > 1]
        return {name: {key: values.get(key) for key in differ} for name, values in told.items()}

    def recordings(self) -> Iterator[tuple[str, Recording]]:
        """Name and recording of every point that has one, in the order of `points`; each loaded when its turn comes."""
        files = self._files()
        try_out_all(files.values())
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

        rows, units, varied = {}, {}, self.varied
        for name, recording in self.recordings():
            values = {}
            for key, value in varied[name].items():
                unit = unit_of(self.points[name], key)
                values[key] = number(value, unit, key)
                units |= {key: unit} if unit else {}
            for variable in recording:
                series = np.asarray(recording[variable].values)
                values |= {f"{variable}.lowest": series.min(), f"{variable}.highest": series.max(),
                           f"{variable}.last": series[-1].mean()}
            rows[name] = values
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.attrs["units"] = units
        return frame

    def to_xarray(self, *names: str, after: Amount | None = None, **functions: Callable[[Recording], float]
                  ) -> "xarray.Dataset":
        """One Dataset along what was varied: each a dimension with its values and unit where the points fill a grid.

        names: recorded variables, read from disk when they are used (default: all); or numbers of each recording, as
        "period(C)" or "event_rate(C>0.3 uM)" (`analysis.MEASURES`). functions: numbers of one's own, NAME=function of a
        recording. after: what to leave out of each (s). A point without a value is NaN, and "NAME: why not" says why.
        Points that fill no grid stand along the dimension "point". Errors: `UserError` for an unknown name, and where
        recordings have other times and elements.
        """
        from astro_sim.run import side_by_side

        layout, numbers = self._layout(), {name: name for name in names if "(" in name} | functions
        parts = []
        if numbers:
            parts.append(side_by_side.measured(layout, self.recordings(), numbers, after=after))
        variables = [name for name in names if name not in numbers]
        if variables or not numbers:
            files = self._files()
            kept = {name: files[name] for name in layout.places if name in files}
            parts.append(side_by_side.recorded(layout, kept, variables))
        return parts[0] if len(parts) == 1 else parts[1].assign(parts[0].data_vars)

    def _files(self) -> dict[str, Path]:
        return {path.stem: path for path in (*self.done, *self.kept)}

    def _layout(self) -> "Layout":
        """Where the points stand; those of a row are the recorded ones alone."""
        from astro_sim.run.varied import layout

        whole, recorded = layout(self.points, self.varied), self._files()
        return whole if len(whole.shape) > 1 or whole.axes[0].name != "point" or not recorded else whole.only(recorded)

    def plot(self, name: str | Callable[[Recording], float] | None = None, ax: "Axes | None" = None, *,
             after: Amount | None = None) -> "Figure":
        """One variable (default: the first) of all points over time, in a new picture or the axes given; a Figure.

        Of several elements it is their mean. A number of each recording instead, as "period(C)" or a function: a line
        over what was varied, a heat map over two; points that have none are shown as such. Errors: `UserError` where
        nothing was recorded, for an unknown name, and where matplotlib is missing.
        """
        if callable(name) or (name and "(" in name):
            from astro_sim.run.sweep_plot import plot_measured

            called = name if isinstance(name, str) else getattr(name, "__name__", "number")
            numbers = self.to_xarray(name, after=after) if isinstance(name, str) else self.to_xarray(**{called: name})
            return plot_measured(numbers[called], ax)
        from foundation.pictures import panels, plain, shades

        recorded = list(self.recordings())
        if not recorded:
            raise UserError("plot: no point was recorded; the table says what failed")
        panel, varied = panels(1, height=2.6)[1][0] if ax is None else ax, self.varied
        for (point, recording), colour in zip(recorded, shades(len(recorded)), strict=True):
            series = recording[name or next(iter(recording))]
            said = ", ".join(f"{key} = {value}" for key, value in varied[point].items())
            panel.plot(recording.time, np.asarray(series.values).mean(axis=1), color=colour,
                       label=plain(said))
        panel.set(xlabel=label("time", "second"), ylabel=plain(label(series.long_name, series.unit)))
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
