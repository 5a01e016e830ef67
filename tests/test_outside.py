"""Things of a user's own, named as file.py:NAME; a package's lazy face; the small table."""

import subprocess
import sys

import pytest

from foundation.errors import UserError
from foundation.outside import find, is_outside, load_file
from foundation.table import Table

REGISTRY = {"one": 1, "two": 2}


@pytest.fixture
def own(tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 40\n")
    file = tmp_path / "own.py"
    file.write_text("from beside import VALUE\nCOUNT = VALUE + 2\nNAME = 'a'\nclass Kind(dict): pass\nWhole = int\n")
    return file


@pytest.mark.parametrize(("text", "outside"), [
    ("li_rinzel", False), ("li_rinzel:FM", False), ("own.py:MODEL", True), ("a/b.py:MODEL", True),
    ("package.module:MODEL", True), ("own.py", False), ("own.py:", False)])
def test_what_is_of_a_users_own(text, outside):
    assert is_outside(text) == outside


def test_a_name_of_the_registry_and_one_of_a_file(own):
    assert find("number", "two", REGISTRY) == 2
    assert find("number", f"{own}:COUNT", REGISTRY, of=int) == 42
    assert find("mapping", f"{own}:Kind", REGISTRY, of=dict).__name__ == "Kind"
    assert find("parser", "json.decoder:JSONDecoder", {}).__module__ == "json.decoder"


@pytest.mark.parametrize(("text", "said"), [
    ("tow", "did you mean 'two'"), ("{own}:Whole", "Whole is another class; give a int"),
    ("{own}:CUONT", "it has: COUNT, VALUE$"), ("{own}:NAME", "of type str; give a int"),
    ("{own}x.py:COUNT", "no file"), ("no_such.module:COUNT", "no module 'no_such.module'")])
def test_what_cannot_be_found_is_said(own, text, said):
    with pytest.raises(UserError, match=said):
        find("number", text.format(own=own), REGISTRY, of=int)


def test_a_file_that_fails_is_named_with_its_line(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text("a = 1\nb = a / 0\n")
    with pytest.raises(UserError, match=r"wrong\.py, line 2: ZeroDivisionError"):
        load_file(file)
    file.write_text("a = 1\nb = (\n")
    with pytest.raises(UserError, match=r"wrong\.py, line 2: SyntaxError"):
        load_file(file)


def test_a_file_that_changed_is_run_again(own):
    assert load_file(own) is load_file(own)
    own.write_text("COUNT = 7\n")
    assert load_file(own).COUNT == 7


def test_two_files_have_each_its_own_helper_of_one_name(tmp_path):
    for name, value in (("first", 1), ("second", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"VALUE = {value}\n")
        (tmp_path / name / "own.py").write_text("from helper import VALUE\n")
    assert [load_file(tmp_path / name / "own.py").VALUE for name in ("first", "second", "first")] == [1, 2, 1]


def test_a_table_as_text_and_in_a_notebook():
    table = Table(("name", "value"), [("q", 0.5), ("<b>", 12)], title="A & B")
    assert str(table).splitlines() == ["A & B", "name  value", "q       0.5", "<b>      12"]
    assert "&lt;b&gt;" in table._repr_html_() and "<caption>A &amp; B</caption>" in table._repr_html_()


def test_a_face_loads_nothing_until_it_is_asked():
    code = ("import sys, types\nfrom foundation.lazy import face\nm = types.ModuleType('m'); sys.modules['m'] = m\n"
            "m.__getattr__, m.__dir__, m.__all__ = face('m', {'JSONDecoder': 'json.decoder', 'wave': 'wave'})\n"
            "before = 'wave' in sys.modules\nprint(before, m.JSONDecoder.__name__, m.wave.__name__, dir(m))\n"
            "try: m.other\nexcept AttributeError as error: print(error)")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False JSONDecoder wave ['JSONDecoder', '__version__', 'wave']",
                                        "module 'm' has no attribute 'other'; public are: JSONDecoder, wave"]


def test_a_file_without_a_name_in_it_says_what_to_write():
    with pytest.raises(UserError, match=r"names a file alone; .* own\.py:NAME"):
        find("model", "own.py", {})
