"""The one way to read a file that someone names: regular files alone, and no more bytes than are allowed.

A pipe would wait for ever, a device such as /dev/zero would fill the memory, a file may grow while it is read, and what
it holds may be anything. Every reader of the project comes through here (a test looks for those that do not). Standard
library only.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from foundation.errors import DamagedFileError, ResourceError, UserError

KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
         (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))
SHOWN = 200  # letters of a path in an error
PIECE = 1 << 20  # bytes


def shown(path: str | os.PathLike) -> str:
    """A path for an error: a long one has its middle left out."""
    text = str(path)
    return text if len(text) <= SHOWN else f"{text[:SHOWN // 2]}...{text[-SHOWN // 2:]}"


def is_file(path: str | os.PathLike) -> bool:
    """Whether a regular file is there. A path that the system cannot even look up, as a too long one, is none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def opened(path: str | os.PathLike, what: str, *, advice: str = "") -> Iterator[BinaryIO]:
    """A regular file, open for reading bytes; `what` names it in errors, `advice` says what to do, after a semicolon.

    Raises `UserError` for one that is missing, may not be read, or is no regular file.
    """
    ends = f"; {advice}" if advice else ""
    cannot = f"cannot read the {what} {shown(path)}: "
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer does not wait
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{cannot}{getattr(error, 'strerror', None) or error}{ends}") from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = next((name for test, name in KINDS if test(mode)), "something else")
        raise UserError(f"{cannot}it is {kind}, not a regular file{ends}")
    with open(handle, "rb") as stream:
        try:
            yield stream
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise DamagedFileError(f"{cannot}{error.strerror}") from error


def read_bytes(path: str | os.PathLike, what: str, most: int, *, advice: str = "",
               error: type[UserError] = DamagedFileError) -> bytes:
    """The content of a regular file of at most `most` bytes; a larger one is an `error` before it is read.

    Raises `UserError` as `opened`.
    """
    with opened(path, what, advice=advice) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = _at_most(stream, most + 1, size + 1) if size <= most else b""
    if size > most or len(data) > most:  # the second: it grew, or is of a system that tells no size
        raise error(f"{what} {shown(path)}: larger than {most:,} bytes, so not a {what}")
    return data


def _at_most(stream: BinaryIO, most: int, first: int) -> bytes:
    """As many bytes as there are up to `most`: `first` of them, then a piece at a time.

    Memory for all that is asked for at once is taken before a byte is read.
    """
    pieces = [stream.read(min(first, most))]
    left = most - len(pieces[0])
    while left and pieces[-1]:
        pieces.append(stream.read(min(PIECE, left)))
        left -= len(pieces[-1])
    return b"".join(pieces)


def read_text(path: str | os.PathLike, what: str, most: int, *, encoding: str = "utf-8", advice: str = "",
              error: type[UserError] = DamagedFileError) -> str:
    """`read_bytes` as text, line ends as they are in the file read as \\n; what is not text is an `error`, too."""
    data = read_bytes(path, what, most, advice=advice, error=error)
    try:
        return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as bad:
        raise error(f"{what} {shown(path)}: not a text file") from bad


def read_json(path: str | os.PathLike, what: str, most: int, *, advice: str = "") -> object:
    """What a JSON file holds. Raises `UserError` as `opened`, `DamagedFileError` for a file that is none."""
    text = read_text(path, what, most, advice=advice)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{what} {shown(path)}: not JSON ({str(error)[:120]})") from error


@contextlib.contextmanager
def content_of(where: str, advice: str = "") -> Iterator[None]:
    """Inside, what a file says is being understood: whatever fails there is the file's fault, a `DamagedFileError`.

    For content that someone else may have written, whose reader cannot foresee all that may be wrong with it. The
    project's own errors pass; too little memory is a `ResourceError`.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{where}: its content does not fit into the memory") from error
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise DamagedFileError(f"{where}: cannot be read ({type(error).__name__}{f': {said}' if said else ''}); it is "
                               f"cut, altered or of another kind{f'; {advice}' if advice else ''}") from error
