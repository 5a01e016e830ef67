"""Texts that are read as expressions, numbers or names: whatever they are, they are refused in words."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from astro_sim.model.equation_text import names, right_sides
from astro_sim.parameter import read, unit
from astro_sim.protocols import drives
from astro_sim.protocols.expression import Expression
from astro_sim.protocols.text import chosen_elements
from derivation.record import closed_form
from foundation.errors import DamagedFileError, UserError
from foundation.expression import UnreadableError, tree_of

BENT = ["(" * 100_000 + "1" + ")" * 100_000, "-" * 5_000 + "1", "1" + "0" * 400, "x**" + "9" * 400, "1e999",
        "9**9**9**9",
        "x" * 5_000, "not " * 900 + "x", "x." * 900 + "y", "x[" * 80 + "1" + "]" * 80, "+".join("x" * 900),
        "**".join("x" * 900), "lambda:" * 200 + "1", "\x00", "\ud800", "x\\", "x\n=1", "", " ", "()", "[]", "x()",
        "f'{x}'", "(yield)", "await x", "x := 1", "...", "1j", "b'a'", "*x", "x,", "0x" + "f" * 900, "1_0" * 200,
        "().__class__", "__import__('os')", "x if x else x", "[x for x in x]", "\N{GREEK SMALL LETTER PI}",
        "x" + " " * 3_000]
READERS = {"closed form": (closed_form.names, DamagedFileError), "ODE text": (names, UserError),
           "unit": (unit, UserError), "drive": (lambda text: Expression(text).numbers("umolar", "ip3")(1.0), UserError),
           "quantity": (lambda text: read(text, "second", "dt"), UserError), "elements": (chosen_elements, UserError),
           "protocol": (drives, UserError)}
LETTERS = st.text("xt0123456789.+-*/()eE jJ_[]{},:;='\"\\uMsexplognµ²", max_size=60)


@pytest.mark.fault("A5")
@pytest.mark.parametrize("kind", READERS)
def test_texts_that_no_parser_expects(within, kind):
    """An expression, unit, number, drive or name has 100,000 brackets, 400 digits, 5,000 letters or what is no text.

    The project's own error with exit code 2, or 3 in a file, within bounds on length, depth and size of numbers.
    """
    reader, error = READERS[kind]
    refused = 0
    for text in BENT:
        with within(5):
            try:
                reader(text)
            except error as why:
                assert len(str(why)) < 2_000
                refused += 1
    assert refused >= len(BENT) // 2


@given(st.sampled_from(sorted(READERS)), LETTERS)
@example("closed form", "exp((0-1)**0.5)")
@example("drive", "2**uM")
def test_any_text_is_read_or_refused(kind, text):
    reader, error = READERS[kind]
    with contextlib.suppress(error):
        reader(text)


@given(LETTERS)
def test_a_tree_is_bounded_whatever_the_text(text):
    try:
        tree_of(text, block=True)
    except UnreadableError as why:
        assert isinstance(why, ValueError)


@pytest.mark.fault("A10")
@pytest.mark.parametrize(("text", "values"), [
    ("exp((0-1)**0.5)", {}), ("(a-2)**0.5", {"a": 1.0}), ("log(0-1)", {}), ("1/0", {}), ("exp(exp(99))", {}),
    ("10.0**308*10", {}), ("a**a", {"a": 1e200}), ("sqrt(0-1)", {}), ("(0-8)**(1/3)", {}), ("0**(0-1)", {})])
def test_a_form_without_a_real_value_is_refused(text, values):
    """A form or drive is a complex number, infinite or none in its range: `exp((0-1)**0.5)`.

    The project's own error, in NumPy as in torch; no half of a complex number is used.
    """
    with pytest.raises(DamagedFileError, match="no finite"):
        closed_form.evaluate(text, values)


def test_a_form_without_a_real_value_is_refused_in_torch_too():
    import torch

    from rmaat.biology.biology import TORCH

    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    with pytest.raises(DamagedFileError, match="no finite"):
        closed_form.evaluate("x*exp((0-1)**0.5)", {"x": x}, TORCH)
    assert closed_form.evaluate("x*exp(2**0.5)", {"x": x}, TORCH).isfinite().all()


@pytest.mark.fault("F4")
def test_nothing_of_a_text_is_run(tmp_path, monkeypatch):
    """The equations of a recording or of a model, a form, a drive or a unit hold a program: `().__class__...`.

    It is refused before anything is compiled; a canary that the program would leave is not there.
    """
    monkeypatch.chdir(tmp_path)
    programs = ["__import__('os').mkdir('canary')", "open('canary', 'w')", "().__class__.__base__.__subclasses__()",
                "(lambda: open('canary', 'w'))()", "[open('canary', 'w') for x in (1,)]", "x.__class__", "x[0]",
                "exec('open(\"canary\", \"w\")')", "f\"{open('canary', 'w')}\"", "(x := open('canary', 'w'))",
                "getattr(x, '__class__')(1)", "exp(x, out=open('canary', 'w'))", "exp(*x)"]
    for program in programs:
        for reader, error in READERS.values():
            with pytest.raises(error):
                reader(program)
        with pytest.raises(UserError):
            right_sides(f"dx/dt = {program} : 1", {})({"x": 1.0})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["9**9**9", "x + 9**(9**9)", "2**100000", "x*10**400"])
def test_powers_of_whole_numbers_do_not_fill_the_memory(within, text):
    with within(5), pytest.raises(UserError):
        right_sides(f"dx/dt = {text} : 1", {})({"x": 1.0})


def test_names_are_bounded():
    from astro_sim.model.names import problem_of

    assert "5000 letters" in problem_of("x" * 5000) and problem_of("x" * 100) is None
