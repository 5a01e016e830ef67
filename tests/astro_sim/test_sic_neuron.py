"""Slow inward currents and the neurons that they excite, against NEST's equations solved anew in mV, pA, nS, ms, uM."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.models import MODELS
from astro_sim.protocols import constant, spikes
from astro_sim.run.simulation import simulate

SPIKES, INHIBITORY = (10.0, 10.5, 60.0, 90.0), (30.0, 61.0)
START = {"C": "0.3 umolar", "h": "0.6", "I": "0.5 umolar"}


def currents(calcium, weight):
    """pA"""
    over = (calcium - 0.19669) * 1000
    return weight * np.log(over) if over > 1 else 0.0


def rates(t, y, weight, current):
    c, h, i, v, w, g_ex, s_ex, g_in, s_in = y
    receptor = (i / (i + 0.13) * c / (c + 0.08234) * h) ** 3
    calcium = (0.006 * receptor + 0.00011) * (2 - 1.185 * c) - 0.0009 * c**2 / (c**2 + 0.1**2)
    q2 = 1.049 * (i + 0.13) / (i + 0.9434)
    held = min(v, 0.0)
    upswing = 30 * 2 * np.exp((held + 50.4) / 2)
    dv = (-30 * (held + 70.6) + upswing - g_ex * held - g_in * (held + 85) - w + current + currents(c, weight)) / 281
    return [calcium, 0.0002 * (q2 * (1 - h) - c * h), (0.16 - i) / 7142, dv, (4 * (held + 70.6) - w) / 144,
            (s_ex - g_ex) / 0.2, -s_ex / 0.2, (s_in - g_in) / 2, -s_in / 2]


def independent(times, *, weight, current=0.0, added=0.0, spike_times=(), inhibitory=()):
    """The course at `times` (ms), and when the neuron spiked."""
    state, found, sent = np.array([0.3, 0.6, 0.5, -70.6, 0, 0, 0, 0, 0]), [], []

    def up(t, y, *rest):
        return y[3] + 20  # from there it takes 2 ns to the peak

    up.terminal, up.direction = True, 1
    moments = sorted({0.0, *spike_times, *inhibitory, times[-1]})
    for at, end in zip(moments, [*moments[1:], None], strict=True):
        if at in spike_times:
            state[2] += added
            state[6] += np.e
        if at in inhibitory:
            state[8] += np.e
        while end is not None and at < end:
            part = solve_ivp(rates, (at, end), state, events=up, args=(weight, current), rtol=1e-8, atol=1e-10,
                             dense_output=True)
            reached = part.t_events[0][0] if part.status == 1 else end
            found += [part.sol(max(at, t)) for t in times[(times > at - 1e-6) & (times < reached - 1e-6)]]
            at = reached
            state = part.sol(at)
            if part.status == 1:
                sent.append(at)
                state[3], state[4] = -60.0, state[4] + 80.5
    return np.array(found), np.array(sent)


@pytest.fixture(scope="module")
def excited():
    """A neuron that calcium above the threshold and spikes excite, below its own threshold."""
    return simulate("sic_neuron", [spikes("spikes", np.array(SPIKES) / 1000),
                                   spikes("inhibitory", np.array(INHIBITORY) / 1000)],
                    parameters={"w_SIC": "0.04 namp", "delta_I": "0.05 umolar"}, initial=START, duration="0.12 s",
                    dt="0.1 ms")


@pytest.mark.slow
def test_below_its_threshold_a_neuron_follows_its_equations(excited):
    times = 1000 * excited.time
    wanted, sent = independent(times, weight=40.0, added=0.05, spike_times=SPIKES, inhibitory=INHIBITORY)
    assert len(sent) == 0 and len(excited.events["spikes_sent"].times) == 0
    scale = {"C": 1, "h": 1, "I": 1, "v": 1, "w": 1000, "g_ex": 1, "g_in": 1}
    for k, (name, by) in zip((0, 1, 2, 3, 4, 5, 7), scale.items(), strict=True):
        found = by * excited[name].values[: len(wanted), 0]
        # rk4 in steps of half of the excitatory time constant: 3e-3 of its range
        assert np.abs(found - wanted[:, k]).max() < 5e-3 * max(np.ptp(wanted[:, k]), 1e-3), name
    assert np.ptp(wanted[:, 3]) > 5


@pytest.mark.slow
def test_the_current_is_the_logarithm_of_calcium_above_the_threshold(excited):
    wanted = [currents(c, 40.0) / 1000 for c in excited["C"].values[:, 0]]
    assert min(wanted) > 0.1
    assert excited["I_SIC"].values[:, 0] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("calcium", "wanted"), [(0.073, 0.0), (0.19669, 0.0), (0.1976, 0.0), (0.1986, np.log(1.91)),
                                                 (0.3, np.log(103.31)), (0.6, np.log(403.31))])
def test_the_current_begins_one_nanomolar_above_the_threshold(calcium, wanted):
    recording = simulate("sic_neuron", initial={"C": f"{calcium} umolar"}, duration="0.2 ms", dt="0.1 ms")
    assert recording["I_SIC"].values[0, 0] == pytest.approx(wanted / 1000, rel=1e-9, abs=1e-15)  # 1 pA an e-fold


@pytest.mark.slow
def test_spikes_are_those_of_an_independent_solution():
    """To the end of a step each: late by a step of 0.02 ms at most, and so is the next from there."""
    recording = simulate("sic_neuron", constant("current", "0.6 namp"), parameters={"w_SIC": "0.05 namp"},
                         initial=START, duration="60 ms", dt="0.02 ms", record_every="0.2 ms")
    sent = 1000 * recording.events["spikes_sent"].times
    wanted = independent(np.array([0.0, 60.0]), weight=50.0, current=600.0)[1]
    assert len(wanted) >= 2
    assert sent == pytest.approx(wanted, abs=0.1)


@pytest.mark.slow
def test_blocks_of_neurons_share_an_astrocyte_which_their_own_spikes_reach():
    given = {"options": {"n_neurons": 4, "n_astrocytes": 2, "loop": "closed"}, "duration": "20 ms", "dt": "0.05 ms",
             "parameters": {"delta_I": "0.02 umolar"}}
    recording = simulate("sic_neuron", constant("current", "2 namp", elements=[2]), **given)
    assert recording.maps["astrocyte_of_neuron"].indices.tolist() == [0, 0, 1, 1]
    sent = recording.events["spikes_sent"]
    assert len(sent.times) > 1 and {*sent.elements.tolist()} == {2}
    made = 0.02 * len(sent.times)
    gained = recording["I"].values[-1] - 0.16
    assert gained[0] == pytest.approx(0, abs=1e-9) and gained[1] == pytest.approx(made, rel=5e-3)
    alone = simulate("sic_neuron", constant("current", "2 namp", elements=[2]),
                     **{**given, "options": {"n_neurons": 4, "n_astrocytes": 2}, "duration": "5 ms",
                        "parameters": {}})
    assert np.ptp(alone["I"].values) == pytest.approx(0, abs=1e-12)


def test_the_sets_are_those_of_nest():
    table = MODELS["sic_neuron"].parameters("NEST")
    assert (table["SIC_th"].value, table["delta_I"].value, table["tau_I"].value) == (0.19669, 0.0002, 7.142)
    assert MODELS["sic_neuron"].parameters("NEST_small_network")["delta_I"].value == 2.0
