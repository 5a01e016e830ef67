"""Branches of equilibria: textbook systems with known folds, loops, crossings and Hopf points; brute force on dense
grids; first Lyapunov coefficients against a formula in other coordinates and against courses beside the Hopf point."""

import json
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.dynamics import equilibria, scan
from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.hopf import hopf
from astro_sim.dynamics.local import local
from astro_sim.dynamics.newton import settle
from astro_sim.dynamics.resting import followed
from astro_sim.dynamics.special_points import specials
from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter


def small(text: str, largest: float | None = None, **start: float) -> Model:
    """A model of states without a unit, at an input u, with a time constant of 1 s."""
    given = {name: Parameter(value, "1", "start", "Mia2026", "assumed") for name, value in start.items()}
    return Model(name="small", summary="", populations=(Population("cell", "", text),),
                 parameter_sets={"one": {"tau": Parameter(1.0, "second", "unit of time", "Mia2026", "assumed")}},
                 initial=given, inputs={"u": Input("cell", "u", "1", 1.0, "drive")},
                 observables={name: Observable("cell", "1", "", 0.0, largest) for name in start})


def crossings(diagram, level: float) -> int:
    """How many equilibria the branches of a diagram have at an input."""
    return sum((a["input"] - level) * (b["input"] - level) < 0 for a, b in pairwise(diagram.equilibria)
               if a["branch"] == b["branch"])


@pytest.mark.slow
def test_hysteresis_has_its_two_folds_and_is_bistable_between_them():
    """x' = (u - 2) + y - y^3, y = x - 3: folds at u = 2 +- 2/sqrt(27), y = -+ 1/sqrt(3)."""
    found = scan(small("dx/dt = (u - 2 + (x - 3) - (x - 3)**3)/tau : 1", x=1.0), "u", low=1, high=3, points=40)
    assert found.folds == pytest.approx([2 - 2 / 27**0.5, 2 + 2 / 27**0.5], abs=1e-10)
    assert [row["x"] for row in found.special] == pytest.approx([3 + 3**-0.5, 3 - 3**-0.5], abs=1e-8)
    assert (len(found.branches), found.hopf, found.oscillations) == (1, [], [])
    assert [(row["low"], row["high"], row["between"]) for row in found.bistable] == [(*found.folds, "equilibria")]
    for row in found.equilibria:
        assert row["growth"] == pytest.approx(1 - 3 * (row["x"] - 3) ** 2, abs=1e-9)
        assert (row["stable"], row["unstable"], row["kind"]) == (row["growth"] < 0, int(row["growth"] > 0), "node")
    assert [crossings(found, level) for level in (1.5, 1.99, 2.01, 2.5)] == [1, 3, 3, 1]


def test_a_closed_loop_of_equilibria_is_found_and_followed_once_round():
    """x' = 1/4 - (u - 2)^2 - (x - 2)^2 rests on a circle that no continuation from an end of the range meets."""
    found = scan(small("dx/dt = (0.25 - (u - 2)**2 - (x - 2)**2)/tau : 1", x=1.0), "u", low=1, high=3, points=30)
    assert found.folds == pytest.approx([1.5, 2.5], abs=1e-10)
    assert [(row["begins"], row["ends"]) for row in found.branches] == [("closed", "closed")]
    around = np.unwrap([np.arctan2(row["x"] - 2, row["input"] - 2) for row in found.equilibria])
    assert abs(around[-1] - around[0]) == pytest.approx(2 * np.pi, abs=1e-6)
    assert all(row["stable"] == (row["x"] > 2) for row in found.equilibria[1:-1])
    assert "a closed loop" in str(found)


def test_branches_that_cross_exchange_their_stability_there():
    """x' = (x - 1)(u - x): x = 1 and x = u cross at u = 1 (transcritical)."""
    found = scan(small("dx/dt = (x - 1)*(u - x)/tau : 1", x=1.5), "u", low=0.51, high=1.52, points=20)
    assert [row["what"] for row in found.special] == ["crossing"] * 2
    assert [row["input"] for row in found.special] == pytest.approx([1.0, 1.0], abs=1e-7)
    for row in found.equilibria:
        assert min(abs(row["x"] - 1), abs(row["x"] - row["input"])) < 1e-9
        assert row["stable"] == (abs(row["x"] - max(1.0, row["input"])) < 1e-9)
    assert "crossings of branches: 1.0" in str(found)


@pytest.mark.slow
def test_a_branch_that_runs_out_of_the_box_says_so():
    """x = 1/(u - 1) grows beyond all bounds as u falls to 1."""
    found = scan(small("dx/dt = (1 - (u - 1)*x)/tau : 1", x=1.0), "u", low=0.5, high=3, points=30)
    assert [(row["begins"], row["ends"]) for row in found.branches] in ([("box", "high")], [("high", "box")])
    assert min(row["input"] for row in found.equilibria) == pytest.approx(1, abs=1e-5)
    assert "the end of the box" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_normal_form_of_a_hopf_point_has_its_own_coefficient(sign):
    """r' = (u - 2) r - sign r^3, turning at 1.7/s, about x = y = 3; r is the amplitude of x."""
    text = "".join(f"d{a}/dt = ((u - 2)*({a} - 3) {turn} 1.7*({b} - 3) - ({sign})*({a} - 3)*((x - 3)**2 + (y - 3)**2))"
                   f"/tau : 1\n" for a, b, turn in (("x", "y", "-"), ("y", "x", "+")))
    model = small(text, x=2.0, y=2.5)
    found = scan(model, "u", low=1, high=3, points=20)
    point, = found.special
    assert (point["what"], point["kind"]) == ("hopf", "supercritical" if sign > 0 else "subcritical")
    assert (point["input"], point["frequency"]) == pytest.approx((2.0, 1.7), abs=1e-10)
    frame = framed(local(model, "u"), 1.0, 3.0)
    form = hopf(frame, np.append(frame.coordinates(np.array([3.0, 3.0])), frame.level(2.0)))
    assert form.cubic.real == pytest.approx(-sign * (2 * abs(form.direction[0]) * 3) ** 2, rel=1e-9)
    assert form.lyapunov == pytest.approx(form.cubic.real / 1.7, rel=1e-12)
    if sign > 0:  # r = sqrt(u - 2)
        row = found.oscillations[-1]
        size = (row["input"] - 2) ** 0.5
        assert (row["low"], row["high"]) == pytest.approx((3 - size, 3 + size), abs=2e-3)
        assert row["period"] == pytest.approx(2 * np.pi / 1.7, rel=1e-4)


def independent(K_P, glutamate=None, v_beta=0.2, O_delta=0.02, Omega_5P=0.04):
    """Rates of C, h and, under glutamate, IP3, written anew in uM and s; without it the third is IP3 itself."""
    def rates(c, h, i):
        m, q2 = i / (i + 0.13) * c / (c + 0.08234), 1.049 * (i + 0.13) / (i + 0.9434)
        calcium = (6 * (m * h) ** 3 + 0.11) * (2 - 1.185 * c) - 0.9 * c**2 / (c**2 + K_P**2)
        made = 0.0 * c if glutamate is None else (
            v_beta / (1 + ((1.3 + 10 * c / (c + 0.6)) / glutamate) ** 0.7)
            + O_delta / (1 + i / 1.5) * c**2 / (c**2 + 0.01)
            - 2 * c**4 / (c**4 + 0.7**4) * i / (i + 1) - Omega_5P * i)
        return np.array([calcium, 0.2 * (q2 - (q2 + c) * h), made])

    return rates


CLAMPED = {"AM": {"K_P": 0.1}, "FM": {"K_P": 0.05, "v_beta": 0.5, "O_delta": 0.05, "Omega_5P": 0.05}}


def resting(K_P, i):
    """All C at rest at a held IP3, by sign changes on a dense grid with h at rest."""
    c = np.geomspace(1e-3, 1.68, 8000)
    q2 = 1.049 * (i + 0.13) / (i + 0.9434)
    flux = independent(K_P)(c, q2 / (q2 + c), i)[0]
    n = np.flatnonzero(np.diff(np.sign(flux)))
    return c[n] - flux[n] * (c[n + 1] - c[n]) / (flux[n + 1] - flux[n])


def resting_under(glutamate, **constants):
    """All (C, IP3) at rest under glutamate: the IP3 that holds each C, by bisection, then sign changes of its rate."""
    c = np.geomspace(1e-3, 1.68, 8000)
    rates, low, high = independent(glutamate=glutamate, **constants), np.full(len(c), 1e-6), np.full(len(c), 1e3)
    for _ in range(60):  # release rises with IP3
        i = np.sqrt(low * high)
        q2 = 1.049 * (i + 0.13) / (i + 0.9434)
        more = rates(c, q2 / (q2 + c), i)[0] < 0
        low, high = np.where(more, i, low), np.where(more, high, i)
    made = np.where((low > 2e-6) & (high < 9e2), rates(c, q2 / (q2 + c), i)[2], np.nan)
    n = np.flatnonzero(made[1:] * made[:-1] < 0)
    return c[n] - made[n] * (c[n + 1] - c[n]) / (made[n + 1] - made[n])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "K_P"), [("AM", 0.1), ("FM", 0.05), ("DePitta2008_FM", 0.051)])
def test_branches_over_ip3_hold_all_that_brute_force_finds(name, K_P):
    found = scan(f"li_rinzel:{name}", "ip3", low=0.05, high=0.95, points=12)
    levels = np.linspace(0.06, 0.94, 89)
    counts = [len(resting(K_P, level)) for level in levels]
    assert set(counts) == ({1} if name == "AM" else {1, 3})
    assert [crossings(found, level) for level in levels] == counts
    for level in levels[::20]:
        assert [row["C"] for row in equilibria(f"li_rinzel:{name}", {"ip3": level})] == pytest.approx(
            resting(K_P, level), rel=1e-6)  # a straight piece of 1e-3: its error is some of the square of that


@pytest.fixture(scope="module")
def fm():
    return scan("gchi:FM", "glutamate", low=0.002, high=3, points=20)


@pytest.mark.slow
def test_branches_under_glutamate_hold_all_that_brute_force_finds(fm):
    """gchi:FM has a branch that comes from the low end, turns back at a fold and leaves there again, and another."""
    levels = np.append(np.geomspace(0.0021, 2.9, 20), [0.02, 0.0201, 0.0202])
    counts = [len(resting_under(level, **CLAMPED["FM"])) for level in levels]
    assert set(counts) == {1, 3}
    assert [crossings(fm, level) for level in levels] == counts
    assert [(row["begins"], row["ends"]) for row in fm.branches] == [("low", "low"), ("low", "high")]
    for name, level in (("FM", 0.01), ("FM", 1.0), ("AM", 0.05), ("AM", 3.0)):
        rows = equilibria(f"gchi:{name}", {"glutamate": level})
        assert [row["C"] for row in rows] == pytest.approx(resting_under(level, **CLAMPED[name]), rel=1e-6)


@pytest.mark.slow
def test_hopf_points_under_glutamate_have_an_imaginary_pair_by_differences(fm):
    points = [("FM", row) for row in fm.special if row["what"] == "hopf"]
    am = scan("gchi:AM", "glutamate", low=0.005, high=5, points=10)
    points += [("AM", row) for row in am.special]
    assert [name for name, _ in points] == ["FM"] * 3 + ["AM"] * 2
    for name, row in points:
        at, rates = [row["C"], row["h"], row["I"]], independent(glutamate=row["input"], **CLAMPED[name])
        assert np.abs(rates(*at)).max() < 1e-9
        columns = [(rates(*(at + d)) - rates(*(at - d))) / 2e-6 for d in 1e-6 * np.eye(3)]
        pair = min(np.linalg.eigvals(np.array(columns).T), key=lambda z: (abs(z.real), z.imag))
        # differences are good to 1e-8 or so; an error of 1e-6 of the input would move the real part by more
        assert abs(pair.real) < 1e-7 and abs(pair.imag) == pytest.approx(row["frequency"], rel=1e-6)


def test_the_upper_oscillation_of_fm_is_there_beside_a_stable_equilibrium(fm):
    assert fm.oscillations[0]["input"] < 0.4 and fm.oscillations[-1]["input"] == 3.0
    side, = fm.bistable
    assert side["between"] == "equilibrium and oscillation" and side["high"] == pytest.approx(3.0, rel=1e-12)
    assert side["low"] == fm.hopf[-1]  # the oscillation is there on both sides of it
    said = str(fm)
    assert "1.311843 (subcritical, period 7.427 s, branch 2)" in said and "stable side by side" in said
    assert "not followed: unstable oscillations" in said


def by_the_planar_formula(K_P, c, h, ip3):
    """(amplitude of C)^2/growth of a small oscillation: Guckenheimer and Holmes (1983), equation 3.4.11, by sympy."""
    import sympy as sp

    x = sp.symbols("x0:2")
    C, H = x
    m, q2 = ip3 / (ip3 + 0.13) * C / (C + 0.08234), 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    f = [(6 * (m * H) ** 3 + 0.11) * (2 - 1.185 * C) - 0.9 * C**2 / (C**2 + K_P**2), 0.2 * (q2 - (q2 + C) * H)]
    at = dict(zip(x, (c, h), strict=True))
    matrix = np.array([[float(sp.diff(one, by).subs(at)) for by in x] for one in f])
    values, vectors = np.linalg.eig(matrix)
    frequency, vector = abs(values[0].imag), vectors[:, np.argmax(values.imag)]
    T = np.stack([vector.real, -vector.imag], axis=1)  # turns x into u' = -frequency v, v' = frequency u
    u, v = sp.symbols("u v")
    turned = [one.subs(dict(zip(x, (c + T[0, 0] * u + T[0, 1] * v, h + T[1, 0] * u + T[1, 1] * v), strict=True)))
              for one in f]
    F, G = (sum(w * one for w, one in zip(row, turned, strict=True)) for row in np.linalg.inv(T))

    def d(one, *by):
        return float(sp.diff(one, *by).subs({u: 0, v: 0}))

    a = (d(F, u, u, u) + d(F, u, v, v) + d(G, u, u, v) + d(G, v, v, v)) / 16 + (
        d(F, u, v) * (d(F, u, u) + d(F, v, v)) - d(G, u, v) * (d(G, u, u) + d(G, v, v))
        - d(F, u, u) * d(G, u, u) + d(F, v, v) * d(G, v, v)) / (16 * frequency)
    return -(T[0] ** 2).sum() / a


@pytest.mark.slow
@pytest.mark.parametrize(("name", "K_P", "kinds"), [("AM", 0.1, ["supercritical", "subcritical"]),
                                                    ("FM", 0.05, ["subcritical", "subcritical"])])
def test_first_lyapunov_coefficients_are_those_of_the_planar_formula(name, K_P, kinds):
    chosen = framed(local(f"li_rinzel:{name}"), 1e-4, 1e-3)
    branch = followed(chosen, settle(chosen, 1e-4), 1e-4, high=1e-3, points=60)
    points = [one.point for one in specials(branch) if one.kind == "hopf"]
    assert [hopf(chosen, point).kind for point in points] == kinds
    for point in points:
        form, state = hopf(chosen, point), chosen.state_of(point)
        amplitude = (2 * abs(form.direction[0]) * state["C"]) ** 2 / -form.cubic.real
        assert amplitude == pytest.approx(by_the_planar_formula(K_P, state["C"], state["h"], chosen.input_of(point)),
                                          rel=1e-5)  # at a point where the pair is imaginary to 1e-9


@pytest.mark.slow
def test_beside_a_hopf_point_courses_keep_to_the_amplitude_that_it_foretells():
    """gchi:AM, three states. Supercritical: from the foretold oscillation on nothing changes. Subcritical: it is the
    border between what dies out and what grows."""
    found = scan("gchi:AM", "glutamate", low=0.005, high=5, points=10)
    low, high = (row for row in found.special if row["what"] == "hopf")
    assert (low["kind"], high["kind"]) == ("supercritical", "subcritical")
    chosen = framed(local("gchi:AM", "glutamate"), 5e-6, 5e-3)

    def amplitudes(row, factor, share):
        """Of C, at the start and after 300 s, from `share` of the foretold oscillation at `factor` times the input."""
        value = factor * row["input"]
        rest, = equilibria("gchi:AM", {"glutamate": value})
        form = hopf(chosen, np.log([*(row[name] * 1e-3 ** (name != "h") for name in ("C", "h", "I")),
                                    row["input"] * 1e-3]))
        size = share * np.sqrt(-rest["growth"] / form.cubic.real)
        start = [rest[name] * np.exp(2 * (d * size).real) for name, d in zip("ChI", form.direction, strict=True)]
        rates = independent(glutamate=value, **CLAMPED["AM"])
        course = solve_ivp(lambda t, y: rates(*y), (0, 300), start, "DOP853", dense_output=True, rtol=1e-9, atol=1e-12)
        period = np.linspace(0, 2 * np.pi / form.frequency, 200)
        return [np.ptp(course.sol(t + period)[0]) / 2 for t in (0, 300 - period[-1])] + [
            2 * abs(form.direction[0]) * size * rest["C"]]

    first, last, foretold = amplitudes(low, 1.01, 1.0)
    assert first == pytest.approx(foretold, rel=0.1) and last == pytest.approx(foretold, rel=0.1)
    inner, outer = (amplitudes(high, 1.02, share) for share in (0.7, 1.3))
    assert inner[1] < 0.9 * inner[0] and outer[1] > 1.1 * outer[0]


@pytest.mark.slow
def test_the_new_rows_are_kept_as_json_and_netcdf(fm, tmp_path):
    import xarray as xr

    kept = json.loads(fm.save(tmp_path / "a.json").read_text("utf-8"))
    assert {"equilibria", "hopf", "folds", "oscillations", "special", "bistable", "branches", "searched"} <= kept.keys()
    assert kept["searched"]["box"]["C"] == pytest.approx([2e-4, 2.0])
    with xr.open_dataset(fm.save(tmp_path / "a.nc"), engine="h5netcdf") as data:
        assert data["special_kind"].values.tolist() == [row.get("kind", "") for row in fm.special]
        assert data["special_lyapunov"].values[data["special_what"].values == "fold"].tolist() == [pytest.approx(
            np.nan, nan_ok=True)]
        assert data["equilibrium_branch"].values.tolist() == [row["branch"] for row in fm.equilibria]
        assert data["bistable_low"].attrs["units"] == "umolar"
        assert json.loads(data.attrs["branches"]) == fm.branches
