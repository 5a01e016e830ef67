"""Which process this is, and whether another one still runs: what a lock and a temporary file are told apart by.

A process is named by host, pid and the moment of its start, since pids are given anew. Standard library only.
"""

import contextlib
import hashlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of some machine; `started` is "" where the system does not tell it."""

    host: str
    pid: int
    started: str = ""


def this() -> Process:
    """The process that asks."""
    return Process(host(), os.getpid(), started(os.getpid()) or "")


@cache
def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


@cache
def host_mark() -> str:
    """Eight digits that stand for this machine in the name of a file."""
    return hashlib.sha256(host().encode()).hexdigest()[:8]


def started(pid: int) -> str | None:
    """When a process of this machine started, in ticks of this boot: no clock that is set moves it.

    None where there is none, "" where the system does not tell.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        # a zombie has ended: nobody has asked yet how
        return None if fields[0] == "Z" else f"{_boot()}:{fields[19]}"
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() or not _answers(pid) else ""
    except (OSError, IndexError):
        return ""


@cache
def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    return ""


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def is_dead(process: Process) -> bool:
    """Whether it has certainly ended: it ran on this machine, and its pid is nobody's, or another process's."""
    if process.host != host():
        return False
    now = started(process.pid)
    return now is None or bool(now and process.started and now != process.started)


def ending_with_this(number: int = signal.SIGKILL) -> Callable[[], None]:
    """For `preexec_fn`: the program that is begun gets this signal when its parent has died, however that was killed.

    To be more exact, when the thread that began it has ended. Linux alone has it; elsewhere nothing happens.
    """
    prctl = None
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        prctl = ctypes.CDLL(None).prctl  # here: the copy of a process with threads should look nothing up

    def ask() -> None:
        if prctl is not None:
            prctl(1, int(number))  # PR_SET_PDEATHSIG

    return ask
