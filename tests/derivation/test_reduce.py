"""The constants of the macro model: each reduced, a convention or assumed; the period and its exact scaling laws."""

import json
import re
from pathlib import Path

import pytest

from astro_sim.dynamics.local import with_parameter
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.__main__ import reduce_verb
from derivation.reductions.cycle import oscillation
from derivation.reductions.registry import ASSUMED, CONVENTIONS, REDUCTIONS
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]
MODEL = MODELS["li_rinzel"]
IP3 = Parameter(0.5, "umolar", "IP3", "assumed here", "assumed")
RATES = ("Omega_C", "Omega_L", "O_P", "O_2")
CONCENTRATIONS = {"C_T": 1, "K_P": 1, "d1": 1, "d2": 1, "d3": 1, "d5": 1, "ip3": 1, "O_P": 1, "O_2": -1}


@pytest.fixture(scope="module")
def of_the_period():
    """Elasticity of the period by parameter."""
    one = REDUCTIONS["tau_cycle"]
    return {name: slope * one.parameters()[name].value / one.value(None) for name, slope in one.slopes().items()}


def test_every_constant_is_reduced_or_says_why_not():
    macro = MODELS["macro"].parameters()
    groups = [REDUCTIONS.keys() & macro.keys(), CONVENTIONS.keys(), ASSUMED.keys()]
    assert set().union(*groups) == macro.keys()
    assert sum(map(len, groups)) == len(macro), "each in one group"
    for name, parameter in macro.items():
        assert (parameter.basis == "derived") == (name in REDUCTIONS), name
    assert all(len(reason) > 20 for reason in (CONVENTIONS | ASSUMED).values())


@pytest.mark.parametrize("name", sorted(REDUCTIONS.keys() & MODELS["macro"].parameters().keys()))
def test_the_macro_model_has_what_reduce_computes(name):
    stated, one = MODELS["macro"].parameters()[name], REDUCTIONS[name]
    assert stated.value == pytest.approx(one.value(None), rel=1e-7), "written with eight digits"
    assert stated.unit == one.unit


def test_every_reduction_says_what_it_is():
    bibliography = (ROOT / "astro_sim" / "models" / "references.bib").read_text()
    known = set(re.findall(r"^@\w+\{(\w+),", bibliography, re.MULTILINE))
    for name, one in REDUCTIONS.items():
        assert one.protocol and one.neglected and one.meaning and re.fullmatch(r"E\d\.\d+", one.equation), name
        assert one.sources and set(one.sources) <= known, name
        table = one.parameters()
        for key, owner in one.owners.items():
            model, _, parameter_set = owner.partition(":")
            if key in table:
                assert MODELS[model].parameters(parameter_set)[key].value == table[key].value, f"{name}: {key}"


@pytest.mark.parametrize("name", ["tau_cycle", "tau_s", "theta_half", "tau_ps", "psi_width", "a", "ell_sheet", "kappa"])
def test_an_unknown_parameter_is_refused(name):
    with pytest.raises(UserError, match="unknown parameter"):
        REDUCTIONS[name].value({"nothing": 1.0})


@pytest.mark.slow
def test_the_verb_prints_the_table_and_counts(capsys):
    names = ["tau_pl", "kappa", "gamma_s", "beta", "w_g"]
    reduce_verb(["tau_cycle", *names])
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == ("3 reduced, 1 convention, 2 assumed; of 5 parameters of the macro model 2 are "
                                     "reduced")
    assert "rate of pairs from" in said and "assumed in it: pair_offset, pair_period, beta" in said
    reduce_verb(names, as_json=True)
    found = json.loads(capsys.readouterr().out)["constants"]
    assert [one["basis"] for one in found] == ["reduced", "reduced", "convention", "assumed", "assumed"]
    assert 0 < found[0]["error"] < 0.05 and found[0]["valid"]["low"] < 1 < found[0]["valid"]["high"]
    with pytest.raises(UserError, match="unknown constant of the macro model 'tau_x'"):
        reduce_verb(["tau_x"])


# ---------------------------------------------------------------------------------------------- the period


def test_the_period_is_the_public_one():
    assert REDUCTIONS["tau_cycle"].value(None) == pytest.approx(11.492, abs=1e-3)


def test_no_oscillation_is_said():
    with pytest.raises(UserError, match=r"does not oscillate at ip3 = 0\.2 umolar"):
        oscillation(MODEL, "AM", "ip3", level=Parameter(0.2, "umolar", "IP3", "assumed here", "assumed"))


@pytest.mark.slow
def test_time_and_concentration_scale_out(of_the_period):
    """Exact laws: all rates doubled halve the period; all concentrations doubled leave it.

    By Euler's theorem the elasticities of the rates sum to -1, those of the concentrations (with the powers with which
    they enter) to 0. Errors: 2e-6 each from the central difference, over nine terms.
    """
    assert set(of_the_period) == {*MODEL.parameters("AM"), "ip3"}
    assert sum(of_the_period[name] for name in RATES) == pytest.approx(-1, abs=2e-5)
    assert sum(power * of_the_period[name] for name, power in CONCENTRATIONS.items()) == pytest.approx(0, abs=2e-5)


@pytest.mark.slow
def test_the_derivatives_predict_a_period_computed_anew(of_the_period):
    """One parameter up and down by 1 %: what is left of the central difference is third order, some 1e-4."""
    base = oscillation(MODEL, "AM", "ip3", level=IP3)
    for name in ("d5", "K_P"):
        value = MODEL.parameters("AM")[name].value
        up, down = (oscillation(with_parameter(MODEL, "AM", name, value=value * factor), "AM", "ip3", level=IP3,
                                near=base).seconds for factor in (1.01, 0.99))
        assert up - down == pytest.approx(0.02 * of_the_period[name] * base.seconds, rel=1e-3)
