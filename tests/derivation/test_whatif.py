"""What-if: the numbers are those of the closed forms, the derivatives predict small changes, bad input is said."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from derivation import record, whatif
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
    command = [sys.executable, "-m", "derivation", "whatif", "--set", "ell=6", "--json", "--out",
               str(tmp_path / "other.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = {row["entry"]: row for row in json.loads(done.stdout)["constants"]}
    changed = record.load(tmp_path / "other.json").entries["relative_position"]
    assert changed.constants["scale"].value == told["relative_position"]["after"] < told["relative_position"]["before"]
    assert {use.name: use.value for use in changed.parameters}["ell"] == 6


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


def test_an_oscillation_that_ends_is_said():
    with pytest.raises(UserError, match="does not oscillate"):
        whatif.recompute(record.load(), {"li_rinzel.ip3": 0.2})
