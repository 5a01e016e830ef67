"""One drive, or the sum of several, as numbers: pieces that are straight, and what moves smoothly besides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import convert, split_quantity
from astro_sim.protocols.drive import Drive, Levels
from astro_sim.protocols.formula import Formula
from astro_sim.protocols.pieces import Pieces
from astro_sim.protocols.samples import Samples
from foundation.shapes import Float

# Gauss-Legendre on [0, 1]: exact to degree 9
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(5)[0] + 1) / 2, np.polynomial.legendre.leggauss(5)[1] / 2


@dataclass(frozen=True, eq=False)
class Smooth:
    """What `of(times)` gives, float64 at times in s, from `start` to `stop` (s), and nothing outside."""

    of: Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]
    start: float
    stop: float

    def at(self, times: Float[np.ndarray, "..."], inside: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Its value at `times`, where the moments `inside` lie in its time."""
        within = (inside >= self.start) & (inside < self.stop)
        if within.all():
            return self.of(times)
        values = np.zeros(np.shape(times))
        values[within] = self.of(times[within])
        return values

    def means(self, edges: Float[np.ndarray, "edge"]) -> Float[np.ndarray, "step"]:
        """Means between consecutive edges (s), by quadrature of what lies in its time."""
        kept = np.clip(edges, self.start, self.stop)
        lengths = np.diff(kept)
        means = np.zeros(len(lengths))
        taken = lengths > 0
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            means[taken] += weight * self.of(kept[:-1][taken] + node * lengths[taken])
        return means * lengths / np.diff(edges)


@dataclass(frozen=True, eq=False)
class Curve:
    """The sum of `pieces` and of all that moves smoothly."""

    pieces: Pieces
    smooth: tuple[Smooth, ...] = ()

    @classmethod
    def of(cls, drives: Sequence[Drive], unit: str) -> "Curve":
        """The sum of drives, in `unit`. Errors: `UserError` for a value of another dimension."""
        total = _curve(drives[0], unit)
        for drive in drives[1:]:
            other = _curve(drive, unit)
            total = Curve(total.pieces.plus(other.pieces), total.smooth + other.smooth)
        return total

    @property
    def held(self) -> bool:
        """Whether it never changes."""
        return self.pieces.held and not self.smooth

    @property
    def degree(self) -> int:
        """Of the polynomial that it is between its breaks: 0 where values hold, 1 straight, 2 as near as that comes."""
        return 2 if self.smooth else int(self.pieces.straight)

    @property
    def breaks(self) -> Float[np.ndarray, "break"]:
        """Times (s, rising, after 0) at which a piece starts, or what moves smoothly starts or stops."""
        ends = [end for one in self.smooth for end in (one.start, one.stop) if 0 < end < np.inf]
        return np.union1d(self.pieces.starts[1:], ends) if ends else self.pieces.starts[1:]

    @property
    def corners(self) -> Float[np.ndarray, "corner"]:
        """Times (s, rising) at which the value or its slope jumps."""
        ends = [end for one in self.smooth for end in (one.start, one.stop) if 0 < end < np.inf]
        return np.union1d(self.pieces.corners, ends)

    def at(self, times: Float[np.ndarray, "..."], inside: Float[np.ndarray, "..."] | None = None
           ) -> Float[np.ndarray, "..."]:
        """Values at times (s). inside: moments that say which piece holds, where times are at its very end."""
        inside = times if inside is None else inside
        values, slopes = self.pieces.at(inside)
        values = values + slopes * (times - inside)
        return values + sum(one.at(times, inside) for one in self.smooth) if self.smooth else values

    def means(self, edges: Float[np.ndarray, "edge"]) -> Float[np.ndarray, "step"]:
        """Means between consecutive edges (s): exact for pieces, by quadrature for what moves smoothly."""
        means = self.pieces.means(edges)
        return means + sum(one.means(edges) for one in self.smooth) if self.smooth else means

    def moving(self) -> list[tuple[float, float]]:
        """Times (start, end) between which it changes: a jump, a straight piece, or smoothly."""
        return self.pieces.moving() + [(one.start, one.stop) for one in self.smooth]

    def parabolas(self, starts: Float[np.ndarray, "..."], lengths: Float[np.ndarray, "..."]
                  ) -> Float[np.ndarray, "coefficient ..."]:
        """Value, slope and half the second derivative at `starts` (s) of a parabola over `lengths` (s).

        It goes through the values at the start, the middle and the end, where the stages of the integrators lie: so
        they keep their order.
        """
        middle = starts + lengths / 2
        first, between, last = (self.at(times, middle) for times in (starts, middle, starts + lengths))
        width = np.where(lengths > 0, lengths, np.inf)
        return np.stack([first, (4 * between - 3 * first - last) / width, 2 * (first - 2 * between + last) / width**2])

    def extremes(self, edges: Float[np.ndarray, "edge"]) -> tuple[float, float]:
        """(lowest, highest) value between the first and the last of `edges` (s); what is smooth is looked at there."""
        at = np.union1d(self.breaks[self.breaks < edges[-1]], edges if self.smooth else edges[[0, -1]])
        middle = (at[1:] + at[:-1]) / 2
        values = np.concatenate([self.at(at[:-1], middle), self.at(at[1:], middle), self.at(middle)])
        return float(values.min()), float(values.max())


def _curve(drive: Drive, unit: str) -> Curve:
    """One drive as numbers."""
    if isinstance(drive, Levels):
        numbers = {text: convert(*split_quantity(text, drive.input), unit, drive.input) for text in set(drive.values)}
        values = np.array([numbers[text] for text in drive.values], float)
        return Curve(Pieces.through(np.array(drive.times, float), values, drive.straight))
    if isinstance(drive, Samples):
        return _of_samples(drive, convert(np.array(drive.values), drive.unit, unit, drive.input))
    if isinstance(drive, Formula):
        given = split_quantity(drive.outside, drive.input)
        outside = 0.0 if given == (0.0, "1") else convert(*given, unit, drive.input)
        return _between(drive.expression.numbers(unit, f"input {drive.input}"), drive.start, drive.end,
                        before=outside, after=outside)
    raise TypeError(f"a drive of class {type(drive).__name__}")


def _between(of: Callable, start: float, stop: float, *, before: float, after: float) -> Curve:
    """`of` from start to stop, and the values before and after."""
    starts, values = [0.0], [0.0]
    if start > 0:
        starts, values = [0.0, start], [before, 0.0]
    if stop < np.inf:
        starts, values = [*starts, stop], [*values, after]
    return Curve(Pieces.through(np.array(starts), np.array(values), False), (Smooth(of, start, stop),))


def _of_samples(drive: Samples, values: Float[np.ndarray, "sample"]) -> Curve:
    """Samples, the first and the last held before and after."""
    times = np.array(drive.times)
    if drive.interpolation == "cubic":
        from scipy.interpolate import CubicSpline

        return _between(CubicSpline(times, values), times[0], times[-1], before=values[0], after=values[-1])
    if times[0] > 0:
        times, values = np.append(0.0, times), np.append(values[0], values)
    return Curve(Pieces.through(times, values, drive.interpolation == "linear"))
