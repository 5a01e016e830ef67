"""What an input is over time, as numbers. A plan resolves every input once, when it is made.

    plan.inputs["astrocyte", "I"].means(plan.edges)    # float64 [step, drive], in the input's unit
"""

import functools
from dataclasses import dataclass

import numpy as np

from astro_sim.protocols.curve import Curve
from astro_sim.protocols.drive import Drive
from astro_sim.protocols.pieces import Pieces
from foundation.shapes import Float, Int

RESOLVED = 0.01  # of its range: by so much a drive may leave a parabola in a step that resolves it


@dataclass(frozen=True, eq=False)
class Course:
    """What sets a variable of a population over time: `drives`, in `unit`, and `which` of them each element takes.

    A drive here is the sum of all that drive an element.
    """

    unit: str
    drives: tuple[Curve, ...]
    which: Int[np.ndarray, "element"]

    @property
    def held(self) -> Float[np.ndarray, "element"] | None:
        """The value of every element where none ever changes; None where one does."""
        if not all(drive.held for drive in self.drives):
            return None
        return np.array([drive.pieces.values[0] for drive in self.drives])[self.which]

    @property
    def corners(self) -> Float[np.ndarray, "corner"]:
        """Times (s, rising) at which the value or slope of any element jumps; between them all are smooth."""
        return np.unique(np.concatenate([drive.corners for drive in self.drives]))

    def at(self, times: Float[np.ndarray, "time"]) -> Float[np.ndarray, "time element"]:
        """The value of every element at times in seconds; at a corner, what it is from then on."""
        return np.stack([drive.at(times) for drive in self.drives], axis=1)[:, self.which]

    def means(self, edges: Float[np.ndarray, "edge"]) -> Float[np.ndarray, "step drive"]:
        """Means of each drive between consecutive `edges` (s); see `Pieces.means`.

        What a simulation takes where an input moves inside a step is finer: see brian/parts.py.
        """
        return np.stack([drive.means(edges) for drive in self.drives], axis=1)


def resolved(unit: str, size: int, inputs: list[tuple[Int[np.ndarray, "_"], float, list[Drive]]]) -> Course:
    """The course of a variable that `size` elements have.

    inputs: of each input that sets the variable, the elements that it reaches, its default in `unit`, its drives. Those
    that reach the same element add up.
    """
    courses: list[tuple[float, tuple[Drive, ...]]] = []  # (default, the drives that add up)
    which = np.zeros(size, int)
    for reached, default, given in inputs:
        which[reached] = len(courses)
        courses.append((default, ()))
        numbers = {}
        for drive in given:
            mine = reached if drive.elements is None else reached[list(drive.elements)]
            before = which[mine]
            for old in np.unique(before).tolist():
                key = (default, (*courses[old][1], drive))
                if (old, id(drive)) not in numbers:
                    numbers[old, id(drive)] = len(courses)
                    courses.append(key)
                which[mine[before == old]] = numbers[old, id(drive)]
    taken, which = np.unique(which, return_inverse=True)
    curves = [Curve.of(courses[n][1], unit) if courses[n][1] else Curve(Pieces.held_at(courses[n][0])) for n in taken]
    return Course(unit, tuple(curves), which)


@functools.lru_cache(maxsize=64)  # asked for every stretch between two corners
def seeing_step(course: Course, dt: float, steps: int) -> float:
    """The longest step (s) with which an integrator sees all that moves smoothly in `steps` steps of dt (s).

    Half of the longest over which no drive leaves a parabola by more than a share of its range.
    """
    edges = dt * np.arange(steps + 1)
    values = {drive: drive.at(edges) for drive in course.drives if drive.smooth}
    times = 1
    while 4 * times <= steps and all(_near_parabolas(drive, edges, found, times=2 * times)
                                     for drive, found in values.items()):
        times *= 2
    return times * dt / 2


def _near_parabolas(drive: Curve, edges: Float[np.ndarray, "edge"], values: Float[np.ndarray, "edge"], *, times: int
                    ) -> bool:
    """Whether the values of a drive are near a parabola in every stretch of so many steps without a break."""
    count = (len(edges) - 1) // times
    inner = values[: count * times].reshape(count, times)
    first, middle, last = inner[:, :1], inner[:, times // 2, None], values[times::times][:count, None]
    whole = np.ones(count, bool)
    broken = np.searchsorted(edges[: count * times : times], drive.breaks) - 1
    whole[broken[broken >= 0]] = False
    share = np.arange(times) / times
    parabolas = first + (4 * middle - 3 * first - last) * share + 2 * (first - 2 * middle + last) * share**2
    return bool((np.abs(inner - parabolas)[whole] <= RESOLVED * np.ptp(values)).all())
