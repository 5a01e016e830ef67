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
from derivation.proof import what_if as whatif
from derivation.record import record
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]


def test_a_slower_consolidation_keeps_more():
    source = record.load()
    rows = {f"{row.entry}.{row.constant}": row for row in whatif.compare(source, {"tau_pl": 300.0})}
    q = rows["retention.q"]
    assert q.after == pytest.approx(math.sqrt(q.before)), "twice the time constant: the square root"
    assert q.predicted == pytest.approx(q.before * (1 - math.log(q.before))), "first order, by hand"
    assert rows["relative_position.scale"].after == rows["relative_position.scale"].before
    assert whatif.meaning(whatif.recompute(source, {"tau_pl": 300.0}))["memory horizon (segments)"] == pytest.approx(
        2 * whatif.meaning(source)["memory horizon (segments)"])


def test_a_calcium_parameter_acts_through_the_period():
    """All four rates 1 % up: the period falls by 1/1.01 exactly, and q with it."""
    source = record.load()
    uses = whatif.parameters(source)
    rates = [f"li_rinzel.{name}" for name in ("Omega_C", "Omega_L", "O_P", "O_2")]
    changes = {name: 1.01 * uses[name].value for name in rates}
    after = whatif.recompute(source, changes).entries["retention"]
    before = source.entries["retention"].constants["q"].value
    # the stored period is Brian2's at 5 ms, this one scipy's: they differ by some 1e-6
    assert after.constants["q"].value == pytest.approx(before ** (1 / 1.01), rel=1e-5)


def test_a_changed_record_can_be_read_and_trained_with(tmp_path):
    command = [sys.executable, "-m", "derivation", "whatif", "--set", "ell=1.8", "--json", "--out",
               str(tmp_path / "other.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = {row["entry"]: row for row in json.loads(done.stdout)["constants"]}
    changed = record.load(tmp_path / "other.json").entries["relative_position"]
    assert changed.constants["scale"].value == told["relative_position"]["after"] < told["relative_position"]["before"]
    assert {use.name: use.value for use in changed.parameters}["ell"] == 1.8


def test_a_short_name_will_do_where_it_is_one():
    source = record.load()
    assert whatif.read_changes(source, ["O_2=0.3 1/umolar/second"]) == {"li_rinzel.O_2": 0.3}
    assert whatif.read_changes(source, ["D=20", "graupner_brunel.D=10 msecond"]) == {"D": 20, "graupner_brunel.D": 10}


@pytest.mark.parametrize(("setting", "message"), [
    ("tau_p=1 second", "unknown parameter of the record 'tau_p'"),
    ("tau_pl", "write NAME=VALUE UNIT"),
    ("tau_pl=3 umolar", "tau_pl"),
    ("tau_pl=-3 second", "above zero"),
])
def test_bad_settings(setting, message):
    with pytest.raises(UserError, match=message):
        whatif.read_changes(record.load(), [setting])


def test_the_text_has_every_entry_and_what_it_means():
    source = record.load()
    changes = {"tau_pl": 300.0}
    told = whatif.text(source, changes, whatif.recompute(source, changes))
    q = source.entry("retention").constants["q"].value
    assert f"{math.sqrt(q):.6g} {math.sqrt(q) / q - 1:+9.2%}" in told
    assert all(name in told for name in source.entries)
    scale = source.entry("relative_position").constants["scale"].value
    assert re.search(rf"relative_position\.scale +{scale:.6g} +{scale:.6g} unchanged", told)
    assert re.search(rf"kernel width \(tokens\) +{1 / scale:.6g}", told)


def test_a_range_that_is_left_is_said():
    source = record.load()
    entry = source.entry("relative_position")
    low = record.Range("1 - 0.5*ell", 0.0, None, "the length is at most 2 places")
    ranged = record.make({**source.entries, "relative_position": dataclasses.replace(entry, validity=(low,))}, {})
    for length, left in ((1.9, False), (2.1, True)):
        told = whatif.text(ranged, {"ell": length}, whatif.recompute(ranged, {"ell": length}))
        assert ("relative_position is outside its range now: the length is at most 2 places" in told) == left


def test_a_parameter_may_act_on_one_constant_in_two_ways(monkeypatch):
    """scale = a + b, a = x^2 and b = 3 x from one parameter x = 2: the slopes 4 and 3 add up, and so do the changes."""
    def reduction(value):
        return dataclasses.replace(whatif.REDUCTIONS["tau_cycle"], parameters=lambda: {"x": own},
                                   value=lambda changes: value(changes.get("x", 2.0)))

    own = Parameter(2.0, "1", "one", "assumed here", "assumed")
    two = {"a": reduction(lambda x: x * x), "b": reduction(lambda x: 3 * x)}
    for module in (whatif, perturb):
        monkeypatch.setattr(module, "REDUCTIONS", two)
    use = record.ParameterUse("a", 4.0, "1", "one", "assumed here", "assumed", "macro", {"scale": 1.0})
    uses = (use, dataclasses.replace(use, name="b", value=6.0),
            dataclasses.replace(use, name="m.x", value=2.0, sensitivity={"scale": 4.0}, through="a"),
            dataclasses.replace(use, name="m.x", value=2.0, sensitivity={"scale": 3.0}, through="b"))
    source = record.load()
    entry = dataclasses.replace(source.entry("relative_position"), parameters=uses, validity=(), scales=(),
                                constants={"scale": record.Constant(10.0, "a sum", "a+b")})
    source = dataclasses.replace(source, entries={"relative_position": entry})
    (row,) = (row for row in whatif.compare(source, {"m.x": 2.1}) if row.entry == "relative_position")
    assert (row.after, row.predicted) == (pytest.approx(2.1**2 + 3 * 2.1), pytest.approx(10 + 7 * 0.1))
    (move,) = (move for move in perturb.moves(source, "m.x") if move.entry == "relative_position")
    assert move.agrees and move.predicted == pytest.approx(1.4) and move.second == pytest.approx(0.04)


def test_a_response_that_is_no_longer_stable_is_said():
    with pytest.raises(UserError, match=r"no value under these changes.*the form holds while") as caught:
        whatif.recompute(record.load(), {"ell": 6.0})
    assert caught.value.exit_code == 2


def test_an_oscillation_that_ends_is_said():
    with pytest.raises(UserError, match="does not oscillate"):
        whatif.recompute(record.load(), {"li_rinzel.ip3": 0.2})
