"""What an input is over time, as numbers. A plan resolves every input once, when it is made.

    plan.inputs["astrocyte", "I"].means(plan.edges)    # float64 [step, drive], in the input's unit
"""

from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import convert, split_quantity
from astro_sim.protocols.drive import Drive
from foundation.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class Pieces:
    """A drive as numbers: from `starts` (s, rising from 0) on it has `values`, which change by `slopes` a second."""

    starts: Float[np.ndarray, "piece"]
    values: Float[np.ndarray, "piece"]
    slopes: Float[np.ndarray, "piece"]

    @classmethod
    def of(cls, drive: Drive | float, unit: str) -> "Pieces":
        """A drive, or a number that never changes, in `unit`. Errors: `UserError` for a value of another dimension."""
        if not isinstance(drive, Drive):
            return cls(np.zeros(1), np.array([drive], float), np.zeros(1))
        numbers = {text: convert(*split_quantity(text, drive.input), unit, drive.input) for text in set(drive.values)}
        starts, values = np.array(drive.times, float), np.array([numbers[text] for text in drive.values], float)
        slopes = np.zeros(len(values))
        if drive.straight:
            slopes[:-1] = np.diff(values) / np.diff(starts)
        return cls(starts, values, slopes)

    @property
    def held(self) -> bool:
        """Whether it never changes."""
        return bool((self.values == self.values[0]).all())

    @property
    def straight(self) -> bool:
        """Whether a piece rises or falls."""
        return bool(self.slopes.any())

    def at(self, times: Float[np.ndarray, "..."]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """(value, change in a second) at times in seconds that are not the start of a piece."""
        piece = np.searchsorted(self.starts, times, side="right") - 1
        return self.values[piece] + self.slopes[piece] * (times - self.starts[piece]), self.slopes[piece]

    def moving(self) -> list[tuple[float, float]]:
        """Times (start, end) between which it changes: a jump, or a straight piece."""
        ends = zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), self.slopes[:-1].tolist(), strict=True)
        return [(start if slope else end, end) for start, end, slope in ends]

    def means(self, edges: Float[np.ndarray, "edge"]) -> Float[np.ndarray, "step"]:
        """Means between consecutive `edges` (s).

        Exact: a value that holds over a step is that value, a straight piece is its middle, and a step with a corner in
        it takes the integral over itself.
        """
        last = max(edges[-1], self.starts[-1]) + 1.0
        piece = np.searchsorted(self.starts, edges[:-1] + 1e-9 * np.diff(edges), side="right") - 1
        after = np.searchsorted(self.starts, edges[1:] - 1e-9 * np.diff(edges), side="left") - 1
        middle = (edges[:-1] + edges[1:]) / 2
        inside = self.values[piece] + self.slopes[piece] * (middle - self.starts[piece])
        # the integral of what differs from the first value: small numbers, where the drive changes little
        risen = self.values - self.values[0]
        lengths = np.diff(np.append(self.starts, last))
        whole = np.concatenate([[0.0], np.cumsum((risen + self.slopes * lengths / 2) * lengths)])
        at = np.searchsorted(self.starts, edges, side="right") - 1
        since = edges - self.starts[at]
        integral = whole[at] + (risen[at] + self.slopes[at] * since / 2) * since
        return np.where(piece == after, inside, self.values[0] + np.diff(integral) / np.diff(edges))


@dataclass(frozen=True, eq=False)
class Course:
    """What sets a variable of a population over time: `drives`, in `unit`, and `which` of them each element takes."""

    unit: str
    drives: tuple[Pieces, ...]
    which: Int[np.ndarray, "element"]

    @property
    def held(self) -> Float[np.ndarray, "element"] | None:
        """The value of every element where none ever changes; None where one does."""
        if not all(drive.held for drive in self.drives):
            return None
        return np.array([drive.values[0] for drive in self.drives])[self.which]

    def at(self, times: Float[np.ndarray, "time"]) -> Float[np.ndarray, "time element"]:
        """The value of every element at times in seconds that are no corners."""
        return np.stack([drive.at(times)[0] for drive in self.drives], axis=1)[:, self.which]

    def means(self, edges: Float[np.ndarray, "edge"]) -> Float[np.ndarray, "step drive"]:
        """Means of each drive between consecutive `edges` (s); see `Pieces.means`.

        What a simulation takes where an input moves inside a step is finer: see brian/parts.py.
        """
        return np.stack([drive.means(edges) for drive in self.drives], axis=1)


def resolved(unit: str, size: int, inputs: list[tuple[Int[np.ndarray, "_"], float, list[Drive]]]) -> Course:
    """The course of a variable that `size` elements have.

    inputs: of each input that sets the variable, the elements that it reaches, its default in `unit`, its drives.
    """
    drives: list[Drive | float] = []
    which = np.zeros(size, int)
    for reached, default, given in inputs:
        which[reached] = len(drives)
        drives.append(default)
        for drive in given:
            which[reached if drive.elements is None else reached[list(drive.elements)]] = len(drives)
            drives.append(drive)
    taken, which = np.unique(which, return_inverse=True)
    return Course(unit, tuple(Pieces.of(drives[n], unit) for n in taken), which)
