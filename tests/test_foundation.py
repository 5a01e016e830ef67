"""Errors, safe files and the look of the command lines."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foundation import checkout, errors, files, usage

ROOT = Path(__file__).parents[1]


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def test_unknown_names_list_the_right_ones():
    error = errors.unknown("attention", "astromorphik", ["linear", "astromorphic", "softmax"])
    assert str(error) == ("unknown attention 'astromorphik' (did you mean 'astromorphic'?); "
                          "choose one of: astromorphic, linear, softmax")
    with pytest.raises(errors.UserError, match="choose one of: a, b"):
        errors.choose("thing", "c", {"a": 1, "b": 2})


def test_a_file_is_whole_or_absent(tmp_path):
    target = tmp_path / "sub" / "file.txt"
    files.write_text(target, "first")
    with pytest.raises(RuntimeError), files.replacing(target) as part:
        part.write_text("half")
        raise RuntimeError("killed in the middle")
    assert target.read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"], "no temporary file stays"
    files.write_text(target, "second")
    assert target.read_text() == "second"


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(errors.UserError, match="cannot write"):
        files.write_text(tmp_path / "file" / "x", "text")


def test_the_manifest_notices_one_flipped_bit(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(1000))
    files.write_manifest(tmp_path, ["a.bin"])
    assert files.verify_manifest(tmp_path, required=("a.bin",)).keys() == {"a.bin"}
    with pytest.raises(errors.DamagedFileError, match=r"does not list b\.bin"):
        files.verify_manifest(tmp_path, required=("b.bin",))
    data = bytearray(1000)
    data[500] = 1
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(errors.DamagedFileError, match=r"a\.bin does not match"):
        files.verify_manifest(tmp_path)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(errors.DamagedFileError, match=r"a\.bin is missing"):
        files.verify_manifest(tmp_path)
    (tmp_path / files.MANIFEST).write_text("[")
    with pytest.raises(errors.DamagedFileError, match="missing or unreadable"):
        files.verify_manifest(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("raised", "code", "shown"), [
    ("UserError('bad')", 2, "error: bad\n"),
    ("DamagedFileError('torn')", 3, "error: torn\n"),
    ("ResourceError('full')", 4, "error: full\n"),
    ("KeyboardInterrupt()", 130, ""),
])
def test_errors_are_one_line_and_an_exit_code(raised, code, shown):
    program = ("from foundation.errors import *; from foundation import cli\n"
               "app = cli.program('x', verbs=False)\n@app.command()\ndef verb(): raise " + raised + "\ncli.run(app)")
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (code, shown)
    debug = python("-c", program, "--debug")
    assert ("Traceback" in debug.stderr) == (code != 130)


def program(body, *words, **environment):
    """A program of one verb whose body is given, run as its own process."""
    code = ("import sys; from foundation import cli\n"
            "app = cli.program('x', verbs=False)\n"
            f"@app.command()\ndef verb(version: cli.Version = False):\n    {body}\n"
            "cli.run(app)")
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False,
                          env=os.environ | environment)


@pytest.mark.slow
def test_progress_is_a_line_in_a_log_and_can_be_turned_off():
    long = "[cli.Progress('work', 4, every_seconds=0).update(3, 'parts')]"
    assert re.fullmatch(r"work: 75 % after \d+ s parts\n", program(long, ASTRO_PROGRESS="1").stderr)
    assert program(long, ASTRO_PROGRESS="0").stderr == ""
    quiet = "[cli.Progress('work', 4, every_seconds=0, quiet=True).update(3)]"
    assert program(quiet, ASTRO_PROGRESS="1").stderr == ""


def test_the_version_says_what_results_depend_on():
    done = program("pass", "--version")
    assert re.fullmatch(r"astro-rmaat \d+\.\d+\.\d+(, commit [0-9a-f]{40}(-dirty)?)?, Python 3\.\d+\.\d+, brian2 \S+, "
                        r"torch \S+\n", done.stdout), done.stdout
    assert done.returncode == 0


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error():
    done = subprocess.run(f"{sys.executable} -m astro_sim list | true", shell=True, capture_output=True, text=True,
                          cwd=ROOT, check=False)
    assert done.stderr == ""


def test_debug_shows_where_an_error_of_the_command_line_arose():
    assert program("pass", "--nothing").stderr.startswith("error: unknown option '--nothing'")
    assert "Traceback" in program("pass", "--nothing", "--debug").stderr


def test_a_commit_is_that_of_the_repository_that_tracks_the_code(tmp_path):
    assert checkout.commit() == checkout.commit(ROOT / "foundation" / "checkout.py")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "checkout.py").write_text("")
    assert checkout.commit(tmp_path / "checkout.py") is None, "inside a repository that does not track it"
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    assert re.fullmatch("[0-9a-f]{40}", checkout.commit(tmp_path / "checkout.py"))


@pytest.mark.parametrize(("words", "says"), [
    (["/usr/bin/rmaat"], "rmaat train recall"), (["/x/rmaat/__main__.py"], "python -m rmaat train recall")])
def test_a_program_is_named_as_it_was_called(monkeypatch, words, says):
    monkeypatch.setattr(sys, "argv", words)
    assert usage.as_called("python -m rmaat train recall") == says


@pytest.mark.slow
def test_doctor_names_what_is_missing_and_the_line_that_mends_it():
    done = python("-m", "foundation.doctor")
    assert done.returncode in (0, 4)
    assert "torch build" in done.stdout
    assert ("nothing is missing" in done.stdout) == (done.returncode == 0)


def test_canonical_json_is_one_text_for_one_value():
    assert files.canonical_json({"b": 1, "a": [1.5]}) == files.canonical_json(json.loads('{"a": [1.5], "b": 1}'))
    with pytest.raises(ValueError, match="JSON compliant"):
        files.canonical_json(float("nan"))


def test_a_full_disk_is_a_resource_error_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_text(path, "before")

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(errors.ResourceError, match=r"cannot write .*file: No space left on device; it needs at least "
                                                   r"5 B, .* are free; make room"):
        files.write_text(path, "after")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_there_is_one_cache_folder_and_it_is_the_users(monkeypatch, tmp_path):
    for name, value, folder in (("HOME", tmp_path, tmp_path / ".cache" / "astro-rmaat"),
                                ("XDG_CACHE_HOME", tmp_path / "xdg", tmp_path / "xdg" / "astro-rmaat"),
                                ("ASTRO_RMAAT_CACHE", tmp_path / "own", tmp_path / "own")):
        for variable in ("XDG_CACHE_HOME", "ASTRO_RMAAT_CACHE"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(name, str(value))
        assert files.cache_folder() == folder
