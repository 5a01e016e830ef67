"""The bifurcation diagram of a model over one input or parameter: equilibria, their stability, what happens to them.

    diagram = scan("li_rinzel:AM", over="ip3", low="0 umolar", high="1 umolar")
    diagram.plot()

Everything comes from the ODE text that Brian2 runs, evaluated here, and scipy's LSODA for the oscillations.
"""

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np

from astro_sim.dynamics import oscillations
from astro_sim.dynamics.asked import grid_of
from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.continuation import Branch
from astro_sim.dynamics.derivatives import character, eigenvalues
from astro_sim.dynamics.diagram import Diagram
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.hopf import hopf
from astro_sim.dynamics.local import local
from astro_sim.dynamics.newton import search, settle
from astro_sim.dynamics.resting import followed
from astro_sim.dynamics.rows import (
    Scan,
    branch_row,
    equilibrium_rows,
    long_names,
    oscillation_rows,
    special_row,
    unstable_oscillations,
)
from astro_sim.dynamics.side_by_side import Part, side_by_side
from astro_sim.dynamics.special_points import pieces, specials
from astro_sim.model import Model
from foundation.errors import UserError, choose

PLACES, FEWEST, MOST = 1 << 16, 16, 1024  # where Newton's method starts: over all values; at each, least and most
FINEST = 1e-3  # of the width of the box: the least size that a linear coordinate is counted in


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
    grid = grid_of(chosen, low, high, points=points)
    frame = framed(chosen, float(grid[0]) * chosen.unit_value, float(grid[-1]) * chosen.unit_value, box=box)
    starts = min(MOST, max(FEWEST, 1 << int(np.log2(PLACES / len(grid)))))
    frame, seeds = _seeds(frame, grid, starts)
    work = Scan(frame, grid, points, seen)
    return _diagram(work, _branches(work, seeds), starts)


def _seeds(frame: Frame, grid: np.ndarray, starts: int) -> tuple[Frame, list[np.ndarray]]:
    """The equilibria that a search finds, value by value, in coordinates that are counted in how far they spread."""
    found = [point for points in search(frame, grid * frame.local.unit_value, starts) for point in points]
    if frame.logarithmic[:-1].all() or not found:
        return frame, found
    values = np.array([frame.values(point) for point in found])
    spread = np.maximum(np.ptp(values[:, :-1], axis=0), FINEST * (frame.high - frame.low))
    resized = frame.resized(np.append(spread, frame.sizes[-1]))
    return resized, [resized.coordinates(one) for one in values]


def _branches(work: Scan, seeds: list[np.ndarray]) -> list[Branch]:
    """All branches, the first that of the model's own initial values at the lowest value, where there is one."""
    first = work.ends[0]
    with contextlib.suppress(UserError) if seeds else contextlib.nullcontext():
        seeds = [settle(work.frame, first), *seeds]
    branches: list[Branch] = []
    for seed in seeds:
        if not any(branch.holds(seed) for branch in branches):
            branches.append(followed(work.frame, seed, first, high=work.ends[1], points=work.points))
    return branches


def _diagram(work: Scan, branches: list[Branch], starts: int) -> Diagram:
    frame, chosen = work.frame, work.frame.local
    special, forms = [], []
    for number, branch in enumerate(branches, 1):
        for one in specials(branch):
            form = hopf(frame, one.point) if one.kind == "hopf" else None
            special.append(special_row(frame, one, number, form=form))
            forms += [(one, form)] if form else []
    special.sort(key=lambda row: row["input"])
    parts = [Part(frame.input_of(a), frame.input_of(b), inside, character(eigenvalues(frame.flow(), inside[0])))
             for branch in branches for a, b, inside in pieces(branch)]
    cycles = oscillations.over_grid(frame, _origins(work, parts), work.grid, seen=work.seen)
    unstable, folds = unstable_oscillations(work, forms)
    rows = {what: [row["input"] for row in special if row["what"] == what] for what in ("hopf", "fold")}
    names = {chosen.over: chosen.unit, **{name: chosen.model.initial[name].unit for name in frame.states}}
    return Diagram(
        model=chosen.model.name, parameter_set=chosen.parameter_set, input=chosen.over,
        variable=frame.states[work.seen], units=names, long_names=long_names(chosen),
        equilibria=[row for n, branch in enumerate(branches, 1) for row in equilibrium_rows(frame, branch, n)],
        hopf=rows["hopf"], folds=rows["fold"], oscillations=oscillation_rows(work, cycles), special=special,
        unstable_oscillations=unstable, oscillation_folds=[fold.value for fold in folds],
        bistable=side_by_side(parts, sorted(cycles), work.grid, folds=folds),
        branches=[branch_row(frame, branch, number) for number, branch in enumerate(branches, 1)],
        searched={"inputs": len(work.grid), "starts": starts, "why": dict(frame.why),
                  "box": {name: list(ends) for name, ends in frame.box_in_units().items()}})


def _origins(work: Scan, parts: list[Part]) -> list[tuple[np.ndarray, float]]:
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
