"""One point of a study in a process of its own: trained, gone on with, or left where another process has it."""

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path

from foundation import notes
from foundation.errors import ResourceError, UserError
from foundation.lock import LOCK, holder
from foundation.stopping import OTHERS, never_lost, was_asked
from rmaat.training.experiment import Experiment

DONE, STOPPED, BUSY, FAILED = "done", "stopped", "busy", "failed"
PATIENCE = 60  # seconds that a run has for its checkpoint once the study has died


@dataclass(frozen=True)
class Job:
    """What a process is sent: texts as far as possible, since what a file of a user's defines is made anew there."""

    folder: str
    make: Callable[..., Experiment]
    arguments: tuple
    data: str | None
    device: str


@dataclass(frozen=True)
class Outcome:
    """What became of a point."""

    state: str
    message: str = ""
    accuracy: float | None = None
    seconds: float = 0.


def begin(threads: int) -> None:
    """Prepare the process: threads, signals as the study passes them on, notes as a program says them, an end when the
    study has died."""
    import torch

    from rmaat.resources import keep_freed_memory

    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # a terminal's Ctrl-C goes to the study, which passes it on once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    notes.begin()
    torch.set_num_threads(threads)
    keep_freed_memory()
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGINT)  # a run stops at a checkpoint
        time.sleep(PATIENCE)
        os._exit(1)


def work(job: Job) -> Outcome:
    """Train the point, or go on with it; nothing is raised, so that other points go on."""
    from rmaat.training.trainer import train

    started = time.monotonic()
    try:
        with _ctrl_c():
            result = train(job.make(*job.arguments), job.folder, data=job.data, resume=True, device=job.device,
                           quiet=True)
            return Outcome(DONE, accuracy=result.accuracy, seconds=time.monotonic() - started)
    except KeyboardInterrupt:
        return Outcome(STOPPED)
    except Exception as error:
        if was_asked(error):
            return Outcome(STOPPED)
        if isinstance(error, ResourceError) and holder(Path(job.folder) / LOCK):
            return Outcome(BUSY)
        if isinstance(error, UserError):
            return Outcome(FAILED, str(error))
        # a fault in a task of a user's own, say: the other points should not suffer from it
        return Outcome(FAILED, f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


@contextlib.contextmanager
def _ctrl_c() -> Iterator[None]:
    """Inside, SIGINT is Ctrl-C; between two points nothing is there that it could stop.

    Other signals are left to the study, which passes them on as SIGINT: a queue of jobs sends SIGTERM to every process,
    and two of them would stop a run at once, in the middle of its step.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in OTHERS}
    try:
        with never_lost() as interrupt:
            signal.signal(signal.SIGINT, interrupt)
            yield
    finally:
        for number, handler in {**before, signal.SIGINT: signal.SIG_IGN}.items():
            signal.signal(number, handler)
