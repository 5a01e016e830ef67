"""Many simulations: each point a file named by what it is, so that a stopped sweep goes on where it stopped.

    points = grid({"K_P": ["0.05 umolar", "0.1 umolar"]}, model="li_rinzel", duration="60 s", dt="10 ms")
    outcome = sweep(points, "runs/sweep")

A point is the keywords of `prepare`. Its file is HASH.nc, the hash being that of the recording; a point that failed
leaves HASH.error.json and is tried again next time. Two sweeps in one folder share what they have in common.

With backend="cpp" one program is compiled for the whole sweep and run again for each point. The
backend is part of the hash: the backends round differently, and a recording says what it is, to the last bit.
"""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from astro_sim.plan import Plan, prepare
from astro_sim.run.outcome import Outcome
from foundation.errors import UserError, unknown
from foundation.files import canonical_json, sha256_bytes, write_text

MAX_POINTS = 1_000_000
MAX_PROGRAMS = 20  # half a minute each
_BRIAN2_IS_ONE = threading.Lock()  # it has one device and one random state a process


def grid(vary: Mapping[str, Sequence], **common: Any) -> list[dict]:
    """Every combination of values, each with the keywords `common` of `prepare`.

    vary: the name of a parameter, "initial.NAME", "input.NAME" (held at the value) or "seed" -> values.
    Errors: `UserError` when too many, and for another dotted name.
    """
    count = 1
    for name, values in vary.items():
        if not values:
            raise UserError(f"{name}: no value is given to vary; give at least one")
        count *= len(values)
    if count > MAX_POINTS:
        raise UserError(f"sweep: {count} points are above {MAX_POINTS}; vary fewer values")
    return [_point(common, dict(zip(vary, chosen, strict=True))) for chosen in itertools.product(*vary.values())]


def _point(common: Mapping, chosen: Mapping) -> dict:
    """The keywords of one point: what is common, changed by what was chosen."""
    from astro_sim.parameter import read
    from astro_sim.protocols import constant

    point = {**common, "parameters": dict(common.get("parameters", {}))}
    for name, value in chosen.items():
        kind, dot, rest = name.partition(".")
        if name == "seed":
            number = read(value, "1", "seed")
            point["seed"] = int(number) if number == int(number) else number
        elif kind == "initial" and dot:
            point["initial"] = {**point.get("initial", {}), rest: value}
        elif kind == "input" and dot:
            given = point.get("protocol")
            point["protocol"] = [*(given if isinstance(given, list | tuple) else [given] if given else []),
                                 constant(rest, value)]
        elif dot:
            raise unknown("kind of value to vary", kind, ("initial", "input"))
        else:
            point["parameters"][name] = value
    return point


def parse_shard(text: str) -> tuple[int, int]:
    """"2/8": the second of eight -> (2, 8). Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"shard: '{text}' is not allowed; write I/N with I from 1 to N, e.g. 2/8")
    return int(found[1]), int(found[2])


def sweep(points: Sequence[Mapping], folder: str | Path, *, executor: Executor | None = None,
          workers: int | None = None, shard: str = "1/1", progress: bool = False) -> Outcome:
    """Simulate every point of this shard that has no whole recording in `folder` yet.

    executor: any of concurrent.futures, such as `dask.distributed.Client(...).get_executor()`, whose workers see
    `folder`; by default `workers` local processes (in a script, under `if __name__ == "__main__":`). Points of shard
    i/n are those whose hash is i - 1 modulo n: no shard needs to know of another. All points are checked before the
    first runs. Errors: `UserError` for a point that is refused, and, with the backend cpp, for points that differ in
    more than one program can vary (`program` says what) in more than 20 ways.
    """
    from foundation.cli import Progress

    part, parts = parse_shard(shard)
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is not allowed; give 1 or more")
    folder = Path(folder)
    _load_brian2()
    named = {name_of(point): dict(point) for point in points}
    mine = {name: point for name, point in named.items() if int(name, 16) % parts == part - 1}
    kept = [name for name in mine if _whole(folder / f"{name}.nc")]
    missing = {name: point for name, point in mine.items() if name not in kept}
    failed = {}

    def note(name: str, error: Exception) -> None:
        failed[name] = f"{type(error).__name__}: {error}"
        write_text(folder / f"{name}.error.json",
                   json.dumps({"error": failed[name], "meta": prepare(**missing[name]).meta()}, indent=1))

    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress("sweep", max(1, len(missing)), quiet=not progress))
        work = _work(missing, folder, note, stack)
        for n, (name, future) in enumerate(_finished(work, executor, workers), start=1):
            bar.update(n)
            try:
                future.result()
            except Exception as error:  # one point must not stop the rest, whatever it raised
                note(name, error)
    done = sorted(folder / f"{name}.nc" for name in missing.keys() - failed.keys())
    return Outcome(tuple(done), tuple(sorted(folder / f"{name}.nc" for name in kept)), failed, mine)


def _work(missing: Mapping[str, Mapping], folder: Path, note: Callable, stack: contextlib.ExitStack
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


def _finished(work: Mapping[str, tuple], executor: Executor | None, workers: int | None
              ) -> Iterator[tuple[str, Future]]:
    """Names and futures as they end. Where a local process died, those it took along are tried again, each alone."""
    if executor is not None:
        futures = {executor.submit(*call): name for name, call in work.items()}
        yield from ((futures[future], future) for future in as_completed(futures))
        return
    left = dict(work)
    if work:
        with _processes(workers) as pool:
            futures = {pool.submit(*call): name for name, call in work.items()}
            for future in as_completed(futures):
                if not isinstance(future.exception(), BrokenExecutor):
                    left.pop(futures[future])
                    yield futures[future], future
    for name, call in left.items():
        with _processes(1) as pool:
            future = pool.submit(*call)
            future.exception()  # waits
            yield name, future


def name_of(point: Mapping) -> str:
    """The hash that the point's recording will have; raises `UserError` where the point is refused."""
    return sha256_bytes(canonical_json(prepare(**point).meta()).encode())


def run_point(point: Mapping, path: str) -> None:
    """Simulate one point and save it as `path`.nc, unless it is there; an earlier failure is forgotten."""
    from astro_sim.run.simulation import run

    _load_brian2()
    if not _whole(Path(f"{path}.nc")):  # another sweep may have been quicker
        with _BRIAN2_IS_ONE:
            recording = run(prepare(**point))
        recording.save(f"{path}.nc")
    Path(f"{path}.error.json").unlink(missing_ok=True)


def run_in_program(program: Any, point: Mapping, path: str) -> None:
    """The same with a compiled program."""
    from astro_sim.run.checks import find_problem
    from astro_sim.run.simulation import too_large_a_step

    _load_brian2()
    if not _whole(Path(f"{path}.nc")):
        plan = prepare(**point)
        recording = program.run(plan)
        problem = find_problem(plan, recording)
        if problem:
            with _BRIAN2_IS_ONE:
                raise too_large_a_step(plan, problem)
        recording.save(f"{path}.nc")
    Path(f"{path}.error.json").unlink(missing_ok=True)


def _load_brian2() -> None:
    from astro_sim.brian import backend

    with _BRIAN2_IS_ONE:
        backend.load()


def _processes(workers: int | None) -> ProcessPoolExecutor:
    """Fresh interpreters: a forked one would share what Brian2 keeps in its modules."""
    import multiprocessing

    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _whole(path: Path) -> bool:
    """Whether the recording is there and undamaged."""
    from astro_sim.recording.recording import Recording

    try:
        Recording.load(path)
    except UserError:  # not there, or damaged
        return False
    return True
