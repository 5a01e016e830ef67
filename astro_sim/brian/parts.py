"""Inputs that move inside a step: ramps, and corners that fall between two steps.

A step is cut at the corners into parts in which every input goes straight. The integrator takes each part as a step of
its own length, with the inputs as they are at its stages: so it keeps its order, where an input held at its mean over a
step would be of second order on a ramp, and of first order where it jumps inside a step. Elements without a corner in a
step take it whole. Models with noise keep the means: their order is 1, and a step has one random number.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.protocols.course import Course, Pieces
from foundation.shapes import Float, Int

SNAP = 1e-6  # of a step: a corner so near to its end is taken to fall on it; more than times lose by rounding


@dataclass(frozen=True, eq=False)
class Cut:
    """The parts of every step: `lengths` as shares of dt; `columns` says which way to cut each element has."""

    lengths: Float[np.ndarray, "part step column"]
    columns: Int[np.ndarray, "element"]

    @property
    def parts(self) -> int:
        """Parts of a step, the most that any step has."""
        return len(self.lengths)


def cut(courses: Mapping[str, Course], *, dt: float, steps: int, least: int = 0) -> Cut | None:
    """How the inputs of a population (by variable) cut `steps` steps of dt (s), in `least` parts or more.

    None where each is held over every step and `least` is 0.
    """
    needed, corners, columns = _cuts(courses, dt, steps)
    parts = max(least, needed)
    if not parts:
        return None
    lengths = np.zeros((parts, steps + 1, len(corners)))
    lengths[0] = 1.0
    for column, shares_of in enumerate(corners):
        for step, shares in shares_of.items():
            lengths[: len(shares) + 1, step, column] = np.diff([0.0, *sorted(shares), 1.0])
    return Cut(lengths, columns)


def shape(courses: Mapping[str, Course], *, dt: float, steps: int) -> tuple[int, int]:
    """(parts of a step, ways in which the inputs cut it); no parts where each is held over every step."""
    if not courses:
        return 0, 0
    parts, corners, _ = _cuts(courses, dt, steps)
    return parts, len(corners)


def _cuts(courses: Mapping[str, Course], dt: float, steps: int
          ) -> tuple[int, list[dict[int, set[float]]], Int[np.ndarray, "element"]]:
    """Parts that a step needs, where each way to cut has its corners, and the way of every element."""
    ordered = [courses[variable] for variable in sorted(courses)]
    kinds, columns = np.unique(np.stack([course.which for course in ordered]), axis=1, return_inverse=True)
    corners = [_corners([course.drives[k] for course, k in zip(ordered, kind, strict=True)], dt, steps)
               for kind in kinds.T]
    most = max((len(shares) for shares_of in corners for shares in shares_of.values()), default=0)
    straight = any(drive.straight for course in ordered for drive in course.drives)
    return most + 1 if most else int(straight), corners, columns.ravel()


def _corners(drives: Sequence[Pieces], dt: float, steps: int) -> dict[int, set[float]]:
    """Step -> where inside it the drives have corners, as shares of dt."""
    corners: dict[int, set[float]] = {}
    for drive in drives:
        at = drive.starts / dt
        step = np.floor(at).astype(int)
        share = at - step
        for n in np.flatnonzero((share > SNAP) & (share < 1 - SNAP) & (step <= steps)):
            near = corners.setdefault(int(step[n]), set())
            if all(abs(share[n] - other) > SNAP for other in near):
                near.add(float(share[n]))
    return corners


def lines_in_parts(course: Course, cut: Cut, dt: float) -> Float[np.ndarray, "2 part step column"]:
    """An input in every part: (its value, its change in a second), in its unit.

    The value is where the straight line of the part was, or would have been, at the start of the step.
    """
    starts = dt * np.arange(cut.lengths.shape[1])
    lines = np.empty((2, *cut.lengths.shape))
    for column, element in enumerate(np.unique(cut.columns, return_index=True)[1]):
        lengths = cut.lengths[..., column]
        since = dt * (np.cumsum(lengths, axis=0) - lengths / 2)  # the middle of the part
        values, slopes = course.drives[course.which[element]].at(starts + since)
        lines[..., column] = values - slopes * since, slopes
    return lines


def text_of(variable: str, unit: str, parts: int) -> str:
    """The lines of ODE text that say what an input is during a step."""
    lines = [f"{variable} = {variable}_part_0 + {variable}_slope_0*(t - step_start) : {unit}"]
    for part in range(parts):
        for name, its in ((f"{variable}_part_{part}", unit), (f"{variable}_slope_{part}", f"{unit}/second")):
            lines.append(f"{name} = course_{name}(t, column_part) : {its} (constant over dt)")
    return "\n".join(lines)


def text_of_parts(population: str, parts: int) -> str:
    """The lines of ODE text that say how a step is cut."""
    return "\n".join(["step_start = t : second (constant over dt)", "column_part : integer (constant)",
                      *(f"part_{j} = course_{population}_part_{j}(t, column_part) : 1 (constant over dt)"
                        for j in range(parts))])


def updater(method: str, parts: int, variables: Iterable[str]) -> Callable:
    """A state updater of Brian2 that takes the parts of a step one after the other by `method`."""

    def advance(equations: Any, known: Any, method_options: dict | None = None) -> str:
        from brian2.stateupdaters.base import StateUpdateMethod

        code = StateUpdateMethod.apply_stateupdater(equations, known, method, method_options=method_options)
        return "\n".join(_in_part(code, part, variables) for part in range(parts))

    return advance


def _in_part(code: str, part: int, variables: Iterable[str]) -> str:
    """The code of a step, made that of one part: from where it starts, as long as it is, with its inputs."""
    passed = " + ".join(f"part_{before}" for before in range(part)) or "0"
    instead = {"dt": f"(part_{part}*dt)", "t": f"(t + ({passed})*dt)"}
    for variable in variables:
        instead |= {f"{variable}_{what}_0": f"{variable}_{what}_{part}" for what in ("part", "slope")}
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda name: instead.get(name[0], name[0]), code)
