"""Processes that work for this one and end with it, however it ends.

Each begins as a new Python: a fork would share what libraries keep in their modules. Standard library only.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


@contextlib.contextmanager
def processes(count: int | None, prepare: Callable[[], object] | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes (default: one a core), each of which calls `prepare` before its first work.

    Where the block is left by an error, as Ctrl-C is one, they are ended at once; where this process is killed, they
    end by themselves. Ctrl-C in a terminal reaches this process alone, which decides. Temporary files that they make
    lie in a folder of their own, which goes with them: who is ended at once removes nothing.
    """
    with _folder() as temporary:
        pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin,
                                   initargs=(prepare, temporary))
        try:
            yield pool
        except BaseException:
            workers = list((pool._processes or {}).values())  # kill_workers(), before Python 3.14
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.join()
            raise
        pool.shutdown()


@contextlib.contextmanager
def _folder() -> Iterator[str | None]:
    """A temporary folder; None where there can be none, and then they go without."""
    try:
        path = tempfile.mkdtemp(prefix="astro-rmaat-")
    except OSError:
        path = None
    try:
        yield path
    finally:
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)


def _begin(prepare: Callable[[], object] | None, temporary: str | None) -> None:
    """In a new process: listen to the parent alone, and end with it."""
    if temporary is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = temporary  # the first is for programs that it starts
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel, temporary), daemon=True).start()
    if prepare is not None:
        prepare()  # what it imports may take Ctrl-C for itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with(sentinel: int, temporary: str | None) -> None:
    wait([sentinel])
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
    os._exit(1)
