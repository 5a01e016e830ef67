"""What this machine has left of memory, and the refusal of what is larger before it is begun. Standard library only."""

import contextlib
import os
import re
from pathlib import Path

from foundation.errors import ResourceError

MARGIN = 0.9  # of what is free may be used


def available_memory() -> int:
    """Bytes that a process may still take: what the system has free, within the limit of its control group."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")]
    with contextlib.suppress(OSError, TypeError):  # not Linux
        text = Path("/proc/meminfo").read_text("ascii")
        found = [1024 * int(re.search(r"MemAvailable:\s+(\d+)", text)[1])]  # counts caches that would be given back
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # no such group, or "max"
        most, taken = (int((group / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        found.append(most - taken)
    return max(0, min(found))


def largest_file() -> int | None:
    """Bytes of the largest file that this process may write; None where there is no such limit."""
    with contextlib.suppress(ImportError):  # not Unix
        import resource

        soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return None if soft == resource.RLIM_INFINITY else soft
    return None


def size_text(count: float) -> str:
    """Bytes for people: 1.2 GB."""
    value, names = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(names) > 1:
        value /= 1000
        names.pop(0)
    return f"{value:.3g} {names[0]}"


def refuse_above_memory(what: str, needed: float, advice: str) -> None:
    """Raises `ResourceError` with the estimate where `what` needs more bytes than may be used."""
    free = MARGIN * available_memory()
    if needed > free:
        raise ResourceError(f"{what}: needs at least {size_text(needed)} of memory, {size_text(free)} may be used; "
                            f"{advice}")
