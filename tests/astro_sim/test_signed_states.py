"""Models whose states have either sign, against closed forms: FitzHugh-Nagumo without units and in volts, van der Pol,
Morris-Lecar in mV, normal forms of a pitchfork and a saddle-node."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from astro_sim import dynamics
from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.hopf import hopf
from astro_sim.dynamics.local import local
from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter
from foundation.errors import UserError


def number(value: float, unit: str = "1", allowed: str = "any") -> Parameter:
    return Parameter(value, unit, "a number", "Mia2026", "assumed", allowed)


def model(text: str, parameters: dict, start: dict, *, unit: str = "1", input_unit: str = "1", level: float = 0.0,
          **bounds) -> Model:
    """A model under an input u; no state has a bound, but for `bounds` = {name: (low, high)}."""
    return Model(name="signed", summary="", populations=(Population("cell", "", text),),
                 parameter_sets={"one": parameters},
                 initial=(initial := {name: one if isinstance(one, Parameter) else number(one, unit)
                                      for name, one in start.items()}),
                 inputs={"u": Input("cell", "u", input_unit, level, "drive")},
                 observables={name: Observable("cell", one.unit, name, *bounds.get(name, (None, None)))
                              for name, one in initial.items()})


A, B, EPS = 0.7, 0.8, 0.08
FHN = model("dv/dt = (v - v**3/3 - w + u)/tau : 1\ndw/dt = eps*(v + a - b*w)/tau : 1",
            {"tau": number(1.0, "second", "positive"), "a": number(A), "b": number(B), "eps": number(EPS)},
            {"v": -1.2, "w": -0.6})
UNIT = 20e-3  # volt: of a v of one
VOLTS = model("dv/dt = (v - v**3/(3*s**2) - w + u)/tau : volt\ndw/dt = eps*(v + a*s - b*w)/tau : volt",
              {"tau": number(1.0, "msecond", "positive"), "a": number(A), "b": number(B), "eps": number(EPS),
               "s": number(20.0, "mvolt", "positive")}, {"v": -24.0, "w": -12.0}, unit="mvolt", input_unit="mvolt")


def hopf_currents() -> list[float]:
    """The trace 1 - v^2 - eps b vanishes at v = +-sqrt(1 - eps b); u = v^3/3 - v + (v + a)/b there."""
    return sorted(v**3 / 3 - v + (v + A) / B for v in np.sqrt(1 - EPS * B) * np.array([-1.0, 1.0]))


def hopf_frequency() -> float:
    """Of the determinant eps - (eps b)^2 where the trace is zero."""
    return float(np.sqrt(EPS - (EPS * B) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize(("chosen", "scale", "second"), [(FHN, 1.0, 1.0), (VOLTS, 20.0, 1e-3)])
def test_fitzhugh_nagumo_has_its_hopf_points_and_rests_where_brute_force_finds_it(chosen, scale, second):
    found = dynamics.scan(chosen, "u", low=-0.5 * scale, high=2 * scale, points=24)
    assert found.hopf == pytest.approx([u * scale for u in hopf_currents()], rel=1e-9)
    first, last = found.special
    assert first["frequency"] * second == pytest.approx(hopf_frequency(), rel=1e-9)
    assert (first["kind"], last["kind"]) == ("subcritical", "subcritical")
    assert [first["v"], last["v"]] == pytest.approx(np.sqrt(1 - EPS * B) * np.array([-scale, scale]), rel=1e-9)
    assert len(found.branches) == 1 and found.branches[0]["begins"] == "low"
    for row in found.equilibria[::3]:
        def flux(v, u=row["input"] / scale):
            return v - v**3 / 3 - (v + A) / B + u

        grid = np.linspace(-3, 3, 4001)
        roots = [brentq(flux, a, b, xtol=1e-14) for a, b in pairwise(grid) if flux(a) * flux(b) < 0]
        assert [row["v"] / scale] == pytest.approx(roots, abs=1e-9)
        assert row["stable"] == (not found.hopf[0] < row["input"] < found.hopf[1])
    assert found.searched["why"] == {"v": "inwards", "w": "inwards"}


def test_the_first_lyapunov_coefficient_of_fitzhugh_nagumo_is_that_of_its_equations():
    """On v' = -v0 x^2 - x^3/3 + ..., the planar formula gives Re(cubic)/|amplitude of v|^2 in closed form.

    With A = [[c, -1], [eps, -c]], c = eps b, and f = -v0 x^2 - x^3/3 in the first equation alone: turned into u' =
    -w v, v' = w u by x = u, y = c u + w v, the field is (f, -c f/w). Guckenheimer and Holmes (1983), 3.4.11.
    """
    frame = framed(local(FHN, "u"), -0.5, 2.0)
    for v0, u in zip(np.sqrt(1 - EPS * B) * np.array([-1.0, 1.0]), hopf_currents(), strict=True):
        w, c = hopf_frequency(), EPS * B
        second, third = -2 * v0, -2.0  # of f in x
        a = third / 16 + (second * (c / w) * second) / (16 * w)  # f_uuu/16 - f_uu g_uu/(16 w), g = -(c/w) f
        point = np.append(frame.coordinates(np.array([v0, (v0 + A) / B])), frame.level(u))
        form = hopf(frame, point)
        amplitude = 2 * abs(form.direction[0]) * frame.sizes[0]  # of v, at |z| = 1
        assert form.cubic.real / amplitude**2 == pytest.approx(a, rel=1e-9)


VDP = model("dx/dt = y/tau : 1\ndy/dt = (-x + u*y - x**2*y)/tau : 1", {"tau": number(1.0, "second", "positive")},
            {"x": 0.5, "y": 0.0})


@pytest.mark.slow
def test_van_der_pol_has_a_hopf_point_of_frequency_one_and_amplitude_two_roots_of_u():
    found = dynamics.scan(VDP, "u", low=-0.51, high=0.5, points=21)
    point, = found.special
    assert (point["what"], point["kind"]) == ("hopf", "supercritical")
    assert (point["input"], point["x"], point["frequency"]) == pytest.approx((0.0, 0.0, 1.0), abs=1e-10)
    assert min(row["input"] for row in found.oscillations) < 0.1
    for row in found.oscillations:  # averaging: 2 sqrt(u) sin t, to first order in u
        assert (row["low"], row["high"]) == pytest.approx((-2 * row["input"]**0.5, 2 * row["input"]**0.5),
                                                          rel=0.02 + 0.1 * row["input"])
    assert set(found.searched["why"].values()) == {"guessed"}
    assert "its range is about what a course visits; another by box=, or --box 'x=" in str(found)


@pytest.mark.slow
def test_the_period_of_van_der_pol_is_that_of_its_series():
    """With u = mu, x = sqrt(mu) X: the classical oscillator; period 2 pi (1 + mu^2/16 - 5 mu^4/3072 + O(mu^6))."""
    for mu in (0.2, 0.5):
        cycle = dynamics.limit_cycle(VDP, {"u": mu})
        series = 2 * np.pi * (1 + mu**2 / 16 - 5 * mu**4 / 3072)
        assert cycle.period == pytest.approx(series, abs=2 * np.pi * mu**6 / 100)
        assert cycle.states["x"][0] == pytest.approx(cycle.states["x"][-1], abs=1e-8)
        assert cycle.high["x"] == pytest.approx(-cycle.low["x"], rel=1e-4)
    with pytest.raises(UserError, match=r"signed:one does not oscillate at u = -0\.3"):
        dynamics.limit_cycle(VDP, {"u": -0.3})


@pytest.mark.slow
def test_a_pitchfork_has_a_crossing_and_three_equilibria_beyond():
    found = dynamics.scan(model("dx/dt = (u*x - x**3)/tau : 1", {"tau": number(1.0, "second", "positive")}, {"x": 0.3}),
                          "u", low=-0.97, high=1.04, points=30)
    assert {row["what"] for row in found.special} <= {"crossing", "fold"} and found.special
    assert [row["input"] for row in found.special] == pytest.approx([0.0] * len(found.special), abs=1e-6)
    for row in found.equilibria:
        assert min(abs(row["x"]), abs(row["x"] ** 2 - row["input"])) < 1e-7
        if abs(row["input"]) > 1e-3:
            assert row["stable"] == (abs(row["x"]) < 1e-6 if row["input"] < 0 else abs(row["x"]) > 1e-6)
    rows = dynamics.equilibria(model("dx/dt = (u*x - x**3)/tau : 1", {"tau": number(1.0, "second", "positive")},
                                     {"x": 0.3}), {"u": 0.25})
    assert [row["x"] for row in rows] == pytest.approx([-0.5, 0.0, 0.5], abs=1e-9)


@pytest.mark.slow
def test_a_saddle_node_has_its_fold_where_the_square_root_ends():
    found = dynamics.scan(model("dx/dt = (u - x**2)/tau : 1", {"tau": number(1.0, "second", "positive")}, {"x": 0.5}),
                          "u", low=-0.5, high=1.0, points=25, box={"x": (-2, 2)})
    assert found.folds == pytest.approx([0.0], abs=1e-10)
    assert all(row["stable"] == (row["x"] > 0) for row in found.equilibria if abs(row["x"]) > 1e-6)
    assert found.searched["box"] == {"x": [-2.0, 2.0]} and found.searched["why"] == {"x": "given"}


M_LECAR = {"C_m": (20.0, "ufarad"), "g_Ca": (4.4, "msiemens"), "g_K": (8.0, "msiemens"), "g_L": (2.0, "msiemens"),
           "V_Ca": (120.0, "mvolt"), "V_K": (-84.0, "mvolt"), "V_L": (-60.0, "mvolt"), "V_1": (-1.2, "mvolt"),
           "V_2": (18.0, "mvolt"), "V_3": (2.0, "mvolt"), "V_4": (30.0, "mvolt"), "phi": (40.0, "1/second")}
MORRIS_LECAR = model(
    "dV/dt = (u - g_Ca*(1 + tanh((V - V_1)/V_2))/2*(V - V_Ca) - g_K*n*(V - V_K) - g_L*(V - V_L))/C_m : volt\n"
    "dn/dt = phi*((1 + tanh((V - V_3)/V_4))/2 - n)*widening : 1\n"
    "widening = (exp((V - V_3)/(2*V_4)) + exp(-(V - V_3)/(2*V_4)))/2 : 1",
    {name: number(*one) for name, one in M_LECAR.items()},
    {"V": number(-60.0, "mvolt"), "n": number(0.01, "1", "fraction")}, input_unit="uamp", n=(0.0, 1.0))


def morris_lecar(V, n, u):
    """Written anew: mV, 1, uA and ms; 20 uF."""
    calcium, rest = 2.2 * (1 + np.tanh((V + 1.2) / 18)), (1 + np.tanh((V - 2) / 30)) / 2
    return ((u - calcium * (V - 120) - 8 * n * (V + 84) - 2 * (V + 60)) / 20,
            0.04 * (rest - n) * np.cosh((V - 2) / 60))


@pytest.mark.slow
def test_morris_lecar_in_millivolts_rests_and_oscillates_as_an_independent_solution_does():
    """The set with Hopf points (Ermentrout and Rinzel): about 94 and 212 uA/cm^2; here for one cm^2."""
    found = dynamics.scan(MORRIS_LECAR, "u", low=40, high=260, points=23)
    assert found.hopf == pytest.approx([93.86, 212.0], abs=0.2)
    assert [row["kind"] for row in found.special if row["what"] == "hopf"] == ["subcritical", "subcritical"]
    for row in found.equilibria:
        assert np.abs(morris_lecar(row["V"], row["n"], row["input"])).max() < 1e-9
    for row in found.special:
        at = np.array([row["V"], row["n"]])
        columns = [np.subtract(morris_lecar(*(at + d), row["input"]), morris_lecar(*(at - d), row["input"])) / 2e-5
                   for d in 1e-5 * np.eye(2)]
        pair = np.linalg.eigvals(np.array(columns).T)
        assert np.abs(pair.real).max() < 1e-7
        assert abs(pair[0].imag) * 1e3 == pytest.approx(row["frequency"], rel=1e-6)  # 1/ms to 1/s
    side = [row for row in found.bistable if row["between"] == "equilibrium and oscillation"]
    assert len(side) == 2 and side[0]["high"] == pytest.approx(found.hopf[0], rel=1e-9)
    assert found.searched["why"]["V"] == "inwards"


@pytest.mark.slow
def test_another_parameter_can_be_scanned_and_other_inputs_held():
    found = dynamics.scan(FHN, "a", low=0.2, high=1.2, points=20, inputs={"u": 0.5})
    for a, row in [(row["input"], row) for row in found.special]:  # u = v^3/3 - v + (v + a)/b, solved for a
        v = row["v"]
        assert abs(v) == pytest.approx(np.sqrt(1 - EPS * B), rel=1e-9)
        assert a == pytest.approx(B * (0.5 - v**3 / 3 + v) - v, abs=1e-9)
    assert found.input == "a" and len(found.hopf) == 1


def test_the_phase_plane_of_fitzhugh_nagumo_is_whole():
    plane = dynamics.phase_plane(FHN, {"u": 0.5})
    v, w = plane.nullclines["v"].T
    assert w == pytest.approx(v - v**3 / 3 + 0.5, abs=1e-9) and v.min() < -1.5 and v.max() > 1.5
    v, w = plane.nullclines["w"].T
    assert w == pytest.approx((v + A) / B, abs=1e-9)
    row, = plane.equilibria
    assert row["kind"] == "focus" and not row["stable"]


@pytest.mark.parametrize(("text", "says"), [
    ("dx/dt = (u*sin(t/tau) - x)/tau : 1", "'t' in its equations leaves no equilibria"),
    ("dx/dt = (u - x + rand())/tau : 1", "'rand' in its equations")])
def test_equations_with_time_or_chance_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        dynamics.equilibria(model(text, {"tau": number(1.0, "second", "positive")}, {"x": 0.5}), {"u": 1.0})
