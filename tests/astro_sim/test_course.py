"""Measures of courses that are not smooth: ripples, jumps and noise give numbers or words, never an exception."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim import analysis
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Series
from foundation.errors import UserError


def recorded(values):
    series = Series(np.asarray(values, float)[:, None], "umolar", "a signal", "astrocyte", ("0",))
    return Recording(0.1 * np.arange(len(values)), {"C": series}, {"model": "signal", "parameters": {}, "options": {}})


def both(values, step=0.1):
    """The period of two functions with one judge: (period, of oscillation), or the words of both."""
    series = Series(np.asarray(values, float)[:, None], "umolar", "a signal", "astrocyte", ("0",))
    recording = Recording(step * np.arange(len(values)), {"C": series}, {"model": "signal"})
    told = []
    for judge in (analysis.period, lambda *given, **after: analysis.oscillation(*given, **after).period):
        try:
            told.append(judge(recording, "C", after=0))
        except UserError as why:
            told.append(str(why))
    assert told[0] == told[1], "one judge for both"
    return told[0]


TIME = 0.1 * np.arange(600)
NOISE = np.random.default_rng(3).standard_normal(600)


@pytest.mark.parametrize("keeps", [0.2, 0.5, 0.7, 0.85, 0.92])
@pytest.mark.parametrize("cycles", [3.3, 5.2, 11.7])
def test_a_decaying_spiral_is_no_oscillation(keeps, cycles):
    """Each swing `keeps` a share of the one before; the course ends after `cycles` of them."""
    period = 60 / cycles
    spiral = 0.3 + keeps ** (TIME / period) * np.sin(2 * np.pi * TIME / period)
    assert "no oscillation" in both(spiral)


@pytest.mark.parametrize("starts", [0.2, 3.0])
@pytest.mark.parametrize("settles", [0.3, 0.6])
def test_what_settles_on_a_cycle_from_inside_or_outside_oscillates(starts, settles):
    """In one cycle the distance to the limit cycle, of swing 1, falls to the share `settles`; looked at from 8 s on."""
    swing = 1 + (starts - 1) * settles ** ((TIME + 8) / 5)
    assert both(swing * np.cos(2 * np.pi * TIME / 5)) == pytest.approx(5, rel=5e-3)


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1, 0.2])
def test_noise_adds_no_rises(noise):
    """12 cycles of a sine whose middle the noise passes several times; off by noise over slope at each end."""
    assert both(np.sin(2 * np.pi * TIME / 5) + noise * NOISE) == pytest.approx(5, abs=3 * noise * 5 / 6 / 11 + 0.02)


@pytest.mark.parametrize("drift", [-4.0, -1.0, 0.5, 2.0, 5.0])
def test_a_drift_moves_no_period(drift):
    """A sine of swing 2 on a straight line: its extrema stay a period apart, its rises through a level do not."""
    assert both(np.sin(2 * np.pi * TIME / 5) + drift * TIME / 60) == pytest.approx(5, rel=1e-4)


def test_noise_alone_has_no_period():
    for smooth in (1, 3, 10):
        course = np.convolve(NOISE, np.ones(smooth), "valid")
        assert "no oscillation" in both(course)


def test_a_chaotic_course_has_the_mean_period_of_its_phase():
    """Roessler's band: its phase turns steadily though no swing is like another; in mean as the angle about (0, 0)."""
    solve = pytest.importorskip("scipy.integrate").solve_ivp
    found = solve(lambda t, s: [-s[1] - s[2], s[0] + 0.2 * s[1], 0.2 + s[2] * (s[0] - 5.7)], (0, 220), [1, 1, 0],
                  t_eval=np.arange(100, 220, 0.1), rtol=1e-6)
    turns = np.ptp(np.unwrap(np.arctan2(found.y[1], found.y[0]))) / (2 * np.pi)
    assert both(found.y[0]) == pytest.approx(np.ptp(found.t) / turns, rel=0.02)  # up to a cycle less at the ends


@pytest.mark.slow
@pytest.mark.parametrize(("level", "said"), [("0.68 umolar", "dies out"), ("0.65 umolar", "dies out"),
                                             ("0.6 umolar", None)])
def test_above_the_hopf_point_nothing_oscillates(level, said):
    """AM: Hopf at 0.636882 uM; well above it every course spirals into the equilibrium."""
    from astro_sim import simulate
    from astro_sim.protocols import constant

    for duration in ("60 s", "120 s"):
        recording = simulate("li_rinzel:AM", constant("ip3", level), duration=duration, dt="10 ms")
        told = both(recording["C"].values[len(recording.time) // 2:, 0], 0.01)
        assert (said in told) if said else 5 < told < 15


@settings(max_examples=50)
@given(st.lists(st.floats(-3, 3), min_size=5, max_size=60), st.floats(-9, 9))
def test_period_and_oscillation_judge_alike(values, drift):
    both(np.array(values) + drift * np.arange(len(values)))


def test_a_ripple_on_the_way_down_is_no_rise():
    """After the peak it dips below 90 % and rises through it again, long before it rises from the trough."""
    fall = [1.0, 0.85, 0.95, 0.6, 0.3, 0.0]
    course = [*fall, 0.25, 0.5, 0.75, *fall, 0.25, 0.5, 0.75, *fall, 0.25, 0.5, 0.75, 1.0, 0.5]
    # from 10 to 90 % of four equal steps of 0.1 s, but for the cubic through corners
    assert analysis.rise_time(recorded(course), "C", after=0) == pytest.approx(0.8 * 0.4, rel=0.1)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1.0]), min_size=4, max_size=40))
def test_any_course_has_measures_or_a_reason(values):
    try:
        found = analysis.oscillation(recorded(values), "C", after=0)
    except UserError as why:
        assert "no oscillation" in str(why) or "simulate longer" in str(why)
    else:
        length = 0.1 * (len(values) - 1)
        assert 0 < found.period <= length and 0 <= found.rise_time <= length and 0 <= found.duty <= 1
