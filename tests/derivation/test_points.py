"""The points beside the record are those that its constants follow from; the file is verified."""

import dataclasses
import json

import numpy as np
import pytest

from derivation.entries.workbench import Workbench
from derivation.fitting.least_squares import fit
from derivation.record import points, record
from derivation.record.entry import Entry
from foundation.errors import DamagedFileError, UserError


@pytest.fixture(scope="module")
def committed():
    return record.load()


@pytest.fixture(scope="module")
def behind(committed):
    return points.behind_record(committed)


def test_they_are_behind_the_committed_record(committed, behind):
    assert behind is not None
    for name, entry in committed.entries.items():
        fitted = [key for key, constant in entry.constants.items() if constant.fitted is not None]
        compared = {one.comparison for one in behind.of(name)} - {""}
        assert any(one.formula for one in behind.of(name)) == bool(fitted), name
        assert compared == set(entry.comparisons), name


def test_fitting_them_again_gives_the_records_constants_and_intervals(committed, behind):
    """To what a search that starts elsewhere leaves open: 1e-6 of a value, 1e-4 of an interval's width.

    On the ring the form is exact, and the interval rounding.
    """
    for one in (one for one in behind.points if one.formula):
        again = fit(one.formula, {one.argument: np.array(one.places), **one.fixed}, np.array(one.observed),
                    {name: 1.1 * value for name, value in one.constants.items()})
        for name, constant in committed.entry(one.entry).constants.items():
            if constant.fitted is not None:
                assert again.values[name] == pytest.approx(constant.fitted, rel=1e-6)
                width = constant.interval[1] - constant.interval[0]
                assert again.intervals[name] == pytest.approx(constant.interval, abs=1e-4 * width + 1e-12)


def test_the_rivals_of_the_record_are_off_by_what_it_says(committed, behind):
    from derivation.fitting.problem import NUMPY
    from derivation.record import closed_form

    for one in (one for one in behind.points if one.comparison):
        for rival in committed.entry(one.entry).comparisons[one.comparison].rivals.values():
            values = closed_form.evaluate(rival.formula, {one.argument: np.array(one.places), **rival.values}, NUMPY)
            assert np.abs(values - one.observed).max() == pytest.approx(rival.max_error, rel=1e-4)


def test_a_file_comes_back_and_an_altered_one_does_not(behind, tmp_path):
    path = tmp_path / "r.points.json"
    points.save(behind, path)
    assert points.load(path) == behind and points.path_beside(tmp_path / "r.json") == path
    body = json.loads(path.read_text())
    body["points"][0]["observed"][0] *= 1.0001
    path.write_text(json.dumps(body))
    with pytest.raises(DamagedFileError, match=r"does not match its own hash: altered; write it anew with .*derive"):
        points.load(path)
    with pytest.raises(UserError):
        points.load(tmp_path / "none.json")


@pytest.mark.parametrize(("places", "observed"), [((1.0, 2.0), (3.0,)), ((1.0,), (2.0, 3.0)), ((), ())])
def test_there_is_one_number_at_each_place(behind, tmp_path, places, observed):
    bent = dataclasses.replace(behind.points[1], places=places, observed=observed)
    points.save(dataclasses.replace(behind, points=(behind.points[0], bent)), tmp_path / "r.points.json")
    says = rf"points\[1\]\.observed: {len(observed)} numbers at {len(places)} places"
    with pytest.raises(DamagedFileError, match=says):
        points.load(tmp_path / "r.points.json")


@pytest.mark.parametrize(("changes", "says"), [({"formula": "x*nobody"}, "uses nobody, x, which"), (
    {"formula": "(("}, "is not an expression"), ({"constants": {}}, "uses q, which"),
    ({"argument": "x"}, "uses t, which")])
def test_their_form_has_its_names(behind, tmp_path, changes, says):
    known = next(one for one in behind.points if one.entry == "retention" and one.formula)
    bent = dataclasses.replace(known, **changes)
    points.save(dataclasses.replace(behind, points=(bent,)), tmp_path / "r.points.json")
    with pytest.raises(DamagedFileError, match=rf"r\.points\.json: points\[0\]\.formula: .*{says}"):
        points.load(tmp_path / "r.points.json")


def test_of_another_record_there_are_none(committed, behind):
    entry = committed.entries["retention"]
    q = dataclasses.replace(entry.constants["q"], value=0.5)
    other = record.make({**committed.entries, "retention": dataclasses.replace(entry, constants={"q": q})}, {"a": "1"})
    assert not behind.belongs_to(other) and points.behind_record(other) is None


def test_an_entry_of_a_users_own_keeps_its_points_under_its_name():
    def mine(workbench):
        best = fit("a*x", {"x": np.array([1.0, 2.0, 3.0])}, np.array([2.0, 4.1, 6.0]), {"a": 1.0})
        workbench.keep("what I measured", ("x", [1, 2, 3]), [2.0, 4.1, 6.0], formula="a*x", fitted=best)
        return Entry("mine", "E4.2", "a", {}, {}, "stated", ("Mia2026",))

    bench = Workbench({"mine": mine})
    bench.entry("mine")
    one, = bench.points
    assert (one.entry, one.places, one.observed) == ("mine", (1.0, 2.0, 3.0), (2.0, 4.1, 6.0))
    assert one.constants["a"] == pytest.approx((2 + 8.2 + 18) / 14)
