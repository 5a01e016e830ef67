"""What is reduced from the rule of Graupner and Brunel, held against the whole rule, solved between its thresholds."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from derivation.reductions.registry import REDUCTIONS

# GraupnerBrunel2012, set DP, and the protocol; seconds
TAU, TAU_CA, DELAY, PRE, POST = 150.0, 20e-3, 13.7e-3, 1.0, 2.0
UP, DOWN, ABOVE, BELOW, MIDDLE = 321.808, 200.0, 1.3, 1.0, 0.5  # potentiation above 1.3, depression above 1
OFFSET, CYCLE, CYCLES = 10e-3, 11.4919834, 6


def course(period):
    """rho at the ends of the cycles: pairs each `period` s from the start of a cycle to its half."""
    pairs = np.concatenate([n * CYCLE + np.arange(0, CYCLE / 2, period) for n in range(CYCLES)])
    spikes = sorted([(t + DELAY, PRE) for t in pairs] + [(t + OFFSET, POST) for t in pairs])
    marks = {n * CYCLE for n in range(1, CYCLES + 1)} | {t for t, _ in spikes}
    calcium, jumps = 0.0, []
    for (time, jump), (after, _) in itertools.pairwise([*spikes, (math.inf, 0.0)]):
        calcium = calcium * math.exp(-(time - (jumps[-1][0] if jumps else 0.0)) / TAU_CA) + jump
        jumps.append((time, calcium))
        marks |= {time + TAU_CA * math.log(calcium / level) for level in (ABOVE, BELOW)
                  if calcium > level and time + TAU_CA * math.log(calcium / level) < after}
    marks, rho, ends, last = sorted(marks), 0.0, [], -1
    for start, end in itertools.pairwise([0.0, *marks]):
        while last + 1 < len(jumps) and jumps[last + 1][0] <= start:
            last += 1
        c = 0.0 if last < 0 else jumps[last][1] * math.exp(-((start + end) / 2 - jumps[last][0]) / TAU_CA)

        def flow(t, y, c=c):
            return (-y * (1 - y) * (MIDDLE - y) + UP * (1 - y) * (c > ABOVE) - DOWN * y * (c > BELOW)) / TAU

        rho = solve_ivp(flow, (start, end), [rho], rtol=1e-8, atol=1e-11).y[0, -1]
        if min(abs(end - n * CYCLE) for n in range(1, CYCLES + 1)) < 1e-9:
            ends.append(rho)
    return np.array(ends)


def reduced(period):
    """The linear process with the constants at another pair period, at the ends of the cycles."""
    decay, gain = (REDUCTIONS[name].value({"pair_period": period}) for name in ("gamma_l", "kappa"))
    q = math.exp(-decay * CYCLE / REDUCTIONS["tau_pl"].value(None))
    return 0.5 * gain / 4 / decay * (1 - q ** np.arange(1, CYCLES + 1))


@pytest.fixture(scope="module")
def at_one_hertz():
    return course(1.0)


def test_the_error_is_that_of_the_whole_rule(at_one_hertz):
    error = np.abs(at_one_hertz - reduced(1.0)).max() / at_one_hertz[-1]
    # rk4 in four steps of a hundredth of tau there, a solver at 1e-8 here
    assert error == pytest.approx(REDUCTIONS["gamma_l"].error, abs=2e-6)
    assert all(REDUCTIONS[name].held() is REDUCTIONS["gamma_l"].held() for name in ("tau_pl", "kappa"))


@pytest.mark.parametrize(("rate", "inside"), [(1.37, True), (6.1, True), (0.88, False), (0.21, False)])
def test_the_range_in_the_rate_of_pairs(rate, inside):
    full, valid = course(1 / rate), REDUCTIONS["gamma_l"].valid
    error = np.abs(full - reduced(1 / rate)).max() / full[-1]
    assert (valid.low <= rate <= valid.high) == inside == (error <= 0.05)


def test_increments_of_the_whole_rule_follow_the_retention_factor(at_one_hertz):
    """Evidence for q^t with the cubic term and whole pairs in: shares of what was gained, cycle by cycle."""
    gained = np.diff(at_one_hertz, prepend=0.0)
    q = math.exp(-REDUCTIONS["gamma_l"].value(None) * CYCLE / TAU)
    closed = q ** np.arange(CYCLES) * (1 - q) / (1 - q**CYCLES)
    off = np.abs(gained / gained.sum() - closed).max()
    # six pairs a cycle, not 5.75, quicken the decay by 4 %; the cubic term holds rho at 0 and 1 and pulls between
    assert off < 6e-3
    assert np.abs(gained[1:] / gained[:-1] / q - 1).max() < 0.03


def test_by_hand():
    """Single pairs: calcium jumps by 2, 3.7 ms later by 1, and decays with 20 ms."""
    peak = 2 * math.exp(-3.7 / 20) + 1
    above = {threshold: 3.7e-3 + 20e-3 * math.log(peak / threshold) for threshold in (BELOW, ABOVE)}
    # calcium left from the pair a second before: exp(-50) of it
    assert REDUCTIONS["gamma_l"].value(None) == pytest.approx(0.5 * (UP * above[ABOVE] + DOWN * above[BELOW]), rel=1e-9)
    assert REDUCTIONS["kappa"].value(None) == pytest.approx(4 * UP * above[ABOVE], rel=1e-9)
    assert REDUCTIONS["tau_pl"].value({"tau": 77.0}) == 77.0


@pytest.mark.parametrize(("name", "linear"), [("gamma_l", ("gamma_p", "gamma_d")), ("kappa", ("gamma_p",))])
def test_scaling_laws(name, linear):
    """Rates enter linearly; all calcium amplitudes together with the thresholds cancel, and so do all times."""
    one = REDUCTIONS[name]
    elasticity = {key: slope * one.parameters()[key].value / one.value(None) for key, slope in one.slopes().items()}
    # central differences of a smooth closed form with steps of 1e-5: about 1e-9
    assert sum(elasticity[key] for key in linear) == pytest.approx(1, abs=1e-7)
    for together in (("C_pre", "C_post", "theta_p", "theta_d"), ("tau_Ca", "D", "pair_offset", "pair_period")):
        assert sum(elasticity.get(key, 0) for key in together) == pytest.approx(0, abs=1e-7)
    assert elasticity.get("duty", 1) == pytest.approx(1, abs=1e-7)
    assert elasticity.get("beta", 1) == pytest.approx(1, abs=1e-7)
