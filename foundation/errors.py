"""Errors that a user can act on; each kind has one exit code. Standard library only."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The message says what was given, what is allowed and what to do."""

    exit_code = 2


class DamagedFileError(UserError):
    """A file that is truncated, altered or not ours."""

    exit_code = 3


class ResourceError(UserError):
    """Memory, disk or a device that is missing or too small."""

    exit_code = 4


def unknown(kind: str, given: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in a registry: lists the right ones, the closest first when there is one."""
    allowed = list(allowed)
    plain = {name.lower(): name for name in map(str, allowed)}
    close = difflib.get_close_matches(str(given).lower(), plain, n=1)
    hint = f" (did you mean '{plain[close[0]]}'?)" if close else ""
    return UserError(f"unknown {kind} '{given}'{hint}; choose one of: {', '.join(sorted(allowed))}")


def choose(kind: str, given: str, registry: dict):
    """Look `given` up in a hand-written registry; raises `UserError` that lists the allowed names."""
    if given not in registry:
        raise unknown(kind, given, registry)
    return registry[given]
