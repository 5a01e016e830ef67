"""Feedback and calcium: proved from the ODE text, held against scipy's own solution of the receptors and of calcium."""

import dataclasses
import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit

from astro_sim.dynamics.local import Local
from astro_sim.models import MODELS
from derivation.forms import feedback
from derivation.forms.feedback import K, affinity, calcium, half_level, level
from derivation.forms.ode import text_of
from derivation.record import record
from derivation.record.closed_form import evaluate
from derivation.reductions import calcium_curve, gliotransmitter
from derivation.reductions.cycle import oscillation
from derivation.reductions.reduction import assumed
from foundation.errors import UserError


@pytest.fixture(scope="module")
def form():
    return feedback.derive()


def test_binding_is_that_of_first_order(form):
    assert sympy.simplify(form.bound - level / (level + half_level)) == 0
    assert text_of(form.half_level_of_parameters) == "Omega_G/O_G"
    assert sympy.simplify(form.release + form.bound) == 1, "what is bound releases nothing"
    assert sympy.simplify(form.form - K / (K + calcium)) == 0


def test_its_limits(form):
    """Much calcium: the paper's 1/C up to the factor K. No unbinding: nothing is left. No calcium: all."""
    assert sympy.limit(form.form * calcium / K, calcium, sympy.oo) == 1
    assert sympy.limit(form.form, K, 0) == 0
    assert sympy.limit(form.form, calcium, 0) == 1
    assert form.form.subs(calcium, K) == sympy.Rational(1, 2)
    assert sympy.limit(form.form / K, K, 0) == 1 / calcium


@pytest.mark.slow
def test_many_small_pulses_are_a_constant_level(form):
    """The pulsed form: as the dose of a pulse falls at a held mean level, it becomes K/(K+C)."""
    assert sympy.simplify(sympy.limit(form.pulsed, affinity, 0) - form.form) == 0
    # for much calcium K is larger by (y/2)/tanh(y/2): pulses leave receptors free in between
    tail = sympy.limit(form.pulsed * calcium / K, calcium, sympy.oo)
    expected = affinity / 2 / sympy.tanh(affinity / 2)
    assert sympy.simplify((tail - expected).rewrite(sympy.exp)) == 0


@settings(max_examples=25)
@given(st.floats(0.01, 2.0), st.floats(0.05, 4.0), st.floats(2.0, 300.0))
def test_the_pulsed_form_is_the_mean_of_the_map(K_value, y, period):
    """A long train by hand: each pulse binds 1 - exp(-y) of the free receptors, they unbind in between.

    In units of the cycle: K = half_level tau/dose and C = tau/period, so unbinding is y K / tau.
    """
    tau = 11.5
    rate, bound = y * K_value / tau, 0.0
    for _ in range(4000):
        bound = 1 - (1 - bound) * math.exp(-y)
        after = bound
        bound *= math.exp(-rate * period)
        if abs(1 - (1 - bound) * math.exp(-y) - after) < 1e-14:
            break
    mean = after * -math.expm1(-rate * period) / (rate * period)
    value = evaluate(text_of(feedback.derive().pulsed), {"K": K_value, "affinity": y, "calcium": tau / period})
    assert value == pytest.approx(1 - mean, abs=1e-10)  # 1 - exp(-x) over x loses digits where x is small


def test_the_dose_is_the_integral_of_the_models_gliotransmitter():
    """One release from full stores, followed by scipy: its integral over time."""
    table = {name: one.value for name, one in MODELS["tripartite"].parameters("release_decreasing").items()}
    start = table["rho_e"] * table["G_T"] * 1e3 * table["U_A"]  # umolar
    course = solve_ivp(lambda t, y: [-table["Omega_e"] * y[0], y[0]], (0, 2), [start, 0.0], rtol=1e-10, atol=1e-12)
    assert gliotransmitter.dose() == pytest.approx(course.y[1, -1], rel=1e-8)
    assert gliotransmitter.half_level() == pytest.approx(0.5 / 60 / 1.5, rel=1e-12)
    assert gliotransmitter.half_level_held().error < 1e-9


def test_receptors_of_another_order_are_refused():
    """Two molecules to bind: the share is no longer G/(G + half)."""
    old = MODELS["tripartite"]
    text = old.population("synapse").equations.replace("O_G*G_A*(1 - Gamma_S)", "O_G*G_A*(1 - Gamma_S)**2")
    parts = tuple(dataclasses.replace(one, equations=text) if one.name == "synapse" else one
                  for one in old.populations)
    with pytest.raises(UserError, match="is not binding of first order"):
        feedback.solve(dataclasses.replace(old, populations=parts))


# ---------------------------------------------------------------------------------------------- calcium


@pytest.mark.slow
def test_the_curve_is_that_of_the_flow():
    """Mean calcium at one drive by following the ODE over whole periods, without collocation."""
    level, k = calcium_curve.GLUTAMATE[5], 5
    model = MODELS["gchi"]
    cycle = oscillation(model, "AM", "glutamate", level=assumed(level, "umolar", "glutamate"))
    flow = Local(model, "AM", "glutamate").derivative()

    def with_integral(t, y):
        return np.append(flow(y[:3], level * 1e-3), y[0])

    course = solve_ivp(with_integral, (0, cycle.seconds), np.append(cycle.state, 0.0), "LSODA", rtol=1e-10, atol=1e-15)
    mean = course.y[3, -1] / cycle.seconds * 1e3
    assert calcium_curve.response()[k] + calcium_curve.at_rest() == pytest.approx(mean, rel=1e-6)


def test_the_exponent_is_that_of_another_fitter():
    drive, curve = np.array(calcium_curve.GLUTAMATE), calcium_curve.response()
    (_, exponent), _ = curve_fit(lambda x, A, n: A * x**n, drive, curve, p0=[0.2, 0.2])
    assert calcium_curve.exponent() == pytest.approx(exponent, rel=1e-6)
    amplitude, alpha = calcium_curve.nearest_power(3 * drive**0.7)
    assert (amplitude, alpha) == (pytest.approx(3, rel=1e-12), pytest.approx(0.7, rel=1e-12))


def test_calcium_that_does_not_oscillate_is_said():
    with pytest.raises(UserError, match="has no oscillation near"):
        calcium_curve.response({"K_P": 0.15})


def test_the_entries_say_what_the_network_takes():
    entries = record.load().entries
    assert entries["calcium_response"].constants["exponent"].value == 1
    fitted = entries["calcium_response_fitted"].constants["exponent"]
    assert fitted.interval[0] < fitted.value < fitted.interval[1]
    assert {name: one.values for name, one in entries["calcium_response"].alternatives.items()} == {
        "Mia2025": {"other": 0.25}, "fitted": {"other": fitted.value}}
    bound, limit = entries["feedback_bound"], entries["feedback"]
    assert bound.formula == "K/(K+calcium)"
    (least,) = limit.validity
    ratio = limit.evaluate(calcium=least.low) / (bound.evaluate(calcium=least.low) / bound.constants["K"].value)
    assert ratio == pytest.approx(1.01, abs=1e-9), "from there on the limit is within 1 %"
    assert bound.comparisons["pulses"].chosen == "pulsed"
    # simulated pulses, and the pulsed form with derived constants: within the step's error
    at = {"K": bound.constants["K"].value, "calcium": 1.0} | bound.alternatives["pulsed"].values
    assert evaluate(bound.alternatives["pulsed"].formula, at) == pytest.approx(0.0608, abs=5e-4)
