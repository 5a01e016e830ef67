"""What may end a training run early: a request to stop, memory or disk that runs out."""

import contextlib
import errno
import signal
import threading
from collections.abc import Iterator

import torch

from foundation.errors import ResourceError

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed", "numel: integer multiplication overflow")


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


@contextlib.contextmanager
def resources(what: str) -> Iterator[None]:
    """Memory or disk that runs out becomes a `ResourceError` (exit code 4) that says what to lower."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_little_memory(what) from error
    except RuntimeError as error:  # torch's allocator on CPU has no error class of its own
        if not any(text in str(error) for text in TOO_LARGE):
            raise
        raise _too_little_memory(what) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceError(f"{what}: no space left on the disk; free some and go on with --resume") from error


def _too_little_memory(what: str) -> ResourceError:
    return ResourceError(f"{what}: not enough memory; lower train.batch_size or model.width, or use "
                         "model.gradient=amrb")
