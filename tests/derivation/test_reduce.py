"""What is reduced from biophysics, the calcium period and the long-term decay: public numbers, exact scaling laws."""

import math

import pytest

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation import limit_cycle, reduce
from foundation.errors import UserError

MODEL = MODELS["li_rinzel"]
IP3 = Parameter(0.5, "umolar", "IP3", "assumed here", "assumed")
RATES = ("Omega_C", "Omega_L", "O_P", "O_2")
CONCENTRATIONS = {"C_T": 1, "K_P": 1, "d1": 1, "d2": 1, "d3": 1, "d5": 1, "ip3": 1, "O_P": 1, "O_2": -1}


def uses():
    from derivation import record

    return {use.name.rpartition(".")[2]: use for use in record.load().entries["retention"].parameters}


def test_the_period_is_the_public_one_and_the_simulators():
    found = limit_cycle.limit_cycle(MODEL, "AM", "ip3", IP3).seconds
    assert found == pytest.approx(11.492, abs=1e-3)
    # the record's comes from Brian2's rk4 at 5 ms, whose error on this cycle is some 1e-6
    assert found == pytest.approx(uses()["tau_cycle"].value, rel=1e-5)


def test_no_oscillation_is_said():
    with pytest.raises(UserError, match=r"does not oscillate at ip3 = 0\.2 umolar"):
        limit_cycle.limit_cycle(MODEL, "AM", "ip3", Parameter(0.2, "umolar", "IP3", "assumed here", "assumed"))


def test_the_chain_covers_every_parameter_of_the_set():
    assert {use.name for use in uses().values() if use.through == "tau_cycle"} == {
        f"li_rinzel.{name}" for name in (*MODEL.parameters("AM"), "ip3")}


def test_the_decay_of_the_long_term_process_is_the_rules_mean_rate():
    """By hand, for single pairs: calcium jumps by 2, 3.7 ms later by 1, and decays with 20 ms."""
    peak = 2 * math.exp(-3.7 / 20) + 1
    above = {threshold: 3.7e-3 + 20e-3 * math.log(peak / threshold) for threshold in (1.0, 1.3)}
    by_hand = 0.5 * (321.808 * above[1.3] + 200 * above[1.0])
    # calcium left from the pair a second before: exp(-50) of it
    assert reduce.gamma_l() == pytest.approx(by_hand, rel=1e-9)
    assert MODELS["macro"].parameters()["gamma_l"].value == pytest.approx(reduce.gamma_l(), rel=1e-6)
    used = {name for name, use in uses().items() if use.through == "gamma_l"}
    rule = MODELS["graupner_brunel"].parameters("DP").keys() - {"tau", "rho_star"}
    assert used == rule | {"pair_offset", "pair_period", "duty"}


def test_its_scaling_laws():
    """Both rates enter linearly, and so does the duty; all calcium amplitudes together with the thresholds cancel."""
    decay = uses()["gamma_l"]
    elasticity = {name: use.sensitivity["q"] / decay.sensitivity["q"] * use.value / decay.value
                  for name, use in uses().items() if use.through == "gamma_l"}
    # central differences of a smooth closed form with steps of 1e-5: about 1e-9
    assert elasticity["gamma_p"] + elasticity["gamma_d"] == pytest.approx(1, abs=1e-7)
    assert elasticity["duty"] == pytest.approx(1, abs=1e-7)
    assert sum(elasticity[name] for name in ("C_pre", "C_post", "theta_p", "theta_d")) == pytest.approx(0, abs=1e-7)
    assert sum(elasticity[name] for name in ("tau_Ca", "D", "pair_offset", "pair_period")) == pytest.approx(0, abs=1e-7)


def test_time_and_concentration_scale_out():
    """Exact laws: all rates doubled halve the period; all concentrations doubled leave it.

    By Euler's theorem the elasticities of the rates sum to -1, those of the concentrations (with the powers with which
    they enter) to 0. Errors: 2e-6 each from the central difference, over nine terms.
    """
    period = uses()["tau_cycle"]
    elasticity = {name: use.sensitivity["q"] / period.sensitivity["q"] * use.value / period.value
                  for name, use in uses().items() if use.through == "tau_cycle"}
    assert sum(elasticity[name] for name in RATES) == pytest.approx(-1, abs=2e-5)
    assert sum(power * elasticity[name] for name, power in CONCENTRATIONS.items()) == pytest.approx(0, abs=2e-5)


def test_the_derivatives_predict_a_period_computed_anew():
    """One parameter up and down by 1 %: what is left of the central difference is third order, some 1e-4."""
    base = limit_cycle.limit_cycle(MODEL, "AM", "ip3", IP3)
    for name in ("d5", "K_P"):
        value = MODEL.parameters("AM")[name].value
        up, down = (limit_cycle.limit_cycle(limit_cycle.with_parameter(MODEL, "AM", name, value * factor), "AM", "ip3",
                                            IP3, base).seconds for factor in (1.01, 0.99))
        use, period = uses()[name], uses()["tau_cycle"]
        predicted = use.sensitivity["q"] / period.sensitivity["q"] * 0.02 * value
        assert up - down == pytest.approx(predicted, rel=1e-3)
