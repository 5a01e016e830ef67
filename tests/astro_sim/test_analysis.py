"""Measures against analytic signals, a naive twin, an independent solution; words where there is nothing to measure."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim import analysis
from astro_sim.analysis import encoding, events, wave
from astro_sim.dynamics import scan
from astro_sim.dynamics.am_fm import modulation
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Events, Series
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

TIME = np.arange(0, 40, 0.05)


def recorded(time, *columns, positions=None, **meta):
    """A recording of one variable C with a column an element."""
    values = np.stack(columns, axis=1).astype(float)
    places = None if positions is None else np.asarray(positions, float)
    series = Series(values, "umolar", "a signal", "astrocyte", tuple(map(str, range(values.shape[1]))), places)
    return Recording(np.asarray(time, float), {"C": series},
                     {"model": "signal", "parameters": {}, "options": {}, **meta})


def test_a_sine_has_what_a_sine_has():
    period, phase = 7.3, 1.1
    found = analysis.oscillation(recorded(TIME, 0.3 + 0.1 * np.sin(2 * np.pi * (TIME - phase) / period)), "C", after=0)
    # a cubic spline is good to (2 pi dt/period)^4/384 of the size, 1e-8 here
    assert found.period == pytest.approx(period, rel=1e-7)
    assert (found.low, found.high, found.amplitude) == pytest.approx((0.2, 0.4, 0.2), rel=1e-7)
    assert found.frequency == pytest.approx(1 / period, rel=1e-7)
    assert found.peak_times == pytest.approx(phase + period * (0.25 + np.arange(5)), abs=1e-5)
    assert found.duty == pytest.approx(0.5, abs=1e-5)
    # from -.8 to .8 of the size; the slopes of a monotone cubic are of second order, its values of third
    assert found.rise_time == pytest.approx(2 * np.arcsin(0.8) / (2 * np.pi) * period, rel=1e-5)
    assert found.period_spread < 1e-6


@pytest.mark.parametrize(("period", "share", "dt"), [(5.0, 0.3, 0.05), (7.0, 0.71, 0.1), (3.3, 0.11, 0.03)])
def test_a_square_wave_has_its_duty_and_no_overshoot(period, share, dt):
    time = np.arange(0, 37, dt)
    signal = 2.0 * ((time + dt / 3) % period < share * period)
    found = analysis.oscillation(recorded(time, signal), "C", after=0)
    assert (found.low, found.high) == (0.0, 2.0)  # a spline through a jump would overshoot
    assert found.period == pytest.approx(period, abs=dt / 2)
    assert found.duty == pytest.approx(share, abs=dt / period)  # an edge is known to a record
    assert found.rise_time < dt


def test_a_sharp_wave_above_half_of_its_range():
    """exp(2 cos): above the middle of its range, cosh 2, while cos > ln(cosh 2)/2."""
    found = analysis.duty(recorded(TIME, np.exp(2 * np.cos(2 * np.pi * TIME / 6.1))), "C", after=0)
    assert found == pytest.approx(np.arccos(np.log(np.cosh(2)) / 2) / np.pi, abs=1e-4)


def test_a_saw_tooth_rises_for_most_of_its_period():
    signal = (TIME + 0.01) % 5.0
    # 0.8 of the way up; the records miss up to a step at both ends
    assert analysis.rise_time(recorded(TIME, signal), "C", after=0) == pytest.approx(4.0, abs=0.05)


def independent_rates(t, state):
    """Li-Rinzel AM at I = 0.5 uM, written anew."""
    c, h = state
    gate = 0.5 / 0.63 * c / (c + 0.08234)
    q2 = 1.049 * 0.63 / 1.4434
    return [(6 * (gate * h) ** 3 + 0.11) * (2 - 1.185 * c) - 0.9 * c * c / (c * c + 0.01), 0.2 * (q2 - (q2 + c) * h)]


@pytest.mark.slow
def test_peaks_of_calcium_are_where_an_independent_solution_turns():
    def turning(t, state):
        return independent_rates(t, state)[0]

    turning.direction = -1
    wanted = solve_ivp(independent_rates, (0, 60), [0.09, 0.78], "DOP853", events=turning, rtol=1e-11, atol=1e-13)
    recording = simulate("li_rinzel:AM", duration="60 s", dt="50 ms", record_every="100 ms")
    times, heights = analysis.peaks(recording, "C", after=0)
    # fourth order between records of 0.1 s, calcium bends within about a second
    assert times == pytest.approx(wanted.t_events[0], abs=1e-3)
    assert heights == pytest.approx(wanted.y_events[0][:, 0], rel=1e-5)


def naive_peaks(values, share):
    """Local maxima that stand out by `share` of the range from the higher of the lowest points on their two sides."""
    found = []
    for k in range(1, len(values) - 1):
        if values[k - 1] < values[k] > values[k + 1]:
            left = next((i for i in range(k - 1, -1, -1) if values[i] > values[k]), -1)
            right = next((i for i in range(k + 1, len(values)) if values[i] > values[k]), len(values))
            base = max(values[left + 1: k].min(), values[k + 1: right].min())
            if values[k] - base >= share * np.ptp(values):
                found.append(k)
    return found


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_peaks_of_noise_are_those_of_a_naive_search(share):
    values = np.cumsum(np.random.default_rng(8).normal(size=301))
    times, heights = analysis.peaks(recorded(np.arange(301), values), "C", after=0, prominence=share)
    wanted = naive_peaks(values, share)
    assert len(wanted) > 1
    assert times == pytest.approx(wanted, abs=1)  # a smooth top may lie between records
    assert (heights >= values[wanted] - 1e-12).all()


@pytest.mark.parametrize(("signal", "says"), [
    (0.3 + 0 * TIME, "stays at 0.3"), (np.tanh(TIME), "has 0 peaks, not two"),
    (np.exp(-((TIME - 20) ** 2)), "has 1 peaks, not two"),
    (np.exp(-TIME / 20) * np.sin(2 * np.pi * TIME / 7), "dies out: its swings fall from"),
    (np.where(TIME < 11, np.sin(2 * np.pi * TIME / 3), -1.0), "is over: its last peak is at 9.75 s"),
])
def test_words_where_there_is_no_oscillation(signal, says):
    with pytest.raises(UserError, match=f"no oscillation: C {says}"):
        analysis.oscillation(recorded(TIME, signal), "C", after=0)


@pytest.mark.parametrize(("given", "says"), [
    ({"element": 1}, "element 1 after 0 s is not in the recording; it has elements 0 to 0"),
    ({"element": -1}, "element -1"), ({"after": 39.9}, "after 39.9 s"), ({"variable": "D"}, "unknown variable"),
    ({"prominence": 1.0}, "prominence: 1.0 is not allowed"), ({"prominence": float("nan")}, "prominence: nan")])
def test_bad_requests_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        analysis.peaks(recorded(TIME, np.sin(TIME)), **{"variable": "C", "after": 0, **given})


@pytest.mark.parametrize("measure", [analysis.duty, analysis.rise_time, analysis.period])
def test_single_measures_need_two_periods(measure):
    with pytest.raises(UserError, match=r"not (two|twice)"):
        measure(recorded(TIME, np.tanh(TIME)), "C", after=0)


def ring_of(size):
    angle = 2 * np.pi * np.arange(size) / size
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) / (2 * np.sin(np.pi / size))


SHEET = np.stack(np.divmod(np.arange(35), 7), axis=1).astype(float)


@pytest.mark.parametrize(("positions", "options", "source", "away"), [
    (np.arange(9.0)[:, None], {"layout": "line", "boundary": "closed"}, 3, lambda k: abs(k - 3)),
    (np.arange(9.0)[:, None], {"layout": "line", "boundary": "periodic", "n_rows": 1, "n_columns": 9}, 1,
     lambda k: min(abs(k - 1), 9 - abs(k - 1))),
    (ring_of(11), {"layout": "ring", "boundary": "closed"}, 9, lambda k: min(abs(k - 9), 11 - abs(k - 9))),
    (SHEET, {"layout": "sheet", "boundary": "closed"}, 16, lambda k: np.hypot(k // 7 - 2, k % 7 - 2)),
    (SHEET, {"layout": "sheet", "boundary": "periodic", "n_rows": 5, "n_columns": 7}, 34,
     lambda k: np.hypot(min(4 - k // 7, k // 7 + 1), min(6 - k % 7, k % 7 + 1)))])
def test_a_wave_of_known_speed(positions, options, source, away):
    speed, start = 0.37, 2.3
    arrival = start + np.array([away(k) for k in range(len(positions))]) / speed
    columns = [1 / (1 + np.exp(-8 * (TIME - at))) for at in arrival]
    found = wave(recorded(TIME, *columns, positions=positions, options=options))
    assert (found.source, found.reached, found.elements) == (source, len(positions), len(positions))
    # straight lines between records: (dt * 8)^2/8 of the rise, 0.02 * 1/8 s at most, at random
    assert found.speed == pytest.approx(speed, rel=1e-3)
    assert found.start == pytest.approx(start, abs=5e-3)
    assert found.extent == pytest.approx(max(away(k) for k in range(len(positions))))
    assert found.speed_error < 1e-3


def test_the_error_of_the_speed_is_that_of_the_regression():
    rng, size = np.random.default_rng(3), 40
    arrival = 2 + np.arange(size) / 2.0 + rng.normal(0, 0.4, size)
    columns = [np.clip((TIME - at) * 2 + 0.5, 0, 1) for at in arrival]
    found = wave(recorded(TIME, *columns, positions=np.arange(size)[:, None]))
    distance = np.abs(np.arange(size) - found.source)
    (slope, _), covariance = np.polyfit(distance, arrival, 1, cov="unscaled")[0:2]
    deviation = np.sqrt(np.var(arrival - np.polyval([slope, _], distance)) * size / (size - 2) * covariance[0, 0])
    # arrival is where each straight rise passes the middle; the records find it exactly
    assert found.speed == pytest.approx(1 / slope, rel=1e-6)
    assert found.speed_error == pytest.approx(deviation / slope**2, rel=1e-6)


def test_words_where_there_is_no_wave():
    line = np.arange(6.0)[:, None]
    rise = np.tanh(TIME - 5)
    together = recorded(TIME, *[np.tanh(TIME - 5 - 0.01 * (k % 2)) for k in range(6)], positions=line)
    alone = recorded(TIME, *[rise * (k == 2) for k in range(6)], positions=line)
    still = recorded(TIME, *[0 * TIME + 0.1] * 6, positions=line)
    nowhere = recorded(TIME, rise, rise)
    for recording, says in ((together, "not later the farther"), (alone, "in 1 of 6 elements"),
                            (still, "C stays at 0.1"), (nowhere, "have no places")):
        with pytest.raises(UserError, match=f"no wave: .*{says}"):
            wave(recording)
    with pytest.raises(UserError, match="never rises through 3"):
        wave(alone, level=3.0)


@pytest.mark.slow
def test_a_calcium_wave_on_a_ring_has_speed_and_extent():
    recording = simulate("astrocyte_network", "cycles:input=ip3_source,high=1 umolar,period=50 s,duty=0.4,count=2,"
                         "elements=4", options={"n_columns": 9}, initial={"h": 0.9}, duration="100 s", dt="100 ms")
    found = wave(recording)
    assert (found.source, found.reached, found.extent) == (4, 9, 4.0)
    naive = [recording.time[(recording["C"].values[:, k] > found.level).argmax()] for k in range(9)]
    # neighbour after neighbour: the naive slope from the far ends, records 0.1 s apart
    assert found.speed == pytest.approx(3 / (naive[0] - naive[3]), rel=0.02)
    assert 0.05 < found.speed < 0.08  # astrocytes per second, as Stimberg2019 shows on its ring of 50


@pytest.mark.parametrize(("amplitudes", "frequencies", "word", "index"), [
    ((1.0, 2.0, 3.0), (0.1, 0.1, 0.1), "AM", -1.0), ((2.0, 2.0), (0.1, 0.3), "FM", 1.0),
    ((1.0, 3.0), (0.1, 0.3), "AFM", 0.0), ((1.0, 1.0), (0.1, 0.1), "neither", 0.0)])
def test_am_fm_and_both(amplitudes, frequencies, word, index):
    found = modulation(range(len(amplitudes)), amplitudes, frequencies)
    assert (found.word, found.index) == (word, pytest.approx(index, abs=1e-12))
    assert found.depth_am == pytest.approx((amplitudes[-1] - amplitudes[0]) / (amplitudes[-1] + amplitudes[0]))


@pytest.mark.slow
def test_glutamate_is_encoded_in_amplitude_or_in_frequency():
    """DePitta2009: AM doubles its size while its rate changes by less than half; FM the other way round."""
    levels, found = (0.02, 0.05, 0.2, 2.0), {}
    drives = [f"constant:input=glutamate,value={level} umolar,elements={3 - k}" for k, level in enumerate(levels)]
    for name in ("AM", "FM"):
        found[name] = encoding(simulate(f"gchi:{name}", drives, options={"n": 4}, duration="120 s", dt="80 ms"))
        assert found[name].word == name and (found[name].index > 0) == (name == "FM")
    am, fm = found.values()
    assert (am.silent, fm.silent, am.levels, fm.levels) == ((), levels[:1], levels, levels[1:])
    assert am.amplitudes[-1] / am.amplitudes[1] > 2 and am.frequencies[-1] / am.frequencies[1] < 1.5
    assert fm.frequencies[-1] / fm.frequencies[0] > 2 and fm.amplitudes[-1] / fm.amplitudes[0] < 1.25
    assert (np.diff(am.amplitudes) > 0).all() and (np.diff(fm.frequencies) > 0).all()


@pytest.mark.slow
def test_a_diagram_says_how_ip3_is_encoded():
    found = scan("li_rinzel:AM", "ip3", low=0.3, high=0.7, points=10).encoding()
    # the amplitude is born at zero size at the Hopf points, the frequency is not
    assert found.word == "AM" and found.depth_am > 2 * found.depth_fm


@pytest.mark.slow
def test_encoding_needs_levels():
    with pytest.raises(UserError, match="no encoding: no input holds"):
        encoding(simulate("gchi", duration="1 s", dt="50 ms"))
    with pytest.raises(UserError, match="1 levels oscillate, not two"):
        modulation([0.5], [1.0], [0.1])


def test_rates_and_irregularity_of_known_trains():
    rng = np.random.default_rng(5)
    poisson = [np.cumsum(rng.exponential(0.1 * (k + 1), 4000 // (k + 1))) for k in range(3)]
    times, elements = np.concatenate(poisson), np.repeat(np.arange(3), [len(train) for train in poisson])
    recording = recorded(np.arange(0, 300, 0.5), *np.zeros((4, 600)))
    found = events.rates(recording, Events(times, elements, "astrocyte", ""), after=100.0)
    wanted = [((train > 100) & (train < 299.5 + 1e9)).sum() / 199.5 for train in poisson]
    assert found == pytest.approx([*wanted, 0.0])
    # the three rates differ; each train is as irregular as a Poisson process, known to 1/sqrt(7000) of itself or so
    assert events.irregularity(Events(times, elements, "astrocyte", "")) == pytest.approx(1, abs=0.05)
    regular = Events(np.arange(0, 9, 0.25), np.zeros(36, int), "astrocyte", "")
    assert events.irregularity(regular) == pytest.approx(0, abs=1e-12)
    with pytest.raises(UserError, match="2 intervals after 8 s, not three"):
        events.irregularity(regular, after=8.0)
    with pytest.raises(UserError, match="not before the end"):
        events.rates(recording, regular, after=300.0)


def test_releases_are_crossings_of_the_threshold_where_they_are_not_recorded():
    signal = 0.5 + 0.2 * np.sin(2 * np.pi * (TIME + 1) / 8)
    recording = recorded(TIME, signal, signal - 0.5, parameters={"C_Theta": {"value": 0.5, "unit": "umolar"}})
    found = events.releases(recording)
    assert (found.times == pytest.approx([7, 15, 23, 31, 39], abs=1e-6)) and set(found.elements) == {0}
    with pytest.raises(UserError, match="signal has no C with a threshold"):
        events.releases(recorded(TIME, signal))
    with pytest.raises(UserError, match="unknown events of the recording 'spikes'"):
        events.of(recording, "spikes")


@pytest.mark.slow
def test_recorded_releases_fall_on_crossings():
    recording = simulate("tripartite", "constant:input=glutamate,value=20 umolar", options={"loop": "open"},
                         duration="25 s", dt="10 ms")
    recorded_ones = events.releases(recording)
    without = Recording(recording.time, recording.variables, recording.meta)
    crossed = events.releases(without)
    assert len(crossed.times) == len(recorded_ones.times) >= 1
    assert crossed.times == pytest.approx(recorded_ones.times, abs=0.01)  # a recorded one is at the end of its step
