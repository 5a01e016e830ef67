"""Sweeps as one Dataset, numbers, pictures and an index: against recordings that are written by hand."""

import csv

import numpy as np
import pytest
import xarray as xr

from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Series
from astro_sim.run import side_by_side
from astro_sim.run.outcome import Outcome
from astro_sim.run.sweeps import grid, sweep
from foundation.errors import DamagedFileError, UserError

TIME = np.arange(0, 60, 0.1)
K_P, IP3 = ("0.05 umolar", "80 nmolar", "0.1 umolar"), ("0.3 umolar", "0.5 umolar")
GRID = {"K_P": K_P, "input.ip3": IP3}


def recorded(k_p, ip3, elements=2):
    """A sine of period 100 K_P/uM s for much IP3; a decay for little."""
    course = 1 + np.sin(2 * np.pi * TIME / (100 * k_p)) if ip3 > 0.4 else np.exp(-TIME)
    values = ip3 * course[:, None] * np.arange(1, elements + 1)
    labels = tuple(map(str, range(elements)))
    return Recording(TIME, {"C": Series(values, "umolar", "calcium", "astrocyte", labels),
                            "h": Series(1 - values, "1", "inactivation", "astrocyte", labels)},
                     {"model": "by hand", "K_P": k_p, "ip3": ip3})


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Three by two points; the last failed."""
    folder, points, done = tmp_path_factory.mktemp("sweep"), {}, []
    for n, point in enumerate(grid(GRID, model="li_rinzel", duration="60 s")):
        points[f"{n:064x}"] = point
        if n < 5:
            done.append(recorded((0.05, 0.08, 0.1)[n // 2], (0.3, 0.5)[n % 2]).save(folder / f"{n:064x}.nc"))
    return Outcome(tuple(done[:3]), tuple(done[3:]), {f"{5:064x}": "UserError: dt: too large"}, points)


def test_what_was_varied_are_coordinates_with_units(outcome):
    data = outcome.to_xarray()
    assert data["C"].dims == ("K_P", "input.ip3", "time", "astrocyte") and data["C"].shape == (3, 2, 600, 2)
    assert data["K_P"].values.tolist() == [0.05, 0.08, 0.1] and data["K_P"].attrs["units"] == "umolar"
    assert data["input.ip3"].values.tolist() == [0.3, 0.5] and data["C"].attrs["units"] == "umolar"
    for k_p, ip3 in ((0.05, 0.3), (0.08, 0.5)):
        wanted = recorded(k_p, ip3)
        assert np.array_equal(data["C"].sel({"K_P": k_p, "input.ip3": ip3}), wanted["C"].values)
        assert np.array_equal(data["h"].sel({"K_P": k_p, "input.ip3": ip3}, method="nearest")[7:2:-2, 1],
                              wanted["h"].values[7:2:-2, 1])
    assert np.isnan(data["C"].sel({"K_P": 0.1, "input.ip3": 0.5})).all(), "the point that failed"
    whole = data["C"].values
    assert np.array_equal(data["C"].mean("time").values, whole.mean(axis=2), equal_nan=True)
    assert np.array_equal(data["C"][:, 1, ::-7, 0].values, whole[:, 1, ::-7, 0], equal_nan=True)
    assert data["C"][0:0].shape == (0, 2, 600, 2) and data["C"][0:0].values.size == 0


def test_nothing_is_read_before_it_is_used(outcome, monkeypatch):
    read, own = [], side_by_side._numbers
    monkeypatch.setattr(side_by_side, "_numbers", lambda file, *given: read.append(file.stem) or own(file, *given))
    data = outcome.to_xarray("C")
    part = data["C"].isel({"K_P": 1, "time": slice(3, 5)})
    assert read == [] and list(data.data_vars) == ["C"]
    assert part.shape == (2, 2, 2) and part.values.shape == (2, 2, 2)
    assert [int(name, 16) for name in read] == [2, 3]


def test_numbers_by_name_and_by_function_and_why_there_is_none(outcome):
    data = outcome.to_xarray("period(C)", "peak(C[1])", "event_rate(C>0.3 uM)", last=lambda r: r["h"].values[-1, 0])
    periods = data["period(C)"]
    assert periods.dims == ("K_P", "input.ip3") and periods.attrs["units"] == "second"
    np.testing.assert_allclose(periods[:2, 1], [5, 8], rtol=1e-3)
    assert np.isnan(periods[:, 0]).all() and np.isnan(periods[2, 1])
    reasons = data["period(C): why not"]
    assert "no oscillation" in str(reasons[0, 0].values) and str(reasons[2, 1].values) == "not simulated"
    assert str(reasons[0, 1].values) == ""
    np.testing.assert_allclose(data["peak(C[1])"].sel({"input.ip3": 0.5})[:2], 2.0, rtol=1e-4)
    assert data["event_rate(C>0.3 uM)"].attrs["units"] == "hertz"
    assert data["last"][1, 0] == recorded(0.08, 0.3)["h"].values[-1, 0]
    both = outcome.to_xarray("C", "period(C)")
    assert both["C"].ndim == 4 and both["period(C)"].ndim == 2
    assert isinstance(both, xr.Dataset)


def test_points_that_fill_no_grid_stand_in_a_row(outcome):
    names = list(outcome.points)
    row = Outcome(outcome.done, (), {}, {name: outcome.points[name] for name in names[:2]}
                  | {names[2]: {**outcome.points[names[2]], "seed": 3, "protocol": "square:input=ip3,high=1 umolar"}})
    data = row.to_xarray("C", "trough(C)")
    assert data["C"].dims[0] == "point" and data["trough(C)"].dims == ("point",)
    assert data["K_P"].dims == ("point",) and data["K_P"].values.tolist() == [0.05, 0.05, 0.08]


def test_a_line_and_a_heat_map_show_what_has_no_value(outcome):
    picture = outcome.plot("period(C)")
    panel, bar = picture.axes
    assert panel.get_xlabel() == "input.ip3 (µM)" and panel.get_ylabel() == "K_P (µM)" and "(s)" in bar.get_ylabel()
    colours, hatched = panel.collections[:2]
    assert colours.get_array().mask.sum() == 4 and hatched.get_hatch() == "////"
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["no value"]
    names = list(outcome.points)
    line = Outcome(outcome.done, outcome.kept, {}, {name: outcome.points[name] for name in names[1::2]})
    panel, = line.plot("period(C)", after="10 s").axes
    drawn, missing = panel.get_lines()
    np.testing.assert_allclose(drawn.get_xydata()[:2], [[0.05, 5], [0.08, 8]], rtol=1e-3)
    assert missing.get_xdata().tolist() == [0.1] and missing.get_label() == "no value"
    assert panel.get_xlabel() == "K_P (µM)" and panel.get_ylabel() == "period of C (s)"
    function = outcome.plot(lambda recording: recording["C"].values.max())
    assert len(function.axes) == 2


def test_what_cannot_be_asked_is_said(outcome):
    with pytest.raises(UserError, match="did you mean 'period'"):
        outcome.to_xarray("periods(C)")
    with pytest.raises(UserError, match="unknown variable of the recording 'D'"):
        outcome.to_xarray("D")
    with pytest.raises(UserError, match="a picture has one or two"):
        side_by_side_plot = Outcome(outcome.done, outcome.kept, {}, {
            name: {**point, "seed": n % 2} for n, (name, point) in enumerate(outcome.points.items())}).plot
        side_by_side_plot("period(C)")


@pytest.mark.slow
def test_the_index_says_which_file_holds_which_values(tmp_path):
    common = {"model": "li_rinzel", "duration": "1 s", "dt": "20 ms"}
    points = grid({"K_P": ["50 nmolar"], "input.ip3": ["0.3 umolar"]}, **common)
    bad = {**common, "duration": "60 s", "dt": "5 s", "method": "rk4"}
    outcome = sweep([*points, bad], tmp_path)
    with open(tmp_path / "index.csv", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (tmp_path / first["file"]).exists() and first["what became of it"] == "recorded"
    assert (first["K_P (umolar)"], first["input.ip3 (umolar)"], first["dt (second)"]) == ("0.05", "0.3", "0.02")
    assert "too large" in second["what became of it"] and second["K_P (umolar)"] == ""
    assert not (tmp_path / second["file"]).exists() and len(outcome.failed) == 1
    sweep(grid({"seed": [3]}, **common), tmp_path)  # another sweep in the same folder
    with open(tmp_path / "index.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["seed"] for row in rows] == ["", "", "3"] and rows[0]["K_P (umolar)"] == "0.05"
    (tmp_path / "index.csv").write_text("of another kind\n1\n")
    with pytest.raises(DamagedFileError, match="is not the index of a sweep"):
        sweep(points, tmp_path)


@pytest.mark.slow
def test_the_verb_measures_draws_and_ends_with_1_where_a_point_failed(astro_sim, tmp_path):
    words = ("sweep", "li_rinzel", "--duration", "40 s", "--out", "s", "--measure", "period(C)")
    code, out, _ = astro_sim(*words, "--dt", "20 ms", "--vary", "input.ip3=0.3 umolar,0.5 umolar", "--picture", "p.png")
    assert code == 0 and "no value" in out and "period(C) (s)" in out and (tmp_path / "p.png").stat().st_size > 1000
    code, out, _ = astro_sim(*words, "--dt", "5 s", "--method", "rk4", "--vary", "input.ip3=0.3 umolar,0.5 umolar")
    assert code == 1 and "2 failed" in out and out.count("too large") >= 2
    code, _, said = astro_sim(*words[:6], "--vary", "seed=1", "--picture", "p.png")
    assert code == 2 and "--measure" in said
