"""Safe by construction: nothing that is read is ever run; what is installed is known."""

import ast
import contextlib
import importlib.metadata
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("foundation", "astro_sim", "derivation", "rmaat", "figures")
# what runs what it reads, or writes where an archive says; and the one place of each that may
RUNS = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads",
        "shelve.open", "yaml.load", "yaml.unsafe_load", "torch.load", "joblib.load", "cloudpickle.load",
        "cloudpickle.loads", "dill.load", "os.system", "os.popen", "__import__", "sympy.sympify", "parse_expr",
        "archive.extract", "archive.extractall", "tar.extractall", "shutil.unpack_archive"}
MAY = {
    ("astro_sim/model/equation_text.py", "compile"): "expressions that `names` has looked at",
    ("astro_sim/model/equation_text.py", "eval"): "expressions that `names` has looked at",
    ("astro_sim/model/compiled_text.py", "compile"): "written from trees of allowed nodes",
    ("astro_sim/model/compiled_text.py", "exec"): "written from trees of allowed nodes",
    ("foundation/stopping.py", "exec"): "a text without a letter",
    ("astro_sim/model/model.py", "cloudpickle.loads"): "a model that another process of the same user has sent",
    ("derivation/forms/ode.py", "sympy.sympify"): "the project's own equations, whose names were looked at",
}


def running():
    """(file, call) of every call that runs what it reads, and every one with shell=True or allow_pickle."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                if called in RUNS or called.endswith((".extract", ".extractall")):
                    yield path.relative_to(ROOT).as_posix(), called
                for word in node.keywords:
                    if word.arg in ("shell", "allow_pickle") and ast.unparse(word.value) != "False":
                        yield path.relative_to(ROOT).as_posix(), word.arg


@pytest.mark.fault("F3")
def test_nothing_runs_what_it_reads():
    """A file that is read could be run: pickles, `eval`, YAML, archives with paths that lead out.

    No such call exists but for those named here, each with what makes it safe; nothing is unpacked to disk.
    """
    assert set(running()) == MAY.keys()


class Canary:
    """Leaves a file where it is unpickled."""

    def __reduce__(self):
        return open, ("canary", "w")


def test_a_canary_in_every_place_where_a_pickle_could_be(tmp_path, monkeypatch):
    """As an array, a checkpoint, a record, a recording, a stream, metrics and a table: nothing is unpickled."""
    import pickle

    import numpy as np

    from astro_sim.parameter import read_columns
    from astro_sim.recording.recording import Recording
    from derivation.record import record
    from foundation import chain
    from foundation.errors import UserError
    from rmaat.tasks.fashion import read_idx
    from rmaat.training import checkpoint, run_folder

    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.array([Canary()], dtype=object), allow_pickle=True)
    bent = pickle.dumps(Canary())
    for name in ("b.npy", "c.nc", "d.json", "e.csv", "checkpoint.json", "f.jsonl", "g.gz", "manifest.json"):
        Path(name).write_bytes(bent)
    readers = [lambda: read_columns("a.npy", "x"), lambda: read_columns("b.npy", "x"),
               lambda: read_columns("e.csv", "x"),
               lambda: Recording.load("c.nc"), lambda: record.load("d.json"), lambda: chain.read("f.jsonl", "metrics"),
               lambda: checkpoint.load(Path(), "c", "r"), lambda: run_folder.read(Path()),
               lambda: read_idx(Path(), "g.gz")]
    for reader in readers:
        with contextlib.suppress(UserError):  # half a line of metrics, as a kill leaves it, is none
            reader()
    assert not Path("canary").exists()
    pickle.loads(bent).close()
    assert Path("canary").exists(), "it would have been seen"


def installed():
    """Names of all that the project's requirements bring in here, as the packages say."""
    found, left = set(), {("astro-rmaat", "all")}
    while left:
        name, extra = left.pop()
        for text in importlib.metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                new = {(canonicalize_name(wanted.name), each) for each in ("", *wanted.extras)}
                left |= new - found
                found |= new
    return {name for name, _ in found} - {"astro-rmaat"}


@pytest.mark.fault("F5")
def test_what_is_installed_is_known():
    """A package comes in whose version, licence or file nobody looked at.

    `constraints.txt` pins every package that is installed; `docs/licences.md` has the licence of each. CI takes only
    the files whose SHA-256 stands in `.ci/requirements.txt`.
    """
    spec = importlib.util.spec_from_file_location("make_licences", ROOT / "docs" / "make_licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pins = module.pinned()
    rows = dict(re.findall(r"^\| ([\w.-]+) \| ([^ ]+) \| [^|]+ \|$", module.PAGE.read_text("utf-8"), re.MULTILINE))
    rows.pop("package", None)
    assert rows == pins
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    assert installed() <= pins.keys()
    listed = [line for line in (ROOT / ".ci" / "requirements.txt").read_text("utf-8").splitlines() if line[:1] != "#"]
    locked = [re.fullmatch(r"([a-z0-9-]+)==([^\s+]+)(?:\+cpu)? --hash=sha256:[0-9a-f]{64}", line) for line in listed]
    assert all(locked), listed
    assert {line[1]: line[2] for line in locked} == {
        name: version for name, version in pins.items() if name not in module.ELSEWHERE}


@pytest.mark.parametrize(("says", "code", "calls"), [
    ("", 0, ["--require-hashes", "--no-deps", "check"]),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", 1, ["--require-hashes"]),
    ("ERROR: In --require-hashes mode, all requirements must have their versions pinned", 1, ["--require-hashes"]),
    ("ERROR: No matching distribution found for torch==2.13.0", 0, ["--require-hashes", "constraints.txt", "check"]),
])
def test_ci_takes_no_file_with_another_content(tmp_path, says, code, calls):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n'
                      f'case "$*" in *--require-hashes*) echo "{says}" >&2; test -z "{says}";; esac\n')
    python.chmod(0o755)
    done = subprocess.run([".ci/install", str(python)], cwd=ROOT, capture_output=True, text=True, check=False)
    made = (tmp_path / "calls").read_text().splitlines()
    assert (done.returncode, len(made)) == (code, len(calls)) and all(map(str.__contains__, made, calls))
    assert says in done.stderr and ("WITHOUT HASHES" in done.stderr) == ("constraints.txt" in calls)
