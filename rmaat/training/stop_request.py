"""Ctrl-C and SIGTERM while a run trains."""

import signal
import threading


class StopRequest:
    """Ctrl-C (or SIGTERM) asks for a checkpoint after the running step; a second one stops at once."""

    def __init__(self):
        self.asked, self.before = False, {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
