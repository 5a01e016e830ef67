"""What several seeds gave together: mean and spread over time, events, as tables, frames and a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.labels import beside, label, pretty_unit, with_unit
from astro_sim.recording.series import Series
from foundation.errors import choose
from foundation.shapes import Array, Float
from foundation.table import Table

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = "astro_sim ensemble 1"
STATISTICS = ("count", "rate_hertz", "interval_s", "amplitude", "width_s")


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """Mean and spread (standard deviation over the members, n - 1) of every variable, at each time.

    `events[condition]` are the statistics of each member's events, in the order of `seeds`; `hashes` are those of the
    members' recordings. `missing` says which seeds failed, and why.
    """

    model: str
    seeds: tuple[int, ...]
    hashes: tuple[str, ...]
    time: Float[Array, "time"]
    mean: Mapping[str, Series]
    spread: Mapping[str, Series]
    events: Mapping[str, tuple[dict, ...]]
    missing: Mapping[int, str]

    def statistics(self) -> dict[str, dict]:
        """Of each condition: mean and spread over the members of count, rate, mean interval, amplitude and width.

        None where no member has one. The spread is the standard deviation, n - 1.
        """
        found = {}
        for condition, members in self.events.items():
            found[condition] = {"members": len(members), "unit": members[0].get("unit", "1")}
            for name in STATISTICS:
                each = [member[name]["mean"] if isinstance(member[name], dict) else member[name] for member in members]
                values = np.array([value for value in each if value is not None], float)
                found[condition][name] = None if not len(values) else {
                    "mean": float(values.mean()), "members": len(values),
                    "spread": float(values.std(ddof=1)) if len(values) > 1 else None}
        return found

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset of NAME_mean and NAME_spread along time and elements, with units."""
        from astro_sim.recording.frames import dataset

        both = {f"{name}_{kind}": replace(series, long_name=f"{series.long_name}, {kind} over {len(self.seeds)} seeds")
                for kind, parts in (("mean", self.mean), ("spread", self.spread)) for name, series in parts.items()}
        return dataset(self.time, both, attributes={
            "format": FORMAT, "model": self.model, "seeds": " ".join(map(str, self.seeds))})

    def table(self) -> Table:
        """Each variable's mean and spread at the end; below, the events."""
        rows = [(name, f"{float(np.mean(series.values[-1])):.6g}", with_unit(float(
            np.mean(self.spread[name].values[-1])), series.unit)) for name, series in self.mean.items()]
        notes = [_told(condition, found) for condition, found in self.statistics().items()]
        notes += [f"seed {seed} failed: {why}" for seed, why in self.missing.items()]
        return Table(("variable", "mean at the end", "spread over seeds"), rows, note="\n".join(notes),
                     title=f"{self.model}, {len(self.seeds)} seeds, {self.time[-1]:g} s")

    def plot(self, name: str | None = None, ax: "Axes | None" = None) -> "Figure":
        """Mean of a variable (default: the first) with a band of one spread to each side, elements side by side."""
        from foundation.pictures import COLOURS, explain, panels, plain

        name = name or next(iter(self.mean))
        mean = choose("variable of the ensemble", name, dict(self.mean))
        panel = panels(1, height=2.6)[1][0] if ax is None else ax
        for k, colour in zip(range(mean.values.shape[1]), COLOURS, strict=False):
            course, band = mean.values[:, k], self.spread[name].values[:, k]
            panel.plot(self.time, course, color=colour, label=plain(mean.labels[k]) if len(mean.labels) > 1 else "mean")
            panel.fill_between(self.time, course - band, course + band, color=colour, alpha=0.25, linewidth=0,
                               label=None if k else f"one spread over {len(self.seeds)} seeds")
        panel.set(xlabel=label("time", "second"), ylabel=plain(beside(label(f"mean {mean.long_name}", mean.unit))))
        explain(panel, below=ax is None)
        return panel.figure

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Ensemble of {self.model}: {len(self.seeds)} seeds>"


def _told(condition: str, found: Mapping) -> str:
    said = []
    for name, words, unit in (("count", "events", "1"), ("rate_hertz", "rate", "1/second"),
                              ("interval_s", "interval", "second"), ("amplitude", "amplitude", found["unit"])):
        if found[name]:
            spread = "" if found[name]["spread"] is None else f" +- {found[name]['spread']:.2g}"
            said.append(f"{words} {found[name]['mean']:.4g}{spread} {pretty_unit(unit)}".rstrip())
    return f"{condition}: " + (", ".join(said) or "no event")
