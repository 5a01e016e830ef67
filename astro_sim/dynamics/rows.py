"""What a scan finds, as the rows of a diagram: values in units, words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from astro_sim.dynamics.continuation import Branch
from astro_sim.dynamics.derivatives import character
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.hopf import Hopf
from astro_sim.dynamics.local import Local
from astro_sim.dynamics.orbit_branch import FoundOrbit, born_at
from astro_sim.dynamics.oscillations import Found
from astro_sim.dynamics.special_points import Special


@dataclass(frozen=True)
class Scan:
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


def equilibrium_rows(frame: Frame, branch: Branch, number: int) -> list[dict]:
    """The points of branch `number` with what their eigenvalues make of them."""
    return [{"input": frame.input_of(point), **frame.state_of(point), **character(values), "branch": number}
            for point, values in zip(branch.points, branch.values, strict=True)]


def special_row(frame: Frame, one: Special, number: int, *, form: Hopf | None) -> dict:
    """A special point of branch `number` as a row; a Hopf point with what is born there."""
    row = {"input": frame.input_of(one.point), "branch": number, "what": one.kind, **frame.state_of(one.point)}
    return row | ({"frequency": form.frequency, "lyapunov": form.lyapunov, "kind": form.kind} if form else {})


def branch_row(frame: Frame, branch: Branch, number: int) -> dict:
    """Where branch `number` begins and ends."""
    return {"branch": number, "begins": branch.ends[0], "from": frame.input_of(branch.points[0]),
            "ends": branch.ends[1], "to": frame.input_of(branch.points[-1]), "points": len(branch.points)}


def oscillation_rows(work: Scan, cycles: Mapping[int, Found]) -> list[dict]:
    """Stable oscillations, from number of the value scanned -> what was found there."""
    scale = work.frame.local.scales[work.seen]
    return [{"input": float(work.grid[n]), "low": float(one.low / scale), "high": float(one.high / scale),
             "period": one.seconds} for n, one in cycles.items()]


@dataclass(frozen=True)
class OrbitFold:
    """Where unstable oscillations meet stable ones: `value` of what is scanned; both are below it, or above."""

    value: float
    below: bool


def unstable_oscillations(work: Scan, forms: list[tuple[Special, Hopf]]) -> tuple[list[dict], list[OrbitFold]]:
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
            values = frame.values(orbit.fine())[work.seen] / scale
            rows.append({"input": _value(work, orbit), "low": float(values.min()), "high": float(values.max()),
                         "period": orbit.seconds, "growth": orbit.growth, "born": frame.input_of(one.point)})
        if met:
            folds.append(OrbitFold(_value(work, fold), bool(fold.point > orbits[-1].point)))
    return rows, folds


def _value(work: Scan, orbit: FoundOrbit) -> float:
    return work.frame.input_of(np.append(orbit.course[:, 0], orbit.point))


def long_names(chosen: Local) -> dict[str, str]:
    """What a reader calls the states and what is scanned."""
    scanned = chosen.model.inputs.get(chosen.over) or chosen.model.parameters(chosen.parameter_set)[chosen.over]
    return {chosen.over: scanned.meaning or chosen.over,
            **{name: getattr(chosen.model.observables.get(name), "long_name", "") or name for name in chosen.states}}
