"""What pyproject.toml, CITATION.cff and constraints.txt say of the project is true."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from foundation.doctor import EXTRAS
from foundation.usage import SCRIPTS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FOLDERS = ("foundation", "astro_sim", "derivation", "rmaat", "figures", "tests", "docs", "examples")
# What no file imports by name, and why it is there all the same.
NOT_IMPORTED = {
    "ruff": "make lint", "pytest-xdist": "make test", "setuptools": "makes the wheel",
    "mkdocs-material": "make docs", "mkdocstrings": "make docs",
    "ipykernel": "runs the tutorials", "h5netcdf": "xarray writes and reads NetCDF through it, by its name as a text",
}
MODULES = {"Brian2": "brian2", "pillow": "PIL"}  # where a module is named otherwise than what is installed


def names(requirements):
    """Names of what is required, without versions and without this project's own extras."""
    found = (re.match(r"[\w.-]+", text)[0] for text in requirements)
    return [name for name in found if name != PROJECT["name"]]


def required():
    """Every distribution that pyproject.toml names."""
    extras = PROJECT["optional-dependencies"].values()
    return sorted({*names(PROJECT["dependencies"]), *(name for extra in extras for name in names(extra))})


def imported():
    """Every module that a file of the project imports, or asks pytest.importorskip for; first parts of the names."""
    found = set()
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip"):
                found.add(node.args[0].value.split(".")[0])
    return found


@pytest.fixture(scope="module")
def modules():
    return imported()


@pytest.mark.slow
@pytest.mark.parametrize("name", required())
def test_what_is_required_is_used(name, modules):
    module = MODULES.get(name, name).replace("-", "_")
    assert (module in modules) != (name in NOT_IMPORTED), f"{name}: {NOT_IMPORTED.get(name, 'nothing imports it')}"


def test_what_is_not_imported_is_required():
    assert set(NOT_IMPORTED) <= set(required())


def test_constraints_pin_every_requirement():
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert {name for name in required() if name.lower() not in pinned} == set()


def test_doctor_looks_for_what_is_required():
    extras = {extra: set(names(PROJECT["optional-dependencies"][extra])) for extra in EXTRAS if extra != "core"}
    assert {extra: set(found) for extra, found in EXTRAS.items() if extra != "core"} == extras
    assert set(EXTRAS["core"]) == set(names(PROJECT["dependencies"]))


def test_the_console_scripts_are_those_that_help_texts_name():
    assert PROJECT["scripts"] == {script: f"{module}.__main__:main" for module, script in SCRIPTS.items()}


def test_the_citation_file_is_in_step():
    """Flat enough to be read without a YAML library: a key a line, lists of one key."""
    lines = (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
    said = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
    assert said["cff-version"] == "1.2.0" and said["version"] == PROJECT["version"]
    assert said["license"] == PROJECT["license"] and said["type"] == "software"
    assert {"message", "title"} <= said.keys() and "authors:" in lines
    assert [line.removeprefix("  - ") for line in lines[lines.index("keywords:") + 1:]] == PROJECT["keywords"]
