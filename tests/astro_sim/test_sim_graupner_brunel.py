"""Long-term plasticity: the published change, the closed form against simulation, an independent solution."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim import pairing_curve
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from astro_sim.simulate import simulate
from foundation.errors import UserError

DP = pairing_curve.numbers(MODELS["graupner_brunel_stochastic"].parameters())


def test_published_change_of_strength():
    change = [pairing_curve.change_of_strength(DP, offset, 1.0, 60) for offset in (-0.02, 0.01)]
    assert change == pytest.approx([0.764, 1.221], abs=5e-4)  # published to three digits


def test_lone_spikes_are_above_by_their_own_jump():
    # 1 s apart from each other: the presynaptic jump of 1 passes no threshold, the postsynaptic one of 2 both
    high, low = pairing_curve.fractions_above(DP, 1.0 + DP["D"], 2.0)
    assert (high, low) == pytest.approx((0.02 * np.log(2 / 1.3) / 2, 0.02 * np.log(2) / 2), rel=1e-12)
    assert pairing_curve.mean_rate(DP, 0.01, 1.0) == pytest.approx(10.46, abs=0.01)


def test_without_calcium_above_a_threshold_nothing_changes():
    quiet = {**DP, "C_pre": 0.9, "C_post": 0.5}
    assert pairing_curve.fractions_above(quiet, 0.3, 1.0) == (0.0, 0.0)
    assert pairing_curve.change_of_strength(quiet, 0.3, 1.0, 60) == 1.0


def test_without_noise_a_synapse_follows_the_mean():
    still = {**DP, "sigma": 0.0}
    # at +10 ms the mean settles above rho_star: the low state goes up, the high one stays
    assert pairing_curve.transitions(still, 0.01, 1.0, 60) == (1.0, 0.0)


def test_a_period_must_be_above_zero():
    with pytest.raises(UserError, match="above zero"):
        pairing_curve.fractions_above(DP, 0.01, 0.0)


def test_time_above_the_thresholds_is_exact():
    """In steps of 0.1 ms, with calcium that piles up from pair to pair, against the closed form."""
    offsets = (-0.02, 0.0, 0.01, 0.02)
    drives = [f"pairing:offset={offset} s,period=60 ms,count=9,elements={k}" for k, offset in enumerate(offsets)]
    recording = simulate("graupner_brunel", drives, options={"n": len(offsets)}, duration="0.6 s", dt="0.1 ms")
    last = (recording.time > 0.53 - 1e-6) & (recording.time < 0.59 - 1e-6)  # one period after seven
    for k, offset in enumerate(offsets):
        measured = [recording[name].values[last, k].mean() for name in ("above_p", "above_d")]
        # what seven periods have not settled is exp(-21)
        assert measured == pytest.approx(pairing_curve.fractions_above(DP, offset, 0.06), rel=1e-8)


def test_the_recorded_share_is_that_of_the_coming_step():
    recording = simulate("graupner_brunel", "pairing:offset=10 ms,period=50 ms,count=3", duration="0.3 s", dt="1 ms")
    calcium = np.maximum(recording["c"].values, 1e-300)
    for name, theta in (("above_p", 1.3), ("above_d", 1.0)):
        wanted = np.clip(0.02 * np.log(calcium / theta) / 0.001, 0, 1)
        assert recording[name].values == pytest.approx(wanted, rel=1e-12) and wanted.max() == 1


def independent_rho(pre, post, until, start, delay=0.0137):
    """rho at `until`: calcium summed over all spikes, rho integrated between the moments when a threshold is met."""
    jumps = sorted([(t + delay, 1.0) for t in pre] + [(t, 2.0) for t in post])
    moments, level, rows = [0.0], 0.0, []
    for (at, size), (after, _) in pairwise([*jumps, (until, 0.0)]):
        level = level * np.exp(-(at - rows[-1][0]) / 0.02) + size if rows else size
        rows.append((at, level))
        moments += [at] + [at + 0.02 * np.log(level / theta) for theta in (1.0, 1.3)
                           if level > theta and at + 0.02 * np.log(level / theta) < after]

    def calcium(t):
        past = [(at, level) for at, level in rows if at <= t]
        return past[-1][1] * np.exp(-(t - past[-1][0]) / 0.02) if past else 0.0

    rho = start
    for a, b in pairwise(sorted([*moments, until])):
        up, down = 321.808 * (calcium((a + b) / 2) > 1.3), 200 * (calcium((a + b) / 2) > 1.0)
        rho = solve_ivp(lambda t, r, up=up, down=down: (-r * (1 - r) * (0.5 - r) + up * (1 - r) - down * r) / 150,
                        (a, b), [rho], "DOP853", rtol=1e-12, atol=1e-14).y[0, -1] if b > a else rho
    return rho


@pytest.mark.parametrize(("offset", "start"), [(0.01, 0.0), (-0.02, 1.0)])
def test_agrees_with_an_independent_solution(offset, start):
    recording = simulate("graupner_brunel", f"pairing:offset={offset} s,period=50 ms,count=4,start=30 ms",
                         initial={"rho": start}, duration="0.25 s", dt="0.1 ms")
    pre = 0.03 + 0.05 * np.arange(4)
    wanted = independent_rho(pre, pre + offset, 0.25, start)
    assert wanted != pytest.approx(start, abs=0.05)
    assert recording["rho"].values[-1, 0] == pytest.approx(wanted, rel=1e-6)


def test_order_in_the_step_is_two():
    """The rates of a step are its means: exact in sum, and placed to within the step."""
    pre = 0.03 + 0.05 * np.arange(4)
    wanted, errors, steps = independent_rho(pre, pre + 0.01, 0.25, 0.0, delay=0.01), [], (0.005, 0.002, 0.001, 0.0005)
    for dt in steps:
        recording = simulate("graupner_brunel", "pairing:offset=10 ms,period=50 ms,count=4,start=30 ms",
                             parameters={"D": "10 ms"}, duration="0.25 s", dt=dt)
        errors.append(abs(recording["rho"].values[-1, 0] - wanted))
    # not smooth: where in a step calcium crosses differs from step to step
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2, abs=0.3), errors


def test_monte_carlo_agrees_with_the_closed_form():
    """60 pairs at 1 Hz. With D = 10 ms all spikes fall on steps of 10 ms, where time above thresholds stays exact."""
    half, offsets = 1000, (-0.02, 0.01)
    drives = [f"pairing:offset={offset} s,elements={2 * half * k}-{2 * half * (k + 1) - 1}"
              for k, offset in enumerate(offsets)]
    recording = simulate("graupner_brunel_stochastic", drives, options={"n": 4 * half}, parameters={"D": "10 ms"},
                         initial={"rho": np.tile(np.repeat([0.0, 1.0], half), 2)}, duration="60.2 s", dt="10 ms",
                         record_every="60.2 s", seed=1)
    high = (recording["rho"].values[-1] > 0.5).reshape(2, 2, half).mean(axis=2)  # offset, start
    moved = {**DP, "D": 0.01}
    for k, offset in enumerate(offsets):
        measured = (3 + 2 * high[k, 0] - 2 * (1 - high[k, 1])) / 3  # b = 5, beta = 0.5
        # 1000 synapses a start: known to 0.015
        assert measured == pytest.approx(pairing_curve.change_of_strength(moved, offset, 1.0, 60), abs=0.02)


def test_rho_rests_at_both_ends_and_falls_to_them():
    recording = simulate("graupner_brunel", options={"n": 4}, initial={"rho": [0.0, 0.4, 0.6, 1.0]}, duration="3000 s",
                         dt="1 s")
    assert recording["rho"].values[-1] == pytest.approx([0, 0, 1, 1], abs=1e-3)


def test_a_parameter_may_be_changed_with_its_unit():
    changed = MODELS["graupner_brunel"].parameters()["tau_Ca"].changed("tau_Ca", "0.03 s")
    assert isinstance(changed, Parameter) and pairing_curve.numbers({"tau_Ca": changed}) == {"tau_Ca": 0.03}
