"""Ranges in which two stable states stand side by side: two equilibria, or an equilibrium and an oscillation."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ROUNDING = 1e-9  # of the largest value scanned


class Part(NamedTuple):
    """A part of a branch of one stability: values of what is scanned at its two ends, points inside, `character`."""

    start: float
    end: float
    inside: list[np.ndarray]
    character: dict

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of what is scanned at its ends."""
        return min(self.start, self.end), max(self.start, self.end)


def side_by_side(parts: Sequence[Part], oscillating: Sequence[int], grid: np.ndarray, *,
                 folds: Sequence = ()) -> list[dict]:
    """Rows {low, high, between}: "equilibria", or "equilibrium and oscillation".

    `oscillating`: numbers of the values in `grid` with a stable oscillation, rising; `folds`: where such oscillations
    are known to end. Ends are exact where a bifurcation is known there, else values of the grid.
    """
    slack = ROUNDING * float(np.abs(grid).max())
    stable = [part.range for part in parts if part.character["stable"]]
    rows = [{"low": low, "high": high, "between": "equilibria"} for low, high in _twice(stable, slack)]
    for begins, ends in _runs(oscillating, grid, folds, slack=slack):
        met = [(max(low, begins), min(high, ends)) for low, high in stable]
        for low, high in _joined([(low, high) for low, high in met if high - low > slack], slack):
            rows.append({"low": low, "high": high, "between": "equilibrium and oscillation"})
    return rows


def _twice(ranges: list[tuple[float, float]], slack: float) -> list[tuple[float, float]]:
    """The ranges in which at least two of the given ones overlap."""
    cuts = sorted({end for one in ranges for end in one})
    found = [(low, high) for low, high in itertools.pairwise(cuts)
             if high - low > slack and sum(a <= low + slack and high - slack <= b for a, b in ranges) > 1]
    return _joined(found, slack)


def _joined(ranges: list[tuple[float, float]], slack: float) -> list[tuple[float, float]]:
    """Ranges that touch or overlap, as one; rising."""
    found: list[tuple[float, float]] = []
    for low, high in sorted(ranges):
        if found and low - found[-1][1] <= slack:
            before = found.pop()
            low, high = before[0], max(high, before[1])
        found.append((low, high))
    return found


def _runs(oscillating: Sequence[int], grid: np.ndarray, folds: Sequence, *, slack: float) -> list[tuple[float, float]]:
    """From the first to the last of neighbouring values that oscillate, on to a fold before the next value."""
    if not len(oscillating):
        return []
    found, last = [], len(grid) - 1
    for run in np.split(np.asarray(oscillating), np.flatnonzero(np.diff(oscillating) > 1) + 1):
        low, high = float(grid[run[0]]), float(grid[run[-1]])
        below, above = float(grid[max(run[0] - 1, 0)]), float(grid[min(run[-1] + 1, last)])
        for fold in folds:
            if fold.below and high - slack <= fold.value <= above + slack:
                high = fold.value
            if not fold.below and below - slack <= fold.value <= low + slack:
                low = fold.value
        found.append((low, high))
    return found
