"""What keeps work: locks, lines in a chain of hashes, what a kill leaves, standard output that cannot be written."""

import errno
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation import chain, files, lock, process, sealed, workers
from foundation.errors import DamagedFileError, ResourceError, UserError

ROOT = Path(__file__).parents[1]
HOLD = """
import sys
from foundation.lock import locked
with locked(sys.argv[1], 'training'):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds the lock of `tmp_path`."""
    held = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / lock.LOCK], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert held.stdout.readline() == "held\n"
    yield held
    held.kill()
    held.wait()
    held.stdin.close()
    held.stdout.close()


def test_the_second_is_refused_and_told_who_is_first(tmp_path, other):
    said = rf"process {other.pid} on \S+ \(training, since 20.*; wait for it"
    with pytest.raises(ResourceError, match=said) as error:
        lock.locked(tmp_path / lock.LOCK, "training").__enter__()
    assert error.value.exit_code == 4 and lock.holder(tmp_path / lock.LOCK)["pid"] == other.pid
    other.stdin.close()
    other.wait()
    with lock.locked(tmp_path / lock.LOCK, "training"):
        assert lock.holder(tmp_path / lock.LOCK)["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("waited_for", [True, False], ids=["dead", "a zombie"])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, other, waited_for):
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still in the table
    if waited_for:
        other.wait()
    assert (tmp_path / lock.LOCK).exists()
    with lock.locked(tmp_path / lock.LOCK, "training"):
        assert lock.holder(tmp_path / lock.LOCK)["pid"] == os.getpid()


@pytest.mark.parametrize("changes", [{"started": "another boot:5"}, {"pid": 2**31 - 1}], ids=str)
def test_a_pid_that_is_another_processs_now_holds_nothing(tmp_path, changes):
    body = {**vars(process.this()), "what": "sweep", "since": "then"}
    (tmp_path / "x").write_text(json.dumps(body | changes))
    with lock.locked(tmp_path / "x", "sweep"):
        pass
    (tmp_path / "x").write_text(json.dumps(body))
    with pytest.raises(ResourceError, match="sweep, since then"), lock.locked(tmp_path / "x", "sweep"):
        pass


def test_another_machine_is_believed_and_not_waited_for(tmp_path):
    body = {**vars(process.this()), "host": "elsewhere", "what": "training", "since": "then"}
    (tmp_path / "x").write_text(json.dumps(body))
    with pytest.raises(ResourceError, match=r"on elsewhere .*if it is no longer there, remove .*x, or give another"):
        lock.locked(tmp_path / "x", "training").__enter__()
    with lock.locked(tmp_path / "x", "training", wait=True):
        assert json.loads((tmp_path / "x").read_text()) == body
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b'{"pid": "1"}', b'{"pid": -1}', b"[" * 9000])
def test_a_lock_file_that_names_nobody_is_free(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with lock.locked(tmp_path / "x", "training"):
        assert lock.holder(tmp_path / "x")["pid"] == os.getpid()


def test_who_waits_goes_on_when_the_first_has_ended(tmp_path, other, capsys, monkeypatch):
    naps = []
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: (naps.append(seconds), other.kill(), other.wait()))
    with lock.locked(tmp_path / lock.LOCK, "generating", wait=True):
        assert naps == [lock.LOOKS_AGAIN]
    assert f"note: waiting for process {other.pid}" in capsys.readouterr().err


def test_of_many_at_once_one_at_a_time_holds(tmp_path):
    """Each adds 1 to a number, reading and writing it apart: none is lost, whoever comes and goes."""
    (tmp_path / "number").write_text("0")
    code = ("import sys; from pathlib import Path; from foundation.lock import locked\n"
            "path = Path(sys.argv[1]) / 'number'\n"
            "for _ in range(25):\n"
            "    with locked(path.with_name('lock'), 'adding', wait=True):\n"
            "        path.write_text(str(int(path.read_text()) + 1))")
    several = [subprocess.Popen([sys.executable, "-c", "from foundation import lock; lock.LOOKS_AGAIN = .001\n" + code,
                                 tmp_path], cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [one.wait() for one in several] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "75"


def test_a_refused_lock_leaves_no_folder_behind(tmp_path):
    with lock.locked(tmp_path / "a" / "b" / lock.LOCK, "training"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        lock.locked(tmp_path / "file" / "b" / lock.LOCK, "training").__enter__()


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    code = ("import sys; from foundation.files import replacing\n"
            "with replacing(sys.argv[1]) as path, replacing(sys.argv[1], apart=True) as other:\n"
            "    other.with_name('.tmpFKGBZV').write_text('begun by a library')\n"
            "    print(path, flush=True); sys.stdin.read()")
    writing = subprocess.Popen([sys.executable, "-c", code, tmp_path / "a.b.nc"], stdin=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE, cwd=ROOT)
    part = Path(writing.stdout.readline().strip())
    (begun,) = tmp_path.rglob(".tmpFKGBZV")
    kept = [tmp_path / name for name in ("a.b.nc", ".hidden", ".a.part", f".x.{'0' * 8}-{writing.pid}.abc.part")]
    for path in kept:
        path.write_text("mine")
    folder = tmp_path / f".program.{process.host_mark()}-{writing.pid}.abc"
    (folder / "inside").mkdir(parents=True)
    files.remove_leftovers(tmp_path)
    assert part.exists() and begun.exists() and folder.exists(), "its process runs"
    writing.kill()
    writing.wait()
    files.remove_leftovers(tmp_path, ".other")
    assert part.exists() and begun.exists()
    files.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    files.remove_leftovers(tmp_path / "nowhere")


def test_a_file_that_is_written_apart_is_as_any_other(tmp_path):
    """Also where the library fails before it has made the file."""
    path = tmp_path / "a.safetensors"
    with files.replacing(path, apart=True) as here:
        here.write_bytes(b"new")
        here.with_name("another").write_bytes(b"more")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ResourceError, match="No space left"), files.replacing(path, apart=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("name", ["a.json", "ä" * 120, "[x].nc"])
def test_who_is_to_write_removes_what_a_killed_process_left_of_the_same_file(tmp_path, name, apart):
    path, dead = tmp_path / name, subprocess.Popen(["true"])
    dead.wait()
    with files.replacing(path, apart=apart) as here:
        mine = here.relative_to(tmp_path).parts[0]
        here.touch()
    left = tmp_path / mine.replace(f"-{os.getpid()}.", f"-{dead.pid}.")
    other = tmp_path / f".b.json.{process.host_mark()}-{dead.pid}.abc.part"
    for one in (left, other):
        if apart:
            one.mkdir()
        else:
            one.write_text("half")
    files.check_writable(path)
    assert not left.exists() and other.exists(), "of this file alone: a folder may hold very many"
    files.check_writable(tmp_path, folder=True)
    assert not other.exists()


WORKING = """
import os, sys, tempfile, time
from foundation.workers import processes
with processes(1) as pool:
    pid = pool.submit(os.getpid).result()
    pool.submit(tempfile.mkstemp, '.log').result()
    print(pid, flush=True)
    if sys.argv[1] != 'ended':
        pool.submit(time.sleep, 10**6)
    if sys.argv[1] == 'error':
        raise KeyboardInterrupt
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["killed", "error", "ended"])
def test_workers_end_with_who_started_them(tmp_path, how):
    parent = subprocess.Popen([sys.executable, "-c", WORKING, how], cwd=ROOT, stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env={**os.environ, "TMPDIR": str(tmp_path)})
    worker = os.pidfd_open(int(parent.stdout.readline()))
    if how == "killed":
        parent.kill()
    parent.stdin.close()
    assert select.select([worker], [], [], 600)[0], "it has ended, though what it works at takes days"
    os.close(worker)
    parent.wait()
    parent.stdout.close()
    assert list(tmp_path.iterdir()) == [], "what it had in the folder of temporary files went with it"


def test_workers_where_no_temporary_file_can_be(monkeypatch):
    monkeypatch.setattr(workers.tempfile, "mkdtemp", lambda **named: os.open("/proc/x", os.O_CREAT))
    with workers.processes(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


@pytest.mark.parametrize(("place", "folder", "said"), [
    ("file/x.json", False, "file/x.json cannot be written"), ("/proc/x.json", False, "cannot be written"),
    ("there", False, "is a folder; name a file such as"), ("file", True, "is a file; name a folder"),
    ("file/a/b", True, "cannot be written"), ("n" * 5000, False, "cannot be written")])
def test_what_cannot_be_written_is_seen_before(tmp_path, place, folder, said):
    (tmp_path / "file").write_text("")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=f"--picture: .*{said}"):
        files.check_writable(tmp_path / place, "--picture", folder=folder)
    files.check_writable(tmp_path / "new" / "x.json")
    files.check_writable(tmp_path / "new", folder=True)
    files.check_writable(tmp_path / "there", folder=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "there"]


def test_a_sealed_file_comes_back_and_nothing_else_does(tmp_path):
    path = tmp_path / "x.json"
    sealed.write(path, "changes", {"a": [1, 2.5, "ß"]}, schema=2)
    assert sealed.read(path, "changes", schema=3) == {"schema": 2, "a": [1, 2.5, "ß"]}
    with pytest.raises(DamagedFileError, match="no file of study"):
        sealed.read(path, "study", schema=2)
    with pytest.raises(UserError, match="has schema 2; this version reads up to 1"):
        sealed.read(path, "changes")
    with pytest.raises(UserError, match="No such file"):
        sealed.read(tmp_path / "y", "changes")
    for schema in (0, -1, 1.0, True, "1", None):
        sealed.write(tmp_path / "s.json", "changes", {}, schema=schema)
        with pytest.raises(DamagedFileError, match="no file of changes"):
            sealed.read(tmp_path / "s.json", "changes")
    content = path.read_text()
    for bent in (content.replace("2.5", "2.6"), content[:-5], content.replace('"a"', '"b"'), "[1]", "{", "[" * 10**5):
        path.write_text(bent)
        with pytest.raises(DamagedFileError, match=r"x\.json"):
            sealed.read(path, "changes", schema=2)


# ------------------------------------------------------------------------------------------ chains


LINES = [{"step": 1, "loss": .1}, {"step": 2, "loss": 1e-30, "note": "α"}, {"step": 3, "loss": None}]


def test_lines_come_back_and_are_gone_on_with(tmp_path):
    path = tmp_path / "x.jsonl"
    assert chain.read(path, "metrics") is None
    chain.reopen(path, "metrics").append(LINES[0])
    chain.reopen(path, "metrics").append(LINES[1])
    with open(path, "a") as stream:
        stream.write('{"half')
    assert chain.read(path, "metrics").cut
    last = chain.reopen(path, "metrics")
    last.append(LINES[2])
    last.sync()
    found = chain.read(path, "metrics")
    assert list(found.lines) == LINES and found.head == last.head and not found.cut
    assert chain.create(tmp_path / "y", "metrics", LINES).head == last.head
    assert (tmp_path / "y").read_bytes() == path.read_bytes()


@settings(max_examples=50)
@given(st.data())
def test_any_byte_that_is_altered_is_noticed(tmp_path_factory, data):
    """Whatever it becomes; the file is as it was when the run ended, so its last hash is known."""
    path = tmp_path_factory.getbasetemp() / "bent.jsonl"
    head = chain.create(path, "metrics", LINES).head
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = chain.read(path, "metrics")
    except (DamagedFileError, UserError):
        return
    assert found.head != head


@pytest.mark.parametrize("change", [
    lambda rows: rows[:2] + rows[3:], lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], lambda rows: rows[1:],
    lambda rows: [*rows, rows[-1]], lambda rows: [b"[1]", *rows],
    lambda rows: [rows[0].replace(b'"schema":1', b'"schema":"1"'), *rows[1:]]])
def test_lines_that_were_moved_are_noticed(tmp_path, change):
    path = tmp_path / "x"
    chain.create(path, "metrics", LINES)
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(DamagedFileError, match=r"x, line \d"):
        chain.read(path, "metrics")


def test_other_kinds_and_versions_say_so(tmp_path, monkeypatch):
    chain.create(tmp_path / "x", "metrics", LINES)
    with pytest.raises(DamagedFileError, match="line 1: altered, or no file of study"):
        chain.read(tmp_path / "x", "study")
    monkeypatch.setattr(chain, "SCHEMA", 0)
    with pytest.raises(UserError, match="has schema 1; this version reads up to 0"):
        chain.read(tmp_path / "x", "metrics")
    (tmp_path / "old").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert chain.read(tmp_path / "old", "metrics") == chain.Chained(({"step": 1}, {"step": 2}), "", True)


# ------------------------------------------------------------------------------------------ streams and signals


PROGRAM = """
import os, signal, sys
from foundation import cli
app = cli.program('x', verbs=False)
@app.command()
def verb():
    {body}
cli.run(app)
"""


def ends(body, shell="{}", **options):
    """Exit code and standard error of a program of one verb, in a line of bash."""
    command = shell.format(f"{sys.executable} -c \"$BODY\"")
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, text=True, capture_output=True,
                          check=False, preexec_fn=heed_signals, **options,
                          env=os.environ | {"BODY": PROGRAM.format(body=body), "PYTHONUNBUFFERED": ""})
    return done.returncode, done.stderr


def heed_signals():
    """Also where the tests themselves run under nohup, or in the background of a script."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


MUCH = "[print('x' * 99) for _ in range(9999)]"


@pytest.mark.parametrize(("body", "shell", "code", "said"), [
    (MUCH, "{} | head -1", 0, ""),
    (MUCH + "; raise SystemExit(3)", "{} | head -1", 0, ""),
    ("print(1); sys.stdout.flush(); print(2, file=sys.stderr)", "{} 2>&1 | true", 0, ""),
    (MUCH, "{} > /dev/full", 4, "error: cannot write the standard output: No space left on device; make room"),
    ("print('one line')", "{} > /dev/full", 4, "error: cannot write the standard output"),
    ("print('one line'); raise SystemExit(1)", "{} > /dev/full", 1, ""),
    ("print('one line', file=sys.stderr); print('done')", "{} 2> /dev/full", 0, ""),
    ("print('one line')", "{} >&-", 0, ""),
    ("print('one line', file=sys.stderr)", "{} 2>&-", 0, ""),
    ("raise SystemExit('why')", "{}", 1, "why\n")])
@pytest.mark.slow
def test_output_that_cannot_be_written(body, shell, code, said):
    ended, told = ends(body, shell)
    assert ended == code and told.startswith(said) and told.count("\n") <= 1, told


@pytest.mark.slow
@pytest.mark.parametrize(("body", "code"), [
    ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", 143),
    ("os.kill(os.getpid(), signal.SIGHUP); signal.pause()", 129),
    ("os.kill(os.getpid(), signal.SIGINT); signal.pause()", 130), ("import typer; raise typer.Exit(130)", 130)])
def test_whoever_is_stopped_says_by_what(body, code):
    assert ends(body) == (code, "")


@pytest.mark.slow
def test_nohup_is_heeded_and_a_second_signal_stops_at_once():
    assert ends("os.kill(os.getpid(), signal.SIGHUP); print('goes on', file=sys.stderr)",
                "trap '' HUP; {}") == (0, "goes on\n")
    body = ("from foundation import stopping\n    stopping.ONE_WISH = 0\n    with stopping.StopRequest() as stop:\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        while not stop.asked: pass\n"
            "        print('finishes', file=sys.stderr)\n"
            "        os.kill(os.getpid(), signal.SIGTERM); signal.pause()")
    assert ends(body) == (143, "finishes\n")


def test_handlers_are_as_they_were():
    from foundation import stopping

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with stopping.as_ctrl_c(), stopping.StopRequest(), stopping.gently(lambda: None):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert stopping._gentle == []
