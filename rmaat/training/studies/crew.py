"""Processes that take the points of a study one after the other, until all are done or the study is to stop."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path

from foundation.files import remove_leftovers
from foundation.lock import LOCK, remove_left
from foundation.stopping import StopRequest
from rmaat.training.studies.worker import BUSY, FAILED, STOPPED, Job, Outcome, begin, work

DIED = "its process died: killed, or out of memory; the same command goes on with it"
AGAIN = 1.  # seconds before a point that another process has is looked at again


class Crew:
    """`jobs` processes with `threads` threads each; `told(name, outcome)` is called as points end, in any order.

    Each process stands alone: one that dies takes its own point with it, and is replaced.
    """

    def __init__(self, points: Mapping[str, Job], *, jobs: int, threads: int,
                 told: Callable[[str, Outcome], None]):
        self.waiting, self.jobs, self.threads, self.told = deque(points.items()), jobs, threads, told
        self.folders = [job.folder for job in points.values()]
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.running: dict[int, int] = {}  # slot -> pid of the process that has a point
        self.executors: list[ProcessPoolExecutor] = []
        self.ended = False  # by a second signal
        self.outcomes: dict[str, Outcome] = {}
        self.elsewhere: set[str] = set()

    def run(self, seconds: float | None = None) -> dict[str, Outcome]:
        """All outcomes by name; after `seconds` the runs are stopped at a checkpoint.

        On Ctrl-C, SIGTERM or SIGHUP as well, then raises `KeyboardInterrupt`; after a second one at once.
        """
        until = None if seconds is None else time.monotonic() + seconds
        slots = [threading.Thread(target=self._slot, args=(number,)) for number in range(self.jobs)]
        try:
            with StopRequest() as request:
                for slot in slots:
                    slot.start()
                while alive := [slot for slot in slots if slot.is_alive()]:
                    alive[0].join(.2)
                    if request.asked or (until is not None and time.monotonic() > until):
                        self.stop()
        except BaseException:
            self.end()
            raise
        if request.asked:
            raise KeyboardInterrupt
        return self.outcomes

    def stop(self) -> None:
        """Ask every run for a checkpoint and its end, once."""
        with self.lock:
            if self.stopping.is_set():
                return
            self.stopping.set()
            for pid in self.running.values():
                _interrupt(pid)

    def end(self) -> None:
        """Kill every process: the last checkpoints are whole, and the same command goes on from there."""
        with self.lock:
            self.ended = True
            self.stopping.set()
            left = [process for executor in self.executors for process in (executor._processes or {}).values()]
        for process in left:
            process.kill()
        for process in left:
            process.join()
        for folder in self.folders:
            remove_leftovers(folder)
            remove_left(Path(folder) / LOCK)

    def _slot(self, number: int) -> None:
        """One process and its points, one after the other."""
        executor = None
        try:
            while (taken := self._take()) is not None:
                name, job = taken
                executor = executor or self._process()
                try:
                    outcome = self._outcome(number, executor, job)
                except BrokenExecutor:
                    executor = None
                    outcome = Outcome(STOPPED) if self.stopping.is_set() else Outcome(FAILED, DIED)
                self._end(name, job, outcome)
        finally:
            if executor is not None:
                executor.shutdown()

    def _process(self) -> ProcessPoolExecutor:
        made = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=begin,
                                   initargs=(self.threads,))
        with self.lock:
            self.executors.append(made)
        return made

    def _outcome(self, number: int, executor: ProcessPoolExecutor, job: Job) -> Outcome:
        try:
            with self.lock:
                if self.stopping.is_set():
                    return Outcome(STOPPED)
                asked = executor.submit(os.getpid)
            pid = asked.result()
            with self.lock:
                if self.stopping.is_set():
                    return Outcome(STOPPED)
                self.running[number] = pid
                future = executor.submit(work, job)
            return future.result()
        except BrokenExecutor:
            raise
        except Exception as error:  # what cannot be sent to another process
            return Outcome(FAILED, f"{type(error).__name__}: {error}")
        finally:
            with self.lock:
                self.running.pop(number, None)

    def _take(self) -> tuple[str, Job] | None:
        """The next point; one that another process has is waited for, behind all others."""
        while not self.stopping.is_set():
            with self.lock:
                if not self.waiting:
                    return None
                name, job = self.waiting.popleft()
            if name in self.elsewhere and self.stopping.wait(AGAIN):
                with self.lock:
                    self.waiting.append((name, job))
                return None
            return name, job
        return None

    def _end(self, name: str, job: Job, outcome: Outcome) -> None:
        with self.lock:
            if outcome.state == BUSY:
                if name not in self.elsewhere:
                    print(f"note: {name} is being trained by another process; waiting for it after all others",
                          file=sys.stderr)
                self.elsewhere.add(name)
                self.waiting.append((name, job))
                return
            self.outcomes[name] = outcome
            self.told(name, outcome)


def _interrupt(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
