"""Inputs that move inside a step: ramps, smooth courses, and corners that fall between two steps.

A step is cut at the corners into parts in which every input goes straight or smoothly. The integrator takes each part
as a step of its own length, with the inputs as they are at its stages (a smooth one by the parabola through its values
there): so it keeps its order, where an input held at its mean over a step would be of second order on a ramp, and of
first order where it jumps inside a step. Elements without a corner in a step take it whole. Models with noise keep the
means: their order is 1, and a step has one random number.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.protocols.course import Course
from astro_sim.protocols.curve import Curve
from foundation.shapes import Float, Int

TERMS = ("part", "slope", "curve")  # of the polynomial that an input is in a part, by their names in the ODE text
SNAP = 1e-6  # of a step: a corner so near to its end is taken to fall on it; more than times lose by rounding


@dataclass(frozen=True, eq=False)
class Cut:
    """The parts of every step: `lengths` as shares of dt; `columns` says which way to cut each element has.

    Inputs are polynomials of `terms` terms in each: 2 where they go straight, 3 where one moves smoothly.
    """

    lengths: Float[np.ndarray, "part step column"]
    columns: Int[np.ndarray, "element"]
    terms: int = 2

    @property
    def parts(self) -> int:
        """Parts of a step, the most that any step has."""
        return len(self.lengths)


def cut(courses: Mapping[str, Course], *, dt: float, steps: int, least: int = 0, terms: int = 2) -> Cut | None:
    """How the inputs of a population (by variable) cut `steps` steps of dt (s), in `least` parts or more.

    terms: the fewest. None where each is held over every step and `least` is 0.
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
    return Cut(lengths, columns, max(terms, _terms(courses)))


def shape(courses: Mapping[str, Course], *, dt: float, steps: int) -> tuple[int, int, int]:
    """(parts of a step, ways in which the inputs cut it, terms of an input); no parts where all hold over a step."""
    if not courses:
        return 0, 0, 2
    parts, corners, _ = _cuts(courses, dt, steps)
    return parts, len(corners), _terms(courses)


def _terms(courses: Mapping[str, Course]) -> int:
    return 3 if any(drive.degree > 1 for course in courses.values() for drive in course.drives) else 2


def _cuts(courses: Mapping[str, Course], dt: float, steps: int
          ) -> tuple[int, list[dict[int, set[float]]], Int[np.ndarray, "element"]]:
    """Parts that a step needs, where each way to cut has its corners, and the way of every element."""
    ordered = [courses[variable] for variable in sorted(courses)]
    kinds, columns = np.unique(np.stack([course.which for course in ordered]), axis=1, return_inverse=True)
    corners = [_corners([course.drives[k] for course, k in zip(ordered, kind, strict=True)], dt, steps)
               for kind in kinds.T]
    most = max((len(shares) for shares_of in corners for shares in shares_of.values()), default=0)
    straight = any(drive.degree for course in ordered for drive in course.drives)
    return most + 1 if most else int(straight), corners, columns.ravel()


def _corners(drives: Sequence[Curve], dt: float, steps: int) -> dict[int, set[float]]:
    """Step -> where inside it the drives have corners, as shares of dt."""
    corners: dict[int, set[float]] = {}
    for drive in drives:
        at = drive.breaks / dt
        step = np.floor(at).astype(int)
        share = at - step
        for n in np.flatnonzero((share > SNAP) & (share < 1 - SNAP) & (step <= steps)):
            near = corners.setdefault(int(step[n]), set())
            if all(abs(share[n] - other) > SNAP for other in near):
                near.add(float(share[n]))
    return corners


def lines_in_parts(course: Course, cut: Cut, dt: float) -> Float[np.ndarray, "term part step column"]:
    """An input in every part: (its value, its change in a second, half its second derivative), in its unit.

    The value is where the line of the part was, or would have been, at the start of the step.
    """
    starts = dt * np.arange(cut.lengths.shape[1])
    lines = np.zeros((cut.terms, *cut.lengths.shape))
    for column, element in enumerate(np.unique(cut.columns, return_index=True)[1]):
        lengths, drive = cut.lengths[..., column], course.drives[course.which[element]]
        since = dt * (np.cumsum(lengths, axis=0) - lengths / 2)  # the middle of the part
        if drive.degree < 2:
            values, slopes = drive.pieces.at(starts + since)
            lines[:2, ..., column] = values - slopes * since, slopes
            continue
        since = dt * (np.cumsum(lengths, axis=0) - lengths)
        values, slopes, bends = drive.parabolas(starts + since, dt * lengths)
        lines[..., column] = values - slopes * since + bends * since**2, slopes - 2 * bends * since, bends
    return lines


def text_of(variable: str, unit: str, parts: int, *, terms: int = 2) -> str:
    """The lines of ODE text that say what an input is during a step."""
    since = "(t - step_start)"
    sums = " + ".join("*".join([f"{variable}_{what}_0", *[since] * power])
                      for power, what in enumerate(TERMS[:terms]))
    lines = [f"{variable} = {sums} : {unit}"]
    for part in range(parts):
        for power, what in enumerate(TERMS[:terms]):
            name, its = f"{variable}_{what}_{part}", unit + "/second" * power
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
        instead |= {f"{variable}_{what}_0": f"{variable}_{what}_{part}" for what in TERMS}
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda name: instead.get(name[0], name[0]), code)
