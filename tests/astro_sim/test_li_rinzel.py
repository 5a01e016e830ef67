"""Calcium against published numbers, an independent solution, and the order of the solver."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from astro_sim import analysis, dynamics
from astro_sim.dynamics.am_fm import modulation
from astro_sim.models import MODELS
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


def independent_rates(t, state, ip3, K_P=0.1):
    """Li-Rinzel written anew from the papers, in uM and s; shares nothing with the project."""
    c, h = state
    gate = ip3 / (ip3 + 0.13) * c / (c + 0.08234)
    q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    er = 2.0 - 1.185 * c
    dc = 6.0 * gate**3 * h**3 * er + 0.11 * er - 0.9 * c * c / (c * c + K_P**2)
    return [dc, 0.2 * (q2 - (q2 + c) * h)]  # (h_inf - h)/tau_h with both inserted


def independent_solution(times, ip3, K_P=0.1):
    found = solve_ivp(independent_rates, (0, times[-1]), [0.09, 0.78], "DOP853", times, args=(ip3, K_P), rtol=1e-12,
                      atol=1e-14)
    return found.y.T


@pytest.fixture(scope="module")
def oscillation():
    return simulate("li_rinzel:AM", "constant:input=ip3,value=0.5 umolar", duration="60 s", dt="5 ms")


@pytest.mark.slow
@pytest.mark.parametrize(("parameter_set", "ip3", "K_P"), [("AM", 0.5, 0.1), ("AM", 0.3, 0.1), ("FM", 0.6, 0.05)])
def test_agrees_with_an_independent_solution(parameter_set, ip3, K_P):
    recording = simulate(f"li_rinzel:{parameter_set}", f"constant:input=ip3,value={ip3} umolar", duration="60 s",
                         dt="10 ms")
    expected = independent_solution(recording.time, ip3, K_P)
    for column, name in enumerate(("C", "h")):
        measured, wanted = recording[name].values[:, 0], expected[:, column]
        # the whole course, phase included, relative to each value
        assert np.abs(measured / wanted - 1).max() < 1e-6


def test_hopf_points_of_am():
    found = dynamics.hopf_points("li_rinzel:AM", low=0.1, high=1)
    assert found == pytest.approx([0.354534, 0.636882], abs=1e-6)  # published for this project to six digits


def independent_equilibria(ip3, K_P):
    """All steady states (C, h) by a scan over C with h = h_inf(C)."""
    def h_inf(c):
        q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
        return q2 / (q2 + c)

    def flux(c):
        return independent_rates(0, (c, h_inf(c)), ip3, K_P)[0]

    grid = np.geomspace(1e-3, 1.6, 2000)
    return [(c, h_inf(c)) for a, b in pairwise(grid) if flux(a) * flux(b) < 0 for c in [brentq(flux, a, b, xtol=1e-15)]]


@pytest.mark.slow
@pytest.mark.parametrize(("parameter_set", "K_P", "count"), [("AM", 0.1, 2), ("FM", 0.05, 2)])
def test_hopf_points_are_where_an_independent_pair_is_imaginary(parameter_set, K_P, count):
    found = dynamics.hopf_points(f"li_rinzel:{parameter_set}", "ip3", low="0.1 umolar", high="1 umolar")
    assert len(found) == count
    for ip3 in found:
        pairs = []
        for state in independent_equilibria(ip3, K_P):
            columns = [(np.array(independent_rates(0, state + d, ip3, K_P)) - independent_rates(0, state - d, ip3, K_P))
                       / 2e-6 for d in 1e-6 * np.eye(2)]
            pairs.append(np.linalg.eigvals(np.array(columns).T))
        # central differences are good to 1e-8 here; an error of 1e-4 uM would move the real part by some 1e-4/s
        assert any(np.abs(pair.real).max() < 1e-6 and np.abs(pair.imag).min() > 0.1 for pair in pairs), pairs


def test_equilibrium_is_at_rest_in_the_independent_equations():
    for ip3 in (0.1, 0.5, 0.9):
        rest = dynamics.equilibrium("li_rinzel:AM", {"ip3": f"{ip3} umolar"})
        assert np.abs(independent_rates(0, (rest["C"], rest["h"]), ip3)).max() < 1e-10


@pytest.mark.slow
def test_oscillates_between_the_hopf_points_only():
    for ip3, oscillates in ((0.34, False), (0.37, True), (0.62, True), (0.75, False)):
        course = simulate("li_rinzel:AM", f"constant:input=ip3,value={ip3} umolar", duration="160 s", dt="100 ms")
        low, high = analysis.amplitude(course, "C", after=130.0)
        assert (high - low > 0.05) == oscillates, f"IP3 {ip3} uM: C from {low} to {high}"


@pytest.mark.slow
def test_period_and_extrema(oscillation):
    assert analysis.period(oscillation, "C") == pytest.approx(11.492, abs=0.01)
    low, high = analysis.amplitude(oscillation, "C")
    assert low == pytest.approx(0.1077, abs=5e-5)  # published to four digits
    assert high == pytest.approx(0.4446, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("ip3", "says"), [(0.1, "has 0 peaks, not two"), (0.68, "dies out: its swings fall from")])
def test_period_and_oscillation_refuse_a_course_that_does_not_oscillate_in_the_same_words(ip3, says):
    still = simulate("li_rinzel:AM", f"constant:input=ip3,value={ip3} umolar", duration="120 s", dt="50 ms")
    with pytest.raises(UserError, match=f"no oscillation: C {says}") as by_period:
        analysis.period(still, "C")
    with pytest.raises(UserError) as by_oscillation:
        analysis.oscillation(still, "C")
    assert str(by_period.value) == str(by_oscillation.value)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "order", "steps"), [("rk4", 4, (0.1, 0.05, 0.025, 0.0125)),
                                                        ("rk2", 2, (0.02, 0.01, 0.005)),
                                                        ("euler", 1, (0.008, 0.004, 0.002))])
def test_measured_order(method, order, steps):
    errors = []
    for dt in steps:
        recording = simulate("li_rinzel:AM", duration="16 s", dt=dt, method=method)
        wanted = independent_solution(recording.time, 0.5)
        errors.append(np.abs(recording["C"].values[:, 0] - wanted[:, 0]).max())
    measured = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert measured == pytest.approx(order, abs=0.1), f"errors {errors}"


@pytest.mark.parametrize(("name", "changed"), [
    ("LiRinzel1994", {}), ("NadkarniJung2003", {}), ("DePitta2008_FM", {"K_P": 0.051}),
    ("Lallouette2014", {"K_P": 0.05}),
    ("Stimberg2019_figure_4", {"K_P": 0.05, "rho_A": 0.18, "Omega_L": 0.1, "d2": 1.05, "d5": 0.08})])
def test_a_set_is_of_one_paper_and_differs_where_that_does(name, changed):
    am, found = (MODELS["li_rinzel"].parameters(chosen) for chosen in ("AM", name))
    assert {p.source for p in found.values()} == {name.partition("_")[0]}
    assert {key: p.value for key, p in found.items() if p.value != am[key].value} == changed


@pytest.mark.slow
def test_ip3_is_encoded_in_frequency_by_the_set_of_2008():
    """DePitta2008: K_P of .1 uM encodes IP3 in amplitude, .051 in frequency; over what oscillates in the middle."""
    for name, low, high, word in (("AM", 0.37, 0.6, "AM"), ("DePitta2008_FM", 0.56, 0.9, "FM")):
        drives = [f"constant:input=ip3,value={level} umolar" for level in np.linspace(low, high, 3)]
        found = [analysis.oscillation(simulate(f"li_rinzel:{name}", drive, duration="120 s", dt="100 ms"), "C")
                 for drive in drives]
        told = modulation(range(3), [one.amplitude for one in found], [one.frequency for one in found])
        assert (told.index < 0) == (word == "AM"), told


@pytest.mark.slow
def test_ip3_that_spikes_raise_against_an_independent_solution():
    """Every spike adds delta_I, between them IP3 decays to rest: pieces between spikes, joined by the jumps."""
    def rates(t, state):
        return [*independent_rates(t, state[:2], state[2]), (0.16 - state[2]) / 7.142 + 0.02]

    given = ["spikes:input=spikes,times=1s+1.5s+4s", "constant:input=ip3_flux,value=0.02 umolar/second"]
    recording = simulate("li_rinzel_driven", given, duration="8 s", dt="10 ms", parameters={"delta_I": "0.15 umolar"})
    state, before = [0.073, 0.793, 0.16], 0.0
    for at in (1.0, 1.5, 4.0, 8.0):
        state = solve_ivp(rates, (before, at), state, "DOP853", rtol=1e-12, atol=1e-14).y[:, -1] + [0, 0, 0.15]
        before = at
    measured = [recording[name].values[-1, 0] for name in ("C", "h", "I")]
    assert measured == pytest.approx(state - [0, 0, 0.15], rel=1e-6)
    assert np.abs(np.diff(recording["I"].values[:, 0])).max() == pytest.approx(0.15, abs=1e-3)
