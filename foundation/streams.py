"""Standard output and error that fail in the house's way: a reader that leaves is no error, a full disk is one line.

A command line library takes a broken pipe for itself and exits with 1, and Python writes what is left once more when it
ends; so both streams are wrapped while a program runs, and led to nowhere once they have failed. Standard library only.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from foundation.errors import ResourceError


class ReaderLeftError(Exception):
    """Whoever read the standard output has enough of it, as `head` has."""


class _Guarded:
    """A text stream; what it does not do itself is the stream's."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with self._failing():
            return self.stream.write(text)
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._failing():
            self.stream.flush()

    def _failing(self) -> contextlib.AbstractContextManager:
        raise NotImplementedError


class _Output(_Guarded):
    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            _lead_nowhere(self.stream)
            raise ReaderLeftError from error
        except OSError as error:
            _lead_nowhere(self.stream)
            raise ResourceError(f"cannot write the standard output: {error.strerror}; make room, or lead it to another "
                                "place") from error


class _Error(_Guarded):
    """What is said beside a result: where it cannot be said, the work goes on."""

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _lead_nowhere(self.stream)


def _lead_nowhere(stream: TextIO) -> None:
    """What is still in the stream's memory would fail once more when Python ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _open_what_is_closed() -> None:
    """Lead to nowhere what whoever started the program has closed.

    The next file that is opened would get its number, and whatever a library or another process prints, in the middle.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free, so this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Inside, writing to standard output raises `ReaderLeftError` or `ResourceError` alone, to standard error nothing.
    """
    before = sys.stdout, sys.stderr
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):  # a letter that the locale's encoding does not have is no reason to stop
        with contextlib.suppress(AttributeError, ValueError, OSError):
            if stream.errors == "strict":
                stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = _Output(sys.stdout), _Error(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
