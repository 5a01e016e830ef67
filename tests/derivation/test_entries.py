"""Entries at a workbench: made once and in any order, one's own beside them, all the way into the network."""

import json
import runpy
from functools import partial
from pathlib import Path

import pytest
import sympy
import torch

from astro_sim import Parameter
from derivation import ENTRIES, Constant, Entry, Workbench, derive, fit, load_ensemble, load_record, save_record
from derivation import __main__ as verbs
from derivation.entries.build import constant
from derivation.record import record as records
from foundation.errors import DamagedFileError, UserError
from foundation.outside import find
from rmaat.biology.biology import Biology

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_entry.py"


def plain(value, workbench=None):
    return Entry(meaning="a number", equation="E0.0", formula="k*x", arguments={"x": "any"},
                 constants={"k": Constant(value, "a slope")}, basis="assumed", sources=("here",))


def twice(workbench):
    return plain(2 * workbench.entry("base").constants["k"].value)


def test_an_entry_may_rest_on_another_wherever_it_stands():
    for entries in ({"base": partial(plain, 3.0), "double": twice}, {"double": twice, "base": partial(plain, 3.0)}):
        record = derive(entries).record
        assert record.entry("double").evaluate(x=5.0) == 30.0
        assert set(record.entries) == {"base", "double"}


def test_a_recording_is_made_once_and_kept_under_its_name():
    said, runs = [], []
    workbench = Workbench({}, said.append)
    for _ in range(2):
        assert workbench.recording("one", lambda: runs.append(1) or "recorded") == "recorded"
    assert (runs, said, workbench.recordings) == ([1], ["simulation one"], {"one": "recorded"})


@pytest.mark.parametrize(("entries", "message"), [
    ({"double": twice}, "unknown entry 'base'; choose one of: double"),
    ({"base": lambda workbench: workbench.entry("base")}, "entry 'base' rests on itself: base -> base"),
    ({"base": twice, "double": lambda workbench: workbench.entry("base")}, "rests on itself: base -> base"),
    ({"base": lambda workbench: 3.0}, "entry 'base': its function gave a float"),
    ({"base": 3.0}, "entry 'base': a float makes no entry; give a function of a workbench"),
    ({"base": lambda workbench: constant("k", sympy.Symbol("gamma_x"), "?")},
     "unknown parameter of the form 'gamma_x'"),
])
def test_what_cannot_be_made_is_said(entries, message):
    with pytest.raises(UserError, match=message):
        derive(entries)


def test_an_entry_that_no_record_may_have_is_not_written():
    with pytest.raises(DamagedFileError, match=r"the new record: entries\.mine\.formula: uses z"):
        derive({"mine": lambda workbench: Entry("?", "E0.0", "z", {}, {}, "assumed", ("here",))})


def test_own_parameters_are_those_of_the_model_that_is_named():
    """half = b/a by hand: 3/2, and what either does to it: -b/a^2 and 1/a."""
    a, b = sympy.symbols("a_own b_own")
    own = {name: Parameter(value, "1", name, "assumed here", "assumed")
           for name, value in (("a_own", 2.0), ("b_own", 3.0))}
    uses, half = constant("half", b / a, "a ratio", own=own, model="mine")
    assert (half.value, half.formula) == (1.5, "b_own/a_own")
    assert {use.name: (use.model, use.sensitivity["half"]) for use in uses} == {
        "a_own": ("mine", -0.75), "b_own": ("mine", 0.5)}


def test_the_registry_has_the_committed_entries():
    assert set(ENTRIES) == set(load_record().entries)
    assert all(callable(maker) for maker in ENTRIES.values())


def test_an_own_entry_reaches_the_network_as_text(tmp_path):
    """The example's entry in the place of the record's own: the network computes what the text says."""
    maker = find("entry", f"{EXAMPLE}:calcium_response", {})
    committed = load_record()
    own = derive({"calcium_response": maker}).record.entry("calcium_response")
    path = tmp_path / "mine.json"
    save_record(records.make({**committed.entries, "calcium_response": own}, committed.versions), path)
    drive = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)
    # Omega_N/O_N = 0.5/0.3, by hand
    assert torch.allclose(Biology.load(path).calcium_response(drive), drive / (drive + 0.5 / 0.3), rtol=1e-15)


@pytest.mark.parametrize(("own", "message"), [
    ("mine", "--entry mine: write file.py:NAME"),
    ("nowhere.py:mine", "no file nowhere.py"),
    (f"{EXAMPLE}:nothing", "has no 'nothing'"),
    (f"{EXAMPLE}:MODEL", "a str makes no entry"),
])
def test_bad_own_entries_are_said_before_anything_is_made(own, message, capsys):
    with pytest.raises(UserError, match=message) as caught:
        verbs.derive_verb(own=[own], dry_run=True)
    assert caught.value.exit_code == 2
    assert capsys.readouterr() == ("", "")


def test_the_committed_record_takes_no_own_entry():
    with pytest.raises(UserError, match="write elsewhere with --out"):
        verbs.derive_verb(own=[f"{EXAMPLE}:calcium_response"])


def test_the_example_runs(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    # 2/(2 + 0.5/0.3)
    assert "at a drive of 2: 0.545" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------- as tables


def test_a_record_and_its_entries_are_tables():
    record = load_record()
    lines = str(record.table()).splitlines()
    assert lines[0] == f"record {record.hash[:12]}"
    assert len(lines) == 2 + len(record.entries)
    assert max(map(len, lines)) <= 130
    row = next(line for line in lines if line.startswith("retention "))
    assert f"q = {record.entry('retention').constants['q'].value:.5g}" in row and "derived" in row
    for name, entry in record.entries.items():
        told = str(entry.table())
        assert entry.formula in told and all(use.name in told for use in entry.parameters), name
        assert all(f"{constant.value:.6g}" in told for constant in entry.constants.values()), name
        assert entry._repr_html_().startswith("<table>")
        assert repr(entry).startswith(f"<Entry ({entry.equation}) ") and len(repr(entry)) < 70
    assert record._repr_html_().count("<tr>") == 1 + len(record.entries)
    assert repr(record).startswith(f"<Record {record.hash[:12]}: ") and "\n" not in repr(record)


def test_what_is_derived_drawn_and_fitted_is_short_on_a_terminal_and_a_table():
    derived = derive({"base": partial(plain, 3.0)})
    assert repr(derived) == f"<Derivation of <Record {derived.record.hash[:12]}: base> from no recording>"
    assert derived._repr_html_() == derived.record._repr_html_()
    ensemble = load_ensemble(records.DEFAULT_PATH.with_suffix(".ensemble.json"))
    assert repr(ensemble) == (f"<Ensemble {ensemble.hash[:12]}: {len(ensemble.draws)} draws, "
                              f"{len(ensemble.published)} published sets>")
    found = fit("a+b*x", {"x": [0, 1, 2, 3, 4]}, [1.1, 2.9, 5.1, 6.9, 9.1], {"a": 0.5, "b": 1.0})
    row = next(line.split() for line in str(found.table()).splitlines() if line.startswith("b "))
    # the line by hand: b = 2; 3 degrees of freedom, s^2 = .048/3, t = 3.18245, spread of x 10
    half = 3.18245 * (0.048 / 3 / 10) ** 0.5
    assert [float(number) for number in row[1:]] == pytest.approx([2, 2 - half, 2 + half], abs=1e-4)
    assert found._repr_html_().startswith("<table>")


def test_the_verbs_print_json(capsys):
    for verb, arguments in ((verbs.show, {}), (verbs.show, {"names": ["feedback"]}),
                            (verbs.whatif_verb, {"settings": ["ell=1.8"]}), (verbs.reduce_verb, {"names": ["beta"]})):
        verb(**arguments, as_json=True)
        assert isinstance(json.loads(capsys.readouterr().out), dict)
