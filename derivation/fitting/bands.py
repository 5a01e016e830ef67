"""How far a fit is certain: the band about its curve, and the profile likelihood of one constant."""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from derivation.fitting.problem import Problem, problem
from foundation.fitting.least_squares import LEVEL

REACH = 1.6  # of the interval's half width, to both sides, that a profile is drawn over


def band(to_fit: Problem, constants: np.ndarray, at: Mapping[str, float | np.ndarray],
         count: int) -> tuple[np.ndarray, np.ndarray]:
    """The form at `count` other places, and half the width of the 95 % band of its mean there, both float64 [count].

    To first order in the `constants` [k], for normal residuals of unknown size: Student's t times the root of
    g (J^T J)^-1 g rss/(n - k), g being the form's derivatives there, J those at the data.
    """
    residuals, slopes = to_fit.residuals(constants), to_fit.slopes(constants)
    freedom = residuals.size - constants.size
    covariance = np.linalg.inv(slopes.T @ slopes) * (residuals @ residuals) / freedom
    places = problem(to_fit.formula, at, np.zeros(count), names=to_fit.names)
    there = places.slopes(constants)
    variance = np.einsum("ni,ij,nj->n", there, covariance, there)
    return places.values(constants), _student(freedom) * np.sqrt(np.maximum(variance, 0))


def profile(to_fit: Problem, constants: np.ndarray, number: int, *, points: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """Values of constant `number` about its best one, and n log(rss/least rss) with the others fitted anew, [points].

    Where that is below `threshold(n, k)`, the value is in the 95 % interval.
    """
    residuals, slopes = to_fit.residuals(constants), to_fit.slopes(constants)
    least, freedom = float(residuals @ residuals), residuals.size - constants.size
    error = np.sqrt(np.linalg.inv(slopes.T @ slopes)[number, number] * least / freedom)
    values = constants[number] + REACH * _student(freedom) * error * np.linspace(-1, 1, points)
    others, found = np.delete(constants, number), []
    for value in values:
        held = to_fit.held(number, float(value))
        left = held.search(others).fun if others.size else held.residuals(others)
        found.append(residuals.size * np.log(float(left @ left) / least))
    return values, np.array(found)


def threshold(count: int, constants: int) -> float:
    """n log(rss/least rss) at the ends of the 95 % interval of one of k constants, by Student's criterion."""
    return float(count * np.log1p(_student(count - constants) ** 2 / (count - constants)))


def _student(freedom: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))
