"""Fits: exact on exact data, honest intervals, and words where there is nothing to fit."""

import numpy as np
import pytest
from scipy import optimize

from derivation.fit import fit
from foundation.errors import UserError

X = np.linspace(0, 6, 25)


def test_exact_data_give_the_constants_back():
    found = fit("A*exp(-k*x)", {"x": X}, 2 * np.exp(-0.7 * X), {"A": 1.0, "k": 0.3})
    # no noise: the minimiser's own tolerance
    assert found.values == pytest.approx({"A": 2, "k": 0.7}, rel=1e-9)
    assert found.max_error < 1e-9


def test_values_and_intervals_agree_with_another_fitter():
    rng = np.random.default_rng(3)
    y = 2 * np.exp(-0.7 * X) + 0.02 * rng.standard_normal(X.size)
    found = fit("A*exp(-k*x)", {"x": X}, y, {"A": 1.0, "k": 0.3})
    values, covariance = optimize.curve_fit(lambda x, A, k: A * np.exp(-k * x), X, y, p0=[1, 0.3])
    # two minimisers stop at slightly different points of a flat valley
    np.testing.assert_allclose(list(found.values.values()), values, rtol=1e-6)
    half = [(high - low) / 2 for low, high in found.intervals.values()]
    np.testing.assert_allclose(half, 2.06866 * np.sqrt(np.diag(covariance)), rtol=1e-4)  # Student's t for 23


def test_intervals_cover_the_truth_as_often_as_they_say():
    """95 % intervals over 400 draws: the count lies in 358..396 with probability .9999 if the level is right."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(400):
        y = np.exp(-0.5 * X) + 0.05 * rng.standard_normal(X.size)
        low, high = fit("exp(-k*x)", {"x": X}, y, {"k": 0.4}).intervals["k"]
        inside += low <= 0.5 <= high
    assert 358 <= inside <= 396


@pytest.mark.parametrize(("y", "formula", "start", "message"), [
    (np.ones(25), "exp(-k*x)", {"k": 1.0}, "constant"),
    (np.full(25, np.nan), "exp(-k*x)", {"k": 1.0}, "not finite"),
    (np.exp(-X), "A*B*exp(-x)", {"A": 1.0, "B": 1.0}, "cannot be told apart"),
])
def test_what_cannot_be_fitted_is_said(y, formula, start, message):
    with pytest.raises(UserError, match=message):
        fit(formula, {"x": X}, y, start)


def test_too_few_points():
    with pytest.raises(UserError, match="2 points are too few"):
        fit("exp(-k*x)", {"x": X[:2]}, np.array([1.0, 0.5]), {"k": 1.0})
