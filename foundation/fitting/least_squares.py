"""What a least-squares fit says of itself: constants with profile-likelihood intervals, and what to doubt in it.

The problem is a closed form, a simulation, or anything else that has what `Problem` names. scipy is loaded where it is
needed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from foundation.errors import UserError
from foundation.shapes import Array, Float
from foundation.table import Table

LEVEL = 0.95
WELL_CONDITIONED = 1e6  # derivatives whose product with themselves float64 inverts to four digits
WIDEST = 1e6  # standard errors: an interval that has no end there has none
ROUNDING = 1e-12  # of the largest value: residuals below it have no direction
# When a fit is doubted: share of the variance explained, share of the range that data turn back by, chance of runs.
LEAST_EXPLAINED, TURNS_BACK, RARE, FEWEST_RUNS = 0.5, 0.1, 0.01, 8


class Problem(Protocol):
    """What is fitted: residuals [n] by constants [k] named `names`, against `observed` [n]."""

    observed: np.ndarray
    names: tuple[str, ...]

    def residuals(self, constants: np.ndarray) -> np.ndarray:
        """What the constants miss the data by, [n]; finite everywhere."""

    def search(self, guess: np.ndarray, *, most: int) -> Any:
        """The best constants from `guess` on, in at most so many evaluations: an object with `x` and `fun`."""

    def held(self, number: int, value: float) -> "Problem":
        """The same with one constant held at a value, and the others to be found."""


@dataclass(frozen=True)
class Fit:
    """Fitted constants, their 95 % intervals [low, high] (infinite where the data set no bound), the sum of squared
    residuals, the largest of them, the root of their mean square, and Akaike's criterion corrected for few points
    (infinite when they are too few). `warnings` say in words what these numbers cannot be trusted for."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    rss: float
    max_error: float
    rms_error: float
    aicc: float
    warnings: tuple[str, ...] = ()

    def table(self) -> Table:
        """The constants with their intervals; below, how far the form is off and what to doubt."""
        ends = {name: self.intervals.get(name, (math.nan, math.nan)) for name in self.values}
        rows = [(name, f"{value:.6g}", *(f"{end:.6g}" for end in ends[name])) for name, value in self.values.items()]
        note = f"off by at most {self.max_error:.2g}, root mean square {self.rms_error:.2g}"
        return Table(("constant", "value", "from", "to (95 %)"), rows, note="\n".join([note, *self.warnings]))

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def standard_errors(slopes: np.ndarray, variance: float) -> np.ndarray:
    """Of the constants, from derivatives [n, k]; these over their sizes where the sizes differ too much to invert."""
    sizes = np.ones(slopes.shape[1])
    if np.linalg.cond(slopes) > WELL_CONDITIONED:
        sizes = np.linalg.norm(slopes, axis=0)
    with np.errstate(all="ignore"):  # a derivative of nothing, as far as float64 goes, leaves an error without end
        scaled = slopes / sizes
        errors = np.sqrt(np.diag(np.linalg.inv(scaled.T @ scaled)) * variance) / sizes
    return np.where(np.isfinite(errors), errors, math.inf)


def doubts(observed: np.ndarray, residuals: np.ndarray, intervals: Mapping[str, tuple[float, float]], *,
           monotone: bool = True) -> Iterator[str]:
    """What a reader should know before believing a fit to `observed` [n], in the order of the argument.

    Noise is what differs between neighbours beside a smooth course; a run is a stretch of residuals of one sign.
    Without `monotone` the data may turn back, as an oscillation does.
    """
    for name, (low, high) in intervals.items():
        ends = [side for side, end in (("lower", low), ("upper", high)) if math.isinf(end)]
        if ends:
            yield f"the data set no {' and no '.join(ends)} bound for {name}"
    explained = 1 - float(residuals @ residuals) / float(np.sum((observed - observed.mean()) ** 2))
    if explained < LEAST_EXPLAINED:
        yield f"the form explains {max(explained, 0):.0%} of the variance: too noisy, or another form"
    change, exact = np.diff(observed), np.abs(residuals).max() <= ROUNDING * np.abs(observed).max()
    back = np.abs(change[np.sign(change) != np.sign(observed[-1] - observed[0])]).max(initial=0.0)
    if monotone and back > TURNS_BACK * np.ptp(observed):
        yield f"the data are not monotone: they turn back by {back / np.ptp(observed):.0%} of their range"
    if not exact and observed.size >= FEWEST_RUNS and (chance := _chance_of_runs(residuals)) < RARE:
        yield f"the residuals are not noise (so few runs of one sign have a chance of {chance:.1g}): the form bends " \
              "otherwise than the data, and the intervals say how well it can follow them"


def _chance_of_runs(residuals: np.ndarray) -> float:
    """Chance of so few runs of one sign in independent residuals (Wald and Wolfowitz 1940), normal approximation."""
    from scipy import stats

    above = residuals > 0
    n, up = above.size, int(above.sum())
    down, runs = n - up, 1 + int((np.diff(above.astype(int)) != 0).sum())
    if not up or not down:
        return 2.0 ** (1 - n)
    mean = 1 + 2 * up * down / n
    spread = math.sqrt((mean - 1) * (mean - 2) / (n - 1))
    return float(stats.norm.cdf((runs + 0.5 - mean) / spread)) if spread else 1.0


def check_data(observed: np.ndarray, k: int) -> None:
    """Raises `UserError` where there are too few data, or all are equal."""
    if observed.size < k + 2:
        raise UserError(f"{observed.size} points are too few to fit {k} constants with an interval; "
                        f"record at least {k + 2}")
    if np.ptp(observed) <= 1e-12 * np.abs(observed).max():
        raise UserError("the data are constant, so they say nothing about the form; check the drive and the range")


def intervals_of(problem: Problem, best: Any, *, exact: bool, rss: float, ends: Any = None, first: float = 1 / 16,
                 tolerance: float = 1e-9) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each constant at the best: `best.x` [k], with residuals `best.fun` and slopes `best.jac`.

    Student's from the slopes where the fit is `exact`, as rounding has no profile; else of the profile likelihood.
    `ends` [k, 2] are the least and greatest values that a constant may have; `first` and `tolerance` are those of
    `profile`.
    """
    from scipy import stats

    n, k = problem.observed.size, best.x.size
    errors = standard_errors(best.jac, rss / (n - k))
    if exact:
        width = stats.t.ppf((1 + LEVEL) / 2, n - k)
        return {name: (float(x - width * error), float(x + width * error))
                for name, x, error in zip(problem.names, best.x, errors, strict=True)}
    if not np.isfinite(errors).all():
        return dict.fromkeys(problem.names, (-math.inf, math.inf))
    ends = np.tile([-math.inf, math.inf], (k, 1)) if ends is None else ends
    return {name: profile(problem, best.x, number, error=errors[number], rss=rss, ends=tuple(ends[number]),
                          first=first, tolerance=tolerance) for number, name in enumerate(problem.names)}


def profile(problem: Problem, best: Float[Array, "constant"], number: int, *, error: float, rss: float,
            ends: tuple[float, float] = (-math.inf, math.inf), first: float = 1 / 16,
            tolerance: float = 1e-9) -> tuple[float, float]:
    """Where the best fit with one constant held is worse by Student's criterion, below and above.

    Infinite where it never is, up to the `ends`. The first step away from the best is `first` standard errors: small
    ones find the nearest end where a form has more than one branch. `tolerance` is that of the ends, in errors.
    """
    from scipy import optimize, stats

    freedom = problem.observed.size - best.size
    bound = rss * (1 + stats.t.ppf((1 + LEVEL) / 2, freedom) ** 2 / freedom)
    if error == 0:
        return float(best[number]), float(best[number])
    others, found = np.delete(best, number), {float(best[number]): rss - bound}

    def excess(value: float) -> float:
        if value not in found:
            held = problem.held(number, value)
            remaining = held.search(others, most=1000).fun if others.size else held.residuals(others)
            with np.errstate(over="ignore"):
                found[value] = float(remaining @ remaining) - bound
        return found[value]

    reached = []
    for side, end in zip((-1, 1), ends, strict=True):
        most = min(WIDEST * error, abs(end - best[number]))
        reach = min(error, abs(best[number]) or error) * first
        while reach < most and excess(best[number] + side * reach) < 0:
            reach *= 2
        if reach >= most and (most == WIDEST * error or excess(end) < 0):
            reached.append(side * math.inf)
        else:
            far = end if reach >= most else best[number] + side * reach
            reached.append(float(optimize.brentq(excess, best[number], far, xtol=tolerance * error, rtol=1e-14)))
    return reached[0], reached[1]


def aicc(rss: float, points: int, constants: int) -> float:
    """Akaike's criterion for normal residuals of unknown size, corrected for few points (Hurvich and Tsai 1989)."""
    free = constants + 1  # the size of the residuals is fitted, too
    if points - free - 1 <= 0:
        return math.inf
    return points * math.log(max(rss, 1e-300) / points) + 2 * free + 2 * free * (free + 1) / (points - free - 1)


def weights(fits: Mapping[str, Fit]) -> dict[str, float]:
    """Akaike weights of rivals fitted to the same data: how likely each is the best of them; they sum to 1."""
    least = min(one.aicc for one in fits.values())
    if math.isinf(least):
        raise UserError("too few points to compare these forms; record more")
    raw = {name: math.exp((least - one.aicc) / 2) for name, one in fits.items()}
    return {name: value / math.fsum(raw.values()) for name, value in raw.items()}
