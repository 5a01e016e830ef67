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
