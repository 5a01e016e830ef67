"""Work in several programs at once, whose results come in order. Standard library only: a worker starts in a tenth.

Workers are programs of their own: torch's threads must not be forked, and multiprocessing's "spawn" would run the
caller's script again.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from foundation.errors import ResourceError, UserError

DONE, REFUSED = b"+", b"-"  # the first byte of an answer


def in_programs(module: str, jobs: Sequence[list], *, workers: int) -> Iterator[bytes]:
    """What `python -m module` makes of each job, in order; a job is the arguments of its `work` as JSON values.

    Raises the worker's `UserError`, and `ResourceError` where a worker was killed. Whoever stops early, stops the
    workers.
    """
    pool, crew = ThreadPoolExecutor(max(1, min(workers, len(jobs)))), _Crew(module)
    try:
        yield from pool.map(crew.do, jobs)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        crew.dismiss()


class _Crew:
    """The programs that run."""

    def __init__(self, module: str):
        self.module, self.running, self.lock, self.dismissed = module, set(), threading.Lock(), False

    def do(self, job: list) -> bytes:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        with self.lock:
            if self.dismissed:
                return b""
            worker = subprocess.Popen([sys.executable, "-m", self.module], env=environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, start_new_session=True)  # Ctrl-C is the parent's
            self.running.add(worker)
        with worker:
            made, _ = worker.communicate(json.dumps(job).encode())
        with self.lock:
            self.running.discard(worker)
        if made[:1] == REFUSED:
            raise UserError(made[1:].decode())
        if worker.returncode or made[:1] != DONE:
            raise ResourceError(f"a worker ({self.module}) ended with code {worker.returncode}; is there memory for as "
                                "many workers as cores?")
        return made[1:]

    def dismiss(self) -> None:
        with self.lock:
            self.dismissed = True
            for worker in self.running:
                worker.kill()


def answer(work: Callable[..., bytes]) -> None:
    """The worker's side: one job from stdin, its result to stdout. Nobody works for a parent that was killed."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        made = DONE + work(*json.load(sys.stdin))
    except UserError as error:
        made = REFUSED + str(error).encode()
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
