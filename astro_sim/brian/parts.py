"""Inputs that move inside a step: ramps, and corners that fall between two steps.

A step is cut at the corners into parts in which every input goes straight. The integrator takes each part as a step of
its own length, with the inputs as they are at its stages: so it keeps its order, where an input held at its mean over a
step would be of second order on a ramp, and of first order where it jumps inside a step. Elements without a corner in a
step take it whole. Models with noise keep the means: their order is 1, and a step has one random number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from astro_sim.protocols.courses import drives_of, value_in

SNAP = 1e-6  # of a step: a corner so near to its end is taken to fall on it; more than times lose by rounding


@dataclass(frozen=True, eq=False)
class Cut:
    """The parts of every step: `lengths` as shares of dt, float64 [part, step, column]; `columns` int [element]."""

    lengths: object
    columns: object

    @property
    def parts(self) -> int:
        """Parts of a step, the most that any step has."""
        return len(self.lengths)


def cut(plan, population: str, least: int = 0) -> Cut | None:
    """How the inputs of a population cut its steps, in `least` parts or more; None where each is held over every step
    and `least` is 0.
    """
    import numpy as np

    needed, corners, columns = _cuts(plan, population)
    parts = max(least, needed)
    if not parts or plan.model.stochastic:
        return None
    lengths = np.zeros((parts, plan.steps + 1, len(corners)))
    lengths[0] = 1.0
    for column, found in enumerate(corners):
        for step, shares in found.items():
            lengths[: len(shares) + 1, step, column] = np.diff([0.0, *sorted(shares), 1.0])
    return Cut(lengths, columns)


def shape(plan, population: str) -> tuple[int, int]:
    """(parts of a step, ways in which its inputs cut it); no parts where each is held over every step."""
    parts, corners, _ = _cuts(plan, population)
    return (0, 0) if plan.model.stochastic else (parts, len(corners))


def _cuts(plan, population: str):
    """Parts that a step needs, where each way to cut has its corners, and the way of every element, int [element]."""
    import numpy as np

    inputs = {i.variable for i in plan.model.inputs.values() if i.population == population}
    if not inputs:
        return 0, [], np.zeros(plan.size(population), int)
    chosen = [drives_of(plan, population, variable) for variable in sorted(inputs)]
    kinds, columns = np.unique(np.stack([which for _, which in chosen]), axis=1, return_inverse=True)
    corners = [_corners([drives[k] for (drives, _), k in zip(chosen, kind, strict=True)], plan) for kind in kinds.T]
    most = max((len(shares) for found in corners for shares in found.values()), default=0)
    straight = any(getattr(drive, "straight", False) for drives, _ in chosen for drive in drives)
    return most + 1 if most else int(straight), corners, columns.ravel()


def _corners(drives, plan) -> dict[int, set[float]]:
    """Step -> where inside it the drives have corners, as shares of dt."""
    import numpy as np

    found: dict[int, set[float]] = {}
    for drive in drives:
        at = np.array(getattr(drive, "times", ())) / plan.dt
        step = np.floor(at).astype(int)
        share = at - step
        for n in np.flatnonzero((share > SNAP) & (share < 1 - SNAP) & (step <= plan.steps)):
            near = found.setdefault(int(step[n]), set())
            if all(abs(share[n] - other) > SNAP for other in near):
                near.add(float(share[n]))
    return found


def course(plan, population: str, variable: str, cut: Cut):
    """An input in every part: (its value, its change in a second), float64 [2, part, step, column] in its unit.

    The value is where the straight line of the part was, or would have been, at the start of the step.
    """
    import numpy as np

    drives, which = drives_of(plan, population, variable)
    starts = plan.dt * np.arange(plan.steps + 1)
    found = np.empty((2, *cut.lengths.shape))
    for column, element in enumerate(np.unique(cut.columns, return_index=True)[1]):
        lengths = cut.lengths[..., column]
        since = plan.dt * (np.cumsum(lengths, axis=0) - lengths / 2)  # the middle of the part
        values, slopes = value_in(drives[which[element]], plan, population, variable, starts + since)
        found[..., column] = values - slopes * since, slopes
    return found


def lines_of(variable: str, unit: str, parts: int) -> str:
    """The lines of ODE text that say what an input is during a step."""
    found = [f"{variable} = {variable}_part_0 + {variable}_slope_0*(t - step_start) : {unit}"]
    for part in range(parts):
        for name, its in ((f"{variable}_part_{part}", unit), (f"{variable}_slope_{part}", f"{unit}/second")):
            found.append(f"{name} = course_{name}(t, column_part) : {its} (constant over dt)")
    return "\n".join(found)


def lines_of_parts(population: str, parts: int) -> str:
    """The lines of ODE text that say how a step is cut."""
    return "\n".join(["step_start = t : second (constant over dt)", "column_part : integer (constant)",
                      *(f"part_{j} = course_{population}_part_{j}(t, column_part) : 1 (constant over dt)"
                        for j in range(parts))])


def updater(method: str, parts: int, variables) -> Callable:
    """A state updater of Brian2 that takes the parts of a step one after the other by `method`."""

    def advance(equations, known, method_options=None) -> str:
        from brian2.stateupdaters.base import StateUpdateMethod

        code = StateUpdateMethod.apply_stateupdater(equations, known, method, method_options=method_options)
        return "\n".join(_in_part(code, part, variables) for part in range(parts))

    return advance


def _in_part(code: str, part: int, variables) -> str:
    """The code of a step, made that of one part: from where it starts, as long as it is, with its inputs."""
    passed = " + ".join(f"part_{before}" for before in range(part)) or "0"
    instead = {"dt": f"(part_{part}*dt)", "t": f"(t + ({passed})*dt)"}
    for variable in variables:
        instead |= {f"{variable}_{what}_0": f"{variable}_{what}_{part}" for what in ("part", "slope")}
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda name: instead.get(name[0], name[0]), code)
