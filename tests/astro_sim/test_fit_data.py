"""What a fit reads: tables with units, missing values, names, bounds; what cannot be used is said."""

import brian2
import numpy as np
import pandas as pd
import pytest

from astro_sim.plan import prepare
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Series
from astro_sim.run.fitting.freedom import keywords, read_free
from astro_sim.run.fitting.observations import as_recording, observations
from astro_sim.run.fitting.target import _at, common_interval, courses, features_of, given_features
from foundation.errors import UserError

PLAN = prepare("li_rinzel", duration="1 s", dt="20 ms")
THREE = prepare("gchi", options={"n": 3}, duration="1 s", dt="20 ms")
CSV = "# a comment\nt (ms), C (nM), h\n0, 100, 0.5\n1000, , 0.6\n2500, 120.5, NA\n500, 90, 0.1\n"


def write(folder, text):
    path = folder / "data.csv"
    path.write_text(text)
    return path


def told(measured):
    return {one.name: (one.times.tolist(), np.round(one.values, 12).tolist()) for one in measured}


WANTED = {"C": ([0, 0.5, 2.5], [0.1, 0.09, 0.1205]), "h": ([0, 0.5, 1.0], [0.5, 0.1, 0.6])}


def test_a_file_gives_courses_in_the_models_units_in_order_of_time(tmp_path):
    for text in (CSV, CSV.replace(", ", "\t"), CSV.replace(", ", "; ").replace("120.5", "120,5"), "\ufeff" + CSV):
        assert told(observations(write(tmp_path, text), PLAN, bare=False)) == WANTED


def test_frames_arrays_quantities_and_recordings_are_read_alike():
    time, c, h = [0, 1, 2.5, 0.5], [0.1, np.nan, 0.1205, 0.09], [0.5, 0.6, np.nan, 0.1]
    arrays = {"t": np.array(time), "C": np.array(c), "h": np.array(h)}
    quantities = {"t": np.array(time) * brian2.second, "C": np.array(c) * brian2.umolar, "h": np.array(h)}
    heads = {"t (ms)": 1000 * np.array(time), "C (nM)": 1000 * np.array(c), "h": h}
    by_index = pd.DataFrame({"C (nM)": 1000 * np.array(c), "h": h}, index=pd.Index(time, name="time"))
    with_units = pd.DataFrame({"t": time, "C": 1000 * np.array(c), "h": h})
    with_units.attrs["units"] = {"t": "second", "C": "nmolar"}
    for data in (arrays, quantities, heads, pd.DataFrame(heads), by_index, with_units):
        assert told(observations(data, PLAN)) == WANTED
    recording = Recording(np.array([0.0, 0.5, 1.0]), {
        "C": Series(np.array([[1.0], [2], [3]]), "nmolar", "", "astrocyte", ("0",))}, {})
    assert told(observations(recording, PLAN)) == {"C": ([0, 0.5, 1], [0.001, 0.002, 0.003])}
    assert told(observations(recording.to_pandas(), PLAN)) == {"C": ([0, 0.5, 1], [0.001, 0.002, 0.003])}


def test_elements_and_columns_of_other_names():
    data = {"t": [0.0, 1.0], "C[2]": [0.1, 0.2], "calcium": [0.3, 0.4], "temperature": [37.0, 37.0]}
    found = observations(data, THREE, columns={"calcium": "C[0]"}, variables=("C[0]", "C[2]"))
    assert [(one.variable, one.element) for one in found] == [("C", 0), ("C", 2)]
    assert as_recording(found)["C"].labels == ("0", "2")


@pytest.mark.parametrize(("text", "says"), [
    ("t (s), Ca (uM)\n0, 1\n", "unknown variable of li_rinzel 'Ca'.*--column Ca=NAME"),
    ("time, C (uM)\n0, 1\n", r"'time' has no unit in its head; write 'time \(second\)'"),
    ("t (s), C\n0, 1\n", r"'C' has no unit in its head; write 'C \(umolar\)'"),
    ("t (s), C (mV)\n0, 1\n", "wrong dimension"), ("t (s), C (cats)\n0, 1\n", "unknown unit 'cats'"),
    ("C (uM), h\n0, 1\n", "0 columns are called t or time, among C, h"),
    ("t (s), time (s), C (uM)\n0, 1, 2\n", "2 columns are called t or time"),
    ("t (s), C (uM), C (uM)\n0, 1, 2\n", "C names two columns"),
    ("t (s), C (uM)\n0, 1\n-1, 2\n", "the time in row 2 is -1 s"), ("t (s), C (uM)\n0, 1\n, 2\n", "row 2 is nan s"),
    ("t (s), C (uM)\n0, one\n", "'one' in row 1 of column 'C \\(uM\\)' is no number"),
    ("t (s), C (uM)\n0, 1, 2\n", "3 cells in row 1 under 2 heads"), ("t (s)\n0\n", "no column besides the time"),
    ("t (s), C (uM)\n", "has 1 lines"), ("t (s), C (uM)\n0,\n1,\n", "column C has no value"),
    ("t (s), C (uM)\n0, inf\n", "an infinite value"), ("t (s), C[4] (uM)\n0, 1\n", "no element '4'"),
])
def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        observations(write(tmp_path, text), PLAN, bare=False)


def test_several_elements_must_be_named():
    with pytest.raises(UserError, match=r"C has 3 elements; name one, as in C\[0\]"):
        observations({"t": [0.0], "C": [1.0]}, THREE)
    with pytest.raises(UserError, match="unknown column of the data 'D'"):
        observations({"t": [0.0], "C": [1.0]}, PLAN, variables=("D",))
    for data in (3, {"t": [0.0], "C": ["x"]}, {"t": [0.0], "C": [[1.0, 2.0]]}, "nothing.csv"):
        with pytest.raises(UserError, match="data"):
            observations(data, PLAN)


def test_bounds_are_read_with_units_or_without():
    free = {"ip3": "0.1:1", "K_P": "50 nM:0.2 uM:0.1 uM", "initial.C": (0.0, 0.5), "O_P": "0.5:1.5 umolar/second",
            "d1": (0.1 * brian2.umolar, "200 nM", 0.15)}
    found = {one.name: one for one in read_free(free, PLAN)}
    assert [(one.kind, one.key) for one in found.values()] == [
        ("input", "ip3"), ("parameter", "K_P"), ("initial", "C"), ("parameter", "O_P"), ("parameter", "d1")]
    assert (found["K_P"].low, found["K_P"].high, found["K_P"].start) == pytest.approx((0.05, 0.2, 0.1))
    assert (found["d1"].low, found["d1"].high, found["O_P"].high) == pytest.approx((0.1, 0.2, 1.5))
    assert not found["initial.C"].logarithmic and found["ip3"].logarithmic
    for one in found.values():
        for share in (0.0, 0.3, 1.0):
            assert one.share(one.value(share)) == pytest.approx(share, abs=1e-12)
    assert found["ip3"].value(0.5) == pytest.approx(np.sqrt(0.1))
    given = keywords(tuple(found.values()), np.array([0.5, 0.1, 0.2, 0.9, 0.13]), {"model": "li_rinzel"})
    plan = prepare(**given, duration="1 s")
    assert plan.parameters["K_P"].value == 0.1 and plan.initial["C"].value == 0.2
    assert plan.protocol[0].values == ("0.5 umolar",)


@pytest.mark.parametrize(("free", "says"), [
    ({}, "nothing is free"), ({"ip": "0.1:1"}, "did you mean 'ip3'"), ({"ip3": "0.1"}, "is not LOW:HIGH"),
    ({"ip3": "1:0.1"}, "must rise"), ({"ip3": "0.1:1:2"}, "must rise"), ({"ip3": "0.1:1 mV"}, "wrong dimension"),
    ({"ip3": "0.1:"}, "is not LOW:HIGH"), ({"K_P": "-1:1"}, "must be above zero"), ({"ip3": (1,)}, "is not LOW:HIGH"),
    ({"initial.D": "0:1"}, "unknown initial of li_rinzel 'D'"), ({"ip3": (0, np.inf)}, "not finite"),
    ({"start.C": "0:1"}, "unknown start"), ({"ip3": "-1:1"}, "must be zero or above")])
def test_bounds_that_cannot_be_used_are_said(free, says):
    with pytest.raises(UserError, match=says):
        read_free(free, PLAN)


def test_an_input_that_is_driven_is_not_free():
    plan = prepare("li_rinzel", "constant:input=ip3,value=0.4 umolar", duration="1 s")
    with pytest.raises(UserError, match="ip3 is driven by the protocol"):
        read_free({"ip3": "0.1:1"}, plan)


def test_times_on_a_grid_are_found_and_others_are_interpolated():
    for times, interval in (([0, 0.5, 1.5], 0.5), ([0.25, 0.5, 2.0], 0.25), ([0.3, 0.45], 0.15), ([2.0], 2.0),
                            ([0.1, 0.2, 0.37, 1.0], None), ([0.0], None), ([0, 1 / 3, 2 / 3, 7.0], 1 / 3)):
        target = courses(observations({"t": times, "C": np.arange(len(times)) + 1.0}, PLAN))
        found = common_interval(target)
        assert found == (None if interval is None else pytest.approx(interval, rel=1e-6)), times
    grid = np.arange(0, 10, 0.1)
    assert np.array_equal(_at(grid, np.sin(grid), grid[[3, 50]]), np.sin(grid[[3, 50]]))
    assert _at(grid, np.sin(grid), np.array([3.333])) == pytest.approx(np.sin(3.333), abs=1e-5)  # h^4/384 of a cubic


def test_features_of_data_and_given_ones():
    time = np.arange(0, 60, 0.1)
    data = {"t": time, "C": 0.5 + 0.2 * np.sin(2 * np.pi * time / 7)}
    target = features_of(observations(data, PLAN), ("period(C)", "peak(C)"), None)
    assert target.values == pytest.approx((7, 0.7), rel=1e-4) and target.units == ("second", "umolar")
    given = given_features({"period(C)": "7000 ms", "peak(C)": "0.7", "mean(h)": 0.5}, PLAN, None)
    assert given.values == pytest.approx((7, 0.7, 0.5)) and given.observed.tolist() == [1, 1, 1]
    for values, says in (({"period(D)": 1}, "unknown variable"), ({"periods(C)": 1}, "unknown measure"),
                         ({"period(C)": "3 uM"}, "wrong dimension")):
        with pytest.raises(UserError, match=says):
            given_features(values, PLAN, None)
    with pytest.raises(UserError, match="the data have no h"):
        features_of(observations(data, PLAN), ("mean(h)",), None)
    with pytest.raises(UserError, match="values are missing in some columns only"):
        features_of(observations(data | {"h": np.where(time < 1, np.nan, 0.5)}, PLAN), ("peak(C)",), None)
