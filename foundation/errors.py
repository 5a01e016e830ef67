"""Errors that a user can act on; each kind has one exit code. Standard library only."""

import difflib
import errno
from collections.abc import Iterable

SHOWN = 100  # letters of what was given
LONGEST = 10_000  # letters of an error
EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO)


class UserError(Exception):
    """Bad input. The message says what was given, what is allowed and what to do.

    Of a very long one, as where a file's content is repeated in it, the middle is left out.
    """

    exit_code = 2

    def __str__(self) -> str:
        said = super().__str__()
        return said if len(said) <= LONGEST else f"{said[:LONGEST // 2]}...{said[-LONGEST // 2:]}"


class DamagedFileError(UserError):
    """A file that is truncated, altered or not ours."""

    exit_code = 3


class ResourceError(UserError):
    """Memory, disk or a device that is missing or too small."""

    exit_code = 4


def of_the_system(error: Exception) -> Exception:
    """What a system says of a file or of this machine, as an error that a user can act on; others as is."""
    if type(error).__module__ != "builtins" or not isinstance(error, OSError) or error.strerror is None:
        return error
    named = str(error.filename or "")
    where = f": {named[:100]}{'...' if len(named) > 100 else ''}" if named else ""
    if error.errno in EXHAUSTED:
        return ResourceError(f"{error.strerror}{where}; make room, or choose another place")
    return UserError(f"{error.strerror}{where}; look at the path")


def unknown(kind: str, given: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in a registry: lists the right ones, the closest first when there is one."""
    allowed, given = list(allowed), str(given)
    given = given if len(given) <= SHOWN else f"{given[:SHOWN]}..."
    plain = {name.lower(): name for name in map(str, allowed)}
    close = difflib.get_close_matches(given.lower(), plain, n=1)
    hint = f" (did you mean '{plain[close[0]]}'?)" if close else ""
    return UserError(f"unknown {kind} '{given}'{hint}; choose one of: {', '.join(sorted(allowed))}")


def choose(kind: str, given: str, registry: dict):
    """Look `given` up in a hand-written registry; raises `UserError` that lists the allowed names."""
    if given not in registry:
        raise unknown(kind, given, registry)
    return registry[given]
