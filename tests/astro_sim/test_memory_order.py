"""The associative memory against scipy, written anew with all n^4 couplings: the order of its sums over connections."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.models.associative_memory import cue
from astro_sim.run.simulation import simulate

PATTERNS = "++-+-,+-+-+"
N = 5
OPTIONS = {"n": N, "n_patterns": 2, "patterns": PATTERNS}
POST, PRE = np.divmod(np.arange(N * N), N)


def independent_rates(_, state):
    signs = np.array([[1.0 if sign == "+" else -1.0 for sign in row] for row in PATTERNS.split(",")])
    stored = signs[:, POST] * signs[:, PRE]
    x, s, p = np.split(state, [N, N + N * N])
    theta, psi = np.tanh(x / 0.7), np.tanh(p)
    drive = np.bincount(POST, s * theta[PRE]) / N
    return np.concatenate([-x + drive, -s + theta[POST] * theta[PRE] + psi,
                           -p + 2 / N**2 * stored.T @ stored @ psi + s])


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "order"), [("held", 1), ("extrapolated", 2)])
def test_the_order_of_the_sums_is_what_the_scheme_says(scheme, order):
    start, widths, errors = cue(pattern=1, flipped=1, **OPTIONS), (0.04, 0.02), []
    wanted = solve_ivp(independent_rates, (0, 3), [*start["x"], *np.zeros(2 * N * N)], "DOP853", rtol=1e-11,
                       atol=1e-13).y[:, -1]
    for dt in widths:
        found = simulate("associative_memory", options={**OPTIONS, "coupling_scheme": scheme}, initial=start,
                         duration=3.0, dt=dt, method="rk4")
        assert found.meta["solver"]["coupling_order"] == order
        states = np.concatenate([found[name].values[-1] for name in ("x", "s", "p_s")])
        errors.append(np.abs(states - wanted).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2), errors
