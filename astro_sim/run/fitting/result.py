"""What a fit to data gave: values with intervals, how closely the data are followed, a picture."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.labels import beside, label, pretty_unit, with_unit
from astro_sim.recording.recording import Recording
from astro_sim.run.fitting.target import Courses, Target
from foundation import sealed
from foundation.errors import UserError
from foundation.fitting.least_squares import aicc
from foundation.shapes import Array, Float
from foundation.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class DataFit:
    """Fitted `values` in their `units`, with 95 % `intervals`, infinite where the data set no bound within those given.

    `recording` is the model at these values; `residuals` are simulation less data, each in the size that it counts in;
    `warnings` say in words what the numbers cannot be trusted for.
    """

    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    target: Target
    residuals: Float[Array, "point"]
    recording: Recording
    simulations: int
    warnings: tuple[str, ...] = ()

    @property
    def rss(self) -> float:
        """Sum of squared residuals, in the sizes that they count in."""
        return float(self.residuals @ self.residuals)

    @property
    def aicc(self) -> float:
        """Akaike's criterion for few points: lower is better, between models fitted to the same data."""
        return aicc(self.rss, self.residuals.size, len(self.values))

    @property
    def errors(self) -> dict[str, float]:
        """Root mean square of what each course is missed by, in its unit; of a feature, its difference."""
        if isinstance(self.target, Courses):
            return {one.name: size * math.sqrt(float(part @ part) / part.size) for one, size, part in zip(
                self.target.courses, self.target.sizes, self.target.parts(self.residuals), strict=True)}
        return {name: float(missed * (abs(value) or 1.0)) for name, missed, value in zip(
            self.target.names, self.residuals, self.target.values, strict=True)}

    def table(self) -> Table:
        """A row for each that was free; below, how closely the data are followed and what to doubt."""
        rows = [(name, f"{value:.6g}", pretty_unit(self.units[name]),
                 *(f"{end:.6g}" for end in self.intervals.get(name, (math.nan, math.nan))))
                for name, value in self.values.items()]
        units = self._units()
        notes = [f"{name}: off by {with_unit(error, units[name], 3)}" + (
            ", root mean square" if isinstance(self.target, Courses) else "") for name, error in self.errors.items()]
        notes += [f"{self.residuals.size} data, {self.simulations} simulations", *self.warnings]
        title = f"{self.recording.meta['model']}:{self.recording.meta['parameter_set']} fitted to data"
        return Table(("free", "value", "unit", "from", "to (95 %)"), rows, title=title, note="\n".join(notes))

    def _units(self) -> dict[str, str]:
        if isinstance(self.target, Courses):
            return {one.name: one.unit for one in self.target.courses}
        return dict(zip(self.target.names, self.target.units, strict=True))

    def as_dict(self) -> dict:
        """All of it as plain values; an end that the data do not set is None."""
        ends = {name: [end if math.isfinite(end) else None for end in pair] for name, pair in self.intervals.items()}
        units = self._units()
        return {"model": self.recording.meta["model"], "parameter_set": self.recording.meta["parameter_set"],
                "hash": self.recording.hash,
                "free": {name: {"value": value, "unit": self.units[name], "interval_95": ends.get(name)}
                         for name, value in self.values.items()},
                "errors": {name: {"value": error, "unit": units[name]} for name, error in self.errors.items()},
                "data": self.residuals.size, "rss": self.rss,
                "aicc": self.aicc if math.isfinite(self.aicc) else None, "simulations": self.simulations,
                "warnings": list(self.warnings)}

    def save(self, path: str | Path) -> Path:
        """Write it as JSON with its hash, whole or not at all; `foundation.sealed.read(path, "fit")` verifies it."""
        told = self.as_dict()
        sealed.write(path, "fit", {"recording": told.pop("hash"), **told})
        return Path(path)

    def plot(self, ax: "Axes | list[Axes] | None" = None) -> "Figure":
        """Data as dots and the fit as a line, a panel for each course, in a new picture or the axes given; a Figure.

        Errors: `UserError` for a fit to features, which have no course, for axes that do not fit, and where matplotlib
        is missing.
        """
        from foundation.pictures import COLOURS, explain, panels, plain

        if not isinstance(self.target, Courses):
            raise UserError("plot: features have no course; plot the recording, or look at the table")
        courses = self.target.courses
        axes = panels(len(courses), height=2.4)[1] if ax is None else list(ax) if hasattr(ax, "__len__") else [ax]
        if len(axes) != len(courses):
            raise UserError(f"plot: {len(axes)} axes for {len(courses)} courses; give one axes a course")
        for panel, one in zip(axes, courses, strict=True):
            panel.plot(one.times, one.values, linestyle="none", marker=".", markersize=4, color=COLOURS[1],
                       label="data")
            panel.plot(self.recording.time, np.asarray(self.recording[one.variable].values)[:, one.element],
                       color=COLOURS[0], label="fit")
            said = label(one.long_name if one.name == one.variable else one.name, one.unit)
            panel.set_ylabel(plain(beside(said)))
        axes[-1].set_xlabel(label("time", "second"))
        explain(axes[-1], below=ax is None)
        return axes[0].figure

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        told = ", ".join(f"{name} = {with_unit(value, self.units[name])}" for name, value in self.values.items())
        return f"<DataFit of {self.recording.meta['model']}: {told}>"
