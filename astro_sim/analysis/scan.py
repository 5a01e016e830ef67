"""The bifurcation diagram of a model over one input: equilibria, their stability, Hopf points, folds, oscillations.

    diagram = scan("li_rinzel:AM", "ip3", 0, 1, points=200)

Everything comes from the ODE text that Brian2 runs, evaluated here, and scipy's LSODA for the oscillations.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from astro_sim.analysis.encoding import of_diagram
from astro_sim.analysis.equilibria import Branch, local
from astro_sim.parameter import read, unit
from foundation.errors import UserError
from foundation.files import replacing, write_text

CYCLES, STRETCHES = 8, 30
SETTLED = 1e-3  # of the range, a stretch: what the diagram shows is good to some of that
RESTS = 1e-6    # per second and value: at an equilibrium
DIED = 1e-3     # a range of less than this share of the value is a spiral into the equilibrium
LARGEST_POINTS = 5000


@dataclass(frozen=True)
class Diagram:
    """`equilibria`: rows {input, states..., stable, growth, frequency} along the branch, growth and angular frequency
    (1/second) of the leading eigenvalue; `oscillations`: rows {input, low, high, period} of `variable` by input.

    Inputs and states are in the units of `units`, periods in seconds.
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
        """A Dataset: one dimension for equilibria, one for oscillations, one each for Hopf points and folds."""
        import numpy as np
        import xarray as xr

        data = {}
        for dimension, rows in (("equilibrium", self.equilibria), ("oscillation", self.oscillations)):
            for name in rows[0] if rows else ():
                data[f"{dimension}_{name}"] = (dimension, np.array([float(row[name]) for row in rows]),
                                               {"units": self._unit(name)})
        for name in ("hopf", "folds"):
            data[name] = (name, np.array(getattr(self, name), float), {"units": self.units[self.input]})
        return xr.Dataset(data, attrs={"model": self.model, "parameter_set": self.parameter_set, "input": self.input,
                                       "variable": self.variable})

    def _unit(self, name: str) -> str:
        fixed = {"input": self.units[self.input], "low": self.units[self.variable], "high": self.units[self.variable],
                 "period": "second", "growth": "1/second", "frequency": "1/second", "stable": "1"}
        return fixed.get(name) or self.units[name]


def check_ending(path: Path) -> None:
    if path.suffix not in (".json", ".nc"):
        raise UserError(f"out: {path} ends in neither .json nor .nc; choose one of the two")


def parse_over(text: str) -> tuple[str, str, str, int]:
    """"ip3=0:1:200" -> input, low, high, points. Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+):\s*(\d{1,6})\s*", text)
    if not found:
        raise UserError(f"--over: '{text}' cannot be read; write INPUT=LOW:HIGH:POINTS, e.g. ip3=0:1:200")
    return found[1], found[2].strip(), found[3].strip(), int(found[4])


def scan(model, input: str, low, high, *, points: int = 200, parameter_set: str | None = None) -> Diagram:
    """The diagram on `points` inputs from low to high (text with a unit, or numbers of the input's own unit).

    A low of 0 begins at the first point above it. Only the branch that is connected to the equilibrium at `low` is
    followed, and only oscillations that are stable and reached from its unstable part are seen.
    Errors: `UserError` for a model that is coupled, an unknown input, a range that is none.
    """
    import numpy as np

    chosen = local(model, input, parameter_set)
    wanted = chosen.model.inputs[input].unit
    ends = [_number(end, wanted, input) for end in (low, high)]
    if not 0 <= ends[0] < ends[1] or not 10 <= points <= LARGEST_POINTS:
        raise UserError(f"{input}: {low}:{high}:{points} is not allowed; give a range of zero or above and 10 to "
                        f"{LARGEST_POINTS} points")
    grid = np.linspace(*ends, points)
    grid = grid[grid > 0]
    branch = Branch(chosen, float(grid[0]), float(grid[-1]), points)
    rows = [_row(branch, point) for point in branch.points[:-1]]
    units = {input: wanted, **{name: chosen.model.initial[name].unit for name in chosen.states}}
    return Diagram(chosen.model.name, chosen.parameter_set, input, chosen.states[0], units, rows, branch.hopf(),
                   branch.folds(), _oscillations(branch, grid))


def _number(given, wanted: str, field: str) -> float:
    """A bare number, also as text, is one of the input's own unit."""
    try:
        given = float(given)
    except ValueError:
        return read(given, wanted, field)
    return read(given, wanted, field)


def _row(branch: Branch, point) -> dict:
    import numpy as np

    value = branch.leading(point)
    states = {name: float(np.exp(state) / float(1 * unit(branch.chosen.model.initial[name].unit)))
              for name, state in zip(branch.chosen.states, point[:-1], strict=True)}
    return {"input": branch.input(point), **states, "stable": bool(value.real < 0), "growth": float(value.real),
            "frequency": float(abs(value.imag))}


def _oscillations(branch: Branch, grid) -> list[dict]:
    """Stable oscillations: from the middle of the unstable part outwards, each from where the last ended."""
    import numpy as np

    points, values = branch.points, [branch.leading(point) for point in branch.points]
    inputs = np.array([branch.input(point) for point in points])
    unstable = [n for n, value in enumerate(values) if value.real > 0]
    if not unstable:
        return []
    # of the unstable parts, one that a Hopf point opens: the lowest and highest such inputs may lie near saddles
    spiral = sorted([n for n in unstable if values[n].imag != 0] or unstable, key=lambda n: inputs[n])
    start = spiral[len(spiral) // 2]
    frequency = abs(values[start].imag) or values[start].real
    nearest = int(np.abs(grid - inputs[start]).argmin())
    found = {}
    for order in (range(nearest, len(grid)), range(nearest - 1, -1, -1)):
        state = points[start][:-1] + 0.05 * np.arange(1, len(points[start]))  # off the equilibrium, in no special way
        for n in order:
            row, state = _settled_cycle(branch, float(grid[n]), state, 2 * np.pi / frequency)
            if row is None:
                break
            found[n] = row
    return [found[n] for n in sorted(found)]


def _settled_cycle(branch: Branch, value: float, start, guess: float):
    """(row, last state) of the oscillation that `start` leads to; (None, state) where it dies out or does not settle.

    Stretches of `CYCLES` guessed periods, until the range of the first state changes by less than SETTLED of itself.
    """
    import numpy as np
    from scipy.integrate import solve_ivp

    level = np.log(value * branch.scale)
    first = branch.chosen.states[0]
    scale, before = float(1 * unit(branch.chosen.model.initial[first].unit)), 0.0

    def rates(t, state):
        return branch.flow(np.append(state, level))

    def turning(t, state):
        return rates(t, state)[0]

    for _ in range(STRETCHES):
        course = solve_ivp(rates, (0, CYCLES * guess), start, "LSODA", events=turning, rtol=1e-7, atol=1e-9)
        times, start = course.t_events[0], course.y[:, -1]
        late = times > course.t[-1] / 2
        if late.sum() < 4:
            if np.abs(rates(0, start)).max() < RESTS:
                return None, start
            guess *= 2
            continue
        turns, values = times[late], np.exp(course.y_events[0][late, 0]) / scale
        low, high = float(values.min()), float(values.max())
        if high - low < DIED * high:
            return None, start
        if abs(high - low - before) < SETTLED * (high - low):
            tops = turns[values > (low + high) / 2]
            return {"input": value, "low": low, "high": high, "period": float(np.diff(tops).mean())}, start
        before = high - low
    return None, start


def text(diagram: Diagram) -> str:
    """The diagram in words."""
    name = diagram.units[diagram.input]
    count = sum(row["stable"] for row in diagram.equilibria)
    parts = [f"{diagram.model}:{diagram.parameter_set} over {diagram.input} ({name}): {len(diagram.equilibria)} "
             f"equilibria, {count} stable"]
    for what, points in (("Hopf points", diagram.hopf), ("folds", diagram.folds)):
        parts.append(f"  {what}: " + (", ".join(f"{point:.6f}" for point in points) or "none"))
    if diagram.oscillations:
        first, last = diagram.oscillations[0], diagram.oscillations[-1]
        periods = [row["period"] for row in diagram.oscillations]
        parts.append(f"  oscillations of {diagram.variable} from {first['input']:.4g} to {last['input']:.4g} {name}: "
                     f"{min(row['low'] for row in diagram.oscillations):.4g} to "
                     f"{max(row['high'] for row in diagram.oscillations):.4g} {diagram.units[diagram.variable]}, "
                     f"period {min(periods):.4g} to {max(periods):.4g} s")
    if len(diagram.oscillations) > 1:
        found = of_diagram(diagram)
        parts.append(f"  encoding: {found.word} (index {found.index:.2f}; depth of amplitude {found.depth_am:.2f}, of "
                     f"frequency {found.depth_fm:.2f})")
    return "\n".join(parts)
