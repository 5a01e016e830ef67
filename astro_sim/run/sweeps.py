"""Many simulations: each point a file named by what it is, so that a stopped sweep goes on where it stopped.

    points = grid({"K_P": ["0.05 umolar", "0.1 umolar"]}, model="li_rinzel", duration="60 s", dt="10 ms")
    outcome = sweep(points, "runs/sweep")

A point is the keywords of `prepare`. Its file is HASH.nc, the hash being that of the recording; a point that failed
leaves HASH.error.json and is tried again next time. Two sweeps in one folder share what they have in common, and
index.csv says which file holds which values.

With backend="cpp" one program is compiled for the whole sweep and run again for each point. The
backend is part of the hash: the backends round differently, and a recording says what it is, to the last bit.
"""

import contextlib
import itertools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from astro_sim.plan import prepare
from astro_sim.recording.foreign import try_out_all
from astro_sim.run.outcome import Outcome
from astro_sim.run.sweep_index import index_path, write_index
from astro_sim.run.sweep_work import finished, load_brian2, whole, work_of
from foundation import sealed
from foundation.errors import UserError, unknown
from foundation.files import canonical_json, remove_leftovers, sha256_bytes
from foundation.lock import LOCK, locked
from foundation.reading import is_file

COMPILED = ("cython", "cpp")
MAX_POINTS = 1_000_000
RECORDED, STOPPED = "recorded", "stopped before it was simulated"


def grid(vary: Mapping[str, Sequence], **common: Any) -> list[dict]:
    """Every combination of values, each with the keywords `common` of `prepare`.

    vary: the name of a parameter, "initial.NAME", "input.NAME" (held at the value) or "seed" -> values.
    Errors: `UserError` when too many, and for another dotted name.
    """
    count = 1
    for name, values in vary.items():
        if len(values) == 0:
            raise UserError(f"{name}: no value is given to vary; give at least one")
        count *= len(values)
    if count > MAX_POINTS:
        raise UserError(f"sweep: {count} points are above {MAX_POINTS}; vary fewer values")
    return [_point(common, dict(zip(vary, chosen, strict=True))) for chosen in itertools.product(*vary.values())]


def _point(common: Mapping, chosen: Mapping) -> dict:
    """The keywords of one point: what is common, changed by what was chosen."""
    from astro_sim.parameter import read
    from astro_sim.protocols import constant, drives

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
            if any(drive.input == rest for drive in drives(given)):
                raise UserError(f"{name}: {rest} is driven by the protocol too, and drives of an input add up; take "
                                "one of the two out")
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
    `folder`; else `workers` local processes (in a script, under `if __name__ == "__main__":`); by default this process,
    and as many others as there are cores where the rest would take longer than their start. Points of shard
    i/n are those whose hash is i - 1 modulo n: no shard needs to know of another. All points are checked before the
    first runs. Errors: `UserError` for a point that is refused, and, with the backend cpp, for points that differ in
    more than one program can vary (`program` says what) in more than 20 ways; `ResourceError` where another sweep of
    this shard writes into `folder`. Ctrl-C and SIGTERM keep the points that are done, and index.csv says which.
    """
    part, parts = parse_shard(shard)
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is not allowed; give 1 or more")
    folder = Path(folder)
    load_brian2()
    named = dict(map(_settled, points))
    mine = {name: point for name, point in named.items() if int(name, 16) % parts == part - 1}
    index = index_path(folder, shard)
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(folder / f".{index.name}{LOCK}", "sweep"))
        remove_leftovers(folder)
        try_out_all(path for name in mine if is_file(path := folder / f"{name}.nc"))
        kept = [name for name in mine if whole(folder / f"{name}.nc")]
        missing = {name: point for name, point in mine.items() if name not in kept}
        done, failed = _worked_off(missing, folder, executor, workers=workers, quiet=not progress, stack=stack,
                                   index=lambda became: write_index(index, mine, dict.fromkeys(mine, RECORDED) | became)
                                   if mine else None)
    return Outcome(tuple(sorted(folder / f"{name}.nc" for name in done)),
                   tuple(sorted(folder / f"{name}.nc" for name in kept)), failed, mine)


def _worked_off(missing: Mapping[str, Mapping], folder: Path, executor: Executor | None, *, workers: int | None,
                quiet: bool, stack: contextlib.ExitStack, index: Callable[[Mapping[str, str]], object]
                ) -> tuple[set[str], dict[str, str]]:
    """Simulate points: the names of those that were recorded, and of those that failed with why.

    `index` is told what became of those that were not recorded, also where Ctrl-C stops the sweep.
    """
    from foundation.cli import Progress

    done: set[str] = set()
    failed: dict[str, str] = {}

    def note(name: str, error: Exception) -> None:
        failed[name] = f"{type(error).__name__}: {error}"
        sealed.write(folder / f"{name}.error.json", "point that failed",
                     {"error": failed[name], "meta": prepare(**missing[name]).meta()})

    bar = stack.enter_context(Progress("sweep", max(1, len(missing)), quiet=quiet))
    try:
        work = work_of(missing, folder, note, stack)
        for n, (name, future) in enumerate(finished(work, executor, workers), start=1):
            bar.update(n)
            try:
                future.result()
                done.add(name)
            except Exception as error:  # one point must not stop the rest, whatever it raised
                note(name, error)
    except KeyboardInterrupt:
        left = missing.keys() - done - failed.keys()
        remove_leftovers(folder)  # of the processes that were ended
        index(dict.fromkeys(left, STOPPED) | failed)
        print(f"stopped: {len(left)} of {len(missing)} points are not simulated yet; the others are kept in {folder}, "
              "go on with the same line", file=sys.stderr)
        raise
    index(failed)
    return done, failed


def _settled(point: Mapping) -> tuple[str, dict]:
    """A point's name and keywords; a compiled backend that was chosen for it is named: its worker must not choose anew.
    """
    plan = prepare(**point)
    by_itself = point.get("backend", "auto") == "auto" and plan.backend in COMPILED
    chosen = {"method": plan.method, "backend": plan.backend} if by_itself else {}
    return sha256_bytes(canonical_json(plan.meta()).encode()), {**point, **chosen}


def name_of(point: Mapping) -> str:
    """The hash that the point's recording will have; raises `UserError` where the point is refused."""
    return sha256_bytes(canonical_json(prepare(**point).meta()).encode())
