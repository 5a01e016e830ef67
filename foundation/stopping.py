"""Ctrl-C, SIGTERM and SIGHUP: one wish to stop, whoever sends it. The first is granted when it suits, the second now.

A program exits with 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. Standard library only.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

OTHERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
ONE_WISH = 0.1  # seconds: `timeout` and queues of jobs signal a process and then its group, and mean it once
AGAIN = 0.01  # seconds after which a wish comes once more that was lost
LOADS = 10.0  # seconds for which a wish waits for modules to be loaded; one of a user's own may go on for ever
_received: list[int] = []  # the first signal that this process was asked to stop with
_gentle: list[Callable[[], None]] = []  # how what runs now would be stopped
_wished = float("-inf")  # when the last wish came, by a clock that nobody sets


def exit_code() -> int:
    """That of a process that was stopped: 128 and the signal's number."""
    return 128 + (_received[0] if _received else signal.SIGINT)


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP do what Ctrl-C does. What is ignored, as nohup lets SIGHUP be, stays ignored.

    No wish is lost, and none comes while modules are loaded, see `never_lost`.
    """
    _received.clear()
    # ignored in a script's background; Brian2 would call that constant
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    with never_lost() as interrupt:
        def stop(number, frame) -> None:
            if not _is_new():
                return
            _received.append(number)
            if _gentle:
                _gentle[-1]()
            else:
                interrupt(number, frame)

        try:
            with _handling({signal.SIGINT: _ignore if ignored else interrupt, **dict.fromkeys(OTHERS, stop)}):
                yield
        finally:
            # Python remembers a KeyboardInterrupt that left an `exec` of a text, as `dataclass` has one, and would end
            # by SIGINT, whatever the exit code; the next text makes it forget.
            exec("")


def _ignore(number, frame) -> None:
    """What is ignored, by something that can be called."""


@contextlib.contextmanager
def never_lost() -> Iterator[Callable]:
    """Inside, a `KeyboardInterrupt` that is raised where Python lets none out comes once more, a moment later.

    Such places are destructors and callbacks of weak references and of the garbage collection: Python prints there
    what was raised and goes on, as if nobody had asked for an end. Yields a signal's handler that raises one, and while
    modules are loaded only afterwards: libraries in C are left half loaded otherwise, make an error of their own of it,
    or end the process.
    """
    before, lasts, loading_since = sys.unraisablehook, [True], float("inf")

    def once_more(number: int) -> None:  # without the locks of `threading`: whoever was interrupted may hold them
        _thread.start_new_thread(_once_more, (lasts, number))

    def look(told) -> None:
        if not issubclass(told.exc_type, KeyboardInterrupt):
            before(told)
        else:
            once_more(_received[-1] if _received else signal.SIGINT)

    def interrupt(number, frame) -> None:
        nonlocal loading_since
        now = time.monotonic()
        loading_since = min(loading_since, now)
        if not _loads(frame) or now - loading_since > LOADS:
            raise KeyboardInterrupt
        once_more(number)

    sys.unraisablehook = look
    try:
        yield interrupt
    finally:
        lasts.clear()
        sys.unraisablehook = before


def _loads(frame) -> bool:
    """Whether a module is being loaded in a frame, or in one that called it."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _once_more(lasts: list[bool], number: int) -> None:
    """Send this process a signal again, unless what was to stop has ended by itself.

    Not where the main thread has just let this one run: what it does next may be to wait, without a look for signals.
    """
    global _wished
    for _ in range(10):
        begun = time.monotonic()
        time.sleep(AGAIN)
        if time.monotonic() - begun < 2 * AGAIN:
            break
    if lasts:
        _wished = float("-inf")  # it is no repetition of a wish that was heard
        os.kill(os.getpid(), number)


def was_asked(error: Exception) -> bool:
    """Whether an error, or one behind it, was raised from a `KeyboardInterrupt` and hides it.

    A library in C turns what is raised while it is loaded into an error of its own: it seems not to be installed then.
    What came while a wish was being granted, as a disk that is full, hides nothing.
    """
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and not isinstance(now, KeyboardInterrupt) and now not in seen:
        if isinstance(now.__cause__, KeyboardInterrupt):
            return True
        seen.append(now)
        now = now.__cause__ or now.__context__
    return False


@contextlib.contextmanager
def gently(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP call `stop` instead of raising `KeyboardInterrupt`."""
    _gentle.append(stop)
    try:
        yield
    finally:
        _gentle.remove(stop)


class StopRequest:
    """Inside, a first signal sets `asked`, for whoever finishes a step before it stops; a second one stops at once."""

    def __init__(self):
        self.asked = False
        self._restored = contextlib.ExitStack()

    def __enter__(self) -> "StopRequest":
        self._restored.enter_context(_handling(dict.fromkeys((signal.SIGINT, *OTHERS), self._ask)))
        return self

    def __exit__(self, *error) -> None:
        self._restored.close()

    def _ask(self, number, frame) -> None:
        if not _is_new():
            return
        _received.append(number)
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _is_new() -> bool:
    """Whether a signal is a wish of its own, not the last one once more."""
    global _wished
    before, now = _wished, time.monotonic()
    if now - before < ONE_WISH:
        return False
    _wished = now
    return True


@contextlib.contextmanager
def _handling(handlers: dict[int, Callable]) -> Iterator[None]:
    """Inside, these signals go there. Only the main thread may ask for that; elsewhere nothing changes."""
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
