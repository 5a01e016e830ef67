"""References to things of a user's own: found again by their text, and the files that they rest on."""

import json.decoder
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.errors import UserError
from foundation.files import sha256_file
from foundation.outside import find, load_file
from foundation.reference import fingerprints, reference

ROOT = Path(__file__).parents[1]


@pytest.fixture
def own(tmp_path):
    (tmp_path / "deeper.py").write_text("VALUE = 40\n")
    (tmp_path / "beside.py").write_text("import deeper, json\nVALUE = deeper.VALUE\n")
    (tmp_path / "other.py").write_text("VALUE = 1\n")
    file = tmp_path / "own.py"
    file.write_text("from beside import VALUE\nclass Kind: pass\n"
                    "def make():\n    class Inner: pass\n    return Inner\n")
    return file


def test_a_class_of_a_file_is_found_again(own, monkeypatch):
    kind = load_file(own).Kind
    assert reference(kind) == f"{own}:Kind" and find("kind", reference(kind), {}) is kind
    monkeypatch.chdir(own.parent)
    assert reference("own.py:Kind") == f"{own}:Kind" and reference("linear") == "linear"


def test_a_class_of_a_package_is_found_again():
    text = reference(json.decoder.JSONDecoder)
    assert text == "json.decoder:JSONDecoder" and find("parser", text, {}) is json.decoder.JSONDecoder
    folder = Path(json.decoder.__file__).resolve().parent  # what it imports from other packages is theirs
    assert fingerprints(text).keys() == {str(folder / name) for name in ("decoder.py", "__init__.py", "scanner.py",
                                                                         "encoder.py")}


def test_what_is_made_inside_a_function_is_refused(own):
    with pytest.raises(UserError, match="does not stand at the top level of a file"):
        reference(load_file(own).make())


def test_the_files_are_those_that_are_imported_from_beside(own):
    found = fingerprints(f"{own}:Kind")
    assert [Path(file).name for file in found] == ["beside.py", "deeper.py", "own.py"]
    assert found[str(own)] == sha256_file(own)


def test_the_projects_own_packages_are_none_of_the_users_files():
    text = reference(UserError)
    assert text == "foundation.errors:UserError" and fingerprints(text) == {}


def test_a_script_that_names_itself_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from foundation.outside import find\nfrom foundation.reference import reference\n"
                      "print('runs')\nclass Kind: pass\n"
                      "print(reference(Kind), find('kind', reference(Kind), {}) is Kind)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=ROOT,
                          env={"PYTHONPATH": str(ROOT)})
    assert done.stdout.splitlines() == ["runs", f"{script}:Kind True"]


def test_what_was_typed_into_a_session_is_found_in_it_alone():
    code = ("from foundation.outside import find\nfrom foundation.reference import reference, fingerprints\n"
            "class Kind: pass\nprint(reference(Kind), find('kind', '__main__:Kind', {}) is Kind, "
            "fingerprints('__main__:Kind'))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "__main__:Kind True {'__main__:Kind': ''}"
    with pytest.raises(UserError, match="typed into a session"):
        find("kind", "__main__:Kind", {})
