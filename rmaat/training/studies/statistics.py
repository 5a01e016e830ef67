"""Mean and interval over seeds, by Student's t; paired differences. Standard library only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = .95


@dataclass(frozen=True)
class Interval:
    """A mean over `n` values and half the width of its 95 % interval, None for a single value."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Its lower end."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Its upper end."""
        return None if self.half is None else self.mean + self.half


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Mean and Student's interval of independent values; t is exact for their number, as they are few."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Interval(mean, None, n)
    spread = math.sqrt(math.fsum((value - mean)**2 for value in values) / (n - 1))
    return Interval(mean, student(n - 1, level) * spread / math.sqrt(n), n)


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval | None:
    """Mean of ours - theirs over the seeds that both have: what the seeds have in common falls out. None: no seed."""
    seeds = sorted(ours.keys() & theirs.keys())
    return interval([ours[seed] - theirs[seed] for seed in seeds]) if seeds else None


def student(freedom: int, level: float = LEVEL) -> float:
    """t with `level` of Student's distribution between -t and t, for whole degrees of freedom."""
    low, high = 0., 1.
    while _inside(high, freedom) < level:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _inside(middle, freedom) < level else (low, middle)
    return high


def _inside(t: float, freedom: int) -> float:
    """P(|T| < t), in closed form (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine, 0.) if odd else (1., 0.)
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
