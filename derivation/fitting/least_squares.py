"""Least-squares fits of closed forms by scipy, with profile-likelihood intervals; what cannot be fitted is said."""

import math
from collections.abc import Mapping

import numpy as np

from derivation.fitting.problem import problem
from foundation.fitting.least_squares import Fit, aicc, check_data, doubts, intervals_of


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
    check_data(to_fit.observed, k)
    best = to_fit.minimum(guess)
    rss = float(best.fun @ best.fun)
    intervals = intervals_of(to_fit, best, exact=to_fit.is_exact(best.fun), rss=rss) if profile else {}
    values = {name: float(x) for name, x in zip(start, best.x, strict=True)}
    return Fit(values, intervals, rss=rss, max_error=float(np.abs(best.fun).max()), rms_error=math.sqrt(rss / n),
               aicc=aicc(rss, n, k), warnings=tuple(doubts(to_fit.observed, best.fun, intervals)))
