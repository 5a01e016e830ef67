"""Notes: what a user should know of a result that is right otherwise.

In Python a note is a warning of a kind of its own, in a program a line on stderr.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = tuple(f"{ROOT / package}/" for package in ("astro_sim", "derivation", "figures", "foundation", "rmaat"))
_PROGRAMS: list[set[str]] = []  # what each program that runs has said


class Note(UserWarning):
    """Something to know of a result; kinds of it can be silenced by Python's filters, as any warning."""


def note(kind: type[Note], text: str) -> None:
    """Warn from the line, outside this project, that led here; in a program say it once, on stderr."""
    level, frame = 1, sys._getframe()
    while frame.f_back and str(Path(frame.f_code.co_filename).resolve()).startswith(OURS):
        frame, level = frame.f_back, level + 1
    if not _PROGRAMS:
        warnings.warn(text, kind, stacklevel=level)
        return
    # not by a hook of Python's: Brian2 puts its own logger into its place
    with warnings.catch_warnings(record=True) as kept:
        warnings.warn(text, kind, stacklevel=level)
    if kept and text not in _PROGRAMS[-1]:
        _PROGRAMS[-1].add(text)
        print(f"note: {text}", file=sys.stderr)


def begin() -> None:
    """From now on notes are lines on stderr, each once: for a process that works for a program."""
    _PROGRAMS.append(set())


@contextlib.contextmanager
def on_stderr() -> Iterator[None]:
    """Inside, notes are lines on stderr."""
    begin()
    try:
        yield
    finally:
        _PROGRAMS.pop()
