"""Records with the right hash that another program, or an entry of a user's own, may have made."""

import dataclasses

import pytest

from derivation.record import record
from foundation.errors import DamagedFileError, UserError


def changed(entry="retention", **changes):
    """The committed record with another `entry`; `parameters` is what becomes of each."""
    source = record.load()
    old = source.entries[entry]
    if "parameters" in changes:
        changes["parameters"] = tuple(map(changes["parameters"], old.parameters))
    return record.make({**source.entries, entry: dataclasses.replace(old, **changes)}, source.versions)


def through(name):
    """The record, in which what acts through tau_pl acts through `name`, a parameter of its own."""
    source = record.load().entries["retention"]
    constants = {key: dataclasses.replace(one, formula=one.formula.replace("tau_pl", name))
                 for key, one in source.constants.items()}
    return changed(validity=(), constants=constants, parameters=lambda use: dataclasses.replace(
        use, name=name if use.name == "tau_pl" else use.name, through=name if use.through == "tau_pl" else use.through))


@pytest.mark.parametrize("made", [lambda: through("mine"), lambda: through("tau_ps"), lambda: changed(
    parameters=lambda use: dataclasses.replace(use, name=use.name.replace("graupner_brunel.tau", "mine.tau"), through=(
        "gamma_l" if use.name == "graupner_brunel.tau" else use.through)))],
    ids=["no reduction", "another reduction", "another parameter"])
def test_a_reduction_that_is_not_here(made):
    from derivation import whatif
    from derivation.proof import perturbation

    source = made()
    name = next(use.name for use in source.entry("retention").parameters if use.name.endswith(".tau"))
    with pytest.raises(DamagedFileError, match=f"{name} acts through .*, which no reduction of this program gives"):
        whatif(f"{name}=300 second", record=source)
    with pytest.raises(DamagedFileError, match=f"{name} acts through .*, which no reduction of this program gives"):
        perturbation.moves(source, name)
    whatif("li_rinzel.ip3=0.51 umolar", record=source)  # which it has nothing to do with


@pytest.mark.parametrize("model", ["mine:DP", "mine.py:MODEL:DP", "mine", "", ":DP"])
def test_a_parameter_of_a_model_that_is_not_here(model):
    """It has no published sets here, and stays as it is."""
    from derivation.proof import uncertainty

    name, whole = "graupner_brunel.tau", uncertainty.published(record.load())
    found = uncertainty.published(changed(parameters=lambda use: dataclasses.replace(
        use, model=model if use.name == name else use.model)))
    assert found.keys() == whole.keys()
    assert not [own for own, sets in found.items() if any(name in changes for changes in sets.values())]
    assert [own for own, sets in whole.items() if any(name in changes for changes in sets.values())] == ["DP"]


def test_calcium_that_is_not_driven_between_two_hopf_points(monkeypatch):
    from derivation.proof import uncertainty

    monkeypatch.setattr(uncertainty, "hopf_points", lambda *given, **named: [0.4])
    with pytest.raises(UserError, match=r"calcium has 1 Hopf points between 0\.1 and 1 umolar"):
        uncertainty.oscillating_range("AM", (("K_P", 0.1234),))


def test_a_constant_that_was_fitted_as_zero(tmp_path, forked):
    constants = {key: dataclasses.replace(one, fitted=0.0)
                 for key, one in record.load().entries["retention"].constants.items()}
    record.save(changed(constants=constants), tmp_path / "r.json")
    forked("derivation", "show", "retention", "--record", "r.json").ok("fitted to the recording: 0 ", "is off by +0.67")


def test_a_record_without_entries(tmp_path, forked):
    record.save(record.make({}, {}), tmp_path / "r.json")
    forked("derivation", "show", "--record", "r.json").ok("derivation show ENTRY")
    forked("derivation", "whatif", "--set", "tau_pl=300 second", "--record", "r.json").refused(2, "tau_pl")


@pytest.mark.parametrize("name", ["tau_cycle", "gamma_l"])
def test_a_figure_of_cycles_that_the_record_does_not_have(name):
    from figures.sources import Sources

    constants = {key: dataclasses.replace(one, formula=None)
                 for key, one in record.load().entries["retention"].constants.items()}
    source = changed(validity=(), constants=constants, parameters=lambda use: dataclasses.replace(
        use, name=f"{use.name}_1" if use.name == name else use.name, through=None))
    with pytest.raises(DamagedFileError, match=f"entry 'retention' has no parameter {name}"):
        _ = Sources(source).cycles


@pytest.mark.parametrize("kept", [{}, {"marks": {}}, {"marks": []}, {"marks": {"tau_pl": 1}}, {"marks": {"tau_pl": [
    {"value": 1.0}]}}, {"marks": {"tau_pl": [[]]}}], ids=str)
def test_kept_marks_of_sliders_that_are_none(tmp_path, monkeypatch, kept):
    """The file is whole, and what it says is not what was kept: they are made anew."""
    from figures.report import marks
    from foundation import sealed

    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path))
    source = record.load()
    use = next(one for one in source.entry("retention").parameters if one.name == "tau_pl")
    sealed.write(marks.place(source), marks.KIND, kept)
    found = marks.marks_of(source, {"tau_pl": (use, frozenset())})
    assert [mark.share for mark in found["tau_pl"]] == [0.8, 0.9, 1.0, 1.1, 1.2]
    assert marks.marks_of(source, {"tau_pl": (use, frozenset())}) == found, "kept now"
