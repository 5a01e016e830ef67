"""A bifurcation diagram as data: rows of equilibria, special points, oscillations; as table, picture, JSON, NetCDF."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.dynamics import diagram_words
from astro_sim.dynamics.am_fm import Encoding, modulation
from astro_sim.dynamics.diagram_file import FORMAT, KIND
from foundation import sealed
from foundation.errors import UserError, choose
from foundation.files import replacing
from foundation.reading import content_of, shown
from foundation.table import Table

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {"equilibria": "equilibrium", "oscillations": "oscillation", "unstable_oscillations": "unstable_oscillation",
         "special": "special", "bistable": "bistable"}  # rows, and the dimension that each is in a Dataset


@dataclass(frozen=True, repr=False)
class Diagram:
    """The branches of equilibria over an input or parameter, what happens on them, and the oscillations of `variable`.

    - `equilibria`: rows {input, states..., stable, growth, frequency, unstable, kind, branch} along each branch, see
      `derivatives.character`; branches are numbered from 1. `input` is the value of what is scanned.
    - `hopf`, `folds`: inputs, ascending; `special`: rows {input, branch, what, states...} of fold, hopf and crossing
      (of two branches), a Hopf point with {frequency, lyapunov, kind}, see `hopf.Hopf`.
    - `oscillations`: rows {input, low, high, period} of stable ones by input; `unstable_oscillations`: rows {input,
      low, high, period, growth, born} from each subcritical Hopf point `born` on; `oscillation_folds`: inputs at which
      they meet stable ones.
    - `bistable`: rows {low, high, between}, ranges of the input with two stable equilibria, or with a stable
      equilibrium and a stable oscillation. Ends are exact at Hopf points and folds, else inputs of the grid.
    - `branches`: rows {branch, begins, ends, points}; an end is the low or high end of the range, `closed` for a
      loop, `box` where states leave what is searched, `long` or `lost` where it could not be followed further.
    - `searched`: how branches were looked for {inputs, starts, box, why}: how the range of each state became known.

    Inputs and states are in the units of `units`, periods in seconds, growth and angular frequency in 1/second.
    """

    model: str
    parameter_set: str
    input: str
    variable: str
    units: dict[str, str]
    equilibria: list[dict]
    hopf: list[float]
    folds: list[float]
    oscillations: list[dict]
    special: list[dict] = field(default_factory=list)
    bistable: list[dict] = field(default_factory=list)
    branches: list[dict] = field(default_factory=list)
    searched: dict = field(default_factory=dict)
    unstable_oscillations: list[dict] = field(default_factory=list)
    oscillation_folds: list[float] = field(default_factory=list)
    long_names: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = ((self.branches, "branch"), (self.hopf, "Hopf point"), (self.folds, "fold"))
        found = ", ".join(diagram_words.count(len(rows), word) for rows, word in counts)
        return (f"<Diagram of {self.model}:{self.parameter_set} over {self.input}: {found}, oscillations at "
                f"{len(self.oscillations)} values>")

    def __str__(self) -> str:
        return diagram_words.text(self)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """Where something happens: Hopf points, folds, crossings, ranges of oscillations and of two stable states."""
        return diagram_words.table(self)

    def arrays(self, part: str = "equilibria") -> dict[str, np.ndarray]:
        """The rows of a part as columns, name -> array (row,); what a row lacks is NaN, or empty text.

        part: equilibria, oscillations, unstable_oscillations, special or bistable. Errors: `UserError` for another.
        """
        choose("part of a diagram", part, PARTS)
        rows, found = getattr(self, part), {}
        for name in dict.fromkeys(name for row in rows for name in row):
            words = any(isinstance(row.get(name), str) for row in rows)
            found[name] = np.array([row.get(name, "") if words else float(row.get(name, np.nan)) for row in rows])
        return found

    def encoding(self) -> Encoding:
        """How what is scanned is encoded, over its values with a stable oscillation: in amplitude, frequency or both.

        Errors: `UserError` with fewer than two of them.
        """
        rows = self.oscillations
        return modulation([row["input"] for row in rows], [row["high"] - row["low"] for row in rows],
                          [1 / row["period"] for row in rows])

    def plot(self, ax: "Axes | None" = None, *, variable: str | None = None) -> "Figure":
        """Equilibria and oscillations of a state (`variable` by default) over what is scanned; a matplotlib Figure.

        In a new picture, or in the axes given. Errors: `UserError` for an unknown state, and where matplotlib is
        missing.
        """
        from astro_sim.dynamics.diagram_plot import draw

        states = [name for name in self.units if name != self.input or name == self.variable]
        return draw(self, choose("state of the diagram", variable or self.variable, {name: name for name in states}),
                    ax)

    def to_json(self) -> str:
        """The diagram as JSON text, which holds all of it."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    def save(self, path: str | Path) -> Path:
        """Write JSON with its hash, or NetCDF where the name ends in .nc. Errors: `UserError` for another ending."""
        path = Path(path)
        check_ending(path)
        if path.suffix == ".json":
            sealed.write(path, KIND, asdict(self))
        else:
            from astro_sim.recording.netcdf import write

            with replacing(path) as temporary:
                write(self.to_xarray(), temporary)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Diagram":
        """Read the JSON that `save` wrote. Errors: `DamagedFileError` for a file that holds no diagram."""
        from astro_sim.dynamics.diagram_file import read

        with content_of(f"diagram {shown(path)}", "scan again"):
            found = cls(**read(Path(path), cls))
            str(found), found.table(), found.to_xarray()  # what its rows lack shows here, and not where it is used
        return found

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset: a dimension each for equilibria, oscillations, special points, ranges, Hopf points and folds.

        What a row lacks is NaN, or empty text. `searched` and `branches` are attributes, as JSON.
        """
        import xarray as xr

        data = {}
        for part, dimension in PARTS.items():
            for name, values in self.arrays(part).items():
                units = {} if values.dtype.kind == "U" else {"units": self._unit(dimension, name)}
                data[f"{dimension}_{name}"] = (dimension, values, units)
        for name in ("hopf", "folds", "oscillation_folds"):
            data[name] = (name, np.array(getattr(self, name), float), {"units": self.units[self.input]})
        described = {name: json.dumps(getattr(self, name)) for name in ("branches", "searched", "long_names")}
        return xr.Dataset(data, attrs={"format": FORMAT, "model": self.model, "parameter_set": self.parameter_set,
                                       "input": self.input, "variable": self.variable, **described})

    def _unit(self, dimension: str, name: str) -> str:
        if name in ("low", "high"):
            return self.units[self.input if dimension == "bistable" else self.variable]
        fixed = {"input": self.units[self.input], "born": self.units[self.input], "period": "second",
                 "growth": "1/second", "frequency": "1/second"}
        return fixed.get(name) or self.units.get(name, "1")


def check_ending(path: Path) -> None:
    """Errors: `UserError` unless the name ends in .json or .nc."""
    if path.suffix not in (".json", ".nc"):
        raise UserError(f"out: {path} ends in neither .json nor .nc; choose one of the two")
