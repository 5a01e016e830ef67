"""A file that this process did not write is first read by another process, which may fail, hang or grow in our place.

HDF5 follows what a file says: a bent one may make it loop for ever, take all memory, or crash. A right hash says that
nothing was altered, not who wrote it. The other process has limits on CPU time and memory; if it reads the file to its
end, so does this one. Where the system can copy a process, it is a copy of this one, which costs milliseconds.
"""

import contextlib
import faulthandler
import os
import select
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from astro_sim.recording import disk
from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.machine import size_text, usable_memory
from foundation.reading import shown

SECONDS, BYTES_A_SECOND = 4, 20 << 20  # of CPU time: at least, and for what a file holds
MEMORY = 1 << 30  # bytes besides what the file holds
GIVEN_UP = 600  # seconds that a process may wait for a disk
PROGRAM = "from astro_sim.recording.foreign import main; main()"
COPIES = sys.platform == "linux"  # elsewhere libraries do not expect it
READ = "read"

def try_out(path: Path) -> None:
    """Raises `DamagedFileError` where another process cannot read the recording `path`, or not within its limits.

    A sealed one is tried out once; one whose seal is wrong is damaged before anything looks at it.
    """
    digest = disk.sealed_hash(path)
    what = digest and disk.unknown(path, digest)
    if digest and not what:
        return
    limits = _limits(path)
    said = (_copy_says([(path, *limits)]) if COPIES else [_program_says(path, *limits)]) or [""]
    if said != [READ]:
        why = said[0] or f"HDF5 does not come to an end with it in {limits[0]} s, or crashes"
        raise DamagedFileError(f"{shown(path)}: cannot be read as a recording ({why}); it is truncated, altered or "
                               "foreign: simulate again")
    if what:
        disk.harmless.add(what)


def try_out_all(paths: Iterable[Path]) -> None:
    """Try out those that are sealed at once, which costs one copy; a bad one is left to whoever reads it."""
    left = []
    for path in paths:
        with contextlib.suppress(UserError):
            if (digest := disk.sealed_hash(path)) and (what := disk.unknown(path, digest)):
                left.append((what, (path, *_limits(path))))
    while left and COPIES:
        said = _copy_says([job for _, job in left])
        disk.harmless.update(what for (what, _), text in zip(left, said, strict=False) if text == READ)
        left = left[len(said) + 1:]  # the one that ended the copy is not tried again


def _limits(path: Path) -> tuple[int, int]:
    """Seconds of CPU time, and bytes of memory. Raises `ResourceError` for a file that does not fit into the memory."""
    size = path.stat().st_size
    if size > usable_memory():
        raise ResourceError(f"{shown(path)}: has {size_text(size)}, which do not fit into the memory")
    return SECONDS + size // BYTES_A_SECOND, MEMORY + 8 * size


def _copy_says(jobs: Sequence[tuple[Path, int, int]]) -> list[str]:
    """What a copy of this process says of files, each with its limits, until one of them ends it."""
    from h5py._objects import phil  # HDF5's lock: no other thread is in there while we copy

    reading, writing = os.pipe()
    with phil, warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of threads, which it lacks
        pid = os.fork()
        if pid == 0:
            try:
                _become_a_reader()
                for job in jobs:
                    os.write(writing, f"{_said_of(*job)}\n".encode("utf-8", "replace"))
            finally:
                os._exit(0)  # whatever HDF5 would do at the end
    os.close(writing)
    told = b""
    try:
        while select.select([reading], [], [], GIVEN_UP)[0] and (more := os.read(reading, 1 << 16)):
            told += more
        return told.decode("utf-8", "replace").splitlines()
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become_a_reader() -> None:
    """A copy ends when it is told to, and what a library says when it fails is nobody's."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)


def _program_says(path: Path, seconds: int, room: int) -> str:
    """The same of a new Python."""
    search = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(path), str(seconds), str(room)], check=False,
                              capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}, timeout=GIVEN_UP)
    except subprocess.TimeoutExpired:
        return ""
    return "".join(done.stdout.strip().splitlines()[-1:])


def main() -> None:
    """Read the recording that is named under the limits given, and print what is to be said of it."""
    path, seconds, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(_said_of(Path(path), seconds, room), flush=True)
    os._exit(0)


def _said_of(path: Path, seconds: int, room: int) -> str:
    """`READ` where the file can be read under these limits, else why not."""
    try:
        from astro_sim.recording import netcdf

        _limit(seconds, room)
        netcdf.read(path)
    except BaseException as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return READ


def _limit(seconds: int, room: int) -> None:
    """CPU time and memory besides what is loaded; a system without such limits has the parent's patience alone."""
    try:
        import resource
    except ImportError:
        return
    import time

    import h5py  # noqa: F401  what is loaded does not count

    def lower(kind: int, most: int) -> None:
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))

    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_CPU, int(time.process_time()) + 1 + seconds)
    try:
        taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return
    lower(resource.RLIMIT_AS, taken + room)
