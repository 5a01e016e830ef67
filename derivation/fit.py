"""Least-squares fits of closed forms, with 95 % intervals, by scipy; what cannot be fitted is said in words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from derivation import closed_form
from foundation.errors import UserError

NUMPY = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt}


@dataclass(frozen=True)
class Fit:
    """Fitted constants, their 95 % intervals [low, high] and the largest residual."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    max_error: float


def fit(formula: str, arguments: Mapping[str, np.ndarray], observed: np.ndarray, start: Mapping[str, float]) -> Fit:
    """Fit the constants named in `start` so that `formula` at `arguments` comes close to `observed` [n].

    Intervals are those of linearised least squares (Student's t, n - k degrees of freedom): for a recording without
    noise they measure how well the form can follow it, not a sampling error. Raises `UserError` when there are too few
    points, when the data are constant or not finite, or when the constants cannot be told apart.
    """
    observed = np.asarray(observed, dtype=np.float64)
    n, k = observed.size, len(start)
    if n < k + 2:
        raise UserError(f"{n} points are too few to fit {k} constants with an interval; record at least {k + 2}")
    if not np.isfinite(observed).all():
        raise UserError("the data hold values that are not finite; look at the recording before fitting it")
    if np.ptp(observed) <= 1e-12 * np.abs(observed).max():
        raise UserError("the data are constant, so they say nothing about the form; check the drive and the range")
    names = list(start)

    def residual(constants: np.ndarray) -> np.ndarray:
        values = dict(arguments) | dict(zip(names, constants, strict=True))
        return closed_form.evaluate(formula, values, NUMPY) - observed

    scale = np.maximum(np.abs(np.array([start[name] for name in names], dtype=np.float64)), 1e-8)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = optimize.least_squares(residual, [start[name] for name in names], x_scale=scale,
                                       ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=2000)
    if not found.success:
        raise UserError(f"the fit of {formula!r} did not converge ({found.message}); start nearer or record more")
    singular = np.linalg.svd(found.jac * scale, compute_uv=False)
    if singular[-1] <= 1e-10 * singular[0] or singular[0] == 0:
        raise UserError(f"the constants {', '.join(names)} of {formula!r} cannot be told apart from these data")
    rss = float(found.fun @ found.fun)
    half = stats.t.ppf(0.975, n - k) * np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)) * rss / (n - k))
    return Fit({name: float(x) for name, x in zip(names, found.x, strict=True)},
               {name: (float(x - h), float(x + h)) for name, x, h in zip(names, found.x, half, strict=True)},
               float(np.abs(found.fun).max()))
