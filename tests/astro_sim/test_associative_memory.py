"""Associative memory: an independent solution with the coupling written out, recall, the energy law and its step."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.analysis import energy
from astro_sim.models import associative_memory as memory
from astro_sim.models.macro.model import NEURON
from astro_sim.plan import prepare
from astro_sim.run.simulation import _run_unchecked, simulate
from foundation.errors import UserError


def test_the_text_is_that_of_macro_but_for_the_rate():
    changed = [(a, b) for a, b in zip(NEURON.splitlines(), memory.ODD.splitlines(), strict=True) if a != b]
    assert changed == [("theta = 1/(1 + exp((theta_half - x)/theta_width)) : 1", "theta = tanh(x/theta_width) : 1")]


@pytest.mark.slow
def test_agrees_with_an_independent_solution():
    """All n^4 entries of T, the equations written anew; the project's runs pass through overlaps with the patterns."""
    n, options = 4, {"n": 4, "n_patterns": 2, "pattern_seed": 3}
    rng = np.random.default_rng(5)
    start = {"x": rng.normal(size=n), "s": rng.normal(size=n * n), "p_s": rng.normal(size=n * n)}
    xi = memory.patterns(memory.MODEL.read_options(options))
    T = 2.0 / n**2 * np.einsum("mi,mj,mk,ml->ijkl", xi, xi, xi, xi)

    def rates(t, y):
        x, s, p, slow = y[:n], *y[n:].reshape(3, n, n)
        rate, psi = np.tanh(x / 0.7), np.tanh(p)
        ds = -s + np.outer(rate, rate) + psi
        dp = -p + np.einsum("ijkl,kl->ij", T, psi) + s + 0.1
        return np.concatenate([-x + s @ rate / n + 0.2, ds.ravel(), dp.ravel(), ((-5.23035 * slow + s) / 150).ravel()])

    runs = [simulate("associative_memory", ["constant:input=b,value=0.2", "constant:input=d,value=0.1"], dt=dt,
                     options=options, initial={name: list(v) for name, v in start.items()}, duration="3 s",
                     record_every="0.5 s", method="rk4") for dt in (0.02, 0.01, 0.005)]
    wanted = solve_ivp(rates, (0, 3), np.concatenate([*start.values(), np.zeros(n * n)]), "DOP853", runs[0].time,
                       rtol=1e-11, atol=1e-13).y.T
    coarse, middle, fine = (np.hstack([r[name].values for name in ("x", "s", "p_s", "p_l")]) for r in runs)
    # the sums make errors of second and third order in dt; the sequence dt, dt/2, dt/4 takes both out
    extrapolated = (8 * (4 * fine - middle) / 3 - (4 * middle - coarse) / 3) / 7
    assert np.abs(extrapolated - wanted).max() < 1e-6 * np.abs(wanted).max()
    first, second = (np.abs(run - wanted).max() for run in (coarse, middle))
    assert first / second == pytest.approx(4, rel=0.1), "second order in the coupling"


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "flipped"), [(0, 3), (1, 3), (2, 3), (1, 0)])
def test_recalls_a_corrupted_pattern(pattern, flipped):
    recording = simulate("associative_memory", initial=memory.cue(pattern, flipped, seed=pattern), duration="30 s",
                         dt="100 ms")
    stored = memory.patterns(recording.meta["options"])[pattern]
    signs = np.sign(recording["x"].values)
    assert (signs[0] != stored).sum() == flipped
    assert (signs[-1] == stored).all()
    agreement = memory.overlaps(recording)[-1]
    assert agreement.argmax() == pattern
    assert agreement[pattern] > 0.9


@pytest.mark.slow
def test_without_the_astrocytes_nothing_is_recalled():
    recording = simulate("associative_memory", initial=memory.cue(0, 3), duration="20 s", dt="100 ms",
                         parameters={"T_0": "0"})
    wrong = (np.sign(recording["x"].values[-1]) != memory.patterns(recording.meta["options"])[0]).sum()
    assert wrong == 3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_the_default_step_keeps_the_energy_law(method):
    """dE/dt = -[n tau_n theta' xdot^2 + tau_s sdot^2/2 + tau_ps psi' pdot^2/2], at 1 ms: a thousandth of the rates."""
    recording = simulate("associative_memory", ["constant:input=b,value=0.1", "constant:input=d,value=0.1"],
                         options={"n": 6}, initial=memory.cue(0, 2, n=6), duration="0.5 s", method=method)
    assert recording.meta["solver"]["dt_s"] == 0.001
    course = energy(recording)
    change = np.diff(course)
    assert (change < 0).all()
    middle = {name: (recording[name].values[1:] + recording[name].values[:-1]) / 2 for name in ("x", "p_s")}
    speed = {name: np.diff(recording[name].values, axis=0) / 1e-3 for name in ("x", "s", "p_s")}
    slope = (1 - np.tanh(middle["x"] / 0.7) ** 2) / 0.7
    lost = ((6 * slope * speed["x"] ** 2).sum(1) + (speed["s"] ** 2).sum(1) / 2
            + ((1 - np.tanh(middle["p_s"]) ** 2) * speed["p_s"] ** 2).sum(1) / 2)
    # the coupling is held over a step: first order, so some dt times the fastest rate, about 1/s
    assert np.abs(change / 1e-3 + lost).max() < 5e-3 * lost.max()


@pytest.mark.slow
def test_euler_with_too_large_a_step_breaks_the_energy_law_and_is_refused():
    """A neuron ten times as fast as its synapses: explicit Euler is stable up to 2 tau_n only."""
    given = {"options": {"n": 6}, "initial": {"x": [0.1, -0.1, 0.1, 0.1, -0.1, 0.1]},
             "parameters": {"tau_n": "0.1 s"}, "duration": "3 s", "method": "euler"}
    assert np.diff(energy(simulate("associative_memory", **given, dt="10 ms"))).max() < 0
    broken = _run_unchecked(prepare("associative_memory", **given, dt="250 ms"), False)
    assert np.diff(energy(broken)).max() > 0.1
    with pytest.raises(UserError, match=r"dt: 0\.25 s is too large"):
        simulate("associative_memory", **given, dt="250 ms")


@pytest.mark.slow
def test_energy_refuses_what_has_none():
    recording = simulate("associative_memory", options={"n": 3}, parameters={"w_g": "0"}, duration="0.1 s", dt="10 ms")
    with pytest.raises(UserError, match="w_g = 0"):
        energy(recording)


@pytest.mark.parametrize("given", [(3, 0), (0, 17), (-1, 2)])
def test_a_cue_of_nothing_is_refused(given):
    with pytest.raises(UserError, match="cue: pattern"):
        memory.cue(*given)


OWN = "++++----,+-+-+-+-,++--++--"


def test_own_patterns_as_text_and_as_an_array_are_one_option():
    signs = [[1 if sign == "+" else -1 for sign in row] for row in OWN.split(",")]
    sizes = {"n": 8, "n_patterns": 3}
    for given in (OWN, OWN.replace(",", ", "), signs, np.array(signs)):
        options = memory.MODEL.read_options({**sizes, "patterns": given})
        assert options["patterns"] == OWN
        assert memory.patterns(options).tolist() == signs


@pytest.mark.slow
def test_own_patterns_are_recalled_and_their_seed_does_not_matter():
    given = {"n": 8, "n_patterns": 3, "patterns": OWN}
    runs = [simulate("associative_memory", options={**given, "pattern_seed": seed}, duration="30 s", dt="100 ms",
                     initial=memory.cue(1, 2, **given)) for seed in (1, 2)]
    assert np.array_equal(runs[0]["x"].values, runs[1]["x"].values)
    assert np.sign(runs[0]["x"].values[-1]).tolist() == [1, -1] * 4
    assert memory.overlaps(runs[0])[-1].argmax() == 1
    assert runs[0].meta["options"]["patterns"] == OWN


@pytest.mark.parametrize(("given", "says"), [
    ("++,+", r"rows of \+ and - of one length"), ("+0-", "rows of"), ("", "rows of"), (",", "rows of"),
    ([1, -1, 1], "not an array"), ([[1, 0]], "not an array"), ([[1, float("nan")]], "not an array"),
    ([[1], [1, -1]], "not an array"), (3, "not an array"), (None, "not an array"),
    ("++-,+--", r"patterns: 2 of 3 signs are given, for 3 of 16 neurons; set n_patterns=2 and n=3")])
def test_patterns_that_are_none_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        prepare("associative_memory", options={"patterns": given}, duration="1 s")
