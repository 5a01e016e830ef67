"""The house: who may import whom, what a help text may load, what a public name says of itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("foundation", "astro_sim", "derivation", "rmaat", "figures")
ALLOWED = {
    "foundation": {"foundation"},
    "astro_sim": {"foundation", "astro_sim"},
    "derivation": {"foundation", "astro_sim", "derivation"},
    "rmaat": {"foundation", "derivation", "rmaat"},
    "figures": set(PACKAGES),
}
# all that rmaat may know of the derivation
RECORD_SIDE = {"derivation", "derivation.record", "derivation.record.bounds", "derivation.record.closed_form",
               "derivation.record.ensemble"}
RUNS_WHAT_A_FILE_SAYS = ("eval", "exec", "torch.load", "pickle.load", "pickle.loads")
HEAVY = ("brian2", "torch", "numpy", "scipy", "sympy", "xarray", "pandas", "matplotlib")


def source_files(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports_of(path, only_run=False):
    """Full names of everything that a file imports, at any depth; only_run: without those for type checkers."""
    tree = ast.parse(path.read_text("utf-8"))
    if only_run:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.If)
                                                        and ast.unparse(node.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_floor_imports_only_what_lies_below(package):
    for path in source_files(package):
        ours = {name.split(".")[0] for name in imports_of(path)} & set(PACKAGES)
        assert ours <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {ours - ALLOWED[package]}"


def test_the_network_sees_the_record_and_nothing_else_of_the_derivation():
    for path in source_files("rmaat"):
        for name in imports_of(path):
            if name.split(".")[0] == "derivation":
                assert name.split(".")[1:2] == ["record"], f"{path.relative_to(ROOT)} imports {name}"


def undocumented(body, inside=""):
    """Public classes and functions without a docstring. A module's forward does what its class says."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not (inside and node.name in ("forward", "backward")):
            yield inside + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{node.name}.")


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "figures"])  # a figure's file says what it is
def test_every_public_name_says_what_it_is(package):
    for path in source_files(package):
        assert not list(undocumented(ast.parse(path.read_text("utf-8")).body)), path.relative_to(ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["rmaat", "rmaat.model.model", "rmaat.training.trainer", "rmaat.trace.report"])
def test_training_needs_no_simulator(module):
    code = f"import {module}, sys; print([m for m in ('brian2', 'sympy', 'astro_sim') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    # torch itself may load sympy for its own shapes; what counts is that nothing of ours asks for it
    loaded = ast.literal_eval(done.stdout)
    assert not {"brian2", "astro_sim"} & set(loaded)
    assert all("sympy" not in name.split(".") for path in source_files("rmaat") for name in imports_of(path))


def run_imports():
    """Module -> the modules of ours that it imports when it runs, at any depth; not what only type checkers read."""
    graph = {}
    for package in PACKAGES:
        for path in source_files(package):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            graph[name] = set(imports_of(path, only_run=True))
    return {name: targets & graph.keys() - {name} for name, targets in graph.items()}


def circle_in(graph):
    """One circle of a graph (name -> names), as names, or None."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name):], name]
        if name not in done:
            path.append(name)
            for target in sorted(graph.get(name, ())):
                if found := visit(target):
                    return found
            path.pop()
            done.add(name)
        return None

    return next((found for name in sorted(graph) if (found := visit(name))), None)


def test_a_circle_is_found():
    assert circle_in({"a": {"b", "c"}, "b": set(), "c": {"d"}, "d": {"c"}}) == ["c", "d", "c"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


@pytest.mark.slow
def test_no_import_circle():
    assert circle_in(run_imports()) is None


def room_of(name):
    """The folder that a module lies in; a file on the ground floor is a room of its own."""
    parts = name.split(".")
    is_folder = (ROOT / Path(*parts)).is_dir()
    return name if is_folder or len(parts) == 2 else ".".join(parts[:-1])


@pytest.mark.slow
def test_no_circle_between_rooms():
    """Data flow one way: a folder that uses another is not used by it. A floor's face is its door, not a room."""
    graph = {}
    for name, targets in run_imports().items():
        here = room_of(name)
        rooms = {room_of(target) for target in targets if target not in PACKAGES}
        nested = {room for room in rooms if f"{room}.".startswith(f"{here}.") or f"{here}.".startswith(f"{room}.")}
        if name not in PACKAGES:
            graph.setdefault(here, set()).update(rooms - nested)
    assert circle_in(graph) is None


@pytest.mark.parametrize(("floor", "most"), [("astro_sim", 15), ("derivation", 12), ("rmaat", 12)])
def test_a_floor_has_no_more_rooms_than_one_can_see_at_once(floor, most):
    entries = [path.name for path in (ROOT / floor).iterdir() if path.name != "__pycache__"]
    assert len(entries) <= most, sorted(entries)


@pytest.mark.parametrize("folder", sorted(
    {path.parent.relative_to(ROOT) for name in PACKAGES for path in source_files(name)}), ids=str)
def test_every_room_says_what_it_is_for(folder):
    """In the first line, a sentence."""
    said = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8")))
    assert said and re.fullmatch(r"[A-Z].{15,}[.;:]", said.splitlines()[0]), said


@pytest.mark.parametrize("program", ["astro_sim", "derivation", "rmaat", "figures"])
def test_help_loads_nothing_heavy(program):
    """Help answers at once because it imports nothing that takes time (a timing would depend on the machine)."""
    code = (f"import runpy, sys; sys.argv = ['{program}/__main__.py', '--help']\n"
            f"try: runpy.run_module('{program}', run_name='__main__')\n"
            f"except SystemExit as end: print(end.code, [m for m in {HEAVY} if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout
    assert f"python -m {program}" in done.stdout, "the help shows examples"


@pytest.mark.slow
def test_nothing_is_ever_unpickled():
    """pickle, torch.load, numpy's allow_pickle, eval and exec run what a file says.

    One exception: `eval` of the project's own ODE text, and `exec` of functions that are written from it, out of
    numbers, names and known functions alone. It never comes from a file that a user gives. A text without a letter runs
    nothing.
    """
    for package in PACKAGES:
        for path in source_files(package):
            if path.parent == ROOT / "astro_sim" / "model" and path.stem in ("equation_text", "compiled_text"):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node) != "exec('')":
                    called = ast.unparse(node.func)
                    assert called not in RUNS_WHAT_A_FILE_SAYS, f"{path}: {called}"
                    assert not any(keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                                   for keyword in node.keywords), f"{path}: allow_pickle"
