"""What `show` prints: every part of an entry, and LaTeX that is the formula itself."""

import re

import pytest

from derivation.__main__ import show
from derivation.proof.text import describe, latex
from derivation.record import record
from foundation.errors import UserError

ENTRIES = sorted(record.load().entries)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_part_of_an_entry_is_told(name):
    entry = record.load().entries[name]
    told = "\n".join(describe(name, entry))
    parts = [entry.formula, entry.meaning, entry.equation, *entry.sources, "LaTeX: ", *entry.cancels]
    parts += [one.reason for one in entry.validity] + [one.meaning for one in entry.scales]
    parts += [use.meaning for use in entry.parameters] + [use.source for use in entry.parameters]
    parts += [f"{constant.value:.6g}" for constant in entry.constants.values()]
    for one in entry.comparisons.values():
        parts += [one.data, one.loss, *one.rivals]
    for other in entry.alternatives.values():
        parts += [other.formula, other.meaning]
    parts += [one.model[:12] for one in entry.simulations]
    if entry.evidence:
        parts += [entry.evidence.compared, entry.evidence.neglected, *entry.evidence.warnings]
    assert [part for part in parts if part not in told] == []


def test_latex_is_the_formula():
    assert latex("K/(K+calcium)") == r"\frac{K}{K + calcium}"
    assert latex("exp(-gamma_l*tau_cycle/tau_pl)", "q") == r"q = e^{- \frac{\gamma_{l} \tau_{cycle}}{\tau_{pl}}}"


def test_the_chosen_rival_stands_first_and_is_marked():
    entry = record.load().entries["retention"]
    lines = describe("retention", entry)
    start = next(k for k, line in enumerate(lines) if line.startswith("  rivals (a pair each 1 s)"))
    assert lines[start + 1].split()[:2] == ["*", "two"]
    assert all(not line.lstrip().startswith("*") for line in lines[start + 2:start + 6])


def test_numbers_without_a_fit_say_so():
    constant = record.Constant(2.0, "a level", None, 2.1, None)
    entry = record.Entry("a form", "E4.5", "c*x", {"x": "place"}, {"c": constant}, "fitted", ("Mia2026",), (), {}, None)
    assert any("no interval: see below" in line for line in describe("form", entry))


def test_a_slope_has_its_unit_and_a_pure_number_has_none():
    told = "\n".join(describe("retention", record.load().entries["retention"]))
    assert re.search(r"tau_cycle = [\d.]+ second  .*dq/dtau_cycle = -[\d.]+ per second$", told, re.MULTILINE)
    assert re.search(r"dq/dli_rinzel.Omega_L = [\d.]+ per \(1/second\)$", told, re.MULTILINE)
    assert re.search(r"<- gamma_l = [\d.]+  derived, .*dq/dgamma_l = -[\d.]+$", told, re.MULTILINE)


def test_without_a_name_the_record_is_a_table_and_names_are_told_in_full(capsys):
    show(names=None)
    table = capsys.readouterr().out
    assert all(any(line.startswith(f"{name} ") for line in table.splitlines()) for name in ENTRIES)
    assert len(table.splitlines()) < 2 * len(ENTRIES)
    assert "derivation show " in table.splitlines()[-1], "how to go on"
    show(names=["retention", "feedback"])
    told = capsys.readouterr().out
    assert told.index("retention  (E4.2") < told.index("feedback  (E4.6") and "relative_position  (" not in told
    with pytest.raises(UserError, match="did you mean 'retention'"):
        show(names=["feedback", "retentio"])
