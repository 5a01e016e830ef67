"""Fits: exact on exact data, honest intervals, and words where there is nothing to fit."""

import numpy as np
import pytest
from scipy import optimize, stats

from derivation.fitting.least_squares import fit
from derivation.fitting.problem import problem
from derivation.fitting.rivals import compare
from derivation.record import closed_form
from foundation.errors import UserError
from foundation.fitting.least_squares import _chance_of_runs, aicc, weights

X = np.linspace(0, 6, 25)


def test_exact_data_give_the_constants_back():
    found = fit("A*exp(-k*x)", {"x": X}, 2 * np.exp(-0.7 * X), {"A": 1.0, "k": 0.3})
    # no noise: the minimiser's own tolerance
    assert found.values == pytest.approx({"A": 2, "k": 0.7}, rel=1e-9)
    assert found.max_error < 1e-9


def test_values_agree_with_another_fitter():
    rng = np.random.default_rng(3)
    y = 2 * np.exp(-0.7 * X) + 0.02 * rng.standard_normal(X.size)
    found = fit("A*exp(-k*x)", {"x": X}, y, {"A": 1.0, "k": 0.3})
    values, covariance = optimize.curve_fit(lambda x, A, k: A * np.exp(-k * x), X, y, p0=[1, 0.3])
    # two minimisers stop at slightly different points of a flat valley
    np.testing.assert_allclose(list(found.values.values()), values, rtol=1e-6)
    half = [(high - low) / 2 for low, high in found.intervals.values()]
    # Student's t for 23; the profile differs from the linearised interval by the bend of the valley, here below 1 %
    np.testing.assert_allclose(half, 2.06866 * np.sqrt(np.diag(covariance)), rtol=1e-2)


def test_for_a_linear_form_the_profile_is_students_interval():
    """A straight line has an exact interval; the profile must give it to the root finder's accuracy."""
    rng = np.random.default_rng(5)
    y = 1 + 0.4 * X + 0.1 * rng.standard_normal(X.size)
    found = fit("a+b*x", {"x": X}, y, {"a": 0.5, "b": 0.1})
    exact = stats.linregress(X, y)
    half = stats.t.ppf(0.975, 23) * exact.stderr
    np.testing.assert_allclose(found.intervals["b"], (exact.slope - half, exact.slope + half), rtol=1e-7)


def test_a_constant_without_a_bound_has_an_infinite_interval():
    """A saturation that begins beyond the data: any large half-constant fits as well."""
    rng = np.random.default_rng(2)
    x = np.linspace(0.1, 1, 12)
    y = x + 0.02 * rng.standard_normal(12)
    low, high = fit("A*x/(1+x/h)", {"x": x}, y, {"A": 1.0, "h": 20.0}).intervals["h"]
    assert low > 0.3
    assert high == np.inf


# Certified values and residual sums of squares of NIST's Statistical Reference Datasets, nonlinear regression
# (itl.nist.gov/div898/strd); the starts are its nearer ones, or its farther ones where they are in reach.
MISRA_X = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]
MISRA_Y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]
NIST = {
    "Misra1a": ("b1*(1-exp(-b2*x))", MISRA_X, MISRA_Y, {"b1": 250.0, "b2": 0.0005},
                {"b1": 2.3894212918e02, "b2": 5.5015643181e-04}, 1.2455138894e-01),
    "Misra1b": ("b1*(1-(1+b2*x/2)**(-2))", MISRA_X, MISRA_Y, {"b1": 300.0, "b2": 0.0002},
                {"b1": 3.3799746163e02, "b2": 3.9039091287e-04}, 7.5464681533e-02),
    "BoxBOD": ("b1*(1-exp(-b2*x))", [1, 2, 3, 5, 7, 10], [109, 149, 149, 191, 213, 224], {"b1": 100.0, "b2": 0.75},
               {"b1": 2.1380940889e02, "b2": 5.4723748542e-01}, 1.1680088766e03),
    "Rat42": ("b1/(1+exp(b2-b3*x))", [9, 14, 21, 28, 42, 57, 63, 70, 79],
              [8.93, 10.8, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08], {"b1": 100.0, "b2": 1.0, "b3": 0.1},
              {"b1": 7.2462237576e01, "b2": 2.6180768402e00, "b3": 6.7359200066e-02}, 8.0565229338e00),
    "MGH09": ("b1*(x**2+x*b2)/(x**2+x*b3+b4)", [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
              [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
              {"b1": 0.25, "b2": 0.39, "b3": 0.415, "b4": 0.39},
              {"b1": 1.9280693458e-01, "b2": 1.9128232873e-01, "b3": 1.2305650693e-01, "b4": 1.3606233068e-01},
              3.0750560385e-04),
    "MGH10": ("b1*exp(b2/(x+b3))", list(range(50, 126, 5)),
              [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
              {"b1": 0.02, "b2": 4000.0, "b3": 250.0},
              {"b1": 5.6096364710e-03, "b2": 6.1813463463e03, "b3": 3.4522363462e02}, 8.7945855171e01),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NIST)
def test_certified_problems_to_six_digits(name):
    formula, x, y, start, certified, rss = NIST[name]
    found = fit(formula, {"x": np.array(x, dtype=float)}, np.array(y, dtype=float), start)
    assert found.values == pytest.approx(certified, rel=1e-6)
    assert found.rss == pytest.approx(rss, rel=1e-8)
    for key, (low, high) in found.intervals.items():
        assert low < certified[key] < high


def test_rivals_are_weighed():
    """The form that made the data wins; one more constant that does nothing costs about exp(-1) to exp(-1.5)."""
    rng = np.random.default_rng(8)
    y = np.exp(-0.5 * X) + 0.01 * rng.standard_normal(X.size)
    rivals = {"exponential": ("A*exp(-k*x)", {"A": 1.0, "k": 0.4}), "power": ("A*(1+x)**(-n)", {"A": 1.0, "n": 1.0}),
              "stretched": ("A*exp(-(k*x+1e-9)**b)", {"A": 1.0, "k": 0.4, "b": 1.1})}
    fits = {name: fit(formula, {"x": X}, y, start) for name, (formula, start) in rivals.items()}
    found = weights(fits)
    assert sum(found.values()) == pytest.approx(1)
    assert found["exponential"] > found["stretched"] > 0.01
    assert found["power"] < 1e-6


def test_akaikes_criterion_by_hand():
    # n = 10, k = 2: 10 ln(0.4/10) + 2*3 + 2*3*4/(10-3-1)
    assert aicc(0.4, 10, 2) == pytest.approx(10 * np.log(0.04) + 6 + 4)
    assert aicc(0.4, 4, 2) == np.inf


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    """95 % intervals over 1,000 draws: 93 to 97 % of them hold the truth (2.9 standard deviations of the count)."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(1000):
        y = np.exp(-0.5 * X) + 0.05 * rng.standard_normal(X.size)
        low, high = fit("exp(-k*x)", {"x": X}, y, {"k": 0.4}).intervals["k"]
        inside += low <= 0.5 <= high
    assert 930 <= inside <= 970


def test_values_and_profiles_agree_with_lmfit():
    """An oracle of its own: lmfit finds the same minimum, and its F-test the same ends (Student's criterion squared).

    Its ends are looked for to about 1e-4 of a standard error's width.
    """
    lmfit = pytest.importorskip("lmfit")
    rng = np.random.default_rng(4)
    y = 2 * np.exp(-0.7 * X) + 0.05 * rng.standard_normal(X.size)
    found = fit("A*exp(-k*x)", {"x": X}, y, {"A": 1.0, "k": 0.3})

    def residual(given):
        return given["A"].value * np.exp(-given["k"].value * X) - y

    minimizer = lmfit.Minimizer(residual, lmfit.create_params(A=1.0, k=0.3))
    result = minimizer.minimize(method="leastsq")
    ends = lmfit.conf_interval(minimizer, result, sigmas=[0.95])
    for name, (low, high) in found.intervals.items():
        assert found.values[name] == pytest.approx(result.params[name].value, rel=1e-6)
        assert (low, high) == pytest.approx((ends[name][0][1], ends[name][2][1]), abs=1e-3 * (high - low))
    assert found.rss == pytest.approx(result.chisqr, rel=1e-10)


NOISE = np.random.default_rng(6).standard_normal(25)


@pytest.mark.slow
@pytest.mark.parametrize(("y", "formula", "start", "said"), [
    (np.exp(-0.5 * X) + 0.01 * NOISE, "A*exp(-k*x)", {"A": 1.0, "k": 0.4}, ()),
    (0.1 * np.exp(-0.5 * X) + NOISE, "A*exp(-k*x)", {"A": 0.5, "k": 0.4}, ("too noisy", "not monotone")),
    (np.exp(-0.3 * X) * np.cos(3 * X), "A*exp(-k*x)", {"A": 1.0, "k": 0.4}, ("not monotone: they turn back by",)),
    (1 / (1 + X), "A*exp(-k*x)", {"A": 1.0, "k": 0.4}, ("the residuals are not noise",)),
    (np.exp(-0.5 * X), "A*exp(-k*x)", {"A": 1.0, "k": 0.4}, ()),  # exact: rounding is no misfit
])
def test_what_a_fit_cannot_be_trusted_for_is_said(y, formula, start, said):
    warnings = fit(formula, {"x": X}, y, start).warnings
    for text in said:
        assert any(text in warning for warning in warnings), warnings
    assert bool(warnings) == bool(said), warnings


def test_a_missing_bound_is_said():
    x = np.linspace(0.1, 1, 12)
    y = x + 0.02 * np.random.default_rng(2).standard_normal(12)
    assert "the data set no upper bound for h" in fit("A*x/(1+x/h)", {"x": x}, y, {"A": 1.0, "h": 20.0}).warnings


def test_the_chance_of_runs_is_that_of_all_arrangements():
    """Five signs of each kind, at most two runs: 2 of 252 arrangements; the normal approximation is near."""
    residuals = np.array([1.0] * 5 + [-1.0] * 5)
    assert _chance_of_runs(residuals) == pytest.approx(2 / 252, abs=5e-3)
    assert _chance_of_runs(np.array([1.0, -1.0] * 5)) > 0.99


@pytest.mark.parametrize(("y", "formula", "start", "message"), [
    (np.ones(25), "exp(-k*x)", {"k": 1.0}, "constant"),
    (np.full(25, np.nan), "exp(-k*x)", {"k": 1.0}, "not finite"),
    (np.exp(-X), "A*B*exp(-x)", {"A": 1.0, "B": 1.0}, "cannot be told apart"),
])
def test_what_cannot_be_fitted_is_said(y, formula, start, message):
    with pytest.raises(UserError, match=message):
        fit(formula, {"x": X}, y, start)


def test_too_few_points():
    with pytest.raises(UserError, match="2 points are too few"):
        fit("exp(-k*x)", {"x": X[:2]}, np.array([1.0, 0.5]), {"k": 1.0})


# ---------------------------------------------------------------------------------------------- rivals


def test_rivals_are_told_with_what_is_lost():
    x = np.linspace(0.2, 6, 30)
    y = np.exp(-0.5 * x) + 0.001 * np.random.default_rng(1).standard_normal(30)
    forms = {"exponential": ("A*exp(-k*x)", {"A": 1.0, "k": 0.4}), "power": ("A*x**(-n)", {"A": 0.5, "n": 0.5}),
             "twins": ("A*B*exp(-x)", {"A": 1.0, "B": 1.0})}
    right = compare("a decay", {"x": ("time", x)}, y, forms, "exponential")
    assert (right.chosen, right.points) == ("exponential", 30)
    assert right.loss.startswith("nothing: exponential is chosen, with weight 1, before power")
    assert "twins is left out: the constants A, B" in right.warnings[0]
    wrong = compare("a decay", {"x": ("time", x)}, y, forms, "power")
    size = np.abs(y).max()
    assert f"power is off by at most {wrong.rivals['power'].max_error / size:.2g} of the largest value" in wrong.loss
    assert sum(rival.weight for rival in wrong.rivals.values()) == pytest.approx(1)


def test_a_form_that_cannot_be_fitted_itself_has_no_rivals():
    with pytest.raises(UserError, match="no rivals to compare; twins is left out"):
        compare("a decay", {"x": ("time", X)}, np.exp(-X), {
            "twins": ("A*B*exp(-x)", {"A": 1.0, "B": 1.0}), "exponential": ("A*exp(-k*x)", {"A": 1.0, "k": 0.5})},
            "twins")


# ---------------------------------------------------------------------------------------------- refusals and scales


@pytest.mark.parametrize(("formula", "arguments", "start", "message"), [
    ("A*exp(-k*x)", {"x": np.where(np.arange(25) == 3, np.nan, X)}, {"A": 1.0, "k": 0.3},
     r"argument x is not finite at point 3 \(nan\)"),
    ("A*exp(-k*x)+s", {"x": X, "s": np.inf}, {"A": 1.0, "k": 0.3}, r"argument s is not finite at point 0 \(inf\)"),
    ("A/x", {"x": X}, {"A": 1.0}, r"no finite value at point 0 \(x = 0\) with A = 1"),
    ("A*log(x-1.1)", {"x": X}, {"A": 1.0}, r"no finite value at point 0 \(x = 0\)"),
    ("A*sqrt(5-x)", {"x": X}, {"A": 1.0}, r"no finite value at point 21 \(x = 5.25\)"),
    ("A*x", {"x": X[:20]}, {"A": 1.0}, r"argument x has the shape \[20\], the data \[25\]"),
    ("A*x", {"x": X.reshape(5, 5)}, {"A": 1.0}, r"argument x has the shape \[5, 5\], the data \[25\]"),
    ("A*x", {"x": ["one"] * 25}, {"A": 1.0}, "are not numbers"),
    ("A*x+b", {"x": X}, {"A": 1.0}, "no argument and no constant b"),
    ("A*x", {"x": X, "A": 2.0}, {"A": 1.0}, "A: both an argument and a constant"),
    ("A*x", {"x": X}, {"A": np.nan}, "A starts from nan"),
    ("A*x", {"x": X}, {"A": 1.0, "b": 2.0}, r"b of 'A\*x' cannot be told from these data"),
])
def test_data_and_forms_that_no_fit_can_use_are_said(formula, arguments, start, message):
    """Where a start would have come back as the result, or a RuntimeError of the library."""
    with pytest.raises(UserError, match=message) as caught:
        fit(formula, arguments, np.exp(-0.5 * X), start)
    assert caught.value.exit_code == 2


def test_data_in_several_rows_are_refused():
    with pytest.raises(UserError, match=r"the data have the shape \[5, 5\]"):
        fit("A*x", {"x": X}, np.exp(-X).reshape(5, 5), {"A": 1.0})


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-6, 1e-2, 0.3])
@pytest.mark.parametrize(("formula", "y", "start"), [
    ("a*b*x", 2 * X, {"a": 1.0, "b": 1.0}),
    ("a*exp(-(x+c)/t)", 2 * np.exp(-X / 3), {"a": 1.0, "c": 0.1, "t": 2.0}),
    ("a*x+b*x+c", 2 * X + 1, {"a": 1.0, "b": 0.4, "c": 0.0}),
    ("(a*(x+1))**b*d", 2 * np.sqrt(X + 1), {"a": 1.0, "b": 0.4, "d": 1.0}),
    ("a*tanh(x/(b*c))", 2 * np.tanh(X / 3), {"a": 1.0, "b": 1.0, "c": 2.0}),
])
def test_constants_that_do_the_same_are_refused_whatever_the_noise(formula, y, start, noise):
    """By exact derivatives: with differences the noise decided between values, words and a LinAlgError."""
    with pytest.raises(UserError, match="cannot be told apart"):
        fit(formula, {"x": X}, y + noise * NOISE, start)


@pytest.mark.parametrize("start", [0.5, 0.0, -3.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_best_value_of_zero_can_be_told(start, noise):
    """y = 0.4 x: the intercept is 0, and its interval Student's; by hand for exact data, by linregress for others."""
    found = fit("a+b*x", {"x": X}, 0.4 * X + noise * NOISE, {"a": start, "b": 0.1})
    line = stats.linregress(X, 0.4 * X + noise * NOISE)
    assert found.values["a"] == pytest.approx(line.intercept, abs=1e-10)
    low, high = found.intervals["a"]
    half = stats.t.ppf(0.975, 23) * line.intercept_stderr
    assert (low, high) == pytest.approx((line.intercept - half, line.intercept + half), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e3, 1e6, 1e9])
def test_the_unit_of_an_argument_does_not_decide(scale, noise):
    """x in other units: the rate and its interval in the inverse ones, everything else as it was; started alike."""
    y = 2 * np.exp(-0.7 * X) + noise * NOISE
    plain = fit("A*exp(-k*x)", {"x": X}, y, {"A": 1.0, "k": 0.3})
    found = fit("A*exp(-k*x)", {"x": scale * X}, y, {"A": 1.0, "k": 0.3 / scale})
    # two searches stop at slightly different points of a flat valley: of the interval's width, or to rounding
    width = max(plain.intervals["k"][1] - plain.intervals["k"][0], 1e-9)
    assert found.values["k"] * scale == pytest.approx(plain.values["k"], abs=1e-2 * width)
    assert found.values["A"] == pytest.approx(plain.values["A"], abs=1e-2 * width)
    assert found.rss == pytest.approx(plain.rss, rel=1e-5, abs=1e-25)
    assert np.multiply(found.intervals["k"], scale) == pytest.approx(plain.intervals["k"], abs=2e-2 * width)


@pytest.mark.parametrize("scale", [1e3, 1e6, 1e9])
def test_a_start_of_another_size_gives_the_answer_or_words(scale):
    """The start stayed that of other units: never the start itself, nor anything in between, as if it were a fit."""
    y = 2 * np.exp(-0.7 * X) + 1e-3 * NOISE
    try:
        found = fit("A*exp(-k*x)", {"x": scale * X}, y, {"A": 1.0, "k": 0.3})
    except UserError as error:
        assert "start nearer" in str(error)
    else:
        assert found.values["k"] * scale == pytest.approx(0.7, rel=0.01)


def test_derivatives_are_exact():
    """Complex steps against the derivatives by hand, to rounding, for constants of any size."""
    for size in (1e-9, 1.0, 1e9):
        slopes = problem("A*exp(-k*x)", {"x": X / size}, X, names=("A", "k")).slopes(np.array([2.0, 0.7 * size]))
        decay = np.exp(-0.7 * X)
        np.testing.assert_allclose(slopes, np.stack([decay, -2 * X / size * decay], axis=1), rtol=1e-14)


FORMS = {"a*exp(b*x)": True, "a/(b+x)": True, "a*x**b": True, "exp(a*x)": True, "sqrt(a-x)": True, "log(a*x+b)": True,
         "a*b*x": False, "a*exp(-(x+c)/t)": False, "a+b+c*x": False, "a*exp(b*x)+0*c": False}


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("formula", FORMS)
def test_any_data_and_start_give_numbers_or_words(formula, seed):
    """Sizes from 1e-6 to 1e6, few points, missing ones, rows too short; what cannot be told apart is never fitted."""
    random = np.random.default_rng([seed, len(formula)])
    size, points = 10.0 ** random.integers(-6, 7), int(random.integers(1, 25))
    x = np.sort(random.uniform(0, 5, points)) * size
    y = random.uniform(-1, 1) * np.exp(-x / size) * 10.0 ** random.integers(-6, 7)
    y += 10.0 ** random.integers(-12, 1) * random.standard_normal(points)
    if random.random() < 0.2:
        x[random.integers(points)] = (np.nan, np.inf, 0)[random.integers(3)]
    if random.random() < 0.1:
        y = y[:-1]
    start = {name: 10.0 ** random.integers(-3, 4) for name in "abct" if name in closed_form.names(formula)}
    try:
        found = fit(formula, {"x": x}, y, start)
    except UserError:
        return
    assert FORMS[formula], f"{found.values} for constants that cannot be told apart"
    assert np.isfinite(list(found.values.values())).all() and found.rss < 1e100
    assert not np.isnan(list(found.intervals.values())).any()
