"""Files that are whole or absent: written aside, synced, renamed; folders carry a SHA-256 manifest.

Standard library only. No common format notices a flipped bit by itself, so whoever reads verifies.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from foundation import process
from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.machine import largest_file, size_text
from foundation.reading import is_file, opened, read_json, shown

MANIFEST = "manifest.json"
PART = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)
MOST_MANIFEST = 1_000_000  # bytes


def cache_folder() -> Path:
    """Where what can be made anew is kept: $ASTRO_RMAAT_CACHE, else astro-rmaat in $XDG_CACHE_HOME or ~/.cache.

    A user without a home has one in the folder of temporary files.
    """
    if own := os.environ.get("ASTRO_RMAAT_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "astro-rmaat"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"astro-rmaat-{os.getuid()}"


def sha256_bytes(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal digits. Raises `UserError` for what is no regular file."""
    digest = hashlib.sha256()
    with opened(path, "file") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no blanks, no NaN. What is hashed is this text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, needs: int | None = None, *, apart: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and takes `path`'s place, on failure it is removed.

    needs: bytes, where known. apart: in a temporary folder of its own, for a library that writes temporaries beside its
    file in turn, as safetensors does: a kill leaves them where they are found. Raises `UserError` when the folder
    cannot be written to, `ResourceError` when the disk is full, with the bytes that are needed and free.
    """
    path = Path(path)
    named = {"prefix": f"{_beginning(path)}{mark()}.", "suffix": PART, "dir": path.parent}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if apart:
            temporary = Path(tempfile.mkdtemp(**named)) / "new"
        else:
            handle, name = tempfile.mkstemp(**named)
            os.close(handle)
            temporary = Path(name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if getattr(error, "errno", None) in FULL:
            raise full(path, error, needs) from error
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write {shown(path)}: {why}; choose another place") from error
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except Exception as error:
        system = _of_the_system(error)
        if system is not None and system.errno in FULL:
            raise full(path, system, needs or (temporary.stat().st_size if temporary.exists() else None)) from error
        if system is None or system.errno not in UNWRITABLE:
            raise
        raise UserError(f"cannot write {shown(path)}: {system.strerror}; choose another place") from error
    finally:
        if apart:
            shutil.rmtree(temporary.parent, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _beginning(path: Path) -> str:
    """How the names of the temporaries of `path` begin."""
    short = path.name.encode(errors="ignore")[:150].decode(errors="ignore")
    return f".{short}."


def mark() -> str:
    """What stands in the name of a temporary: whose it is."""
    return f"{process.host_mark()}-{os.getpid()}"


def remove_leftovers(folder: str | os.PathLike, start: str = ".") -> None:
    """Remove the temporaries of `replacing`, and folders named alike, that a process of this machine left when killed.

    `start` is how their names begin. Those of processes that run, and of other machines, stay.
    """
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(start) or not path.name.startswith("."):
            continue
        found = re.search(rf"\.{process.host_mark()}-(\d{{1,9}})\.[^.]*(?:{re.escape(PART)})?$", path.name)
        if found and process.started(int(found[1])) is None:
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _of_the_system(error: Exception) -> OSError | None:
    """What the system said, if it did; a library in Rust repeats it in an error of its own, with `(os error 28)`."""
    found = re.search(r"\(os error (\d{1,3})\)", str(error))
    if isinstance(error, OSError) or not found:
        return error if isinstance(error, OSError) else None
    return OSError(int(found[1]), os.strerror(int(found[1])))


def full(path: Path, error: OSError, needs: int | None) -> ResourceError:
    """The error of a disk that is full, or of a limit on the size of files."""
    with contextlib.suppress(OSError):
        room = f"{size_text(shutil.disk_usage(path.parent).free)} are free"
        if error.errno == errno.EFBIG:
            room = f"{size_text(largest_file() or 0)} are allowed for a file"
        wanted = f"it needs at least {size_text(needs)}, " if needs else ""
        return ResourceError(f"cannot write {shown(path)}: {error.strerror}; {wanted}{room}; make room, or choose "
                             "another place")
    return ResourceError(f"cannot write {shown(path)}: {error.strerror}; make room, or choose another place")


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is synced; some file systems do not offer it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_writable(path: str | os.PathLike, option: str = "--out", *, folder: bool = False) -> None:
    """Raises `UserError` where `path` could not be written: a file, or files in a folder. For use before the work.

    What a killed process left of an earlier time is removed: of this file, or of all in the folder.
    """
    path = Path(path)
    try:
        if not folder and path.is_dir():
            raise UserError(f"{option}: {path} is a folder; name a file such as {path / 'result'}")
        if folder and path.exists() and not path.is_dir():
            raise UserError(f"{option}: {path} is a file; name a folder")
        parent = path if folder and path.exists() else next(up for up in path.absolute().parents if up.exists())
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be written ({error.strerror}); choose another place") from error
    with contextlib.suppress(OSError):  # a folder that may be written to and not listed
        remove_leftovers(path if folder else path.parent, "." if folder else _beginning(path))


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path, needs=len(data)) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_manifest(folder: str | os.PathLike, names: list[str]) -> None:
    """Record the SHA-256 of `names` (relative to `folder`) in `folder/manifest.json`."""
    folder = Path(folder)
    entries = {name: sha256_file(folder / name) for name in sorted(names)}
    write_text(folder / MANIFEST, json.dumps(entries, indent=1, sort_keys=True) + "\n")


def verify_manifest(folder: str | os.PathLike, required: tuple[str, ...] = ()) -> dict[str, str]:
    """Check every file that the manifest names; returns it. Raises `DamagedFileError` naming the first bad file."""
    folder = Path(folder)
    try:
        entries = read_json(folder / MANIFEST, "manifest", MOST_MANIFEST)
        if not isinstance(entries, dict):
            raise DamagedFileError("not an object")
    except UserError as error:
        why = f"{folder / MANIFEST} is missing or unreadable ({error}); the folder is not whole"
        raise DamagedFileError(why) from error
    for name in required:
        if name not in entries:
            raise DamagedFileError(f"{folder / MANIFEST} does not list {name}; the folder is not whole")
    for name, digest in entries.items():
        path = folder / name
        if Path(name).name != name:
            raise DamagedFileError(f"{folder / MANIFEST} names {shown(name)}, which is no file of the folder")
        if not is_file(path):
            raise DamagedFileError(f"{path} is missing though the manifest lists it; restore it or start anew")
        if sha256_file(path) != digest:
            raise DamagedFileError(f"{path} does not match its SHA-256 in the manifest: damaged or altered")
    return entries
