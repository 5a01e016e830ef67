"""A bifurcation diagram as data: rows of equilibria, special points and oscillations; JSON, NetCDF, words."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from astro_sim.analysis.encoding import of_diagram
from foundation.errors import UserError
from foundation.files import replacing, write_text

ENDS = {"low": "the low end", "high": "the high end", "closed": "a closed loop", "box": "the end of the box",
        "long": "where it is too long to go on", "lost": "where Newton's method fails"}


@dataclass(frozen=True)
class Diagram:
    """The branches of equilibria over an input, what happens on them, and the stable oscillations of `variable`.

    - `equilibria`: rows {input, states..., stable, growth, frequency, unstable, kind, branch} along each branch, see
      `equilibria.character`; branches are numbered from 1.
    - `hopf`, `folds`: inputs, ascending; `special`: rows {input, branch, what, states...} of fold, hopf and crossing
      (of two branches), a Hopf point with {frequency, lyapunov, kind}, see `hopf.Hopf`.
    - `oscillations`: rows {input, low, high, period} of `variable` by input.
    - `bistable`: rows {low, high, between}, ranges of the input with two stable equilibria (ends exact), or with a
      stable equilibrium and a stable oscillation (ends at inputs of the grid).
    - `branches`: rows {branch, begins, ends, points}; an end is the low or high end of the range, `closed` for a
      loop, `box` where states leave what is searched, `long` or `lost` where it could not be followed further.
    - `searched`: how branches were looked for {inputs, starts, box}.

    Inputs and states are in the units of `units`, periods in seconds, growth and angular frequency in 1/second.
    """

    model: str
    parameter_set: str
    input: str
    variable: str
    units: dict
    equilibria: list
    hopf: list
    folds: list
    oscillations: list
    special: list = field(default_factory=list)
    bistable: list = field(default_factory=list)
    branches: list = field(default_factory=list)
    searched: dict = field(default_factory=dict)

    def save(self, path) -> Path:
        """Write JSON, or NetCDF where the name ends in .nc. Errors: `UserError` for another ending."""
        path = Path(path)
        check_ending(path)
        if path.suffix == ".json":
            write_text(path, json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")
        else:
            with replacing(path) as temporary:
                self.to_xarray().to_netcdf(temporary, engine="h5netcdf")
        return path

    def to_xarray(self):
        """A Dataset: a dimension each for equilibria, oscillations, special points, ranges, Hopf points and folds.

        What a row lacks is NaN, or empty text. `searched` and `branches` are attributes, as JSON.
        """
        import numpy as np
        import xarray as xr

        data = {}
        for dimension, rows in (("equilibrium", self.equilibria), ("oscillation", self.oscillations),
                                ("special", self.special), ("bistable", self.bistable)):
            for name in dict.fromkeys(name for row in rows for name in row):
                words = any(isinstance(row.get(name), str) for row in rows)
                values = [row.get(name, "") if words else float(row.get(name, np.nan)) for row in rows]
                units = {} if words else {"units": self._unit(dimension, name)}
                data[f"{dimension}_{name}"] = (dimension, np.array(values), units)
        for name in ("hopf", "folds"):
            data[name] = (name, np.array(getattr(self, name), float), {"units": self.units[self.input]})
        said = {name: json.dumps(getattr(self, name)) for name in ("branches", "searched")}
        return xr.Dataset(data, attrs={"model": self.model, "parameter_set": self.parameter_set, "input": self.input,
                                       "variable": self.variable, **said})

    def _unit(self, dimension: str, name: str) -> str:
        if name in ("low", "high"):
            return self.units[self.variable if dimension == "oscillation" else self.input]
        fixed = {"input": self.units[self.input], "period": "second", "growth": "1/second", "frequency": "1/second"}
        return fixed.get(name) or self.units.get(name, "1")


def check_ending(path: Path) -> None:
    """Errors: `UserError` unless the name ends in .json or .nc."""
    if path.suffix not in (".json", ".nc"):
        raise UserError(f"out: {path} ends in neither .json nor .nc; choose one of the two")


def text(diagram: Diagram) -> str:
    """The diagram in words, and what was followed and what was not."""
    name, count = diagram.units[diagram.input], sum(row["stable"] for row in diagram.equilibria)
    return "\n".join([
        f"{diagram.model}:{diagram.parameter_set} over {diagram.input} ({name}): {len(diagram.equilibria)} equilibria, "
        f"{count} stable, on {len(diagram.branches)} branch{'es' * (len(diagram.branches) != 1)}",
        *(_branch_text(row) for row in diagram.branches),
        *(f"  {words}: {_special_text(diagram, what)}" for what, words in
          (("hopf", "Hopf points"), ("fold", "folds"), ("crossing", "crossings of branches"))
          if what != "crossing" or any(row["what"] == what for row in diagram.special)),
        *(f"  stable side by side, {row['between']}: {_number(row['low'])} to {_number(row['high'])} {name}"
          for row in diagram.bistable),
        *_oscillation_text(diagram), *_searched_text(diagram)])


def _number(value: float) -> str:
    return f"{value:.6f}" if value > 0.01 else f"{value:.6g}"


def _branch_text(row: dict) -> str:
    course = ENDS["closed"] if row["begins"] == "closed" else f"{ENDS[row['begins']]} to {ENDS[row['ends']]}"
    return f"  branch {row['branch']}: {course} ({row['from']:.4g} to {row['to']:.4g}), {row['points']} points"


def _special_text(diagram: Diagram, what: str) -> str:
    """Each point with its input and, where there are several branches, its branch; a Hopf point with what is born."""
    import math

    found = []
    for row in diagram.special:
        if row["what"] == what:
            said = [f"{row['kind']}, period {2 * math.pi / row['frequency']:.4g} s"] if what == "hopf" else []
            said += [f"branch {row['branch']}"] if len(diagram.branches) > 1 else []
            found.append(_number(row["input"]) + (f" ({', '.join(said)})" if said else ""))
    return ", ".join(found) or "none"


def _oscillation_text(diagram: Diagram) -> list[str]:
    rows, name, parts = diagram.oscillations, diagram.units[diagram.input], []
    if rows:
        periods = [row["period"] for row in rows]
        parts.append(f"  oscillations of {diagram.variable} from {rows[0]['input']:.4g} to {rows[-1]['input']:.4g} "
                     f"{name}: {min(row['low'] for row in rows):.4g} to {max(row['high'] for row in rows):.4g} "
                     f"{diagram.units[diagram.variable]}, period {min(periods):.4g} to {max(periods):.4g} s")
    if len(rows) > 1:
        found = of_diagram(diagram)
        parts.append(f"  encoding: {found.word} (index {found.index:.2f}; depth of amplitude {found.depth_am:.2f}, of "
                     f"frequency {found.depth_fm:.2f})")
    return parts


def _searched_text(diagram: Diagram) -> list[str]:
    found, units = diagram.searched, diagram.units
    box = ", ".join(f"{name} {low:.3g} to {high:.3g}" + (f" {units[name]}" if units[name] != "1" else "")
                    for name, (low, high) in found["box"].items())
    return [f"  followed: every equilibrium that Newton's method finds from {found['starts']} places at each of "
            f"{found['inputs']} inputs, in {box}",
            "  not followed: unstable oscillations; equilibria outside that box; branches that begin and end between "
            "two of the inputs"]
