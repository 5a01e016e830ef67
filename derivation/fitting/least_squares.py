"""Least-squares fits of closed forms by scipy, with profile-likelihood intervals; what cannot be fitted is said."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from derivation.fitting.problem import ROUNDING, Problem, problem
from foundation.errors import UserError
from foundation.table import Table

LEVEL = 0.95
WELL_CONDITIONED = 1e6  # derivatives whose product with themselves float64 inverts to four digits
WIDEST = 1e6  # standard errors: an interval that has no end there has none
# When a fit is doubted: share of the variance explained, share of the range that data turn back by, chance of runs.
LEAST_EXPLAINED, TURNS_BACK, RARE, FEWEST_RUNS = 0.5, 0.1, 0.01, 8


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


def fit(formula: str, arguments: Mapping[str, np.ndarray], observed: np.ndarray, start: Mapping[str, float], *,
        profile: bool = True) -> Fit:
    """Fit the constants named in `start` so that `formula` at `arguments` comes close to `observed` [n].

    Intervals are profile-likelihood ones for normal residuals of unknown size: a constant may move until the best fit
    that it leaves is worse by Student's criterion. For a recording without noise they measure how well the form can
    follow it, not a sampling error. Without `profile` there are none: only the values and how close they come.

    Raises `UserError` when data or form are not finite at a point, shapes differ, there are too few points, the data
    are constant, the search does not converge, or the constants cannot be told apart.
    """
    to_fit = problem(formula, arguments, observed, names=tuple(start))
    guess = np.array(list(start.values()), dtype=np.float64)
    to_fit.check(guess)
    n, k = to_fit.observed.size, guess.size
    _check_data(to_fit.observed, k)
    best = to_fit.minimum(guess)
    rss = float(best.fun @ best.fun)
    intervals = {}
    if profile:
        errors = _standard_errors(best.jac, rss / (n - k))
        width = stats.t.ppf((1 + LEVEL) / 2, n - k)
        intervals = {name: (float(x - width * error), float(x + width * error))
                     for name, x, error in zip(start, best.x, errors, strict=True)}
        if not to_fit.is_exact(best.fun):  # rounding has no profile
            intervals = {name: _profile(to_fit, best.x, number, error=errors[number], rss=rss)
                         for number, name in enumerate(start)}
    values = {name: float(x) for name, x in zip(start, best.x, strict=True)}
    return Fit(values, intervals, rss=rss, max_error=float(np.abs(best.fun).max()), rms_error=math.sqrt(rss / n),
               aicc=aicc(rss, n, k), warnings=tuple(doubts(to_fit.observed, best.fun, intervals)))


def _standard_errors(slopes: np.ndarray, variance: float) -> np.ndarray:
    """Of the constants, from derivatives [n, k]; these over their sizes where the sizes differ too much to invert."""
    sizes = np.ones(slopes.shape[1])
    if np.linalg.cond(slopes) > WELL_CONDITIONED:
        sizes = np.linalg.norm(slopes, axis=0)
    scaled = slopes / sizes
    return np.sqrt(np.diag(np.linalg.inv(scaled.T @ scaled)) * variance) / sizes


def doubts(observed: np.ndarray, residuals: np.ndarray, intervals: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """What a reader should know before believing a fit to `observed` [n], in the order of the argument.

    Noise is what differs between neighbours beside a smooth course; a run is a stretch of residuals of one sign.
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
    if back > TURNS_BACK * np.ptp(observed):
        yield f"the data are not monotone: they turn back by {back / np.ptp(observed):.0%} of their range"
    if not exact and observed.size >= FEWEST_RUNS and (chance := _chance_of_runs(residuals)) < RARE:
        yield f"the residuals are not noise (so few runs of one sign have a chance of {chance:.1g}): the form bends " \
              "otherwise than the data, and the intervals say how well it can follow them"


def _chance_of_runs(residuals: np.ndarray) -> float:
    """Chance of so few runs of one sign in independent residuals (Wald and Wolfowitz 1940), normal approximation."""
    above = residuals > 0
    n, up = above.size, int(above.sum())
    down, runs = n - up, 1 + int((np.diff(above.astype(int)) != 0).sum())
    if not up or not down:
        return 2.0 ** (1 - n)
    mean = 1 + 2 * up * down / n
    spread = math.sqrt((mean - 1) * (mean - 2) / (n - 1))
    return float(stats.norm.cdf((runs + 0.5 - mean) / spread)) if spread else 1.0


def _check_data(observed: np.ndarray, k: int) -> None:
    if observed.size < k + 2:
        raise UserError(f"{observed.size} points are too few to fit {k} constants with an interval; "
                        f"record at least {k + 2}")
    if np.ptp(observed) <= 1e-12 * np.abs(observed).max():
        raise UserError("the data are constant, so they say nothing about the form; check the drive and the range")


def _profile(to_fit: Problem, best: np.ndarray, number: int, *, error: float, rss: float) -> tuple[float, float]:
    """Where the best fit with one constant held is worse by Student's criterion, below and above."""
    freedom = to_fit.observed.size - best.size
    bound = rss * (1 + stats.t.ppf((1 + LEVEL) / 2, freedom) ** 2 / freedom)
    if error == 0:
        return float(best[number]), float(best[number])
    others, name = np.delete(best, number), to_fit.names[number]
    names = to_fit.names[:number] + to_fit.names[number + 1:]

    def excess(value: float) -> float:
        held = dataclasses.replace(to_fit, arguments={**to_fit.arguments, name: np.float64(value)}, names=names)
        remaining = held.search(others, most=1000).fun if others.size else held.residuals(others)
        with np.errstate(over="ignore"):
            return float(remaining @ remaining) - bound

    ends = []
    for side in (-1, 1):
        # small first steps, so that the nearest end is found where a form has more than one branch
        reach = min(error, abs(best[number]) or error) / 16
        while excess(best[number] + side * reach) < 0 and reach < WIDEST * error:
            reach *= 2
        if reach >= WIDEST * error:
            ends.append(side * math.inf)
        else:
            ends.append(float(optimize.brentq(excess, best[number], best[number] + side * reach,
                                              xtol=1e-9 * error, rtol=1e-14)))
    return ends[0], ends[1]


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
