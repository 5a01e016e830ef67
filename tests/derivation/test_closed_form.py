"""The evaluator of travelling formulas: right on what is allowed, closed to everything else."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derivation.fitting.problem import NUMPY
from derivation.record import closed_form
from foundation.errors import DamagedFileError


def test_value_and_names():
    text = "q**(t-1)*(1-q)/(1-q**T)"
    assert closed_form.names(text) == {"q", "t", "T"}
    # 1, q, q^2 over their sum, by hand for q = 1/2
    assert closed_form.evaluate(text, {"q": 0.5, "t": 2, "T": 3}) == pytest.approx((1 / 4) / (7 / 8), rel=1e-15)
    assert closed_form.evaluate("-exp(-x)+sqrt(4)*tanh(log(y))", {"x": 1, "y": 2}) == pytest.approx(
        -math.exp(-1) + 2 * math.tanh(math.log(2)), rel=1e-15)


def test_arrays_with_the_callers_functions():
    x = np.linspace(0, 3, 7)
    value = closed_form.evaluate("exp(-s*x)", {"s": 0.3, "x": x}, NUMPY)
    np.testing.assert_allclose(value, np.exp(-0.3 * x), rtol=1e-15)


@pytest.mark.parametrize("text", [
    "__import__('os').system('true')", "x.real", "x[0]", "(lambda: 1)()",
    "[1]", "1 if x else 2", "x < 1", "'a'", "True",
    "1+" * 999 + "1" * 10, "exp", "exp(1, 2)", "exp(x=1)", "sin(x)", "x // 2", "x % 2", "f'{x}'", "x := 1", "1e999",
    "1j", "", "x y", "(" * 5000,
    "x and y", "*x", "exp(*x)",
])
def test_everything_else_is_refused(text):
    with pytest.raises(DamagedFileError, match="closed form"):
        closed_form.evaluate(text, {"x": 1.0, "y": 1.0})


@pytest.mark.parametrize(("text", "why"), [
    ("x+y", "no value for y"), ("1/(x-1)", "no finite value"), ("log(x-1)", "no finite value"),
    ("9**9**9**9", "no finite value"),
    ("(0-x)**0.5", "a root of a negative number"), ("1e299*1e299*x", "no finite"),
])
def test_no_value_is_said(text, why):
    with pytest.raises(DamagedFileError, match=why):
        closed_form.evaluate(text, {"x": 1.0})


@pytest.mark.slow
@given(st.text(max_size=60) | st.text(alphabet="xq019.+-*/() eplogtanhsr_'[]", max_size=60))
def test_any_text_gives_a_number_or_a_clear_error(text):
    try:
        value = closed_form.evaluate(text, dict.fromkeys(("x", "q", "e", "p"), 0.7))
    except DamagedFileError:
        return
    assert isinstance(value, float)
    assert math.isfinite(value)
