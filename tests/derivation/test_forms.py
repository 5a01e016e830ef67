"""The closed forms: identities proved symbolically, values against independent computations."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from derivation.forms import relative_position, retention
from derivation.ode import right_side, text_of
from foundation.errors import UserError

P_L = "dp_l/dt = (-gamma_l*p_l + kappa*s)/tau_pl : 1"


@pytest.fixture(scope="module")
def form():
    return retention.derive(P_L)


def test_retention_identities(form):
    q, t, T = retention.q, retention.t, retention.T
    assert sympy.limit(form.share, q, 1) == 1 / T
    assert sympy.simplify(form.share.subs(t, t + 1) / form.share) == q
    assert sympy.simplify(form.share.subs({t: 1, T: 1})) == 1
    for segments in (1, 2, 5, 9):
        total = sum(form.share.subs({t: k, T: segments}) for k in range(1, segments + 1))
        assert sympy.simplify(total) == 1
    assert form.cancelled == {"kappa", "s"}, "the drive and its gain have no influence"
    assert text_of(form.q_of_parameters) == "exp(-gamma_l*tau_cycle/tau_pl)"


@given(st.floats(0.05, 20), st.floats(0.5, 400), st.floats(0.1, 60), st.floats(0.1, 9), st.integers(1, 12))
def test_retention_is_the_solution_of_the_ode(gamma_l, tau_pl, tau_cycle, drive, segments):
    """Exact solution of the linear ODE under a drive that is on for half of each cycle, written out by hand."""
    form = retention.derive(P_L)
    rate, p, ends = gamma_l / tau_pl, 0.0, [0.0]
    for _ in range(segments):
        half = math.exp(-rate * tau_cycle / 2)
        p = (p * half + drive / gamma_l * -math.expm1(-rate * tau_cycle / 2)) * half
        ends.append(p)
    recorded = np.diff(ends) / ends[-1]
    q = float(form.q_of_parameters.subs({"gamma_l": gamma_l, "tau_pl": tau_pl, "tau_cycle": tau_cycle}))
    if 1 - q < 1e-6 or q < 1e-30:
        return  # the form's own 0/0: its limit 1/T is proved above
    closed = [q ** (t - 1) * (1 - q) / (1 - q**segments) for t in range(1, segments + 1)]
    # differences of nearly equal numbers lose up to 1/(1-q) of the digits
    np.testing.assert_allclose(recorded, closed, rtol=0, atol=1e-13 / (1 - q))


def test_a_rule_without_closed_form_is_said_to_have_none():
    with pytest.raises(UserError, match="no closed form"):
        retention.derive("dp_l/dt = -p_l*(1-p_l)*(rho-p_l)/tau_pl : 1")
    with pytest.raises(UserError, match="defines no 'p_l'; it defines x"):
        retention.derive("dx/dt = -x/tau : 1")


def test_names_that_sympy_takes_are_plain_symbols():
    right = right_side("dI/dt = (-beta*I + S*gamma)/E : 1", "I")
    assert {str(symbol) for symbol in right.free_symbols} == {"beta", "I", "S", "gamma", "E"}


def value(kernel, **parameters):
    return float(kernel.subs({sympy.Symbol(name): x for name, x in parameters.items()}))


def test_the_published_value_of_the_dense_kernel():
    kernel = relative_position.derive("dense")
    assert value(kernel.mu, gamma_s=1, ell=4, a=0.05) == pytest.approx(0.82153647, abs=5e-9)


def response(matrix, gamma_s):
    """Independent of the closed form: the resolvent of the coupling on a long line, driven in the middle."""
    n = len(matrix)
    drive = np.zeros(n)
    drive[n // 2] = 1
    return np.linalg.solve(gamma_s * np.eye(n) - matrix, drive)[n // 2:]


@given(st.floats(0.3, 3), st.floats(0.5, 6), st.floats(0.05, 0.8))
def test_the_dense_kernel_against_the_resolvent(gamma_s, ell, share):
    """`share` of the coupling at which the line becomes unstable; below .8 the decay fits into 401 places."""
    lam = math.exp(-1 / ell)
    a = share * gamma_s * (1 - lam) / (2 * lam)
    distance = np.abs(np.subtract.outer(np.arange(401), np.arange(401)))
    matrix = a * lam**distance * (distance > 0)
    kernel = relative_position.derive("dense")
    mu = value(kernel.mu, gamma_s=gamma_s, ell=ell, a=a)
    measured = response(matrix, gamma_s)
    ratios = measured[2:12] / measured[1:11]
    # the ends reflect the response: mu^400 at the most, and the solve keeps some 12 digits of numbers near mu^12
    np.testing.assert_allclose(ratios, mu, rtol=1e-7)
    assert value(kernel.margin, gamma_s=gamma_s, ell=ell, a=a) > 0


@given(st.floats(0.3, 3), st.floats(0.2, 20))
def test_the_diffusive_kernel_against_the_resolvent(gamma_s, strength):
    n = 401
    matrix = strength * (np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n))
    mu = value(relative_position.derive("diffusive").mu, gamma_s=gamma_s, D=strength)
    measured = response(matrix, gamma_s)
    np.testing.assert_allclose(measured[1:8] / measured[:7], mu, rtol=1e-7)


def test_the_continuum_limit():
    """For a long ell and a weak coupling the length grows to ell/sqrt(1 - 2 a ell/gamma_s)."""
    ell, a = 400.0, 0.0004
    scale = value(relative_position.derive("dense").scale, gamma_s=1.0, ell=ell, a=a)
    # corrections are of order 1/ell and a
    assert 1 / scale == pytest.approx(ell / math.sqrt(1 - 2 * a * ell), rel=3e-3)
