"""Units, values and signs: what is read, and how the rest is refused."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.models import MODELS
from astro_sim.parameter import UNITS, Parameter, convert, read, seconds, unit
from foundation.errors import UserError

TAU = Parameter(150.0, "second", "consolidation", "GraupnerBrunel2012", "fitted")


@pytest.mark.parametrize(("text", "value", "wanted"), [
    ("150 s", 150.0, "second"), ("2 ms", 2e-3, "second"), ("60s", 60.0, "second"), (".5 uM", 0.5, "umolar"),
    ("1 mmolar", 1000.0, "umolar"), ("2 umolar/second", 2.0, "umolar/second"), ("3e-1 nM/ms", 0.3, "umolar/second"),
    ("5", 5.0, "1"), ("-0.2", -0.2, "1"), ("2 1/s", 2.0, "hertz"), ("4 umolar^-1*second**-1", 4.0, "1/umolar/second"),
])
def test_reads_values_with_units(text, value, wanted):
    assert read(text, wanted, "x") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("text", "base"), [  # each factor computed by hand, in mol/m^3, m, s, V, A, ...
    ("µM", 1e-3), ("\u03bcM", 1e-3), ("\u00b5M", 1e-3), ("uM", 1e-3), ("pM", 1e-9), ("fM", 1e-12), ("nM", 1e-6),
    ("mM", 1.0), ("M", 1e3), ("mol/m**3", 1.0), ("mol/m3", 1.0), ("mol/m^3", 1.0), ("mmol/L", 1.0), ("umol/l", 1e-3),
    ("mol·m⁻³", 1.0), ("min", 60.0), ("minute", 60.0), ("h", 3600.0), ("hour", 3600.0), ("day", 86400.0),
    ("1/min", 1 / 60), ("/min", 1 / 60), ("/s", 1.0), ("1/s", 1.0), ("s^-1", 1.0), ("s⁻¹", 1.0), ("Hz", 1.0),
    ("/ms", 1e3), ("kHz", 1e3), ("MHz", 1e6), ("µM/s", 1e-3), ("uM/min", 1e-3 / 60), ("nM/ms", 1e-3),
    ("1/(µM*s)", 1e3), ("1/µM/s", 1e3), ("mol/m**3/s", 1.0), ("pA", 1e-12), ("nS", 1e-9), ("pF", 1e-12), ("mV", 1e-3),
    ("kohm", 1e3), ("MΩ", 1e6), ("µm", 1e-6), ("nm", 1e-9), ("cm2", 1e-4), ("um**2/s", 1e-12), ("kg", 1.0), ("1", 1.0),
    ("uF/cm**2", 1e-2), ("J/mol/K", 1.0), ("seconds", 1.0),
])
def test_units_as_people_write_them_have_the_right_factor(text, base):
    assert float(unit(text)) == pytest.approx(base, rel=1e-14)


def test_every_name_of_a_unit_is_one_and_a_prefix_is_its_power_of_ten():
    powers = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9}
    for name in UNITS:
        value = float(unit(name))
        for prefix, power in powers.items():
            if name.startswith(prefix) and name[1:] in UNITS and name != "kilogram":
                assert value == pytest.approx(float(unit(name[1:])) * 10.0**power, rel=1e-14), name


@pytest.mark.parametrize(("text", "wanted", "says"), [
    ("5 m", "second", "m is metre; write min for minutes"), ("5 m", "umolar", "M for molar"),
    ("5 min", "umolar", "min is minute"), ("0.1 M", "metre", "M is molar; write m for metres"),
    ("3 um", "umolar", "write uM for micromolar"), ("3 nM", "metre", "wrong dimension"),
    ("2 mS", "second", "write ms for milliseconds"), ("2 Um", "umolar", "did you mean uM or um"),
    ("2 sceond", "second", "did you mean second"), ("2 s-1", "hertz", "unknown unit.*1/min"),
    ("5", "umolar/second", "no unit; give a value in umolar/second"),
])
def test_a_unit_that_may_be_mistaken_is_said_in_words(text, wanted, says):
    with pytest.raises(UserError, match=says):
        read(text, wanted, "x")


def test_any_quantity_of_brian2_is_read():
    import brian2

    given = 0.2 / brian2.umolar / brian2.second
    assert read(given, "1/(uM*s)", "O_2") == pytest.approx(0.2, rel=1e-14)
    assert read(3 * brian2.umetre**2 / brian2.msecond, "um**2/s", "D") == pytest.approx(3e3, rel=1e-14)
    with pytest.raises(UserError, match="one value"):
        read([1, 2] * brian2.umolar, "uM", "x")


@pytest.mark.parametrize(("text", "wanted", "says"), [
    ("5 umolar", "second", "wrong dimension"), ("5", "second", "no unit"), ("5 s", "1", "pure number"),
    ("nan s", "second", "not a number"), ("inf s", "second", "not a number"), ("1e999 s", "second", "not a number"),
    ("", "second", "not a number"), ("s", "second", "not a number"), ("5 furlong", "second", "unknown unit"),
    ("5 __import__('os')", "second", "unknown unit"), ("5 second.real", "second", "unknown unit"),
    ("5 second**99", "second", "unknown unit"), ("5 s s", "second", "unknown unit"),
    ("5 " + "s*" * 60 + "s", "second", "unknown unit"),
])
def test_refuses_other_text_and_names_the_field(text, wanted, says):
    with pytest.raises(UserError, match=says) as error:
        read(text, wanted, "tau_x")
    assert str(error.value).startswith("tau_x: ")


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, [1], "0 s", "-1 s", 0, -3.0])
def test_times_are_finite_and_above_zero(bad):
    with pytest.raises(UserError, match="dt: "):
        seconds(bad, "dt")


@given(st.floats(1e-6, 1e6), st.sampled_from(["second", "msecond", "usecond"]), st.sampled_from(["second", "msecond"]))
def test_conversion_there_and_back(value, one, other):
    assert convert(convert(value, one, other, "x"), other, one, "x") == pytest.approx(value, rel=1e-14)


def test_a_change_keeps_meaning_and_range_and_says_who_set_it():
    changed = TAU.changed("tau", "2000 ms")
    assert (changed.value, changed.unit, changed.meaning) == (2.0, "second", "consolidation")
    assert (changed.source, changed.basis) == ("set by the user", "assumed")
    other = Parameter(100.0, "msecond", "mine", "Mia2026", "stated")
    assert TAU.changed("tau", other).as_dict() == TAU.as_dict() | {"value": 0.1, "source": "Mia2026", "basis": "stated"}


@pytest.mark.parametrize(("text", "says"), [("-1 s", "above zero"), ("0 s", "above zero"), (5.0, "has no unit")])
def test_a_change_outside_the_range_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        TAU.changed("tau", text)


def test_a_parameter_is_checked_when_made():
    for wrong in ({"value": -1.0}, {"value": math.nan}, {"basis": "guessed"}, {"allowed": "big"}):
        with pytest.raises(UserError):
            Parameter(**{**vars(TAU), **wrong})


def test_every_parameter_of_every_set_has_a_unit_and_a_source_in_the_bibliography():
    text = (Path(__file__).parents[2] / "astro_sim" / "models" / "references.bib").read_text("utf-8")
    keys = set(re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE))
    assert text.count("{") == text.count("}")
    for model in MODELS.values():
        assert set(model.sources) <= keys
        for table in (*model.parameter_sets.values(), model.initial):
            for name, parameter in table.items():
                unit(parameter.unit, name)
                assert parameter.meaning
                # what nobody has published is called so, and then it is assumed or follows from what is
                invented = parameter.source == "assumed here" and parameter.basis == "assumed"
                assert parameter.source in keys or invented, f"{model.name}.{name}: {parameter.source}"
