"""What-if: the numbers are those of the closed forms, the derivatives predict small changes, bad input is said."""

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from astro_sim.parameter import Parameter
from derivation.proof import perturbation as perturb
from derivation.proof import recomputation
from derivation.proof.what_if import whatif
from derivation.record import record
from derivation.reductions import registry
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]


def test_a_slower_consolidation_keeps_more():
    source = record.load()
    rows = {f"{row.entry}.{row.constant}": row for row in recomputation.compare(source, {"tau_pl": 300.0})}
    q = rows["retention.q"]
    assert q.after == pytest.approx(math.sqrt(q.before)), "twice the time constant: the square root"
    assert q.predicted == pytest.approx(q.before * (1 - math.log(q.before))), "first order, by hand"
    assert rows["relative_position.scale"].after == rows["relative_position.scale"].before
    before, after = whatif("tau_pl=300 second").meaning["memory horizon (segments)"]
    assert after == pytest.approx(2 * before)


def test_a_calcium_parameter_acts_through_the_period():
    """All four rates 1 % up: the period falls by 1/1.01 exactly, and q with it."""
    source = record.load()
    uses = recomputation.parameters(source)
    rates = [f"li_rinzel.{name}" for name in ("Omega_C", "Omega_L", "O_P", "O_2")]
    changes = {name: 1.01 * uses[name].value for name in rates}
    after = recomputation.recompute(source, changes).entries["retention"]
    before = source.entries["retention"].constants["q"].value
    # the stored period is Brian2's at 5 ms, this one scipy's: they differ by some 1e-6
    assert after.constants["q"].value == pytest.approx(before ** (1 / 1.01), rel=1e-5)


@pytest.mark.slow
def test_a_changed_record_can_be_read_and_trained_with(tmp_path):
    command = [sys.executable, "-m", "derivation", "whatif", "--set", "ell=1.8", "--json", "--out",
               str(tmp_path / "other.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = {row["entry"]: row for row in json.loads(done.stdout)["constants"]}
    changed = record.load(tmp_path / "other.json").entries["relative_position"]
    assert changed.constants["scale"].value == told["relative_position"]["after"] < told["relative_position"]["before"]
    assert {use.name: use.value for use in changed.parameters}["ell"] == 1.8


@pytest.mark.slow
def test_settings_are_text_mappings_or_keywords():
    """One set of changes, written in all ways that are offered; "O_2" will do where one model alone has it."""
    wanted = {"li_rinzel.O_2": 0.3, "graupner_brunel.D": 10, "ell": 1.8}
    for compared in (whatif("O_2=0.3 1/umolar/second", "graupner_brunel.D = 10 msecond", "ell=1.8"),
                     whatif({"O_2": "0.3 1/umolar/second", "graupner_brunel.D": "0.01 second", "ell": 1.8}),
                     whatif({"graupner_brunel.D": "10 msecond"}, O_2="0.3 1/umolar/second", ell="1.8")):
        assert compared.changes == pytest.approx(wanted, rel=1e-15)
    # two models have a D, yet one of them is the record's own, without a model before it
    assert whatif("D=2").changes == {"D": 2}


@pytest.mark.parametrize(("setting", "message"), [
    ("tau_p=1 second", "unknown parameter of the record 'tau_p'.*did you mean"),
    ("tau_pl", "write NAME=VALUE UNIT"),
    ("=3", "write NAME=VALUE UNIT"),
    ("tau_pl=3 umolar", "tau_pl"),
    ("tau_pl=-3 second", "above zero"),
    ({"tau_pl": 3}, "3 has no unit; write '3 second'"),
    ({"ell": math.nan}, "not finite"),
    ({"li_rinzel.O_2": "1 1/umolar/second", "O_2": "2 1/umolar/second"}, "li_rinzel.O_2 is set twice"),
])
def test_bad_settings(setting, message):
    with pytest.raises(UserError, match=message):
        whatif(setting)


def test_a_name_that_two_models_have_is_asked_for_in_full():
    entry = record.load().entry("retention")
    use = entry.parameters[0]
    uses = tuple(dataclasses.replace(use, name=name) for name in ("first.tau", "second.tau"))
    source = dataclasses.replace(record.load(), entries={"retention": dataclasses.replace(entry, parameters=uses)})
    with pytest.raises(UserError, match=r"more than one model has it; write first\.tau or second\.tau"):
        recomputation.read_changes(source, [("tau", "1 second")])


def test_the_table_has_every_entry_and_what_it_means():
    compared = whatif(tau_pl="300 second")
    told = str(compared)
    q = record.load().entry("retention").constants["q"].value
    row = next(line.split() for line in told.splitlines() if line.startswith("retention.q"))
    assert row[1:4] == [f"{q:.6g}", f"{math.sqrt(q):.6g}", f"{math.sqrt(q) / q - 1:+.2%}"]
    assert all(name in told for name in record.load().entries)
    scale = record.load().entry("relative_position").constants["scale"].value
    assert re.search(rf"relative_position\.scale +{scale:.6g} +{scale:.6g} +- +-", told)
    assert re.search(rf"kernel width \(tokens\) +{1 / scale:.6g}", told)
    assert "tau_pl = 300 second" in told
    html = compared._repr_html_()
    assert html.count("<table>") == 2 and f"{math.sqrt(q):.6g}" in html
    assert "tau_pl" in repr(compared) and "\n" not in repr(compared)
    assert json.loads(json.dumps(compared.as_json()))["meaning"]["memory horizon (segments)"] == [
        -1 / math.log(q), -2 / math.log(q)]


def test_a_range_that_is_left_is_said():
    source = record.load()
    entry = source.entry("relative_position")
    low = record.Range("1 - 0.5*ell", 0.0, None, "the length is at most 2 places")
    ranged = record.make({**source.entries, "relative_position": dataclasses.replace(entry, validity=(low,))}, {})
    for length, left in ((1.9, False), (2.1, True)):
        told = str(whatif(ell=length, record=ranged))
        assert ("relative_position is outside its range now: the length is at most 2 places" in told) == left


# Where what a constant means, a constant or a reduction ends: a memory of nothing, of all, a response that grows, and
# values with which solvers cannot start.
@pytest.mark.parametrize("setting", [
    "graupner_brunel.tau=0.1 msecond", "graupner_brunel.tau=1e18 second", "gamma_l=1e5", "gamma_l=1e-20",
    "tau_cycle=1e6 second", "ell=1e-300", "ell=1e3", "D=1e-320", "a=1e300", "calcium_exponent=1e5",
    "graupner_brunel.pair_period=1e-9 second", "graupner_brunel.theta_d=1e-300", "graupner_brunel.C_pre=1e300",
    "graupner_brunel.tau_Ca=1e300 second", "tripartite.O_G=1e-300 1/umolar/second", "dose=1e-310 umolar*second",
    "li_rinzel.K_P=1e-300 umolar", "li_rinzel.ip3=1e300 umolar", "astrocyte_network.F_linear=1e300 1/second",
    "astrocyte_network.F_linear=1e-300 1/second", "gchi.v_beta=1e300 umolar/second"])
def test_a_value_without_an_answer_is_said_in_words(setting, capfd):
    """Each has an answer that is finite, or one line with exit code 2; never a traceback, NaN or a warning of numpy."""
    try:
        compared = whatif(setting)
    except UserError as error:
        assert error.exit_code == 2
        assert "choose values nearer to the old ones" in str(error)
    else:
        numbers = [row.after for row in compared.constants] + [after for _, after in compared.meaning.values()]
        assert all(map(math.isfinite, numbers))
    assert capfd.readouterr().err == ""


def test_a_parameter_may_act_on_one_constant_in_two_ways(monkeypatch):
    """scale = a + b, a = x^2 and b = 3 x from one parameter x = 2: the slopes 4 and 3 add up, and so do the changes."""
    def reduction(value):
        return dataclasses.replace(registry.REDUCTIONS["tau_cycle"], parameters=lambda: {"x": own},
                                   value=lambda changes: value(changes.get("x", 2.0)))

    own = Parameter(2.0, "1", "one", "assumed here", "assumed")
    two = {"a": reduction(lambda x: x * x), "b": reduction(lambda x: 3 * x)}
    monkeypatch.setattr(registry, "REDUCTIONS", two)
    use = record.ParameterUse("a", 4.0, "1", "one", "assumed here", "assumed", "macro", {"scale": 1.0})
    uses = (use, dataclasses.replace(use, name="b", value=6.0),
            dataclasses.replace(use, name="m.x", value=2.0, sensitivity={"scale": 4.0}, through="a"),
            dataclasses.replace(use, name="m.x", value=2.0, sensitivity={"scale": 3.0}, through="b"))
    source = record.load()
    entry = dataclasses.replace(source.entry("relative_position"), parameters=uses, validity=(), scales=(),
                                constants={"scale": record.Constant(10.0, "a sum", "a+b")})
    source = dataclasses.replace(source, entries={"relative_position": entry})
    (row,) = (row for row in recomputation.compare(source, {"m.x": 2.1}) if row.entry == "relative_position")
    assert (row.after, row.predicted) == (pytest.approx(2.1**2 + 3 * 2.1), pytest.approx(10 + 7 * 0.1))
    (move,) = (move for move in perturb.moves(source, "m.x") if move.entry == "relative_position")
    assert move.agrees and move.predicted == pytest.approx(1.4) and move.second == pytest.approx(0.04)


def test_a_response_that_is_no_longer_stable_is_said():
    with pytest.raises(UserError, match=r"no value under these changes.*the form holds while") as caught:
        recomputation.recompute(record.load(), {"ell": 6.0})
    assert caught.value.exit_code == 2


def test_an_oscillation_that_ends_is_said():
    with pytest.raises(UserError, match="does not oscillate"):
        recomputation.recompute(record.load(), {"li_rinzel.ip3": 0.2})
