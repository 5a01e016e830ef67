"""A course as numbers: values that hold, or go straight, from moment to moment."""

from dataclasses import dataclass

import numpy as np

from foundation.shapes import Float


@dataclass(frozen=True, eq=False)
class Pieces:
    """A drive as numbers: from `starts` (s, rising from 0) on it has `values`, which change by `slopes` a second."""

    starts: Float[np.ndarray, "piece"]
    values: Float[np.ndarray, "piece"]
    slopes: Float[np.ndarray, "piece"]

    @classmethod
    def held_at(cls, value: float) -> "Pieces":
        """A value that never changes."""
        return cls(np.zeros(1), np.array([value], float), np.zeros(1))

    @classmethod
    def through(cls, starts: Float[np.ndarray, "piece"], values: Float[np.ndarray, "piece"], straight: bool
                ) -> "Pieces":
        """Values that hold from their start on, or are joined by straight lines and hold after the last."""
        slopes = np.zeros(len(values))
        if straight:
            slopes[:-1] = np.diff(values) / np.diff(starts)
        return cls(starts, values, slopes)

    def plus(self, other: "Pieces") -> "Pieces":
        """The sum of both, exact."""
        if len(self.starts) == len(other.starts) and (self.starts == other.starts).all():
            return Pieces(self.starts, self.values + other.values, self.slopes + other.slopes)
        starts = np.union1d(self.starts, other.starts)
        values, slopes = np.sum([one.at(starts) for one in (self, other)], axis=0)
        return Pieces(starts, values, slopes)

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

    @property
    def corners(self) -> Float[np.ndarray, "corner"]:
        """Times (s, rising) at which the value or its slope jumps."""
        before = self.values[:-1] + self.slopes[:-1] * np.diff(self.starts)
        # a straight piece reaches the next value to rounding, and two that are one line have its slope to rounding
        jumps = np.abs(self.values[1:] - before) > 1e-12 * np.abs(self.values).max()
        bends = np.abs(np.diff(self.slopes)) > 1e-9 * np.abs(self.slopes).max()
        return self.starts[1:][jumps | bends]

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
