"""Many simulations: each point a file named by what it is, so that a stopped sweep goes on where it stopped.

    points = grid({"K_P": ["0.05 umolar", "0.1 umolar"]}, model="li_rinzel", duration="60 s", dt="10 ms")
    outcome = sweep(points, "runs/sweep")

A point is the keywords of `prepare`. Its file is HASH.nc, the hash being that of the recording; a point that failed
leaves HASH.error.json and is tried again next time. Two sweeps in one folder share what they have in common.
"""

import contextlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from astro_sim.plan import prepare
from foundation.errors import UserError
from foundation.files import canonical_json, sha256_bytes, write_text

MAX_POINTS = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """Paths of the recordings (`done`: made now, `kept`: there before), and what failed: name -> message."""

    done: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: dict[str, str]


def grid(vary: Mapping[str, Sequence], **common) -> list[dict]:
    """Every combination of parameter values, each with the keywords `common`. Errors: `UserError` when too many."""
    count = 1
    for name, values in vary.items():
        if not values:
            raise UserError(f"{name}: no value is given to vary; give at least one")
        count *= len(values)
    if count > MAX_POINTS:
        raise UserError(f"sweep: {count} points are above {MAX_POINTS}; vary fewer values")
    fixed = dict(common.pop("parameters", {}))
    return [{**common, "parameters": {**fixed, **dict(zip(vary, chosen, strict=True))}}
            for chosen in itertools.product(*vary.values())]


def parse_shard(text: str) -> tuple[int, int]:
    """"2/8": the second of eight -> (2, 8). Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"shard: '{text}' is not allowed; write I/N with I from 1 to N, e.g. 2/8")
    return int(found[1]), int(found[2])


def sweep(points: Sequence[Mapping], folder, *, executor: Executor | None = None, workers: int | None = None,
          shard: str = "1/1") -> Outcome:
    """Simulate every point of this shard that has no whole recording in `folder` yet.

    executor: any of concurrent.futures; by default `workers` local processes (in a script, under
    `if __name__ == "__main__":`). Points of shard i/n are those whose hash is i - 1 modulo n: no shard needs to know of
    another. All points are checked before the first runs. Errors: `UserError` for a point that is refused.
    """
    part, parts = parse_shard(shard)
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is not allowed; give 1 or more")
    folder = Path(folder)
    named = {name_of(point): dict(point) for point in points}
    mine = {name: point for name, point in named.items() if int(name, 16) % parts == part - 1}
    kept = [name for name in mine if _whole(folder / f"{name}.nc")]
    missing = {name: point for name, point in mine.items() if name not in kept}
    done, failed = [], {}
    with contextlib.ExitStack() as stack:
        if executor is None and missing:
            executor = stack.enter_context(_processes(workers))
        futures = {executor.submit(run_point, point, str(folder / name)): name for name, point in missing.items()}
        for future in as_completed(futures):
            name = futures[future]
            try:
                future.result()
                done.append(folder / f"{name}.nc")
            except Exception as error:  # one point must not stop the rest, whatever it raised
                failed[name] = f"{type(error).__name__}: {error}"
                write_text(folder / f"{name}.error.json",
                           json.dumps({"error": failed[name], "meta": prepare(**missing[name]).meta()}, indent=1))
    return Outcome(tuple(sorted(done)), tuple(sorted(folder / f"{name}.nc" for name in kept)), failed)


def name_of(point: Mapping) -> str:
    """The hash that the point's recording will have; raises `UserError` where the point is refused."""
    return sha256_bytes(canonical_json(prepare(**point).meta()).encode())


def run_point(point: Mapping, path: str) -> None:
    """Simulate one point and save it as `path`.nc; an earlier failure is forgotten."""
    from astro_sim.simulate import run

    run(prepare(**point)).save(f"{path}.nc")
    Path(f"{path}.error.json").unlink(missing_ok=True)


def _processes(workers: int | None) -> ProcessPoolExecutor:
    """Fresh interpreters: a forked one would share what Brian2 keeps in its modules."""
    import multiprocessing

    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _whole(path: Path) -> bool:
    """Whether the recording is there and undamaged."""
    from astro_sim.recording import Recording

    try:
        Recording.load(path)
    except UserError:  # not there, or damaged
        return False
    return True
