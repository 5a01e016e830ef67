"""Events by a threshold, and numbers by name, against closed forms: pulses and sines of known times and sizes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim import analysis
from astro_sim.analysis.named import EVENT_MEASURES, MEASURES, named
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Series
from foundation.errors import UserError

STEP = 0.05
TIME = STEP * np.arange(1201)  # 60 s


def recorded(*courses, unit="umolar", labels=None):
    values = np.stack(courses, axis=1)
    series = Series(values, unit, "a signal", "cell", labels or tuple(map(str, range(len(courses)))))
    return Recording(STEP * np.arange(len(values)), {"C": series}, {"model": "signal", "parameters": {}})


def pulses(centres, heights, width):
    """Gaussians on a base of 0.1."""
    return 0.1 + sum(h * np.exp(-(TIME - c) ** 2 / (2 * width**2)) for c, h in zip(centres, heights, strict=True))


CENTRES, HEIGHTS, WIDTH = (7.03, 19.4, 44.71), (1.0, 0.5, 2.0), 1.2


def test_pulses_are_found_with_their_times_heights_and_widths():
    found = analysis.detect(recorded(pulses(CENTRES, HEIGHTS, WIDTH)), "C>0.4 uM")
    # a Gaussian of height h passes 0.3 above its base at sqrt(2 ln(h/0.3)) widths from its centre
    reach = WIDTH * np.sqrt(2 * np.log(np.array(HEIGHTS) / 0.3))
    np.testing.assert_allclose(found.start, CENTRES - reach, atol=1e-6)  # fourth order in a step of 0.05 s
    np.testing.assert_allclose(found.end, CENTRES + reach, atol=1e-6)
    np.testing.assert_allclose(found.width, 2 * reach, atol=2e-6)
    np.testing.assert_allclose(found.peak_time, CENTRES, atol=1e-5)
    np.testing.assert_allclose(found.peak, 0.1 + np.array(HEIGHTS), rtol=1e-6)
    np.testing.assert_allclose(found.amplitude, HEIGHTS, rtol=1e-3)  # the tail of the pulse before lifts the base
    np.testing.assert_allclose(found.half_width, 2 * WIDTH * np.sqrt(2 * np.log(2)), rtol=2e-3)
    np.testing.assert_allclose(found.intervals, np.diff(CENTRES - reach), atol=2e-6)
    told = found.statistics()
    assert (told["count"], told["active"], told["rate_hertz"]) == (3, 1, pytest.approx(3 / 60))
    assert told["interval_s"]["mean"] == pytest.approx(np.diff(CENTRES - reach).mean(), abs=1e-6)
    assert told["amplitude"]["cv"] == pytest.approx(np.std(HEIGHTS) / np.mean(HEIGHTS), rel=1e-3)


def test_downward_events_are_those_of_the_course_turned_over():
    course = pulses(CENTRES, HEIGHTS, WIDTH)
    up = analysis.detect(recorded(course), "C > 400 nM")
    down = analysis.detect(recorded(1 - course), "C<0.6 umolar")
    for name in ("start", "end", "peak_time", "amplitude", "width", "half_width"):
        np.testing.assert_allclose(getattr(down, name), getattr(up, name), rtol=1e-9)
    np.testing.assert_allclose(down.peak, 1 - up.peak, rtol=1e-9)


def test_elements_have_their_own_events_and_silent_ones_count_in_the_rate():
    recording = recorded(pulses(CENTRES, HEIGHTS, WIDTH), np.full(len(TIME), 0.2), pulses((30.0,), (1.0,), WIDTH),
                         labels=("a", "b", "c 3"))
    found = analysis.detect(recording, "C>0.4 uM")
    assert found.element.tolist() == [0, 0, 0, 2] and len(found.intervals) == 2
    assert found.statistics()["rate_hertz"] == pytest.approx(4 / 60 / 3)
    assert np.array_equal(analysis.events.rates(recording, found.events), np.array([3, 0, 1]) / 60)
    assert found.to_pandas()["label"].tolist() == ["a", "a", "a", "c 3"]
    one = analysis.detect(recording, "C[c 3]>0.4 uM")
    assert one.element.tolist() == [2] and one.statistics()["rate_hertz"] == pytest.approx(1 / 60)


def test_an_event_that_is_cut_off_has_no_width_and_one_that_had_begun_is_left_out():
    course = pulses((0.0, 30.0, 60.0), (1.0, 1.0, 1.0), WIDTH)
    found = analysis.detect(recorded(course), "C>0.4 uM")
    assert found.peak_time[0] == pytest.approx(30, abs=1e-5)
    assert np.isnan(found.end[1]) and np.isnan(found.width[1]) and np.isfinite(found.amplitude[1])
    assert found.to_dict()[1]["width"] is None and json.dumps(found.to_dict())
    assert analysis.detect(recorded(course), "C>0.4 uM", after="40 s").peak_time.tolist() == [60.0]
    assert "peak" in found._repr_html_() and "2 events" in repr(found)


def test_noise_splits_no_event():
    noise = 0.03 * np.random.default_rng(1).standard_normal(len(TIME))
    recording = recorded(pulses(CENTRES, HEIGHTS, WIDTH) + noise)
    found = analysis.detect(recording, "C>0.4 uM")
    assert len(found.start) == 3
    np.testing.assert_allclose(found.peak_time, CENTRES, atol=0.5)
    assert len(analysis.detect(recording, "C>0.4 uM", hysteresis="0 uM").start) > 3
    assert len(analysis.detect(recording, "C>0.4 uM", hysteresis="0 uM", shortest="0.5 s").start) == 3


@settings(max_examples=60)
@given(st.lists(st.floats(-1, 1), min_size=5, max_size=80), st.floats(-1, 1), st.floats(0, 0.5))
def test_events_of_any_course_are_in_order_and_inside(values, level, band):
    recording = recorded(np.array(values), unit="1")
    found = analysis.detect(recording, f"C>{level!r}", hysteresis=band)
    ends = np.where(np.isnan(found.end), recording.time[-1], found.end)
    assert (np.diff(found.start) > 0).all() and (ends >= found.start).all()
    assert (found.start[1:] >= found.end[:-1]).all() and (found.amplitude >= 0).all()
    assert (found.peak > level).all() and found.start.min(initial=np.inf) >= 0


def test_numbers_by_name_are_those_of_a_sine():
    sine = 0.5 + 0.3 * np.sin(2 * np.pi * TIME / 6)
    recording = recorded(sine, 2 * sine)  # its first event starts from the middle: 0.3 high, the nine others 0.6
    wanted = {"period(C)": 6, "frequency(C)": 1 / 6, "peak(C[0])": 0.8, "trough(C[1])": 0.4, "amplitude(C[0])": 0.6,
              "mean(C[0])": 0.5, "std(C[0])": 0.3 / np.sqrt(2), "peak(C)": 1.2, "duty(C)": 0.5, "last(C[0])": 0.5,
              "event_rate(C[0]>0.5 uM)": 9 / 60, "event_interval(C[0]>0.6 uM)": 6, "event_amplitude(C[0]>0.6 uM)": 0.57,
              "event_count(C[0] < 0.4 uM)": 10, "event_width(C[0]>0.65 uM)": 2}
    for text, value in wanted.items():
        # a sine at 0.05 s: its spline errs by 1e-8; the trapezoid over whole periods is exact
        assert analysis.measure(recording, text, after=0) == pytest.approx(value, rel=1e-3), text
    assert set(MEASURES) - {named(text).name for text in wanted} == {"rise_time"}
    assert set(EVENT_MEASURES) == {named(text).name for text in wanted if ">" in text or "<" in text}
    assert named("peak(C)").unit("umolar") == "umolar" and named("event_width(C>1)").unit("umolar") == "second"


@pytest.mark.parametrize(("use", "says"), [
    (lambda r: analysis.detect(r, "C=3"), "write VARIABLE>LEVEL"),
    (lambda r: analysis.detect(r, "C>0.3"), "has no unit"),
    (lambda r: analysis.detect(r, "C>3 mV"), "wrong dimension"),
    (lambda r: analysis.detect(r, "D>3 uM"), "unknown variable of the recording 'D'"),
    (lambda r: analysis.detect(r, "C[7]>3 uM"), "no element '7'"),
    (lambda r: analysis.detect(r, "C>3 uM", after="59.9 s"), "leaves 3 records"),
    (lambda r: analysis.detect(r, "C>3 uM", hysteresis="-1 uM"), "negative"),
    (lambda r: analysis.measure(r, "periods(C)"), "did you mean 'period'"),
    (lambda r: analysis.measure(r, "period"), r"write MEASURE\(VARIABLE\)"),
    (lambda r: analysis.measure(r, "event_rate(C)"), "needs a threshold"),
    (lambda r: analysis.measure(r, "period(C>0.3 uM)"), "unknown measure 'period'"),
    (lambda r: analysis.measure(r, "period(C)"), r"period\(C\): no oscillation: C stays at 0.2"),
    (lambda r: analysis.measure(r, "event_interval(C>0.3 uM)"), "0 events have no such number"),
])
def test_what_cannot_be_found_is_said(use, says):
    with pytest.raises(UserError, match=says):
        use(recorded(np.full(len(TIME), 0.2)))


@pytest.mark.slow
def test_the_verb(astro_sim):
    assert astro_sim("run", "li_rinzel", "--protocol", "constant:input=ip3,value=0.5 umolar", "--dt", "20 ms",
                     "--duration", "90 s", "--out", "c.nc")[0] == 0
    code, out, _ = astro_sim("analyse", "c.nc", "--events", "C>0.3uM", "--events", "h<0.5")
    assert code == 0 and "events C>0.3uM" in out and "events h<0.5" in out
    code, out, _ = astro_sim("analyse", "c.nc", "--events", "C>0.3 uM", "--after", "40 s", "--json")
    found = json.loads(out)["detected"][0]
    assert found["interval_s"]["mean"] == pytest.approx(11.492, abs=5e-3)  # SCIENCE.md 2.1, at a step of 20 ms
    assert found["events"][0]["peak"] == pytest.approx(0.4446, abs=5e-3)
    assert astro_sim("analyse", "c.nc", "--events", "C>0.3")[0] == 2
