"""A file without this program's seal is first read by another process, which may fail, hang or grow in our place.

HDF5 follows what a file says: a bent one may make it loop for ever, take all memory, or crash. The process has limits
on CPU time and memory; if it reads the file to its end, so does this one.
"""

import os
import subprocess
import sys
from pathlib import Path

from foundation.errors import DamagedFileError, ResourceError
from foundation.machine import size_text, usable_memory
from foundation.reading import shown

SECONDS, BYTES_A_SECOND = 5, 20 << 20  # of CPU time: at least, and for what a file holds
MEMORY = 1 << 30  # bytes besides what the file holds
GIVEN_UP = 600  # seconds that a process may wait for a disk
PROGRAM = "from astro_sim.recording.foreign import main; main()"


def try_out(path: Path) -> None:
    """Raises `DamagedFileError` where another process cannot read the recording `path`, or not within its limits."""
    size = path.stat().st_size
    room = MEMORY + 8 * size
    if size > usable_memory():
        raise ResourceError(f"{shown(path)}: has {size_text(size)}, which do not fit into the memory")
    seconds = SECONDS + size // BYTES_A_SECOND
    search = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(path), str(seconds), str(room)], check=False,
                              capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}, timeout=GIVEN_UP)
        said, code = done.stderr.strip().splitlines()[-1:], done.returncode
    except subprocess.TimeoutExpired:
        said, code = [], None
    if code == 0:
        return
    why = said[0][:160] if code == 3 and said else f"HDF5 does not come to an end with it in {seconds} s, or crashes"
    raise DamagedFileError(f"{shown(path)}: cannot be read as a recording ({why}); it is truncated, altered or "
                           "foreign: simulate again")


def main() -> None:
    """Read the recording that is named under the limits given; exit code 3 and the reason where that fails."""
    path, seconds, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        from astro_sim.recording import netcdf

        _limit(seconds, room)
        netcdf.read(path)
    except BaseException as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}", file=sys.stderr)
        os._exit(3)
    os._exit(0)  # whatever HDF5 would do at the end


def _limit(seconds: int, room: int) -> None:
    """CPU time and memory besides what is loaded; a system without such limits has the parent's patience alone."""
    try:
        import resource
    except ImportError:
        return
    import time

    import h5py  # noqa: F401  what is loaded does not count

    used = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds))
    try:
        taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (taken + room, taken + room))
