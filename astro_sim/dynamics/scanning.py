"""The bifurcation diagram of a model over one input: equilibria, their stability, Hopf points, folds, oscillations.

    diagram = scan("li_rinzel:AM", "ip3", 0, 1, points=200)

Everything comes from the ODE text that Brian2 runs, evaluated here, and scipy's LSODA for the oscillations.
"""

import itertools
import re

from astro_sim.dynamics.continuation import Branch, Special, eigenvalues
from astro_sim.dynamics.diagram import Diagram
from astro_sim.dynamics.equilibria import Local, character, followed, local, search, settle
from astro_sim.dynamics.hopf import hopf
from astro_sim.dynamics.oscillations import oscillations
from astro_sim.parameter import read
from foundation.errors import UserError

LARGEST_POINTS = 5000
PLACES, FEWEST, MOST = 1 << 16, 16, 1024  # where Newton's method starts: over all inputs; at each, least and most


def parse_over(text: str) -> tuple[str, str, str, int]:
    """"ip3=0:1:200" -> input, low, high, points. Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+):\s*(\d{1,6})\s*", text)
    if not found:
        raise UserError(f"--over: '{text}' cannot be read; write INPUT=LOW:HIGH:POINTS, e.g. ip3=0:1:200")
    return found[1], found[2].strip(), found[3].strip(), int(found[4])


def scan(model, input: str, low, high, *, points: int = 200, parameter_set: str | None = None) -> Diagram:
    """The diagram on `points` inputs from low to high (text with a unit, or numbers of the input's own unit).

    A low of 0 begins at the first point above it. Equilibria are looked for at every input, by Newton's method from
    many places in the box of the states, and each that lies on no branch yet begins one, which is followed both ways in
    about `points` steps. Not seen: unstable oscillations, equilibria outside the box, branches that begin and end
    between two inputs, and stable oscillations that no unstable equilibrium leads to.
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
    starts = min(MOST, max(FEWEST, 1 << int(np.log2(PLACES / len(grid)))))
    branches = _branches(chosen, grid, starts, points)
    special = sorted((_special(chosen, one, number) for number, branch in enumerate(branches, 1)
                      for one in branch.specials()), key=lambda row: row["input"])
    pieces = [(chosen.input_of(a), chosen.input_of(b), inside, character(eigenvalues(chosen.flow(), inside[0])))
              for branch in branches for a, b, inside in branch.pieces()]
    cycles = oscillations(chosen, _origins(chosen, pieces, grid), grid)
    units = {input: wanted, **{name: chosen.model.initial[name].unit for name in chosen.states}}
    found = {what: [row["input"] for row in special if row["what"] == what] for what in ("hopf", "fold")}
    return Diagram(chosen.model.name, chosen.parameter_set, input, chosen.states[0], units,
                   [row for number, branch in enumerate(branches, 1) for row in _rows(chosen, branch, number)],
                   found["hopf"], found["fold"], cycles, special, _bistable(pieces, cycles, grid),
                   [_ends(chosen, branch, number) for number, branch in enumerate(branches, 1)],
                   {"inputs": len(grid), "starts": starts, "box": _box(chosen)})


def _number(given, wanted: str, field: str) -> float:
    """A bare number, also as text, is one of the input's own unit."""
    try:
        given = float(given)
    except ValueError:
        return read(given, wanted, field)
    return read(given, wanted, field)


def _branches(chosen: Local, grid, starts: int, points: int) -> list[Branch]:
    """All branches, the first that of the model's own initial values at the lowest input, where there is one."""
    import contextlib

    seeds = [point for found in search(chosen, grid * chosen.input_scale, starts) for point in found]
    with contextlib.suppress(UserError) if seeds else contextlib.nullcontext():
        seeds.insert(0, settle(chosen, float(grid[0]) * chosen.input_scale))
    branches: list[Branch] = []
    for seed in seeds:
        if not any(branch.holds(seed) for branch in branches):
            branches.append(followed(chosen, seed, float(grid[0]), float(grid[-1]), points))
    return branches


def _rows(chosen: Local, branch: Branch, number: int) -> list[dict]:
    return [{"input": chosen.input_of(point), **chosen.state_of(point), **character(values), "branch": number}
            for point, values in zip(branch.points, branch.values, strict=True)]


def _special(chosen: Local, one: Special, number: int) -> dict:
    """A special point of branch `number` as a row."""
    row = {"input": chosen.input_of(one.point), "branch": number, "what": one.kind, **chosen.state_of(one.point)}
    if one.kind == "hopf":
        form = hopf(chosen, one.point)
        row |= {"frequency": form.frequency, "lyapunov": form.lyapunov, "kind": form.kind}
    return row


def _ends(chosen: Local, branch: Branch, number: int) -> dict:
    return {"branch": number, "begins": branch.ends[0], "from": chosen.input_of(branch.points[0]),
            "ends": branch.ends[1], "to": chosen.input_of(branch.points[-1]), "points": len(branch.points)}


def _box(chosen: Local) -> dict[str, tuple[float, float]]:
    """Lowest and highest of what was searched, in each state's unit."""
    return {name: (float(low), float(high))
            for name, (low, high) in zip(chosen.states, (chosen.box() / chosen.scales).T, strict=True)}


def _origins(chosen: Local, pieces, grid) -> list[tuple]:
    """(equilibrium, angular frequency) from which oscillations are looked for: a pair of eigenvalues grows there.

    Three a part of a branch, spread over the inputs of the grid in it: elsewhere in it all may lead to a stable
    equilibrium.
    """
    import numpy as np

    unstable = [piece for piece in pieces if not piece[3]["stable"]]
    found = []
    for *ends, inside, _ in [piece for piece in unstable if piece[3]["unstable"] > 1] or unstable:
        inputs = np.array([chosen.input_of(point) for point in inside])
        within = grid[(grid > min(ends)) & (grid < max(ends))]
        wanted = [inputs[0]] if not len(within) else [within[int(part * len(within))] for part in (0.5, 0.25, 0.75)]
        for one in wanted:
            origin = inside[int(np.abs(inputs - one).argmin())]
            kind = character(eigenvalues(chosen.flow(), origin))
            found.append((origin, kind["frequency"] or kind["growth"]))
    return found


def _bistable(pieces, cycles: list[dict], grid) -> list[dict]:
    """Ranges of the input with two stable equilibria, and with a stable equilibrium and a stable oscillation."""
    import numpy as np

    stable = [sorted(piece[:2]) for piece in pieces if piece[3]["stable"]]
    slack = 1e-9 * grid[-1]  # inputs come from logarithms
    cuts = sorted({end for piece in stable for end in piece})
    found: list[dict] = []
    for low, high in itertools.pairwise(cuts):
        if high - low > slack and sum(a <= low + slack and high - slack <= b for a, b in stable) > 1:
            if found and low - found[-1]["high"] <= slack:
                low = found.pop()["low"]
            found.append({"low": low, "high": high, "between": "equilibria"})
    both = np.array([n for n in np.searchsorted(grid, [row["input"] for row in cycles])
                     if any(a - slack <= grid[n] <= b + slack for a, b in stable)], int)
    for run in np.split(both, np.flatnonzero(np.diff(both) > 1) + 1) if len(both) else ():
        found.append({"low": float(grid[run[0]]), "high": float(grid[run[-1]]),
                      "between": "equilibrium and oscillation"})
    return found
