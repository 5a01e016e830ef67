"""The demo's screen: verdict first, no line too wide, at most 40 lines, and a bad result is called bad."""

import dataclasses

import pytest

from derivation.record import record
from figures import outcome

ROWS = [{"name": "model", "accuracy": 1.0}, {"name": "model, memory reset", "accuracy": 0.1025},
        {"name": "trained with memory reset", "accuracy": 0.103}]
PEAKS = {1: {"bptt": 3_369_760, "amrb": 3_380_448}, 16: {"bptt": 45_900_000, "amrb": 3_410_000}}


def checks(rows=ROWS, peaks=PEAKS, derived=None, differences=(), equal=True, loss=2.3, orphans=(), period=11.492):
    """What a demo finds; one argument changed makes it a bad one."""
    committed = record.load()
    return [outcome.oscillation(0.1077, 0.4446, period, committed=11.492),
            *outcome.record(derived or committed, committed, differences),
            outcome.gradients(equal), *outcome.memory(peaks), outcome.listops(6, loss),
            outcome.origins(120, orphans), *outcome.recall(rows)]


def with_fitted(name, key, factor):
    """The committed record, had a recording given another number."""
    committed = record.load()
    entry = committed.entry(name)
    constant = dataclasses.replace(entry.constants[key], fitted=entry.constants[key].fitted * factor)
    entry = dataclasses.replace(entry, constants={**entry.constants, key: constant})
    return dataclasses.replace(committed, entries={**committed.entries, name: entry})


def test_a_good_run_is_called_good_on_one_narrow_screen():
    lines = outcome.screen(checks(), 123.4)
    assert lines[0] == f"It worked: all {len(checks())} checks hold, in 123 s."
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert sum("✓" in line for line in lines) == len(checks()) and not any("✗" in line for line in lines)


def test_a_record_of_another_hash_is_equal_to_rounding():
    """The pictures and runs of the demo name the record that it derived: the screen says why that is another hash."""
    committed = record.load()
    for derived, said in ((committed, committed.hash[:12]),
                          (dataclasses.replace(committed, hash="0" * 64), f"{committed.hash[:12]} to rounding")):
        found = next(check for check in checks(derived=derived) if check.what.startswith("the record"))
        assert found.ok and found.means == f"equal to the committed record {said}"


@pytest.mark.parametrize(("bad", "what"), [
    ({"rows": [{**ROWS[0], "accuracy": 0.98}, *ROWS[1:]]}, "with its memory"),
    ({"rows": [ROWS[0], {**ROWS[1], "accuracy": 0.3}, ROWS[2]]}, "the same weights, memory reset"),
    ({"rows": ROWS[:2]}, "trained with the memory reset"),
    ({"peaks": {1: PEAKS[1], 16: {**PEAKS[16], "amrb": 3_900_000}}}, "AMRB's peak"),
    ({"peaks": {1: PEAKS[1], 16: {**PEAKS[16], "bptt": 4_000_000}}}, "BPTT's peak"),
    ({"differences": ["entries.retention.constants.q.value: 0.6, 0.7"]}, "the record, derived anew"),
    ({"equal": False}, "gradient of AMRB"),
    ({"loss": float("nan")}, "loss after 6 steps"),
    ({"orphans": ["head.gain"]}, "numbers that are not learned"),
    ({"period": 11.6}, "calcium oscillates"),
    ({"derived": with_fitted("retention", "q", 1.01)}, "retention.q"),
    ({"derived": with_fitted("feedback_bound", "K", 1.001)}, "feedback_bound.K"),
])
def test_a_bad_run_is_called_bad_and_says_what(bad, what):
    found = checks(**bad)
    assert next(check.what for check in found if not check.ok).startswith(what)
    lines = outcome.screen(found, 100.0)
    assert lines[0].startswith("It did NOT work: 1 of ") and what in lines[0]
    assert max(map(len, lines)) <= 100 and sum("✗" in line for line in lines) == 1


def test_many_failures_stay_on_one_line():
    found = [dataclasses.replace(check, ok=False) for check in checks()]
    assert len(outcome.verdict(found, 100.0)) <= 100


def test_two_numbers_that_differ_are_explained():
    (check,) = (check for check in checks() if check.what == "feedback_bound.K")
    assert check.ok and "that is fine" in check.means and "releases are pulses" in check.means
    (check,) = (check for check in checks() if check.what == "retention.q")
    assert check.means == "form and recording agree"


def test_a_difference_that_nothing_explains_is_not_fine():
    committed = record.load()
    entry = dataclasses.replace(committed.entry("feedback_bound"), evidence=None)
    unexplained = dataclasses.replace(committed, entries={**committed.entries, "feedback_bound": entry})
    (check,) = (check for check in outcome.record(unexplained, committed, ()) if check.what == "feedback_bound.K")
    assert not check.ok


def test_the_chain_is_the_tensor_and_what_it_rests_on_directly():
    lines = ["tensor  [8]", "  what it means", "  <- q*t   derived", "     holds for t from 1",
             "         a second line of what it holds for", "     q = exp(-rate) = 0.7", "     d const: of it",
             "   parameter   value", "<- rate   1   One2001,", "    Two2002", "<-  below   2", "    of what is below"]
    assert outcome.chain(lines) == [lines[k] for k in (0, 2, 5, 6, 7, 8, 9)]


def test_the_closing_lines_fit_on_the_screen_and_keep_the_names_of_files_whole():
    names = [f"a-picture-{number}.png" for number in range(12)]
    lines = outcome.closing(["written to here:", f"in figures {', '.join(names)}"])
    assert max(map(len, lines)) <= 100 and len(lines) > 2
    assert all(any(name in line for line in lines) for name in names)
