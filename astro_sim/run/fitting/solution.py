"""From starts to a result: the search, its intervals, what the data do not tell, what to doubt."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from astro_sim.run.fitting.result import DataFit
from astro_sim.run.fitting.target import Courses
from astro_sim.run.fitting.trials import WALL, Trials
from foundation.errors import UserError
from foundation.fitting.least_squares import doubts, intervals_of
from foundation.fitting.slopes import idle, tangled
from foundation.shapes import Array, Float

FOLLOWED = 2     # of the starts, and one more for each that is free beyond the first
NEAR = 3.0       # times the best start's sum of squares: farther ones are followed only where the best leads nowhere
FOLLOWS, MOST = 0.5, 8  # of the data's variance: a fit that leaves more is no fit, and other starts are followed, too
DEPENDENT = 2e-4  # least singular value of the derivatives, which are differences and no more exact than that
IDLE = 1e-6      # of the data's size, over the whole way from bound to bound
EXACT = 1e-6     # of the data's deviation, root mean square: what is left is the integrator's error
FIRST, TOLERANCE = 2.1, 1e-2  # of an interval's ends, in standard errors: the first step, and how closely


def fitted(problem: Trials, starts: Float[Array, "start free"], *, intervals: bool) -> DataFit:
    """The best from several starts, told with its intervals.

    Errors: `UserError` where no start can be simulated, and for what the data do not tell, by name.
    """
    best = _minimum(problem, starts)
    if isinstance(problem.target, Courses) and len(problem.target.courses) > 1:
        problem = replace(problem, target=problem.target.weighed(best.fun))
        best = problem.search(best.x)
    best.jac = problem.slopes(best.x, both=True)
    _check_determined(problem, best)
    rss, n, k = float(best.fun @ best.fun), problem.observed.size, len(problem.free)
    shares, exact = {}, math.sqrt(rss / n) < EXACT
    if intervals and n > k:
        shares = intervals_of(problem, best, exact=exact, rss=rss, ends=np.tile([0.0, 1.0], (k, 1)), first=FIRST,
                              tolerance=TOLERANCE)
        _check_bounded(problem, shares, best.x)
    return _told(problem, best, shares, exact=exact)


def _minimum(problem: Trials, starts: np.ndarray) -> Any:
    """The best of the searches from the starts that come closest. Errors: `UserError` where none can be simulated."""
    costs = np.array([float(missed @ missed) for missed in map(problem.residuals, starts)])
    order = np.argsort(costs, kind="stable")
    if costs[order[0]] >= WALL**2:
        raise UserError(f"fit: none of {len(starts)} starts can be simulated ({problem.counter.error}); choose other "
                        "bounds, a shorter dt, or a start: (low, high, start)")
    found, size = [], float(np.sum((problem.target.centred) ** 2))
    for n, place in enumerate(order):
        good = found and 2 * min(one.cost for one in found) < FOLLOWS * size
        if costs[place] >= WALL**2 or (n >= FOLLOWED + len(problem.free) - 1 and (good or n >= MOST)) or (
                good and costs[place] > NEAR * costs[order[0]]):
            break
        found.append(problem.search(starts[place]))
    return min(found, key=lambda one: one.cost)


def _check_determined(problem: Trials, best: Any) -> None:
    """Errors: `UserError` that names what changes nothing at the data, and what does what others do."""
    told = ", ".join(f"{one.name} = {value:.4g} {one.unit}".removesuffix(" 1")
                     for one, value in zip(problem.free, problem.values(best.x), strict=True))
    if still := [problem.free[n].name for n in idle(best.jac, IDLE * math.sqrt(problem.observed.size))]:
        raise UserError(f"fit: {', '.join(still)} cannot be told from these data: it changes nothing in "
                        f"{', '.join(problem.target.names)} at {told}; leave it out of what is free")
    if len(together := tangled(best.jac, DEPENDENT)):
        raise UserError(f"fit: {', '.join(problem.free[n].name for n in together)} cannot be told apart from these "
                        f"data: what one changes, others change as well, at {told}; free one of them fewer")


def _check_bounded(problem: Trials, shares: Mapping[str, tuple[float, float]], best: np.ndarray) -> None:
    """Errors: `UserError` that names what may have any value between its bounds."""
    anything = [one for one in problem.free if all(map(math.isinf, shares[one.name]))]
    if anything:
        ranges = ", ".join(f"{one.name} from {one.low:g} to {one.high:g} {one.unit}".removesuffix(" 1")
                           for one in anything)
        raise UserError(f"fit: {ranges}: any value fits these data as well; leave it out of what is free, give wider "
                        "bounds, or measure more")


def _told(problem: Trials, best: Any, shares: Mapping[str, tuple[float, float]], *, exact: bool) -> DataFit:
    """The result in units, with the recording of the best and what to doubt."""
    values = problem.values(best.x)
    free, target = problem.free, problem.target
    ends = {one.name: tuple(side * math.inf if math.isinf(end) else one.value(min(max(end, 0.0), 1.0))
                            for side, end in zip((-1, 1), shares[one.name], strict=True))
            for one in free if one.name in shares}
    recording = problem.recording(best.x, record_every=_readable(problem.common))
    warnings = []
    if isinstance(target, Courses):
        parts = zip(target.names, target.parts(target.centred), target.parts(best.fun), strict=True)
        for n, (name, course, missed) in enumerate(parts):
            if not np.ptp(course):
                continue
            said = doubts(course, missed, ends if n == 0 and not exact else {}, monotone=False)
            warnings += [text if len(target.names) == 1 or "the data set no" in text else f"{name}: {text}"
                         for text in said]
    warnings += [f"{one.name} stands at its bound, {value:.6g} {one.unit}".removesuffix(" 1")
                 for one, value, share in zip(free, values, best.x, strict=True) if min(share, 1 - share) < 1e-4]
    if problem.observed.size <= len(free):
        warnings.append("as many are free as there are data, so nothing is left for an interval")
    return DataFit({one.name: float(value) for one, value in zip(free, values, strict=True)}, ends,
                   {one.name: one.unit for one in free}, target=target, residuals=best.fun, recording=recording,
                   simulations=problem.counter.count, warnings=tuple(warnings))


def _readable(times: Mapping[str, Any]) -> float:
    """A recording interval that draws a smooth line: a multiple of the step, some 2,000 of them."""
    every = max(1, round(times["duration"] / 2000 / times["dt"]))
    return every * times["dt"]
