"""The derivation from end to end, held against the committed record and against independent numbers."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derivation import __main__ as verbs
from derivation.proof.reproduction import differences
from derivation.record import record
from derivation.simulation import nondimensional, simulations
from foundation.errors import DamagedFileError, UserError

ROOT = Path(__file__).parents[2]


def program(*arguments):
    command = [sys.executable, "-m", "derivation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_the_committed_record_follows_from_the_code(derivation):
    assert differences(record.load(), derivation.record) == []


def test_retention_rests_on_the_calcium_period_and_the_consolidation_time(derivation):
    entry = derivation.record.entries["retention"]
    values = {use.name: use.value for use in entry.parameters}
    assert {use.name for use in entry.parameters if use.through is None} == {"gamma_l", "tau_pl", "tau_cycle"}
    assert values["tau_cycle"] == pytest.approx(11.492, abs=0.01), "the public period of set AM at 0.5 uM"
    # the only error of the form is the synapse's transient in the first of six cycles
    assert entry.evidence.max_error < 2e-3
    assert entry.constants["q"].fitted == pytest.approx(entry.constants["q"].value, rel=2e-3)


@pytest.mark.parametrize("coupling", ["relative_position", "relative_position_diffusive"])
def test_the_kernels_fit_their_recordings(derivation, coupling):
    entry = derivation.record.entries[coupling]
    scale = entry.constants["scale"]
    # psi = tanh bends by p^2/3 = 3e-5 of a drive of .01, and less away from the driven process
    assert scale.fitted == pytest.approx(scale.value, rel=1e-5)
    assert entry.evidence.max_error < 1e-5


def test_stored_derivatives_predict_a_changed_parameter(derivation):
    """d(constant)/d(parameter) against the closed form at both sides: the error of a central difference is cubic."""
    from derivation.record.closed_form import evaluate, names

    checked = 0
    for entry in derivation.record.entries.values():
        values = {use.name: use.value for use in entry.parameters}
        direct = {use.name: use for use in entry.parameters if use.through is None}
        for name, constant in entry.constants.items():
            for which in names(constant.formula) if constant.formula else ():
                step = 1e-4 * values[which]
                up, down = (evaluate(constant.formula, values | {which: values[which] + s}) for s in (step, -step))
                assert direct[which].sensitivity[name] == pytest.approx((up - down) / (2 * step), rel=1e-5)
                checked += 1
    # retention 3, kernels 3 + 2 on a line and a ring, 2 on a sheet, feedback 3, calcium 1
    assert checked == 3 + 2 * (3 + 2) + 2 + 3 + 1


def test_every_entry_says_where_it_holds_and_what_was_scaled(derivation):
    for name, entry in derivation.record.entries.items():
        assert entry.validity, name
        if entry.evidence is not None:
            assert entry.scales, name
        if entry.evidence is not None and entry.evidence.recording is not None:
            hashes = {recording.hash for recording in derivation.recordings.values()}
            assert entry.evidence.recording in hashes, name
            assert entry.simulations, name
    entries = derivation.record.entries
    assert entries["retention"].outside(t=3, T=6) == []
    assert [one.quantity for one in entries["retention"].outside(t=7, T=6)] == ["T-t"]
    assert entries["relative_position"].outside(distance=4) == []
    (least,) = entries["feedback"].outside(calcium=0.1)
    assert least.low == 100 * entries["feedback_bound"].values()["K"]


@pytest.mark.parametrize(("entry", "comparison", "fewest"), [
    ("retention", "a pair each 1 s", 4), ("retention", "a pair each 10 s", 4), ("relative_position", "line", 3),
    ("relative_position_sheet_diffusive", "sheet", 3), ("feedback_bound", "pulses", 3),
    ("calcium_response_fitted", "held glutamate", 3)])
def test_rivals_are_weighed_and_the_loss_is_told(derivation, entry, comparison, fewest):
    one = derivation.record.entries[entry].comparisons[comparison]
    assert len(one.rivals) >= fewest + 1, "beside the form of the entry"
    least = min(rival.aicc for rival in one.rivals.values())
    assert one.rivals[one.chosen].aicc == least
    total = sum(np.exp((least - rival.aicc) / 2) for rival in one.rivals.values())
    for rival in one.rivals.values():
        assert rival.weight == pytest.approx(np.exp((least - rival.aicc) / 2) / total, abs=1e-12)
        assert rival.rms_error <= rival.max_error
    assert one.loss


def test_the_whole_rule_is_not_quite_geometric(derivation):
    """The cubic term and whole pairs: what the network's geometric form loses, in the record and again by hand."""
    comparisons = derivation.record.entries["retention"].comparisons
    strong, weak = comparisons["a pair each 1 s"], comparisons["a pair each 10 s"]
    assert strong.chosen == weak.chosen == "two exponentials"
    lost = {name: one.rivals["geometric"].max_error for name, one in (("strong", strong), ("weak", weak))}
    assert lost["strong"] < 0.003 < lost["weak"] < 0.005, "of a share that is at most 0.34 and 0.11"
    q = strong.rivals["geometric"].values["q"]
    pairs, rate = 6, 2 * next(use.value for use in derivation.record.entries["retention"].parameters
                              if use.name == "gamma_l")
    # six whole pairs a cycle where the mean is 5.75, and the cubic term takes a few thousandths
    assert q == pytest.approx(np.exp(-pairs * rate / 150), rel=0.02)


@pytest.mark.slow
def test_the_drive_cancels(derivation):
    """Twice the gain, another duty: the recorded shares stay, as the record's `cancels` says."""
    entry = derivation.record.entries["retention"]
    assert "kappa" in entry.cancels
    period = next(use.value for use in entry.parameters if use.name == "tau_cycle")
    from astro_sim.protocols import cycles
    from astro_sim.run.simulation import simulate

    dt = period / 1200
    drives = [cycles(layer, high=1.5, period=period, duty=0.3, count=6) for layer in ("b_pre", "b_post")]
    other = simulate("macro", drives, parameters={"kappa": "3"}, duration=6 * period, dt=dt, record_every=4 * dt)
    shares = nondimensional.cycle_shares(other, period, 6).shares
    closed = [entry.evaluate(t=t, T=6) for t in range(1, 7)]
    assert np.abs(shares - closed).max() < 2e-3  # as above: the first cycle's transient


def test_a_recording_without_samples_at_the_ends_is_refused(derivation):
    with pytest.raises(UserError, match="choose a step that divides the cycle"):
        nondimensional.cycle_shares(derivation.recordings["cycles"], 11.0, 6)


def test_a_response_that_has_not_settled_is_refused(derivation):
    line = derivation.recordings["dense"]
    time = line.time[:20]
    early = dataclasses.replace(line, time=time, variables={
        name: dataclasses.replace(series, values=series.values[:20], time=time)
        for name, series in line.variables.items()})
    with pytest.raises(UserError, match="still moves"):
        nondimensional.steady_response(early, simulations.PLACES // 2)


def test_differences_are_named_by_their_path(derivation):
    body = json.loads(record.dumps(derivation.record))
    entries = dict(derivation.record.entries)
    q = entries["retention"].constants["q"]
    entries["retention"] = dataclasses.replace(
        entries["retention"], constants={"q": dataclasses.replace(q, value=q.value * 1.001)}, meaning="other words")
    del entries["feedback"]
    changed = record.make(entries, body["versions"])
    found = differences(derivation.record, changed)
    assert [text.split(":")[0] for text in found] == [
        "entries.feedback", "entries.retention.constants.q.value", "entries.retention.meaning"]
    assert differences(derivation.record, record.make(derivation.record.entries, {"numpy": "9.9"})) == []


@pytest.mark.slow
def test_the_verbs(derivation, kept):
    done = program("check", "--cache", kept, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["record"], told["differences"]) == (record.load().hash, [])
    # in another process, from kept simulations: the same record to the last bit
    assert told["derived"] == derivation.record.hash
    shown = program("show", "retention")
    assert shown.returncode == 0
    assert "q**(t-1)*(1-q)/(1-q**T)" in shown.stdout
    assert "GraupnerBrunel2012" in shown.stdout
    assert json.loads(program("show", "--json").stdout)["hash"] == record.load().hash


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "code", "message"), [
    (("show", "retension"), 2, "did you mean 'retention'"),
    (("show", "--record", "nowhere.json"), 2, "cannot read the record nowhere.json"),
    (("derive", "--out", "."), 2, "is a folder"),
    (("check", "--cache", "x", "--no-cache"), 2, "contradict each other"),
    (("show", "--record", "README.md"), 3, "not JSON"),
    (("improve",), 2, "unknown verb 'improve'"),
])
def test_bad_input_is_one_clear_line(arguments, code, message):
    done = program(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_altered_record_is_not_checked_but_refused(tmp_path):
    bent = tmp_path / "bent.json"
    bent.write_text(record.DEFAULT_PATH.read_text().replace("150.0", "151.0", 1))
    done = program("check", "--record", bent)
    assert done.returncode == 3
    assert "altered or damaged" in done.stderr


def test_a_true_record_of_other_numbers_does_not_pass_the_check(derivation, monkeypatch, tmp_path):
    loaded = record.load()
    entries = dict(loaded.entries)
    scale = entries["relative_position"].constants["scale"]
    entries["relative_position"] = dataclasses.replace(
        entries["relative_position"], constants={"scale": dataclasses.replace(scale, value=0.2)})
    record.save(record.make(entries, loaded.versions), tmp_path / "other.json")
    monkeypatch.setattr(verbs, "_derive", lambda cache, no_cache: derivation)
    with pytest.raises(DamagedFileError, match=r"entries\.relative_position\.constants\.scale\.value: 0\.2"):
        verbs.check(tmp_path / "other.json")
