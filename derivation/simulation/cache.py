"""Simulations kept by what they are: a recording is read instead of made anew where everything that decides it agrees.

Within `kept_in(folder)`, `simulate` looks there first. The key is the SHA-256 of model text, parameters, protocol,
solver, seed and versions, and of the simulator's own source. What is read is verified by the recording's own hash; a
damaged file is thrown away and simulated again.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from astro_sim.plan import Plan, prepare
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import run
from foundation.errors import DamagedFileError, UserError
from foundation.files import canonical_json, remove_leftovers, sha256_bytes, sha256_file
from foundation.lock import LOCK, locked, remove_left
from foundation.notes import Note, note
from foundation.reading import is_file

_folder: ContextVar[Path | None] = ContextVar("folder of kept recordings", default=None)


class NotKept(Note):
    """A simulation is not kept for the next time: its place cannot be written to, or is full."""


@contextlib.contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Keep recordings in `folder` while this lasts; None: keep none."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def simulate(model, protocol=None, **settings) -> Recording:
    """As `astro_sim.simulate`, with its arguments and errors; from the folder of `kept_in` where it is there.

    A note says where the folder cannot be written to.
    """
    plan, folder = prepare(model, protocol, **settings), _folder.get()
    if folder is None:
        return run(plan)
    path = folder / f"{key(plan)}.nc"
    lock = path.with_suffix(LOCK)
    found = _read(path, plan)
    if found is None:
        with locked(lock, "simulation", wait=True):
            remove_leftovers(folder, f".{path.name}.")
            found = _read(path, plan)  # another process may have made it meanwhile
            if found is None:
                found = run(plan)
                _keep(found, path)
    else:
        remove_left(lock)
    return found


def _keep(found: Recording, path: Path) -> None:
    try:
        found.save(path)
    except UserError as error:  # a place that cannot be written to costs time, not the work
        note(NotKept, f"a simulation was not kept: {error}")


def key(plan: Plan) -> str:
    """Name of a kept simulation: SHA-256 of the plan and of the simulator's own files."""
    return sha256_bytes(canonical_json({"plan": plan.meta(), "simulator": _simulator()}).encode())


def _read(path: Path, plan: Plan) -> Recording | None:
    """The kept recording; None where there is none, or where it is damaged or another's."""
    if not is_file(path):
        return None
    try:
        found = Recording.load(path)
    except DamagedFileError:
        return None
    return found if found.hash == sha256_bytes(canonical_json(plan.meta()).encode()) else None


@cache
def _simulator() -> str:
    """SHA-256 of the simulator's source: another program keeps its recordings apart."""
    import astro_sim

    folder = Path(astro_sim.__file__).parent
    return canonical_json([[path.relative_to(folder).as_posix(), sha256_file(path)]
                           for path in sorted(folder.rglob("*.py"))])
