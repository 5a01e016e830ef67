"""IP3 and calcium under glutamate: an independent solution, encoding, and what noise may and may not do."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim import analysis, dynamics
from astro_sim.models import MODELS
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


def calcium_rates(c, h, ip3, k_p, rho_a=0.185, leak=0.11, d2=1.049, d5=0.08234):
    """Li-Rinzel anew, in uM and s."""
    er = 2.0 - (1 + rho_a) * c
    q2 = d2 * (ip3 + 0.13) / (ip3 + 0.9434)
    open_share = (ip3 / (ip3 + 0.13) * c / (c + d5) * h) ** 3
    return (6 * open_share + leak) * er - 0.9 * c**2 / (c**2 + k_p**2), 0.2 * (q2 - (q2 + c) * h)


def ip3_rates(c, ip3, o_delta, k_delta, omega, k_d, o_3k):
    made = o_delta * 1.5 / (1.5 + ip3) * c**2 / (c**2 + k_delta**2)
    return made - o_3k * c**4 / (c**4 + k_d**4) * ip3 / (ip3 + 1) - omega * ip3


def clamped(name, glutamate):
    """DePitta2009 at held glutamate, right-hand side from the equations alone."""
    v_beta, o_delta, omega, k_p = {"AM": (0.2, 0.02, 0.04, 0.1), "FM": (0.5, 0.05, 0.05, 0.05)}[name]

    def rates(t, state):
        c, h, ip3 = state
        affinity = (1.3 + 10 * c / (c + 0.6)) ** 0.7
        production = v_beta * glutamate**0.7 / (glutamate**0.7 + affinity)
        return [*calcium_rates(c, h, ip3, k_p), production + ip3_rates(c, ip3, o_delta, 0.1, omega, 0.7, 2.0)]

    return rates


def binding(name, glutamate, source=0.0):
    """Stimberg2019 with receptors."""
    o_beta, o_delta, k_delta, omega, k_d, k_p, f_ex = {"figure_2": (5.0, 0.2, 0.3, 0.1, 0.5, 0.1, 0.09),
                                                       "figure_3": (3.2, 0.6, 0.1, 0.05, 0.7, 0.05, 2.0),
                                                       "figure_4": (3.2, 0.6, 0.1, 0.05, 0.7, 0.05, 2.0)}[name]

    def rates(t, state):
        c, h, ip3, bound = state
        unbinding = 0.5 * (1 + 10 * c / (c + 0.5)) * bound
        over = ip3 - source
        taken = f_ex / 2 * (1 + np.tanh((abs(over) - 0.3) / 0.05)) * np.sign(over)
        return [*calcium_rates(c, h, ip3, k_p, 0.18, 0.1, 1.05, 0.08),
                o_beta * bound + ip3_rates(c, ip3, o_delta, k_delta, omega, k_d, 4.5) - taken,
                0.3 * glutamate * (1 - bound) - unbinding]

    return rates


CASES = [("gchi", clamped, "AM", 2.0), ("gchi", clamped, "AM", 0.05), ("gchi", clamped, "FM", 2.0),
         ("gchi_receptor", binding, "figure_2", 1.0), ("gchi_receptor", binding, "figure_4", 0.3),
         ("gchi_receptor", binding, "figure_3", 0.7)]


STARTS = {"gchi": [0.09, 0.78, 0.22], "figure_2": [0.0, 0.9, 0.0, 0.0], "figure_3": [0.0, 0.9, 0.4, 0.0],
          "figure_4": [0.0, 0.9, 0.0, 0.0]}


def independent(rates, times, start=STARTS["gchi"]):
    return solve_ivp(rates, (0, times[-1]), start, "DOP853", times, rtol=1e-12, atol=1e-14).y.T


@pytest.mark.slow
@pytest.mark.parametrize(("model", "twin", "name", "glutamate"), CASES)
def test_agrees_with_an_independent_solution(model, twin, name, glutamate):
    recording = simulate(f"{model}:{name}", f"constant:input=glutamate,value={glutamate} umolar", duration="20 s",
                         dt="5 ms", record_every="50 ms")
    wanted = independent(twin(name, glutamate), recording.time, STARTS[name if twin is binding else "gchi"])
    for column, variable in enumerate(("C", "h", "I", "Gamma_A")[: wanted.shape[1]]):
        error = np.abs(recording[variable].values[:, 0] - wanted[:, column])
        # the whole course, phase included, relative to each value; those of Stimberg2019 start at zero, where IP3 is at
        # the level of its source and the twin's exchange jumps: relative to the largest
        size = wanted[:, column] if twin is clamped else wanted[:, column].max()
        assert (error / size).max() < 1e-6, variable


@pytest.mark.slow
def test_a_source_of_ip3_outside_agrees_with_an_independent_solution():
    """Figure 3: astrocytes without glutamate, at two levels of the source, and one that is drained."""
    levels = (0.0, 0.8, 1.25)
    drives = [f"constant:input=ip3_source,value={level} umolar,elements={k}" for k, level in enumerate(levels)]
    drives.append("constant:input=glutamate,value=0 umolar")
    recording = simulate("gchi_receptor:figure_3", drives, duration="16 s", dt="20 ms", record_every="0.4 s",
                         options={"n": 3})
    for k, level in enumerate(levels):
        wanted = independent(binding("figure_3", 0.0, level), recording.time, STARTS["figure_3"])
        for column, variable in enumerate(("C", "h", "I")):
            error = np.abs(recording[variable].values[:, k] - wanted[:, column]).max()
            assert error < 1e-4 * np.abs(wanted[:, column]).max(), (level, variable)  # rk4 at 20 ms
    crossed = (recording["C"].values > 0.5).any(axis=0)
    assert crossed.tolist() == [False, True, True]


@pytest.mark.slow
def test_order_of_convergence():
    errors, steps = [], (0.1, 0.05, 0.025)
    for dt in steps:
        recording = simulate("gchi", duration="10 s", dt=dt, method="rk4")
        errors.append(np.abs(recording["C"].values[:, 0] - independent(clamped("AM", 2.0), recording.time)[:, 0]).max())
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(4, abs=0.15), errors


@pytest.mark.slow
def test_am_oscillates_in_a_window_of_glutamate_only():
    low, high = dynamics.hopf_points("gchi:AM", "glutamate", low="0.001 umolar", high="50 umolar")
    levels = (low / 2, low * 2, high, high * 3)
    drives = [f"constant:input=glutamate,value={level} umolar,elements={k}" for k, level in enumerate(levels)]
    course = simulate("gchi:AM", drives, options={"n": 4}, duration="240 s", dt="100 ms", record_every="500 ms")
    low, high = np.transpose([analysis.amplitude(course, "C", k, after=200.0) for k in range(4)])
    assert list(high - low > 0.05) == [False, True, True, False]


@pytest.fixture(scope="module")
def noisy():
    return simulate("gchi_stochastic", duration="2.5 s", dt="5 ms", seed=3)


@pytest.mark.slow
def test_noise_needs_a_method_that_knows_it():
    with pytest.raises(UserError, match=r"rk4 cannot handle noise.*heun, milstein"):
        simulate("gchi_stochastic", duration="1 s", method="rk4")
    with pytest.raises(UserError, match=r"euler does not fit.*choose heun"):  # euler would read the noise as Ito
        simulate("gchi_stochastic", duration="1 s", method="euler")


@pytest.mark.slow
def test_a_seed_gives_one_course(noisy):
    again, other = (simulate("gchi_stochastic", duration="2.5 s", dt="5 ms", seed=seed) for seed in (3, 4))
    assert np.array_equal(again["h"].values, noisy["h"].values)
    assert np.abs(other["h"].values - noisy["h"].values).max() > 0.01


@pytest.mark.slow
def test_a_seed_gives_one_course_in_compiled_code_too():
    """NumPy and C++ draw the same normal numbers in the same order, as there is one noise."""
    given = {"options": {"n": 3}, "duration": "0.5 s", "dt": "5 ms", "seed": 3}
    numpy, cpp = (simulate("gchi_stochastic", **given, backend=backend) for backend in ("numpy", "cpp"))
    for name in ("C", "h", "I"):
        assert cpp[name].values == pytest.approx(numpy[name].values, rel=1e-12)


def test_noise_follows_its_own_heun_twin(noisy):
    """Heun's rule for Stratonovich noise, written anew, with the generator that Brian2 draws from."""
    random, dt, state = np.random.RandomState(3), 0.005, np.array([0.09, 0.78, 0.22])
    rates = clamped("AM", 2.0)

    def scale(c, h, ip3):
        q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
        return calcium_rates(c, h, ip3, 0.1)[1] / np.sqrt(0.2 * (q2 + c))

    for row in range(1, 400):
        draw, drift, here = random.randn() * np.sqrt(dt), np.array(rates(0, state)), scale(*state)
        ahead = scale(*(state + np.array([0, here * draw, 0])))
        state = state + dt * drift
        state[1] = np.clip(state[1] + (here + ahead) / 2 * draw, 0, 1)
        # the same arithmetic in another order; rounding grows little in two seconds
        assert [noisy[name].values[row, 0] for name in ("C", "h", "I")] == pytest.approx(state, rel=1e-10)


FROZEN = {name: f"1e-9 {MODELS['gchi'].parameters()[name].unit}"
          for name in ("Omega_C", "Omega_L", "O_P", "v_beta", "O_delta", "O_3K", "Omega_5P")}
Q2 = 1.049 * 0.35 / 1.1634
H_INF, TAU_H = Q2 / (Q2 + 0.09), 1 / (0.2 * (Q2 + 0.09))


def on_path(model, normals, fine, joined, monkeypatch, **given):
    """A run in which each step takes the sum of `joined` increments of one given path; normals (step, element)."""
    steps, n = len(normals) // joined, normals.shape[1]
    feed = iter(normals[: steps * joined].reshape(steps, joined, n).sum(axis=1) / np.sqrt(joined))
    monkeypatch.setattr(np.random, "randn", lambda *shape: next(feed, np.zeros(n)).reshape(shape))
    return simulate(model, options={"n": n}, duration=steps * joined * fine, dt=fine * joined,
                    record_every=steps * joined * fine, **given)


def strong_order(joined, errors):
    return np.polyfit(np.log(joined), np.log(errors), 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "order"), [("heun", 1.0), ("milstein", 0.5)])
def test_strong_order_against_the_exact_solution_of_each_path(monkeypatch, method, order):
    """With calcium and IP3 standing still h - h_inf = (h(0) - h_inf) exp(-t/tau_h - W/sqrt(tau_h))."""
    fine, joined = 0.0125, (2, 4, 8, 16)
    normals = np.random.default_rng(2).standard_normal((64, 300))
    path = normals.sum(axis=0) * np.sqrt(fine)
    exact = H_INF + (0.5 - H_INF) * np.exp(-64 * fine / TAU_H - path / np.sqrt(TAU_H))
    errors = [np.abs(on_path("gchi_stochastic", normals, fine, m, monkeypatch, initial={"h": 0.5}, parameters=FROZEN,
                             method=method)["h"].values[-1] - exact).mean() for m in joined]
    assert strong_order(joined, errors) == pytest.approx(order, abs=0.1), errors


@pytest.mark.slow
def test_strong_order_of_the_whole_model(monkeypatch):
    fine, joined = 0.0025, (4, 8, 16)
    normals = np.random.default_rng(3).standard_normal((320, 100))
    finest = on_path("gchi_stochastic", normals, fine, 1, monkeypatch)["h"].values[-1]
    errors = [np.abs(on_path("gchi_stochastic", normals, fine, m, monkeypatch)["h"].values[-1] - finest).mean()
              for m in joined]
    # beside a reference of a quarter of the finest step an order of 1 looks like log2(15/3)/2 = 1.16
    assert strong_order(joined, errors) == pytest.approx(1.16, abs=0.2), errors


@pytest.mark.slow
def test_h_stays_between_its_walls():
    recording = simulate("gchi_stochastic", "constant:input=glutamate,value=5 umolar", options={"n": 200},
                         duration="5 s", dt="10 ms", seed=1)
    h = recording["h"].values
    assert h.min() >= 0 and h.max() == 1.0  # the wall is reached, and not passed


@pytest.mark.slow
def test_noise_is_read_as_stratonovich():
    """With calcium and IP3 standing still the mean of h - h_inf falls as exp(-t/(2 tau_h)); as Ito: exp(-t/tau_h)."""
    recording = simulate("gchi_stochastic", parameters=FROZEN, initial={"h": 0.5}, options={"n": 20_000},
                         duration=0.1 * TAU_H, dt=0.002 * TAU_H, seed=2)
    left = (recording["h"].values[-1] - H_INF).mean() / (0.5 - H_INF)
    # 20000 log-normal draws of deviation 0.32: the mean is known to 0.0022; Ito would give 0.905
    assert left == pytest.approx(np.exp(-0.05), abs=0.007)
