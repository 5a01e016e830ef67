"""The table of faults: one test a row, marked with its number; its docstring is the row of docs/reliability.md.

    @pytest.mark.fault("A3")
    def test_a_path_that_is_no_regular_file(program):
        '''A path that is given names a pipe, a device or a folder.

        Refused before a byte is read: exit 2, and what it is.
        '''

After a change `make docs-index` writes the page anew. A test that goes on for as long as it is given has the mark
`minutes` and counts by `rounds`: a few in CI, and under `make faults` as many as fit into FAULTS_MINUTES.
"""

import contextlib
import importlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

from foundation import cli

ROOT = Path(__file__).parents[2]
MEMORY = 8 << 30  # bytes of address space: torch alone takes some; a program that fills the machine ends before it
CPU_SECONDS = 300  # of one program: ends what loops
HANGS = 600  # seconds: ends what waits

LOADED = {"astro_sim": ("brian2", "h5py", "xarray", "astro_sim.run.streaming", "astro_sim.analysis.summary"),
          "derivation": ("derivation.record.record",),
          "rmaat": ("rmaat.trace.inspection", "rmaat.training.trainer", "torch._dynamo")}  # the last: by its optimizers


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit code (below 0: by this signal), and what it wrote."""

    code: int
    out: str
    err: str

    def refused(self, code, *says):
        """It ended with `code` and one error of the project's own, which has all these words."""
        assert self.code == code, f"exit code {self.code}: {self.out[-300:]} {self.err[-1500:]}"
        assert "Traceback" not in self.err, self.err[-1500:]
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.err[-1500:]
        for word in says:
            assert word in self.err, f"{word!r} is not in: {self.err[-1500:]}"
        return self

    def ok(self, *says):
        """It ended well, and wrote all these words."""
        assert self.code == 0, f"exit code {self.code}: {self.out[-300:]} {self.err[-1500:]}"
        for word in says:
            assert word in self.out + self.err, f"{word!r} is not in: {self.out[-1500:]} {self.err[-1500:]}"
        return self


@pytest.fixture
def program(tmp_path):
    """`program("rmaat", "train", ..., env={}, ...)`: a program of the project as a process of its own -> `Ended`.

    It works in `tmp_path` and has limits on memory, CPU time and the size of files (bytes). env: variables besides,
    None takes one away; code: a text for `python -c` in the place of a module.
    """
    def run(*words, env=None, memory=MEMORY, file_size=None, cwd=tmp_path, stdin=subprocess.DEVNULL, code=None):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(env or {})}
        start = ["-c", code] if code is not None else ["-m"]
        done = subprocess.run([sys.executable, *start, *map(str, words)], capture_output=True, cwd=cwd, check=False,
                              stdin=stdin, timeout=HANGS, preexec_fn=limit,
                              env={name: str(value) for name, value in given.items() if value is not None})
        return Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    return run


@pytest.fixture
def forked(tmp_path):
    """As `program`, but a copy of this process, which has loaded what it needs: a hundred times as quick.

    For what does not depend on how Python is started. `words`: the module's name, then what is typed. function: what
    runs in its place. What it writes comes through files, so that nothing waits for a reader.
    """
    count = itertools.count()

    def run(*words, function=None, memory=None, file_size=None, seconds=CPU_SECONDS, cwd=tmp_path):
        if function is None:
            for name in LOADED[words[0]]:
                importlib.import_module(name)
            app = importlib.import_module(f"{words[0]}.__main__").app
            words = [f"{ROOT}/{words[0]}/__main__.py", *map(str, words[1:])]
        written = [tmp_path / f".{name}{next(count)}" for name in ("out", "err")]
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _in_the_child(written, cwd, memory=memory, file_size=file_size, seconds=seconds)
                sys.argv = list(words)
                function() if function else cli.run(app)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(BaseException):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out, err = (path.read_text("utf-8", "replace") for path in written)
        for path in written:
            path.unlink()
        return Ended(os.waitstatus_to_exitcode(status), out, err)

    return run


def _in_the_child(written, cwd, *, memory, file_size, seconds):
    """Limits, and files in the place of what pytest captures; memory: bytes above what is there."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # the threads of this process's products are not in its copy
    for number, path in enumerate(written, 1):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    os.chdir(cwd)
    signal.setitimer(signal.ITIMER_REAL, 0)
    used = round(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (used, used + 1))
    signal.alarm(HANGS)
    if memory is not None:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
    if file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it from its start
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


class TooLongError(BaseException):
    """More CPU time than is allowed; no `except Exception` stops it."""


@pytest.fixture
def within():
    """`with within(5):` raises where what is inside takes more seconds of CPU time, in this process."""
    @contextlib.contextmanager
    def limit(seconds):
        def stop(number, frame):
            raise TooLongError(f"more than {seconds} s of CPU time")

        before = signal.signal(signal.SIGVTALRM, stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)

    return limit


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, items):
    session.config.stash[SHARERS] = max(1, sum(item.get_closest_marker("minutes") is not None for item in items))


SHARERS = pytest.StashKey[int]()


@pytest.fixture
def rounds(request):
    """`for n in rounds(3, most=100):` 0, 1, ...: 3 in CI; under `make faults` as many as fit into the test's share.

    most: no more than these. `rounds(0)` skips the test in CI. What was done is told at the end of `make faults`. They
    are counted from FAULTS_FROM on, so that another time tries what was not tried yet.
    """
    def count(few, most=None):
        minutes = float(os.environ.get("FAULTS_MINUTES") or 0)
        if not minutes:
            if not few:
                pytest.skip("takes minutes: make faults")
            yield from range(few)
            return
        first = int(os.environ.get("FAULTS_FROM") or 0)
        begun, share = time.monotonic(), 60 * minutes / request.config.stash[SHARERS]
        done = 0
        while done < few or (time.monotonic() - begun < share and (most is None or done < most)):
            yield first + done
            done += 1
        told = f"{request.node.name}: {done} rounds from {first} on in {time.monotonic() - begun:.0f} s"
        request.config.stash.setdefault(TOLD, []).append(told)

    return count


TOLD = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)
