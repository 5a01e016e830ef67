"""What this machine has left of memory, and the refusal of what is larger before it is begun. Standard library only."""

import contextlib
import math
import os
import re
from pathlib import Path

from foundation.errors import ResourceError

MARGIN = 0.9  # of what is free may be used
MOST_THREADS = 1024  # of a process: more are no use, and the system may not give them
CGROUPS = (("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),  # version 2, version 1
           ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"))
TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed", "numel: integer multiplication overflow")


def available_memory() -> int | None:
    """Bytes that a process may still take: what the system has free, within its own limit and that of a container.

    None where the system does not tell.
    """
    known = [found for found in (_system(), _own(), *(_below(*paths) for paths in CGROUPS)) if found is not None]
    return min(known) if known else None


def usable_memory() -> float:
    """Bytes that may be used: a share of what is available, and no limit where the system does not tell."""
    free = available_memory()
    return math.inf if free is None else MARGIN * free


def _system() -> int | None:
    """What Linux says that can be had without swapping; elsewhere half of the memory that there is."""
    with contextlib.suppress(OSError, TypeError):
        text = Path("/proc/meminfo").read_text("ascii")
        return 1024 * int(re.search(r"MemAvailable:\s+(\d+)", text)[1])  # counts caches that would be given back
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _own() -> int | None:
    """What this process' own limit (`ulimit -v`) leaves of addresses; None where it has none."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not Unix, or no /proc
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            return max(0, soft - int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize())
    return None


def _below(limit: str, used: str) -> int | None:
    """What a container may still take; None where it has no limit."""
    try:
        return max(0, int(Path(limit).read_text("ascii")) - int(Path(used).read_text("ascii")))
    except (OSError, ValueError):  # no such file, or "max"
        return None


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


def of_memory(error: BaseException) -> str | None:
    """How much was asked for and is free, "" where neither is known, if an error says that memory ran out; else None.

    torch's allocator on CPU has no class of error of its own: it is known by what it says.
    """
    if not isinstance(error, MemoryError) and not (type(error) is RuntimeError and any(
            text in str(error) for text in TOO_LARGE)):
        return None
    return asked_and_free(error, available_memory())


def asked_and_free(error: BaseException, free: int | None) -> str:
    """What an error says was asked for, and what is free, as far as either is known."""
    asked = re.search(r"(?:tried to|unable to) allocate ([\d.]+ ?\w+)", str(error), re.IGNORECASE)
    return ", ".join(([f"{asked[1]} were asked for at once"] if asked else [])
                     + ([f"{free:,} bytes are free"] if free else []))


def refuse_above_memory(what: str, needed: float, advice: str) -> None:
    """Raises `ResourceError` with the estimate where `what` needs more bytes than may be used."""
    free = usable_memory()
    if needed > free:
        raise ResourceError(f"{what}: needs at least {size_text(needed)} of memory, {size_text(free)} may be used; "
                            f"{advice}")
