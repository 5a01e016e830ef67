"""The work of a sweep: what a point's worker does, in this process, in others, or in a compiled program."""

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from pathlib import Path
from typing import Any

from astro_sim.plan import Plan, prepare
from foundation.errors import UserError
from foundation.notes import Note
from foundation.workers import processes

MAX_PROGRAMS = 20  # half a minute each
START = 6.0  # seconds that the points left must take before other processes are worth their start
_BRIAN2_IS_ONE = threading.Lock()  # it has one device and one random state a process


def work_of(missing: Mapping[str, Mapping], folder: Path, note: Callable, stack: contextlib.ExitStack
          ) -> dict[str, tuple]:
    """What each point's worker is to call: name -> (function, arguments). Programs are compiled here, for all workers.

    Points whose program cannot be compiled are noted as failed.
    """
    work = {name: (run_point, point, str(folder / name)) for name, point in missing.items()
            if point.get("backend") != "cpp"}
    compiled: dict[str, dict[str, Plan]] = {}
    for name in missing.keys() - work.keys():
        from astro_sim.brian.program import structure

        plan = prepare(**missing[name])
        compiled.setdefault(structure(plan), {})[name] = plan
    if len(compiled) > MAX_PROGRAMS:
        raise UserError(f"backend cpp: the points need {len(compiled)} programs, above {MAX_PROGRAMS}; in one program "
                        "parameters (but not delays), initial values, inputs and the seed can be varied, not model, "
                        "options, dt, duration, method, record_every or spikes; use the backend numpy for those")
    for plans in compiled.values():
        from astro_sim.brian.program import built

        try:
            with _BRIAN2_IS_ONE:
                program = stack.enter_context(built(list(plans.values()), folder))
        except UserError as error:
            for name in plans:
                note(name, error)
            continue
        work |= {name: (run_in_program, program, missing[name], str(folder / name)) for name in plans}
    return work


def finished(work: Mapping[str, tuple], executor: Executor | None, workers: int | None
             ) -> Iterator[tuple[str, Future]]:
    """Names and futures as they end. Where a local process died, those it took along are tried again, each alone."""
    if executor is not None:
        futures = {executor.submit(*call): name for name, call in work.items()}
        try:
            yield from ((futures[future], future) for future in as_completed(futures))
        finally:
            for future in futures:  # where it was stopped, what has not begun
                future.cancel()
        return
    left = dict(work)
    if workers is None:
        yield from _here(left)
    if left:
        with processes(workers, load_brian2) as pool:
            futures = {pool.submit(*call): name for name, call in left.items()}
            for future in as_completed(futures):
                if not isinstance(future.exception(), BrokenExecutor):
                    left.pop(futures[future])
                    yield futures[future], future
    for name, call in left.items():
        with processes(1, load_brian2) as pool:
            future = pool.submit(*call)
            future.exception()  # waits
            yield name, future


def _here(left: dict[str, tuple]) -> Iterator[tuple[str, Future]]:
    """Work off what is left in this process, while that ends sooner than other processes would have started.

    The first point also pays for what is loaded and compiled once, so it foretells nothing.
    """
    spent, counted = 0.0, 0
    for number, (name, call) in enumerate(list(left.items())):
        if counted and spent / counted * len(left) > START:
            return
        started, future = time.monotonic(), Future()
        left.pop(name)
        try:
            future.set_result(call[0](*call[1:]))
        except Exception as error:  # as a process would hand it back
            future.set_exception(error)
        if number:
            spent, counted = spent + time.monotonic() - started, counted + 1
        yield name, future


def run_point(point: Mapping, path: str) -> None:
    """Simulate one point and save it as `path`.nc, unless it is there; an earlier failure is forgotten."""
    from astro_sim.run.simulation import run

    load_brian2()
    if not whole(Path(f"{path}.nc")):  # another sweep may have been quicker
        with _BRIAN2_IS_ONE:
            recording = run(_plan_of(point))
        recording.save(f"{path}.nc")
    Path(f"{path}.error.json").unlink(missing_ok=True)


def run_in_program(program: Any, point: Mapping, path: str) -> None:
    """The same with a compiled program."""
    from astro_sim.run.checks import find_problem
    from astro_sim.run.simulation import too_large_a_step

    load_brian2()
    if not whole(Path(f"{path}.nc")):
        plan = _plan_of(point)
        recording = program.run(plan)
        problem = find_problem(plan, recording)
        if problem:
            with _BRIAN2_IS_ONE:
                raise too_large_a_step(plan, problem)
        recording.save(f"{path}.nc")
    Path(f"{path}.error.json").unlink(missing_ok=True)


def _plan_of(point: Mapping) -> Plan:
    """A point's plan; what is to be noted of it was said when the sweep was checked."""
    with warnings.catch_warnings(action="ignore", category=Note):
        return prepare(**point)


def load_brian2() -> None:
    """Load Brian2 before points do, one at a time."""
    from astro_sim.brian import backend

    with _BRIAN2_IS_ONE:
        backend.load()


def whole(path: Path) -> bool:
    """Whether the recording is there, undamaged, and the one that its name says."""
    from astro_sim.recording.recording import Recording

    try:
        return Recording.load(path).hash == path.stem
    except UserError:  # not there, or damaged
        return False
