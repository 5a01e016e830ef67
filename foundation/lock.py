"""One writer at a time: a file that says which process writes here, taken over where that process is dead.

    with locked(folder / LOCK, "training"):
        ...

What counts is whether the process that is named still runs, not whether the file is there, so a kill leaves nothing
that a person must remove. A process of another machine cannot be looked at: it is believed. Standard library only.
"""

import contextlib
import dataclasses
import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from foundation import process
from foundation.errors import SHOWN, ResourceError, UserError
from foundation.files import FULL, full
from foundation.process import Process
from foundation.reading import read_bytes

LOCK = ".lock"
SCHEMA = 1
MOST_BYTES = 10_000
PATIENCE = 10.0  # seconds that another may take to write one line
LOOKS_AGAIN = 0.2  # seconds, where one waits


@contextlib.contextmanager
def locked(path: str | os.PathLike, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while this lasts; its folder is made where it is missing.

    `what` says in a word what is being done, for whoever comes second. With `wait`, for caches, the second waits until
    the first has ended, and says so; where the first is on another machine, or the folder cannot be written to, it goes
    on and holds nothing. Raises `ResourceError` that names the holder, `UserError` where the folder cannot be written
    to.
    """
    path = Path(path)
    made = []
    held = False
    try:
        try:
            made = _make_folder(path)
            held = _wait_for(path, what) if wait else _take_or_refuse(path, what)
        except (UserError, OSError):  # OSError: a disk that is full
            if not wait:
                raise
        yield
    finally:
        if held:
            _release(path)
        for folder in made:  # a run that was refused leaves no empty folder
            with contextlib.suppress(OSError):
                folder.rmdir()


def _take_or_refuse(path: Path, what: str) -> bool:
    found = _take(path, what)
    if found is not None:
        raise ResourceError(_said(path, found))
    return True


def _wait_for(path: Path, what: str) -> bool:
    """Take the lock when its holder has ended; False where that cannot be seen."""
    said = False
    while (found := _take(path, what)) is not None:
        if found["host"] != process.host():
            return False
        if not said:
            said = True
            print(f"note: waiting for {_name(found)}, which makes the same", file=sys.stderr)
        time.sleep(LOOKS_AGAIN)
    return True


def holder(path: str | os.PathLike) -> dict | None:
    """Who holds the lock: pid, host, started, since, what; None where nobody does."""
    try:
        found = _read(read_bytes(path, "lock", MOST_BYTES))
    except UserError:
        return None
    return None if found is None or _is_over(found) else found


def _make_folder(path: Path) -> list[Path]:
    """The folders that had to be made, the innermost first."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path.parent}: {error.strerror}; choose another place") from error
    return made


def _take(path: Path, what: str) -> dict | None:
    """Write this process into the lock file; who holds it where somebody does."""
    with _alone_with(path) as handle:
        found = _read(os.pread(handle, MOST_BYTES, 0))
        if found is not None and not _is_over(found):
            return found
        body = {"schema": SCHEMA, **dataclasses.asdict(process.this()), "what": what,
                "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        line = (json.dumps(body) + "\n").encode()
        try:
            os.ftruncate(handle, 0)
            written = 0
            while written < len(line):  # a disk that becomes full takes a part of it first
                written += os.pwrite(handle, line[written:], written)
        except OSError as error:
            path.unlink()  # it names nobody
            if error.errno in FULL:
                raise full(path, error, len(line)) from error
            raise
    return None


def _release(path: Path) -> None:
    """Remove the lock file where it is this process's; a folder that was moved away took it along."""
    with contextlib.suppress(OSError, UserError, ResourceError):
        if not path.exists():
            return
        with _alone_with(path) as handle:
            found = _read(os.pread(handle, MOST_BYTES, 0))
            if found is not None and _process(found) == process.this():
                path.unlink()


def remove_left(path: str | os.PathLike) -> None:
    """Remove a lock file that nobody holds: what is left where a process was killed after its last work was done."""
    path = Path(path)
    with contextlib.suppress(OSError, UserError, ResourceError):
        if not path.exists():
            return
        with _alone_with(path) as handle:
            found = _read(os.pread(handle, MOST_BYTES, 0))
            if found is None or _is_over(found):
                path.unlink()


@contextlib.contextmanager
def _alone_with(path: Path) -> Iterator[int]:
    """The file open, and no other process in here with it; for an instant each."""
    handle = _opened(path)
    try:
        yield handle
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise UserError(f"{path} is no regular file, so no lock; remove it, or choose another place")
        if _flock(handle) and _is_still(path, handle):
            return handle
        os.close(handle)
        if time.monotonic() > until:
            raise ResourceError(f"{path}: another process has held it open for {PATIENCE:g} s; look what it does, and "
                                "try again")
        time.sleep(0.01)


def _flock(handle: int) -> bool:
    """False where another process has it now; file systems that know no such locks go without."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Whether the open file is the one of that name: its holder may just have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False


def _read(data: bytes) -> dict | None:
    """Whom a lock file names; None for one that names nobody, as a kill in the middle of a line leaves it."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    kinds = {"pid": int, "host": str, "started": str, "what": str, "since": str}
    if not isinstance(found, dict) or any(type(found.get(name)) is not kind for name, kind in kinds.items()):
        return None
    return found if 0 < found["pid"] < 2**31 else None


def _process(found: dict) -> Process:
    return Process(found["host"], found["pid"], found["started"])


def _is_over(found: dict) -> bool:
    return process.is_dead(_process(found))


def _name(found: dict) -> str:
    host, what, since = (_plain(found[name]) for name in ("host", "what", "since"))
    return f"process {found['pid']} on {host} ({what}, since {since})"


def _plain(text: str) -> str:
    """A text of a file for an error: one line of bounded length, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:SHOWN])


def _said(path: Path, found: dict) -> str:
    here = found["host"] == process.host()
    what = "wait for it or stop it" if here else f"wait for it; if it is no longer there, remove {path}"
    return f"{path.parent} is being written by {_name(found)}; {what}, or give another folder"
