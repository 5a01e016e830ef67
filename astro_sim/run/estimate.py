"""What a run will need of memory and disk, before it runs; one that is too large for the machine is refused.

The recording is counted to the byte. What Brian2 works on is counted by factors that are generous: the peaks of real
runs (a sheet of 300,000 astrocytes, 2.6 million pairs, a recording of 96 MB) were 1.1 to 1.5 times smaller.
"""

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from astro_sim.brian.inputs import cut_shape, table_numbers
from astro_sim.brian.network import pairs_of
from astro_sim.model.equation_text import lines
from astro_sim.plan import Plan
from foundation.errors import ResourceError, UserError
from foundation.machine import MARGIN, largest_file, size_text, usable_memory

NUMBER = 8               # bytes of a float64
BASE = 240 * 2**20       # Python with NumPy, SciPy, SymPy, Brian2 and xarray
COPIES = 2               # of the recording: Brian2's monitor and the numbers divided by their units
LINE_ARRAYS = 3          # arrays an ODE line or subexpression of a population: its value, what an updater holds besides
SOLVER_ARRAYS = 40       # arrays a state of a solver with error control: its past, stages, bands of the Jacobian
PAIR_BYTES = 60          # indices of a pair on both sides, as given and as Brian2 keeps them
STREAM_ABOVE = 256 * 2**20  # a larger recording goes to disk in pieces where the backend can
PIECE = 32 * 2**20       # of a streamed recording that is in memory at a time

_UNITS = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30,
          "tib": 2**40}


@dataclass(frozen=True)
class Estimate:
    """Bytes: of the `recording`, of `memory` at the peak, of `disk`; whether it is `streamed`."""

    recording: int
    memory: int
    disk: int
    streamed: bool


def estimate(plan: Plan, streamed: bool | None = None) -> Estimate:
    """What the plan needs. streamed: to disk in pieces; None: where the recording is large and the backend can."""
    recording = recorded_elements(plan) * records(plan) * NUMBER
    if streamed is None:
        streamed = recording > STREAM_ABOVE and plan.backend != "cpp"
    kept = min(recording, 2 * COPIES * PIECE) if streamed else COPIES * recording
    return Estimate(recording, BASE + _state(plan) + kept, recording, streamed)


def records(plan: Plan) -> int:
    """Number of recorded times, the start among them."""
    return plan.steps // plan.every + 1


def recorded_elements(plan: Plan) -> int:
    """Numbers of one record."""
    active = {population.name for population in plan.model.active_populations(plan.options)}
    return sum(plan.size(seen.population) for seen in plan.model.observables.values() if seen.population in active)


def _state(plan: Plan) -> int:
    """Bytes of what Brian2, or a solver with error control, computes with."""
    total = 0
    for population in plan.model.active_populations(plan.options):
        total += plan.size(population.name) * (LINE_ARRAYS * len(lines(population.equations)) + 2) * NUMBER
        if plan.adaptive:
            odes = sum(line.kind == "ode" for line in lines(population.equations))
            total += SOLVER_ARRAYS * odes * plan.size(population.name) * NUMBER
            continue
        courses = list(plan.courses(population.name).values())
        total += table_numbers(courses, plan.steps, cut_shape(plan, population.name)) * NUMBER
    for connection in plan.model.active_connections(plan.options):
        if connection.by_fft(plan.options):
            continue  # without pairs
        each = PAIR_BYTES + (len(lines(connection.equations)) + 2) * NUMBER
        total += len(pairs_of(connection, plan.options).source) * each
    return total


def refuse_if_too_large(plan: Plan, needed: Estimate, folder: Path | None, *, memory_limit: int | None = None,
                        disk_limit: int | None = None) -> None:
    """Raises `ResourceError` with the estimate where memory, or the disk under `folder`, is too small.

    The limits (bytes) stand in for what is free on the machine.
    """
    free = usable_memory() if memory_limit is None else memory_limit
    pieces = not needed.streamed and plan.backend != "cpp" and needed.recording > needed.memory / 4
    advice = ("write it to disk in pieces with --stream, " if pieces else "") + "give --record-every, a smaller network"
    if needed.memory > free:
        raise ResourceError(f"memory: the run needs about {size_text(needed.memory)} (its recording has "
                            f"{size_text(needed.recording)}), {size_text(free)} may be used; {advice}, or "
                            "raise --memory-limit")
    if folder is None:
        return
    place = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    usage = shutil.disk_usage(place)
    room = int(MARGIN * usage.free) if disk_limit is None else disk_limit
    if needed.disk > room and usage.total:  # of a system without a size nothing is known
        raise ResourceError(f"disk: the recording needs {size_text(needed.disk)}, {size_text(room)} may be used in "
                            f"{place}; give --record-every, another place, or raise --disk-limit")
    largest = largest_file()
    if largest is not None and needed.disk > largest:
        raise ResourceError(f"disk: the recording needs {size_text(needed.disk)}, {size_text(largest)} are allowed for "
                            "a file (ulimit -f); give --record-every, or raise that limit")


def parse_size(text: str | None, field: str) -> int | None:
    """"8 GB", "500 MiB" or a number of bytes -> bytes; None stays None. Errors: `UserError`."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+\.?\d*)\s*([a-zA-Z]*)\s*", str(text))
    if not found or found[2].lower() not in _UNITS or float(found[1]) <= 0:
        raise UserError(f"{field}: '{text}' is not a size; write e.g. '8 GB' or '500 MB'")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def as_dict(needed: Estimate) -> dict:
    """The estimate as JSON; bytes are named so."""
    return {f"{name}_bytes" if isinstance(value, int) and not isinstance(value, bool) else name: value
            for name, value in asdict(needed).items()}


def text(needed: Estimate) -> str:
    """The estimate in a sentence."""
    where = "written to disk in pieces" if needed.streamed else "kept in memory, then written"
    return (f"needs about {size_text(needed.memory)} of memory and {size_text(needed.disk)} of disk; the recording is "
            f"{where}")
