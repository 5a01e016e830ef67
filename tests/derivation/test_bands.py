"""Bands and profiles of a fit against scipy's own fit and against Student's interval of a straight line."""

import numpy as np
import pytest
from scipy import optimize, stats

from derivation.fitting.bands import band, profile, threshold
from derivation.fitting.least_squares import fit
from derivation.fitting.problem import problem

X = np.linspace(0.3, 4.1, 17)


@pytest.fixture(scope="module")
def bent():
    """A decay with noise: its problem, and the best constants."""
    y = 2.0 * np.exp(-0.7 * X) + 0.05 * np.random.default_rng(3).standard_normal(X.size)
    best = fit("c*exp(-scale*x)", {"x": X}, y, {"c": 1.0, "scale": 1.0})
    return problem("c*exp(-scale*x)", {"x": X}, y, names=("c", "scale")), best


def test_a_band_is_that_of_scipys_covariance(bent):
    to_fit, best = bent
    found, covariance = optimize.curve_fit(lambda x, c, s: c * np.exp(-s * x), X, to_fit.observed, [1, 1], ftol=1e-13,
                                           xtol=1e-13)
    places = np.array([0.0, 0.9, 7.0])
    middle, half = band(to_fit, np.array(list(best.values.values())), {"x": places}, 3)
    c, s = found
    g = np.stack([np.exp(-s * places), -c * places * np.exp(-s * places)], 1)
    expected = stats.t.ppf(0.975, X.size - 2) * np.sqrt(np.einsum("ni,ij,nj->n", g, covariance, g))
    np.testing.assert_allclose(middle, c * np.exp(-s * places), rtol=1e-6)  # two searches, each to some 1e-8
    np.testing.assert_allclose(half, expected, rtol=1e-5)  # scipy's derivatives are differences


def test_a_profile_crosses_its_threshold_at_the_ends_of_the_interval(bent):
    to_fit, best = bent
    constants = np.array(list(best.values.values()))
    for number, name in enumerate(to_fit.names):
        values, excess = profile(to_fit, constants, number, points=201)
        assert excess.min() == pytest.approx(0, abs=1e-9)
        assert values[excess.argmin()] == pytest.approx(best.values[name])
        inside = values[excess <= threshold(X.size, 2)]
        step = values[1] - values[0]
        assert inside[0] - best.intervals[name][0] == pytest.approx(0, abs=step)
        assert inside[-1] - best.intervals[name][1] == pytest.approx(0, abs=step)


def test_of_a_straight_line_the_profile_is_students_parabola():
    y = 3.0 * X + np.sin(7 * X)
    to_fit = problem("a*x", {"x": X}, y, names=("a",))
    a = np.array([(X @ y) / (X @ X)])
    values, excess = profile(to_fit, a, 0, points=9)
    rss = [((y - value * X) ** 2).sum() for value in values]
    np.testing.assert_allclose(excess, X.size * np.log(np.array(rss) / min(rss)), atol=1e-9)
