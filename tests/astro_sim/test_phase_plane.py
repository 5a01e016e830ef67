"""The phase plane against closed forms, an independent search, a folded nullcline with three known branches."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from astro_sim.dynamics import equilibrium, phase_plane
from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter
from foundation.errors import UserError


def h_inf(c, ip3):
    q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    return q2 / (q2 + c)


def h_where_calcium_rests(c, ip3, k_p):
    """The flux solved for h by hand."""
    er = 2.0 - 1.185 * c
    opened = (0.9 * c * c / (c * c + k_p**2) - 0.11 * er) / (6.0 * er)
    return np.cbrt(opened) / (ip3 / (ip3 + 0.13) * c / (c + 0.08234))


def test_a_plane_is_a_table_of_its_equilibria():
    plane = phase_plane("li_rinzel:AM", {"ip3": "0.5 umolar"})
    assert repr(plane) == "<PhasePlane of li_rinzel:AM at ip3 = 0.5: C against h, unstable focus>"
    head, row = str(plane.table()).splitlines()[1:]
    assert head.startswith("C (umolar)  ") and row.split()[:4] == ["0.2501", "0.64673", "unstable", "focus"]
    assert plane._repr_html_().startswith("<table>")


@pytest.mark.parametrize(("name", "k_p", "ip3"), [("AM", 0.1, 0.5), ("FM", 0.05, 0.51)])
def test_nullclines_are_the_closed_forms(name, k_p, ip3):
    plane = phase_plane(f"li_rinzel:{name}", {"ip3": f"{ip3} umolar"})
    calcium, inactive = plane.nullclines["C"], plane.nullclines["h"]
    assert len(inactive) == 400 and len(calcium) > 100
    assert inactive[:, 1] == pytest.approx(h_inf(inactive[:, 0], ip3), rel=1e-10)
    assert calcium[:, 1] == pytest.approx(h_where_calcium_rests(calcium[:, 0], ip3, k_p), rel=1e-9)
    inside = h_where_calcium_rests(inactive[:, 0], ip3, k_p)
    assert len(calcium) == ((inside > 0) & (inside < 1)).sum()  # none is missed, none is double


@pytest.mark.parametrize(("name", "k_p", "ip3", "kinds"), [
    ("AM", 0.1, 0.3, ["stable focus"]), ("AM", 0.1, 0.5, ["unstable focus"]),
    ("FM", 0.05, 0.51, ["stable node", "unstable saddle", "unstable node"])])
def test_all_equilibria_and_what_they_are(name, k_p, ip3, kinds):
    def gap(c):
        return h_where_calcium_rests(c, ip3, k_p) - h_inf(c, ip3)

    grid = np.geomspace(1e-3, 1.6, 5000)
    wanted = [brentq(gap, a, b, xtol=1e-15) for a, b in pairwise(grid) if gap(a) * gap(b) < 0]
    plane = phase_plane(f"li_rinzel:{name}", {"ip3": f"{ip3} umolar"})
    assert [row["C"] for row in plane.equilibria] == pytest.approx(wanted, rel=1e-9)
    assert [("stable " if row["stable"] else "unstable ") + row["kind"] for row in plane.equilibria] == kinds
    rest = equilibrium(f"li_rinzel:{name}", {"ip3": f"{ip3} umolar"})
    assert any(row["C"] == pytest.approx(rest["C"], rel=1e-9) for row in plane.equilibria)
    for row in plane.equilibria:  # eigenvalues by central differences of the same flow
        at = np.array([row["C"], row["h"]])
        columns = [(plane.flow(*(at + d)) - plane.flow(*(at - d))) / 2e-6 for d in 1e-6 * np.eye(2)]
        leading = max(np.linalg.eigvals(np.array(columns).T), key=lambda z: (z.real, z.imag))
        assert (row["growth"], row["frequency"]) == pytest.approx((leading.real, abs(leading.imag)), abs=1e-5)


def folded(**changes):
    """a rests on a cubic in b, which has three values of b for one of a; b rests on a line."""
    parts = {
        "name": "folded", "summary": "",
        "populations": (Population("cell", "", "da/dt = ((b - 1)**3 - 0.3*(b - 1) + 1 - a)/tau : 1\n"
                                               "db/dt = (a - b + u)/tau : 1"),),
        "parameter_sets": {"one": {"tau": Parameter(2.0, "second", "time constant", "Mia2026", "assumed")}},
        "initial": {name: Parameter(0.5, "1", "start", "Mia2026", "assumed") for name in "ab"},
        "inputs": {"u": Input("cell", "u", "1", 0.0, "drive")},
        "observables": {name: Observable("cell", "1", name, 0.0, 2.0) for name in "ab"}}
    return Model(**{**parts, **changes})


def test_a_folded_nullcline_is_whole():
    plane = phase_plane(folded(), {"u": 0.0})
    points = plane.nullclines["a"]
    assert points[:, 0] == pytest.approx((points[:, 1] - 1) ** 3 - 0.3 * (points[:, 1] - 1) + 1, abs=1e-9)
    counts = np.unique(np.round(points[:, 0], 9), return_counts=True)
    # between the turns at b = 1 +- sqrt(.1), a = 1 -+ .2 sqrt(.1), there are three
    turn = 0.2 * np.sqrt(0.1)
    assert {int(n) for a, n in zip(*counts, strict=True) if abs(a - 1) < turn - 0.01} == {3}
    assert {int(n) for a, n in zip(*counts, strict=True) if turn + 0.01 < abs(a - 1) < 0.7} == {1}
    # only at (1, 1) does the line meet the cubic inside the ranges: (b - 1)^2 = 1.3 is beyond
    assert [(row["a"], row["b"]) for row in plane.equilibria] == [pytest.approx((1.0, 1.0), abs=1e-9)]
    assert plane.flow(0.5, 1.5) == pytest.approx([(0.125 - 0.15 + 0.5) / 2, -0.5])


def test_states_without_bounds_are_looked_for_where_a_course_leads_or_in_the_box_that_is_given():
    """a = b = 1 and 1 -+ sqrt(1.3), by the cubic; the flow leads away above the largest, so nothing bounds them."""
    model = folded(observables={name: Observable("cell", "1", name) for name in "ab"})
    plane, whole = phase_plane(model, {"u": 0.0}), phase_plane(model, {"u": 0.0}, box={"a": (-1, 3), "b": (-1.0, "3")})
    wanted = [1 - 1.3**0.5, 1.0, 1 + 1.3**0.5]
    assert [row["a"] for row in plane.equilibria] == pytest.approx(wanted[:2], abs=1e-12)
    assert [row["b"] for row in whole.equilibria] == pytest.approx(wanted, abs=1e-12)
    assert whole.ranges == ((-1, 3), (-1, 3))


@pytest.mark.parametrize(("given", "says"), [
    (("gchi", {"glutamate": "0.5 umolar"}, {}), "needs two states; it has C, h, I"),
    (("li_rinzel", {"ip3": "0.5 s"}, {}), "wrong dimension"), (("li_rinzel", {"ip3": "0.5"}, {}), "no unit"),
    (("li_rinzel", {"calcium": "1 umolar"}, {}), "unknown input"),
    (("li_rinzel", {"ip3": 0.5}, {"box": {"C": ("0 umolar", "0 umolar")}}), "C: 0 to 0 is not a range"),
    (("li_rinzel", {"ip3": 0.5}, {"box": {"h": (-1, 1)}}), "h: -1 to 1 is not a range"),
    (("li_rinzel", {"ip3": 0.5}, {"box": {"x": (0, 1)}}), "unknown state of li_rinzel 'x'"),
    (("li_rinzel", 0.5, {}), "inputs: 0.5 is not allowed; give a dictionary")])
def test_bad_requests_are_refused(given, says):
    model, inputs, others = given
    with pytest.raises(UserError, match=says):
        phase_plane(model, inputs, **others)
