"""The closed forms: identities proved symbolically, values against independent computations."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import k0

from derivation.forms import relative_position, retention
from derivation.forms.ode import right_side, text_of
from derivation.record.closed_form import evaluate
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


@pytest.mark.slow
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


@pytest.mark.slow
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


# ---------------------------------------------------------------------------------------------- ring and sheet


def test_the_ring_solves_its_own_equation():
    """(gamma_s + 2 D) p_d = D (p_(d-1) + p_(d+1)) on the way round, and the same value after a whole turn."""
    d, n, s = (sympy.Symbol(name, positive=True) for name in ("distance", "places", "scale"))
    form = relative_position.ring()
    assert sympy.simplify(form.subs(d, 0) - 1) == 0
    assert sympy.simplify(form.subs(d, n - d) - form) == 0, "both ways round are alike"
    neighbours = (form.subs(d, d - 1) + form.subs(d, d + 1)) / form
    assert sympy.simplify((neighbours - sympy.exp(s) - sympy.exp(-s)).rewrite(sympy.exp)) == 0
    assert sympy.limit(form.subs({s: sympy.Rational(1, 2), d: 3}), n, sympy.oo) == sympy.exp(-sympy.Rational(3, 2))


@pytest.mark.slow
@settings(max_examples=30)
@given(st.floats(0.3, 3), st.floats(0.2, 20), st.integers(3, 60))
def test_the_ring_against_a_direct_solution(gamma_s, strength, n):
    matrix = strength * (np.roll(np.eye(n), 1, 0) + np.roll(np.eye(n), -1, 0) - 2 * np.eye(n))
    drive = np.eye(n)[0]
    measured = np.linalg.solve(gamma_s * np.eye(n) - matrix, drive)
    scale = value(relative_position.derive("diffusive").scale, gamma_s=gamma_s, D=strength)
    closed = [float(evaluate(text_of(relative_position.ring()), {"scale": scale, "places": n, "distance": d}))
              for d in range(n)]
    np.testing.assert_allclose(measured / measured[0], closed, rtol=1e-9)


def test_the_travelling_form_of_the_sheet_is_k0():
    """The sum of exponentials against scipy's Bessel function, where the record uses it."""
    text, core = text_of(relative_position.sheet()), float(relative_position.lattice_core())
    assert core == pytest.approx(2 * math.exp(-np.euler_gamma) / math.sqrt(32), rel=1e-12)
    for scale in (0.1, 0.48):
        for distance in (0.0, 1.0, 4.0, 12.0):
            exact = k0(scale * math.hypot(distance, core)) / k0(scale * core)
            found = evaluate(text, {"scale": scale, "core": core, "distance": distance})
            # the trapezoidal rule with step 1/2: 2e-6 up to x = 6
            assert found == pytest.approx(exact, rel=1e-5)


def test_the_sheet_is_the_lattices_response():
    """Independent of the plane waves of the entry: a sparse solution on a sheet with ends, 141 by 141."""
    side, strength = 141, 4.27
    line = sparse.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1])
    near = sparse.kron(line, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), line)
    matrix = sparse.diags_array(1.0 + strength * near.sum(axis=1)) - strength * near
    drive = np.zeros(side * side)
    drive[side * side // 2] = 1
    measured = sparse.linalg.spsolve(matrix.tocsc(), drive).reshape(side, side)[side // 2:, side // 2:]
    scale = value(relative_position.derive("diffusive").scale, gamma_s=1, D=strength)
    core, text = float(relative_position.lattice_core()), text_of(relative_position.sheet())
    # the value at the driven process is that of small scale: the next order is scale^2/8 or so
    assert measured[0, 0] * strength == pytest.approx(math.log(32 / scale**2) / (4 * math.pi), rel=0.03)
    for place, tolerance in (((0, 1), 0.07), ((1, 1), 0.05), ((0, 5), 0.03), ((3, 4), 0.03), ((0, 10), 0.03),
                             ((7, 7), 0.05)):
        closed = evaluate(text, {"scale": scale, "core": core, "distance": math.hypot(*place)})
        # the lattice is not round: it is above K0 along an axis and below along a diagonal
        assert measured[place] / measured[0, 0] == pytest.approx(closed, rel=tolerance)
    # along an axis the response falls per place as it does on a line, times the root of K0's own fall
    ratio = measured[0, 31] / measured[0, 30]
    assert ratio == pytest.approx(math.exp(-scale) * math.sqrt(30 / 31), rel=2e-3)


def test_dense_coupling_on_a_sheet_in_the_continuum():
    """For a long ell the response falls as K0(scale r) far away; plane waves on a periodic sheet solve it directly."""
    side, ell, gamma_s = 256, 6.0, 1.0
    a = 0.4 / (2 * math.pi * ell**2)
    scale, margin = (float(one.subs({"a": a, "ell": ell, "gamma_s": gamma_s})) for one in
                     (one.subs({s: sympy.Symbol(str(s)) for s in one.free_symbols})
                      for one in relative_position.dense_sheet()))
    assert margin == pytest.approx(0.6)
    place = np.minimum(np.arange(side), side - np.arange(side))
    distance = np.hypot(place[:, None], place)
    strength = np.where(distance > 0, a * np.exp(-distance / ell), 0.0)
    response = np.fft.ifft2(1 / (gamma_s - np.fft.fft2(strength).real)).real
    measured = math.log(response[0, 60] / response[0, 70]) / 10
    closed = math.log(k0(60 * scale) / k0(70 * scale)) / 10
    # places are a sixth of ell: the lattice and the missing T(0) matter to a few per cent, and so do the images
    assert measured == pytest.approx(closed, rel=0.03)
