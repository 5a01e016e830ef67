"""The machine and its settings: broken packages, no compiler, no home, locales, terminals, threads, no network."""

import json
import os
import socket

import pytest

from foundation import imports, streams
from foundation.errors import ResourceError, UserError

RUN = ("astro_sim", "run", "li_rinzel", "--duration", "1s", "--dt", "10ms", "--backend", "numpy", "--method", "rk4")


@pytest.mark.fault("D1")
@pytest.mark.parametrize(("name", "stub", "words"), [
    ("brian2", "raise ImportError('libfoo.so.1: cannot open shared object file')",
     ("astro_sim", "run", "li_rinzel", "--out", "a.nc")),
    ("torch", "raise OSError('libcudart.so.13: cannot open shared object file')", ("rmaat", "tasks")),
])
def test_a_package_that_does_not_import(program, tmp_path, name, stub, words):
    """Brian2 or torch is installed and does not import.

    Exit 4 with the pip line that mends it; `python -m foundation.doctor` names it as well.
    """
    (tmp_path / "stubs" / name).mkdir(parents=True)
    (tmp_path / "stubs" / name / "__init__.py").write_text(stub)
    broken = os.pathsep.join([str(tmp_path / "stubs"), os.environ.get("PYTHONPATH", ""), str(imports.__file__)[:-22]])
    program(*words, env={"PYTHONPATH": broken}).refused(4, f"{name} does not import", "pip install")


@pytest.mark.slow
def test_the_doctor_names_what_does_not_import(tmp_path, monkeypatch):
    """Whatever a package raises, and even where it ends Python; those after it are looked at all the same."""
    for name, stub in (("one", "raise ValueError('no')"), ("two", "import os; os._exit(9)"), ("three", ""),
                       ("four", "raise SystemExit(3)")):
        (tmp_path / f"{name}.py").write_text(stub)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert imports.broken(["one", "two", "three", "four"]) == {
        "one": "ValueError: no", "two": "ends Python with exit code 9", "four": "SystemExit: 3"}


def test_an_error_of_an_import_is_told_from_others(tmp_path, monkeypatch):
    (tmp_path / "bent_package.py").write_text("1/0")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        import bent_package  # noqa: F401
    except ZeroDivisionError as error:
        made = imports.of_an_import(error)
    assert isinstance(made, ResourceError) and "bent_package does not import (ZeroDivisionError" in str(made)
    plain = ZeroDivisionError("no")
    assert imports.of_an_import(plain) is plain
    assert imports.pip_line("brian2") == "pip install --force-reinstall -c constraints.txt -e \".[sim]\""


@pytest.mark.parametrize(("name", "stub", "environment", "remedy"), [
    ("brian2", "import warnings; warnings.warn('old name', DeprecationWarning)", {"PYTHONWARNINGS": "error"},
     "leave out -W error, or unset PYTHONWARNINGS"),
    ("brian2", "raise ImportError('libbar.so: failed to map segment from shared object')", {},
     "the memory does not suffice, see ulimit -v"),
    ("brian2", "raise ImportError('libbar.so: Cannot allocate memory')", {}, "the memory does not suffice"),
    ("brian2", "import os; raise ValueError(f'{os.environ[\"BRIAN_HUE\"]!r} is no colour')", {"BRIAN_HUE": "mauve"},
     "the environment says BRIAN_HUE=mauve: unset it")], ids=["warnings", "mapped", "allocated", "variable"])
def test_a_package_is_not_to_blame_for_how_it_is_called(program, tmp_path, name, stub, environment, remedy):
    """Installing it anew would not help."""
    broken = tmp_path / "broken"
    (broken / name).mkdir(parents=True)
    (broken / name / "__init__.py").write_text(stub)
    ended = program("astro_sim", "run", "li_rinzel", "--out", "a.nc",
                    env={"PYTHONPATH": broken, **environment}).refused(4, f"{name} does not import", remedy)
    assert "pip install" not in ended.err


@pytest.mark.fault("D2")
@pytest.mark.parametrize("backend", ["cython", "cpp"])
def test_a_backend_that_compiles_without_a_compiler(monkeypatch, tmp_path, backend):
    """`--backend cython` or `cpp` on a machine without a compiler.

    NumPy runs it, with a note; the recording says so, and its numbers are those of NumPy.
    """
    from astro_sim import simulate
    from astro_sim.plan.preparation import NoCompiler

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    given = {"duration": "1 s", "dt": "10 ms", "method": "rk4"}
    with pytest.warns(NoCompiler, match="no C\\+\\+ compiler, so numpy runs it"):
        found = simulate("li_rinzel", backend=backend, **given)
    assert found.content_hash == simulate("li_rinzel", backend="numpy", **given).content_hash


def test_a_compiler_that_may_not_write_what_it_makes(forked):
    """`ulimit -f`: a compiler would end in the middle, and Brian2 would go on without what was not compiled."""
    forked(*RUN[:-4], "--method", "rk4", "--backend", "cython", "--out", "a.nc", file_size=100_000).ok(
        "no C++ compiler can work with files of 100 kB at most, so numpy runs it")


@pytest.mark.parametrize(("limit", "said"), [(0, "files of 0 B at most"), (1 << 30, "this machine has no C")])
def test_a_compiler_that_is_missing_is_told_from_files_that_are_too_small(monkeypatch, limit, said):
    """No bytes at all are a limit, too; and one that leaves room is not to blame."""
    from astro_sim.plan import backend_choice, preparation

    monkeypatch.setattr(backend_choice, "largest_file", lambda: limit)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/g++" if limit == 0 else None)
    with pytest.warns(preparation.NoCompiler, match=said):
        assert preparation._with_a_compiler("cython") == "numpy"


@pytest.mark.fault("D3")
def test_a_home_that_cannot_be_written(monkeypatch):
    """HOME or the cache is no folder that can be written, or the user has no home.

    What would be kept is made anew; a note says so, and the work goes on.
    """
    from foundation.files import cache_folder
    from rmaat.tasks.cache import CacheNote, kept

    monkeypatch.setenv("HOME", "/dev/null")
    for name in ("XDG_CACHE_HOME", "ASTRO_RMAAT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    import numpy as np

    with pytest.warns(CacheNote, match="not cached"):
        assert kept("x", {"a": 1}, lambda: {"y": np.arange(3)})["y"].tolist() == [0, 1, 2]
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache_folder().name.startswith("astro-rmaat")


def test_a_cache_that_cannot_be_written_is_a_note(forked, monkeypatch, tmp_path):
    """Whatever the library that writes it says: safetensors has an error of its own for a disk that is full."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    few = [part for name in ("train", "validation", "test") for part in ("--set", f"task.{name}=20")]
    forked("rmaat", "data", "show", "listops", *few, file_size=10_000).ok("not cached", "10 kB are allowed")
    assert list(tmp_path.iterdir()) == []


def test_end_of_file_in_a_library_is_no_answer_of_a_user(forked, monkeypatch):
    """typer takes any EOFError for a question that nobody answered, and ends without a word of what it was."""
    def cut(*given, **named):
        raise EOFError("pickle data was truncated")

    monkeypatch.setattr("rmaat.tasks.describe.describe", cut)
    ended = forked("rmaat", "tasks")
    assert ended.err.endswith("EOFError: pickle data was truncated\n")


@pytest.mark.fault("D4")
@pytest.mark.parametrize(("name", "error", "says"), [
    ("auto:3", UserError, "unknown device 'auto:3'"), ("cpu:x", UserError, "unknown device"),
    ("cuda:", UserError, "unknown device"), ("cuda:99999", UserError, "unknown device"), ("tpu", UserError, "unknown"),
    ("cuda:9" * 2000, UserError, "unknown"), ("cuda:98", ResourceError, "this machine"), ("", UserError, "unknown")])
def test_a_device_that_is_not_there(name, error, says):
    """A device is none, or not there, or vanishes while it is used.

    Exit 2 for a name that is none, 4 for a device that is missing or fails; what is written is whole.
    """
    from rmaat.resources import resource_errors
    from rmaat.training.evaluation import find_device

    with pytest.raises(error, match=says) as raised:
        find_device(name)
    assert len(str(raised.value)) < 300
    with pytest.raises(ResourceError, match=r"the device failed \(CUDA error: unspecified.*--resume"), \
            resource_errors("training"):
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")


LOCALES = [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "tr_TR.UTF-8"},
           {"LC_ALL": "de_DE.ISO-8859-1"}, {"LANG": None, "LC_ALL": None}, {"PYTHONIOENCODING": "ascii"}]


@pytest.mark.fault("D5")
@pytest.mark.parametrize("env", LOCALES, ids=str)
def test_locales(program, env):
    """The locale is C, Turkish, German or none, and its encoding lacks the letters that are printed.

    Numbers and names stay as they are; a letter that cannot be printed is replaced, and that is all.
    """
    said = program("derivation", "show", "retention", "--json", env=env).ok()
    assert json.loads(said.out) == json.loads(program("derivation", "show", "retention", "--json").ok().out)
    text = program("derivation", "show", "relative_position", env=env).ok("relative_position")
    assert "0.479357" in text.out


@pytest.mark.fault("D6")
@pytest.mark.parametrize("name", ["with blanks.nc", "Kalzium-\u00b5-\u65e5\u672c.nc", "a'b\"c$(d);.nc", "-dash.nc",
                                  b"\xff\xfe.nc".decode("utf-8", "surrogateescape"), "\N{GRINNING FACE}.nc"])
def test_names_of_files(forked, tmp_path, name):
    """Paths have blanks, quotes, any letters of Unicode, bytes that are no text, or 4,000 letters.

    They work as any other; what the system does not take is said with exit 2.
    """
    folder = tmp_path / "a folder \u00e9"
    folder.mkdir()
    forked(*RUN, "--out", folder / name).ok()
    forked("astro_sim", "analyse", folder / name).ok()
    assert [path.name for path in folder.iterdir()] == [name]
    forked(*RUN, "--out", folder / ("n" * 4000)).refused(2, "too long")
    assert len(list(folder.iterdir())) == 1


def test_a_run_in_a_folder_whose_name_is_no_text(forked, tmp_path):
    """Neither safetensors nor a page takes bytes that are not UTF-8; the run is read, and the pages show a `?`."""
    few = [part for setting in ("task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3",
                                "task.test=3", "model.segment_length=3", "train.steps=1", "train.warmup=1",
                                "train.batch_size=7") for part in ("--set", setting)]
    folder = tmp_path / b"\xff\xfe".decode("utf-8", "surrogateescape")
    forked("rmaat", "train", "recall", "--out", folder, "--device", "cpu", *few).ok()
    forked("rmaat", "evaluate", folder, "--no-controls").ok("memory reset")
    forked("rmaat", "compare", folder, "--out", tmp_path / "tables").ok()
    assert "??" in (tmp_path / "tables" / "compare.md").read_text("utf-8")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_streams_that_are_closed(forked, closed):
    """What is opened next would get their numbers, and what a library prints in the middle of it."""
    def life():
        import sys

        for number in closed:
            os.close(number)
        sys.stdout, sys.stderr = (None if number in closed else stream for number, stream in (
            (1, sys.stdout), (2, sys.stderr)))
        with streams.guarded():
            handle = os.open("mine", os.O_WRONLY | os.O_CREAT)
            assert handle > 2
            sys.stderr.isatty()
            print("said")
            print("said beside", file=sys.stderr, flush=True)

    assert forked(function=life).code == 0


def test_a_working_folder_that_was_removed(forked, tmp_path):
    """torch's libraries are looked for from there on, and would end Python."""
    (tmp_path / "gone").mkdir()

    def life():
        import sys

        os.chdir(tmp_path / "gone")
        os.rmdir(tmp_path / "gone")
        sys.argv = ["rmaat", "tasks"]
        main()

    from rmaat.__main__ import main

    forked(function=life).refused(2, "the working folder cannot be used")


@pytest.mark.fault("D7")
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLUMNS": "20"}, {"COLUMNS": "0"},
                                 {"TERM": None, "COLUMNS": "x"}], ids=str)
def test_terminals(forked, monkeypatch, env):
    """No terminal, a dumb one, one of 20 columns, no colours.

    The same text, without escapes; nothing depends on the width.
    """
    plain = forked("derivation", "show", "retention").ok().out
    for key, value in env.items():
        monkeypatch.delenv(key, raising=False)
        if value is not None:
            monkeypatch.setenv(key, value)
    said = forked("derivation", "show", "retention").ok().out
    assert said == plain and "\x1b" not in said
    for words in (("astro_sim", "--help"), ("rmaat", "train", "--help"), ("derivation", "--help")):
        assert "\x1b" not in forked(*words).ok("Exit codes" if words[1] == "--help" else "--out").out


SEEDED = """
import sys
from astro_sim import simulate
from derivation.record import record
from rmaat.training.configs import find_experiment
print(simulate("li_rinzel", "constant:input=ip3,value=0.5 umolar", duration="1 s", dt="10 ms", backend="numpy",
               method="rk4").content_hash)
print(record.load().hash, find_experiment("recall", []).hash)
"""


@pytest.mark.slow
@pytest.mark.fault("D8")
def test_the_hash_seed_of_python(program):
    """PYTHONHASHSEED differs from run to run, so that sets have another order.

    Recordings, records and configs have the same hashes.
    """
    assert len({program(code=SEEDED, env={"PYTHONHASHSEED": seed}).ok().out for seed in ("0", "7")}) == 1


@pytest.mark.fault("D9")
def test_the_number_of_threads(tmp_path, capsys):
    """A run is gone on with by another number of threads, whose sums are rounded otherwise.

    A note says that its last bits may differ; with one number the results are equal bit for bit.
    """
    import torch

    from rmaat.training.run_folder import note_differences

    now = {"threads": torch.get_num_threads(), "torch": torch.__version__, "device": "cpu", "processes": 1}
    note_differences(now, torch.device("cpu"), 1)
    assert capsys.readouterr().err == ""
    note_differences(now | {"threads": now["threads"] + 1}, torch.device("cpu"), 1)
    assert "threads" in capsys.readouterr().err


@pytest.mark.fault("D10")
def test_without_a_network(forked, monkeypatch):
    """There is no network.

    Nothing asks for one: simulate, analyse, show and build a network as ever.
    """
    def none(*arguments, **named):
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, none, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", none)
    forked(*RUN, "--out", "a.nc").ok()
    forked("astro_sim", "analyse", "a.nc").ok()
    forked("rmaat", "inspect", "--samples", "2").ok("segment")
    forked("derivation", "show", "retention").ok()


@pytest.mark.fault("D11")
def test_text_files_have_an_encoding_of_their_own():
    """The locale's encoding would decide how text files are read and written.

    Every one names UTF-8, so that a file means the same on every machine.
    """
    import ast
    from pathlib import Path

    root = Path(__file__).parents[2]
    for package in ("foundation", "astro_sim", "derivation", "rmaat", "figures"):
        for path in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _is_without_encoding(node):
                    raise AssertionError(f"{path.relative_to(root)}, line {node.lineno}: names no encoding")


def _is_without_encoding(node):
    import ast

    called, named = ast.unparse(node.func), {word.arg for word in node.keywords}
    if called.endswith((".write_text", ".read_text")):
        return "encoding" not in named and len(node.args) < (1 if called.endswith("read_text") else 2)
    if called in ("open", "io.open", "os.fdopen"):
        mode = next((ast.unparse(one) for one in node.args[1:2]), "'r'")
        return "b" not in mode and "encoding" not in named
    return False


def test_such_calls_are_seen():
    import ast

    for text, without in (("open(x)", True), ("open(x, 'rb')", False), ("open(x, 'w', encoding='utf-8')", False),
                          ("x.read_text()", True), ("x.read_text('utf-8')", False), ("x.write_text(y)", True)):
        assert _is_without_encoding(ast.parse(text, mode="eval").body) == without


