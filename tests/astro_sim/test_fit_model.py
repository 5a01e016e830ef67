"""Fits of a model to data: against closed forms and scipy's curve_fit; what the data do not tell is refused by name."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from astro_sim import fit, simulate
from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter
from astro_sim.protocols import constant
from foundation import sealed
from foundation.errors import UserError


def number(value, unit="1", allowed="positive"):
    return Parameter(value, unit, "of a test", "assumed here", "assumed", allowed)


DECAY = Model(
    name="decay", summary="v decays to u, w from its start; a and b act as their product",
    populations=(Population("cell", "", "dv/dt = (u - v)/tau : 1\ndw/dt = -a*b*w : mmolar\ndx/dt = (c - x)*a*1e-9 : 1",
                            lambda o: 1),),
    parameter_sets={"one": {"tau": number(2.0, "second"), "a": number(0.5, "hertz"), "b": number(1.0),
                            "c": number(1.0)}},
    initial={"v": number(1.0, "1", "any"), "w": number(2.0, "mmolar"), "x": number(1.0, "1", "any")},
    inputs={"u": Input("cell", "u", "1", 0.0, "drive")},
    observables={"v": Observable("cell", "1", "first", -100, 100), "w": Observable("cell", "mmolar", "second", 0, 100),
                 "x": Observable("cell", "1", "still", -100, 100)}, method="rk4",
)
TIME = np.arange(0, 8.1, 0.4)


def v_of(time, tau, u, start=1.0):
    return u + (start - u) * np.exp(-time / tau)


def noise(seed, size=TIME.size):
    return np.random.default_rng(seed).standard_normal(size)


@pytest.mark.slow
def test_values_and_intervals_are_those_of_the_closed_form():
    """scipy's curve_fit of the solution itself; profiles bend, so its symmetric intervals agree to some per cent."""
    data = v_of(TIME, 2.5, 0.2) + 0.02 * noise(1)
    found = fit(DECAY, {"t": TIME, "v": data}, free={"tau": "0.5:20", "u": (0, 1)}, dt="50 ms")
    values, covariance = optimize.curve_fit(v_of, TIME, data, [2, 0.1])
    half = stats.t.ppf(0.975, TIME.size - 2) * np.sqrt(np.diag(covariance))
    for name, value, width in zip(("tau", "u"), values, half, strict=True):
        assert found.values[name] == pytest.approx(value, abs=2e-3 * width)
        low, high = found.intervals[name]
        assert high - low == pytest.approx(2 * width, rel=0.05) and low < value < high
    missed = data - v_of(TIME, *values)
    assert found.errors["v"] == pytest.approx(np.sqrt(np.mean(missed**2)), rel=1e-4)
    assert found.warnings == () and found.units == {"tau": "second", "u": "1"}
    assert found.recording.parameter("tau") == found.values["tau"]


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    """95 % intervals over 80 draws: binomial bounds that chance leaves once in 1,000 times."""
    inside = 0
    for seed in range(80):
        data = v_of(TIME, 2.0, 0.0) + 0.1 * noise(seed)
        found = fit(DECAY, {"t": TIME, "v": data}, free={"tau": (0.2, 20, 2)}, starts=1, dt="400 ms")
        low, high = found.intervals["tau"]
        inside += low <= 2.0 <= high
    low, high = stats.binom.ppf([0.0005, 0.9995], 80, 0.95)
    assert low <= inside <= high, inside


@pytest.mark.slow
def test_courses_of_other_noise_and_missing_values_count_by_how_closely_they_are_followed():
    """u acts on v alone; v is nearly exact and w very noisy: what v says of tau is not drowned by w."""
    w = 2 * np.exp(-0.5 * TIME) + 0.5 * noise(3)
    v = v_of(TIME, 2.5, 0.2) + 1e-3 * noise(4)
    frame = pd.DataFrame({"t (ms)": 1000 * TIME, "v": v, "w (umolar)": 1000 * w})
    frame.loc[3:6, "w (umolar)"] = np.nan
    found = fit(DECAY, frame, free={"tau": "0.5:20", "u": "0:1", "a": "0.05:5"}, dt="100 ms")
    alone = fit(DECAY, {"t": TIME, "v": v}, free={"tau": "0.5:20", "u": "0:1"}, dt="100 ms")
    width = np.ptp(alone.intervals["tau"])
    assert found.values["tau"] == pytest.approx(alone.values["tau"], abs=0.02 * width)
    assert np.ptp(found.intervals["tau"]) == pytest.approx(width, rel=0.3)  # more freedom, and another size of v
    assert found.residuals.size == 2 * TIME.size - 4
    kept = np.delete(np.arange(TIME.size), [3, 4, 5, 6])
    rate, _ = optimize.curve_fit(lambda t, a: 2 * np.exp(-a * t), TIME[kept], w[kept], [0.5])
    assert found.values["a"] == pytest.approx(rate[0], rel=1e-3)


@pytest.mark.slow
def test_initial_values_times_off_the_grid_and_a_protocol():
    time = np.array([0.13, 0.5, 0.77, 1.9, 2.22, 3.1, 4.0, 5.55, 7.3])
    step = np.where(time < 2, v_of(time, 1.5, 0.0, 3.0), v_of(time - 2, 1.5, 1.0, 3 * np.exp(-2 / 1.5)))
    assert fit(DECAY, {"t": time, "v": step}, free={"tau": (0.3, 9)}, initial={"v": 3.0}, dt="10 ms", starts=2,
               protocol="steps:input=u,times=0s+2s,values=0+1").values["tau"] == pytest.approx(1.5, rel=1e-4)
    found = fit(DECAY, {"t": time, "v": step}, free={"initial.v": (0.5, 5), "tau": (0.3, 9)}, dt="10 ms",
                protocol="steps:input=u,times=0s+2s,values=0+1", duration="9 s")
    # exact data: what is left is the spline between records, 1e-3 s apart from the corner at 2 s
    assert found.values == pytest.approx({"initial.v": 3.0, "tau": 1.5}, rel=1e-4)
    assert found.recording.time[-1] == pytest.approx(9.0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize(("free", "says"), [
    ({"a": "0.1:2", "b": "0.2:5"}, "a, b cannot be told apart"),
    ({"c": "0.5:2"}, "c cannot be told from these data: it changes nothing in w"),
    ({"tau": "0.5:5", "a": "0.1:2"}, "tau cannot be told from these data"),
])
def test_what_the_data_do_not_tell_is_refused_by_name(free, says, size):
    """Whatever the noise."""
    data = {"t": TIME, "w": 2 * np.exp(-0.5 * TIME) + size * noise(5)}
    with pytest.raises(UserError, match=says):
        fit(DECAY, data, free=free, dt="100 ms", starts=4)


@pytest.mark.slow
def test_data_that_say_nothing_about_it_are_refused_and_a_missing_end_is_said():
    still = {"t": TIME, "v": 0.01 * noise(6)}
    with pytest.raises(UserError, match="tau from 2 to 3 second: any value fits these data as well"):
        fit(DECAY, still, free={"tau": (2, 3)}, initial={"v": 0.01}, dt="100 ms", starts=2)
    slow = {"t": TIME, "v": 1 + 0.002 * TIME + 0.01 * noise(7)}  # it even rises: tau is as large as it may
    found = fit(DECAY, slow, free={"tau": (1, 1e4)}, dt="100 ms", starts=4)
    assert found.intervals["tau"][1] == np.inf and found.intervals["tau"][0] > 50
    assert "the data set no upper bound for tau" in found.warnings
    assert found.as_dict()["free"]["tau"]["interval_95"][1] is None


@pytest.mark.slow
def test_features_of_an_oscillation_are_met():
    """SCIENCE.md 2.1: AM at 0.5 uM has a period of 11.492 s and calcium up to 0.4446 uM."""
    found = fit("li_rinzel:AM", {"period(C)": "11.492 s", "peak(C)": "0.4446 uM"}, free={"ip3": "0.4:0.6"},
                duration="120 s", dt="20 ms", starts=4)
    assert found.values["ip3"] == pytest.approx(0.5, rel=2e-3)
    assert found.units == {"ip3": "umolar"} and set(found.errors) == {"period(C)", "peak(C)"}
    with pytest.raises(UserError, match="features have no course"):
        found.plot()
    with pytest.raises(UserError, match="2 are free and 1 features"):
        fit("li_rinzel", {"period(C)": "11 s"}, free={"ip3": "0.4:0.6", "K_P": "0.05:0.2"}, duration="9 s")


@pytest.mark.slow
def test_a_noisy_trace_of_calcium_gives_ip3_and_a_pump_back_by_the_command_line(astro_sim, tmp_path):
    made = simulate("li_rinzel:AM", constant("ip3", "0.45 umolar"), parameters={"K_P": "0.09 umolar"},
                    duration="40 s", dt="10 ms", record_every="500 ms")
    calcium = made["C"].values[:, 0] + 0.01 * noise(8, len(made.time))
    frame = pd.DataFrame({"time (ms)": 1000 * made.time, "Ca (nM)": 1000 * calcium})
    frame.loc[5:7, "Ca (nM)"] = np.nan
    frame.to_csv(tmp_path / "cell.csv", index=False)
    words = ("fit", "li_rinzel:AM", "cell.csv", "--column", "Ca=C", "--free", "ip3=0.2:1", "--free",
             "K_P=50 nM:0.2 uM", "--dt", "20 ms")
    code, out, _ = astro_sim(*words, "--out", "fit.json", "--picture", "fit.png", "--json")
    told = json.loads(out)
    kept = sealed.read(tmp_path / "fit.json", "fit")
    assert code == 0 and kept == {"schema": 1, **{key: told[key] for key in told if key != "hash"},
                                  "recording": told["hash"]}
    for name, truth in (("ip3", 0.45), ("K_P", 0.09)):
        low, high = told["free"][name]["interval_95"]
        assert low < truth < high and high - low < 0.05 * truth
    assert told["errors"]["C"]["value"] == pytest.approx(0.01, rel=0.2) and told["data"] == len(made.time) - 3
    assert (tmp_path / "fit.png").stat().st_size > 5000
    assert astro_sim(*words, "--out", "fit.json")[0] == 2


@pytest.mark.slow
def test_a_fit_is_a_table_and_a_picture():
    data = {"t": TIME, "v": v_of(TIME, 2.5, 0.2) + 0.02 * noise(1), "w": 2 * np.exp(-0.5 * TIME) + 0.1 * noise(2)}
    found = fit(DECAY, data, free={"tau": "0.5:20"}, dt="100 ms", starts=2)
    first, second = found.plot().axes
    dots, line = second.get_lines()
    assert np.array_equal(dots.get_ydata(), data["w"]) and np.array_equal(line.get_ydata(),
                                                                         found.recording["w"].values[:, 0])
    assert first.get_ylabel() == "first" and second.get_ylabel() == "second (mM)"
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["data", "fit"]
    assert "<table>" in found._repr_html_() and "tau" in repr(found) and "simulations" in str(found)


@pytest.mark.parametrize(("given", "says"), [
    ({"free": {"tau": "1:2"}, "parameters": {"tau": "1 s"}}, "tau is also given a value"),
    ({"free": {"initial.v": "1:2"}, "initial": {"v": 1.0}}, "initial.v is also given a value"),
    ({"free": {"tau": "1:2"}, "starts": 0}, "starts: 0"),
    ({"free": {"tau": "1:2"}, "after": "1 s"}, "after: is for features"),
    ({"free": {"tau": "1:2"}, "data": {"t": TIME[:2], "v": TIME[:2]}}, "2 points are too few"),
    ({"free": {"tau": "1:2"}, "data": {"t": TIME, "v": np.ones(TIME.size)}}, "the data are constant"),
    ({"free": {"tau": "1:2"}, "data": {"period(v)": "3 s"}}, "say how long to simulate"),
    ({"free": {"tau": "1:2"}, "duration": "5 s"}, "5 s ends before the data, which go on to 8 s"),
    ({"free": {"tau": "1:2"}, "columns": {"V": "v"}}, "unknown column of the data 'V'"),
    ({"free": {"tau": "1:2"}, "protocol": "square:input=u,high=1,start=9s,stop=10s"}, "square"),
    ({"model": "gchi_stochastic", "data": {"t": TIME, "C": TIME}, "free": {"K_P": "0.05:0.2"}}, "has noise"),
    ({"free": {"tau": "1:2"}, "features": ("period(w)",)}, "the data have no w"),
])
def test_what_cannot_be_fitted_is_said(given, says):
    with pytest.raises(UserError, match=says):
        fit(**{"model": DECAY, "data": {"t": TIME, "v": v_of(TIME, 2, 0)}, **given})
