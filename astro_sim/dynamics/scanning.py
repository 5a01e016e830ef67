"""The bifurcation diagram of a model over one input or parameter: equilibria, their stability, what happens to them.

    diagram = scan("li_rinzel:AM", over="ip3", low="0 umolar", high="1 umolar")
    diagram.plot()

Everything comes from the ODE text that Brian2 runs, evaluated here, and scipy's LSODA for the oscillations.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.dynamics import oscillations
from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.continuation import Branch, Special
from astro_sim.dynamics.derivatives import character, eigenvalues
from astro_sim.dynamics.diagram import Diagram
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.hopf import Hopf, hopf
from astro_sim.dynamics.local import ABOVE_ZERO, Local, local
from astro_sim.dynamics.newton import search, settle
from astro_sim.dynamics.orbit_branch import FoundOrbit, born_at
from astro_sim.dynamics.resting import followed
from astro_sim.dynamics.side_by_side import Part, side_by_side
from astro_sim.model import Model
from astro_sim.parameter import ALLOWED, read
from foundation.errors import UserError, choose

LARGEST_POINTS = 5000
PLACES, FEWEST, MOST = 1 << 16, 16, 1024  # where Newton's method starts: over all values; at each, least and most
FINEST = 1e-3  # of the width of the box: the least size that a linear coordinate is counted in


def parse_over(text: str) -> tuple[str, str, str, int]:
    """"ip3=0:1:200" -> input or parameter, low, high, points. Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+):\s*(\d{1,6})\s*", text)
    if not found:
        raise UserError(f"--over: '{text}' cannot be read; write NAME=LOW:HIGH:POINTS, e.g. ip3=0:1:200")
    return found[1], found[2].strip(), found[3].strip(), int(found[4])


def parse_box(texts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """"v=-100:50 mvolt" -> {"v": ("-100 mvolt", "50 mvolt")}; a lower end without a unit has that of the higher.

    Errors: `UserError`.
    """
    box = {}
    for text in texts:
        found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+)", text)
        if not found:
            raise UserError(f"--box: '{text}' cannot be read; write STATE=LOW:HIGH UNIT, e.g. v=-100:50 mvolt")
        low, high = found[2].strip(), found[3].strip()
        with contextlib.suppress(ValueError):
            low = f"{float(low)!r} {high.partition(' ')[2]}".strip()
        box[found[1]] = low, high
    return box


@dataclass(frozen=True)
class _Scan:
    """What a scan works on: the model in its coordinates, the values scanned (units of `over`), a state to look at."""

    frame: Frame
    grid: np.ndarray
    points: int
    seen: int

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value scanned, SI base values."""
        scale = self.frame.local.unit_value
        return float(self.grid[0]) * scale, float(self.grid[-1]) * scale


def scan(model: str | Model, over: str | None = None, *, low: object, high: object, points: int = 200,
         parameter_set: str | None = None, inputs: Mapping[str, object] | None = None,
         box: Mapping[str, Sequence] | None = None, variable: str | None = None) -> Diagram:
    """The diagram on `points` values from low to high (text with a unit, or numbers of the own unit of `over`).

    `model`: a `Model`, a name, name:SET or file.py:NAME. `over`: an input or a parameter; without it the only input.
    `inputs`: values of other inputs, held. `box`: name of a state -> (low, high) to search, where the bounds that the
    model declares, or the range out of which its flow never leads, are not what is wanted. `variable`: the state whose
    oscillations are measured, the first by default. Where `over` is never negative, a low of 0 begins at the first
    point above it.

    Equilibria are looked for at every value, by Newton's method from many places in the box, and each that lies on no
    branch yet begins one, which is followed both ways in about `points` steps. Unstable oscillations are followed from
    subcritical Hopf points to their fold. Not seen: others, equilibria outside the box, branches that begin and end
    between two values, and stable oscillations that no unstable equilibrium leads to.
    Errors: `UserError` for a model that is coupled, an unknown name, a range that is none.
    """
    chosen = local(model, over, parameter_set=parameter_set, inputs=inputs)
    states = chosen.states
    seen = states.index(choose(f"state of {chosen.model.name}", variable or states[0], {name: name for name in states}))
    grid = _grid(chosen, low, high, points=points)
    frame = framed(chosen, float(grid[0]) * chosen.unit_value, float(grid[-1]) * chosen.unit_value, box=box)
    starts = min(MOST, max(FEWEST, 1 << int(np.log2(PLACES / len(grid)))))
    frame, seeds = _seeds(frame, grid, starts)
    work = _Scan(frame, grid, points, seen)
    return _diagram(work, _branches(work, seeds), starts)


def _grid(chosen: Local, low: object, high: object, *, points: int) -> np.ndarray:
    """The values scanned, in units of `over`. Errors: `UserError` for a range that is none."""
    ends = [_number(end, chosen.unit, chosen.over) for end in (low, high)]
    if not ends[0] < ends[1] or not all(map(ALLOWED[chosen.allowed], ends[1:])) or not 10 <= points <= LARGEST_POINTS:
        raise _refused(chosen, low, high, points=points)
    grid = np.linspace(*ends, points)
    if chosen.allowed in ABOVE_ZERO:
        if ends[0] < 0:
            raise _refused(chosen, low, high, points=points)
        grid = grid[grid > 0]
    return grid


def _refused(chosen: Local, low: object, high: object, *, points: int) -> UserError:
    above = " of zero or above" if chosen.allowed in ABOVE_ZERO else ", the lower end first,"
    return UserError(f"{chosen.over}: {low}:{high}:{points} is not allowed; give a range{above} and 10 to "
                     f"{LARGEST_POINTS} points")


def _number(given: object, wanted: str, field: str) -> float:
    """A bare number, also as text, is one of the own unit."""
    with contextlib.suppress(ValueError, TypeError):
        given = float(given) if isinstance(given, str) else given
    return read(given, wanted, field)


def _seeds(frame: Frame, grid: np.ndarray, starts: int) -> tuple[Frame, list[np.ndarray]]:
    """The equilibria that a search finds, value by value, in coordinates that are counted in how far they spread."""
    found = [point for points in search(frame, grid * frame.local.unit_value, starts) for point in points]
    if frame.logarithmic[:-1].all() or not found:
        return frame, found
    values = np.array([frame.values(point) for point in found])
    spread = np.maximum(np.ptp(values[:, :-1], axis=0), FINEST * (frame.high - frame.low))
    resized = frame.resized(np.append(spread, frame.sizes[-1]))
    return resized, [resized.coordinates(one) for one in values]


def _branches(work: _Scan, seeds: list[np.ndarray]) -> list[Branch]:
    """All branches, the first that of the model's own initial values at the lowest value, where there is one."""
    first = work.ends[0]
    with contextlib.suppress(UserError) if seeds else contextlib.nullcontext():
        seeds = [settle(work.frame, first), *seeds]
    branches: list[Branch] = []
    for seed in seeds:
        if not any(branch.holds(seed) for branch in branches):
            branches.append(followed(work.frame, seed, first, high=work.ends[1], points=work.points))
    return branches


def _diagram(work: _Scan, branches: list[Branch], starts: int) -> Diagram:
    frame, chosen = work.frame, work.frame.local
    special, forms = [], []
    for number, branch in enumerate(branches, 1):
        for one in branch.specials():
            form = hopf(frame, one.point) if one.kind == "hopf" else None
            special.append(_special_row(frame, one, number, form=form))
            forms += [(one, form)] if form else []
    special.sort(key=lambda row: row["input"])
    parts = [Part(frame.input_of(a), frame.input_of(b), inside, character(eigenvalues(frame.flow(), inside[0])))
             for branch in branches for a, b, inside in branch.pieces()]
    cycles = oscillations.over_grid(frame, _origins(work, parts), work.grid, seen=work.seen)
    unstable, folds = _unstable_oscillations(work, forms)
    rows = {what: [row["input"] for row in special if row["what"] == what] for what in ("hopf", "fold")}
    names = {chosen.over: chosen.unit, **{name: chosen.model.initial[name].unit for name in frame.states}}
    return Diagram(
        model=chosen.model.name, parameter_set=chosen.parameter_set, input=chosen.over,
        variable=frame.states[work.seen], units=names, long_names=_words(chosen),
        equilibria=[row for number, branch in enumerate(branches, 1) for row in _rows(frame, branch, number)],
        hopf=rows["hopf"], folds=rows["fold"], oscillations=_oscillation_rows(work, cycles), special=special,
        unstable_oscillations=unstable, oscillation_folds=[fold.value for fold in folds],
        bistable=side_by_side(parts, sorted(cycles), work.grid, folds=folds),
        branches=[_ends(frame, branch, number) for number, branch in enumerate(branches, 1)],
        searched={"inputs": len(work.grid), "starts": starts, "box": frame.box_in_units(), "why": dict(frame.why)})


def _rows(frame: Frame, branch: Branch, number: int) -> list[dict]:
    return [{"input": frame.input_of(point), **frame.state_of(point), **character(values), "branch": number}
            for point, values in zip(branch.points, branch.values, strict=True)]


def _special_row(frame: Frame, one: Special, number: int, *, form: Hopf | None) -> dict:
    """A special point of branch `number` as a row; a Hopf point with what is born there."""
    row = {"input": frame.input_of(one.point), "branch": number, "what": one.kind, **frame.state_of(one.point)}
    return row | ({"frequency": form.frequency, "lyapunov": form.lyapunov, "kind": form.kind} if form else {})


def _ends(frame: Frame, branch: Branch, number: int) -> dict:
    return {"branch": number, "begins": branch.ends[0], "from": frame.input_of(branch.points[0]),
            "ends": branch.ends[1], "to": frame.input_of(branch.points[-1]), "points": len(branch.points)}


def _oscillation_rows(work: _Scan, cycles: Mapping[int, oscillations.Found]) -> list[dict]:
    scale = work.frame.local.scales[work.seen]
    return [{"input": float(work.grid[n]), "low": float(one.low / scale), "high": float(one.high / scale),
             "period": one.seconds} for n, one in cycles.items()]


@dataclass(frozen=True)
class OrbitFold:
    """Where unstable oscillations meet stable ones: `value` of what is scanned; both are on the side of `below`."""

    value: float
    below: bool


def _unstable_oscillations(work: _Scan, forms: list[tuple[Special, Hopf]]) -> tuple[list[dict], list[OrbitFold]]:
    """Rows {input, low, high, period, growth, born} from each subcritical Hopf point, and the folds that end them.

    At a fold with stable oscillations nothing but the direction along the branch is left that does not decay.
    """
    frame, scale, rows, folds = work.frame, work.frame.local.scales[work.seen], [], []
    limits = tuple(frame.level(end) for end in work.ends)
    for one, form in forms:
        if form.kind != "subcritical":
            continue
        orbits, fold = born_at(frame, one.point, form, limits=limits)
        met = fold is not None and fold.growth * fold.seconds < 1e-3
        for orbit in [*orbits, *([fold] if met else [])]:
            values = frame.values(orbit.course)[work.seen] / scale
            rows.append({"input": _value(work, orbit), "low": float(values.min()), "high": float(values.max()),
                         "period": orbit.seconds, "growth": orbit.growth, "born": frame.input_of(one.point)})
        if met:
            folds.append(OrbitFold(_value(work, fold), bool(fold.point > orbits[-1].point)))
    return rows, folds


def _value(work: _Scan, orbit: FoundOrbit) -> float:
    return work.frame.input_of(np.append(orbit.course[:, 0], orbit.point))


def _words(chosen: Local) -> dict[str, str]:
    """What a reader calls the states and what is scanned."""
    scanned = chosen.model.inputs.get(chosen.over) or chosen.model.parameters(chosen.parameter_set)[chosen.over]
    return {chosen.over: scanned.meaning or chosen.over,
            **{name: getattr(chosen.model.observables.get(name), "long_name", "") or name for name in chosen.states}}


def _origins(work: _Scan, parts: list[Part]) -> list[tuple[np.ndarray, float]]:
    """(equilibrium, angular frequency) from which oscillations are looked for: a pair of eigenvalues grows there.

    Three a part of a branch, spread over the values of the grid in it: elsewhere in it all may lead to a stable
    equilibrium.
    """
    frame, grid = work.frame, work.grid
    unstable = [part for part in parts if not part.character["stable"]]
    found = []
    for part in [part for part in unstable if part.character["unstable"] > 1] or unstable:
        values = np.array([frame.input_of(point) for point in part.inside])
        within = grid[(grid > min(part.start, part.end)) & (grid < max(part.start, part.end))]
        wanted = [values[0]] if not len(within) else [within[int(share * len(within))] for share in (0.5, 0.25, 0.75)]
        for one in wanted:
            origin = part.inside[int(np.abs(values - one).argmin())]
            kind = character(eigenvalues(frame.flow(), origin))
            found.append((origin, kind["frequency"] or kind["growth"]))
    return found
