"""A course between its records is that of scipy's splines: roots, slopes, turns."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

from astro_sim.analysis.between import (
    monotone_slopes,
    passes_of_monotone,
    passes_of_spline,
    spline_slopes,
    turn,
)

RNG = np.random.default_rng(5)


def course(count, even=True):
    time = np.arange(count) * 0.1 if even else np.cumsum(RNG.uniform(0.05, 0.2, count))
    return time, np.sin(2.1 * time) + 0.3 * np.cos(5 * time) + 0.05 * RNG.normal(size=count)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 63, 500])
@pytest.mark.parametrize("even", [True, False])
def test_slopes(count, even):
    time, values = course(count, even)
    assert np.allclose(spline_slopes(time, values), CubicSpline(time, values)(time, 1), rtol=0, atol=1e-11)
    values[1:3] = values[1]  # a flat piece
    assert np.allclose(monotone_slopes(time, values, np.arange(count)), PchipInterpolator(time, values)(time, 1),
                       rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [4, 7, 400])
def test_passes(count):
    """Every change of side has one time, and the spline is zero there."""
    time, values = course(count, even=False)
    for passes, spline in ((passes_of_spline, CubicSpline), (passes_of_monotone, PchipInterpolator)):
        at, rising = passes(time, values)
        assert len(at) == (np.diff(values > 0) != 0).sum()
        assert np.abs(spline(time, values)(at)).max(initial=0) < 1e-13
        assert np.array_equal(rising, values[np.searchsorted(time, at)] > 0)


def test_a_course_that_does_not_change_its_side_passes_nowhere():
    at, rising = passes_of_spline(np.arange(5.0), np.ones(5))
    assert len(at) == len(rising) == 0


@pytest.mark.parametrize("k", [2, 3, 30])
def test_turns(k):
    """The highest place near record k, also where fewer than three records are on one side."""
    time = np.arange(40) * 0.25
    values = np.cos(1.3 * (time - time[k] - 0.07))
    near = slice(max(k - 3, 0), k + 4)
    spline = CubicSpline(time[near], values[near])
    fine = np.linspace(time[k - 1], time[k + 1], 200_001)
    when, height = turn(time, values, k)
    assert height == pytest.approx(spline(fine).max(), abs=1e-12)
    assert when == pytest.approx(fine[spline(fine).argmax()], abs=1e-5)
    assert when == pytest.approx(time[k] + 0.07, abs=1e-3)
