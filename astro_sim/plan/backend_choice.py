"""Which backend of Brian2 steps a plan at the lowest cost: an estimate of the processor's time, before it is built.

    costs(plan)      {"numpy": 14.2, "cython": 96.0, "cpp": 41.7}, seconds of the processor

The constants were measured on one machine (2 cores of a server, 2026), and are scaled by how long NumPy takes for small
operations on the machine at hand, in powers of two, so that a busy moment does not change what is chosen. A compiled
backend is taken only where it is there, and saves much.
"""

import functools
import hashlib
import importlib
import importlib.util
import os
import shutil
import time
from pathlib import Path

import numpy as np

from astro_sim.model import Connection, Population
from astro_sim.model.compiled_text import Node, parsed
from astro_sim.model.equation_text import lines
from astro_sim.plan.plan import Plan
from foundation.errors import UserError
from foundation.machine import largest_file

STAGES = {"euler": 1, "rk2": 2, "rk4": 4, "exponential_euler": 3, "heun": 3, "milstein": 3}
# seconds: of an object a step, of an operation a step, of an operation on one element more
NUMPY = (3.5e-5, 6e-7, 1.0e-9)
COMPILED = {"cython": (1.5e-5, 0.0, 1.5e-9), "cpp": (1.0e-7, 0.0, 1.5e-9)}
BUILD = {"numpy": (0.05, 0.025), "cython": (0.5, 5.0), "cpp": (1.7, 1.6)}  # s at all, an object
PAIRS_BUILT = 1.5     # objects more that a connection is built of
SPIKING = 0.5         # of an object: what only acts in steps with spikes
CACHED = 0.15         # seconds to load an object that was compiled before
COMPILED_FILE = 8 << 20  # bytes that a file of a compiler's may need
SMALL = 3.5e-7        # seconds of a product of two arrays of one number where the constants were measured
QUICK = 20.0          # seconds: a run that NumPy does in less is not compiled
SAVES = 0.5           # of NumPy's time: a compiled backend must cost less than this share of it
MANY, PAIRS_EACH = 2000, 4  # elements above which pairs are not made to be counted, but taken as so many an element
STREAMED = 256 * 2**20  # bytes of a recording that is written in pieces, which C++ cannot


def choose_backend(plan: Plan) -> tuple[str, str]:
    """(backend, why): the cheapest by the estimate; NumPy where nothing is worth compiling for."""
    by_numpy = _cost(plan, "numpy")
    if by_numpy < QUICK:
        return "numpy", f"about {by_numpy:.2g} s by numpy, too few to compile for"
    found = costs(plan)
    best = min(found, key=found.__getitem__)
    if found[best] > SAVES * found["numpy"]:
        best = "numpy"
    return best, "about " + ", ".join(f"{seconds:.2g} s by {name}" for name, seconds in found.items())


def costs(plan: Plan) -> dict[str, float]:
    """Seconds of the processor by each backend that is there."""
    there = ["numpy"]
    if compiler() and importlib.util.find_spec("Cython"):
        there.append("cython")
    if compiler() and not _by_fft(plan) and _recording_bytes(plan) < STREAMED:
        there.append("cpp")
    return {name: _cost(plan, name) * slowness() for name in there}


def too_small_files() -> int | None:
    """The limit on the size of files, where no compiler can work within it."""
    limit = largest_file()
    return limit if limit is not None and limit < COMPILED_FILE else None


def compiler() -> str | None:
    """The C++ compiler that Brian2 would find, None where there is none, or one that may not write what it makes."""
    if too_small_files() is not None:
        return None
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("c++") or shutil.which("clang++")


@functools.cache
def slowness() -> float:
    """How much slower than where the constants were measured this machine is, a power of two."""
    a, b, times = np.ones(1), np.ones(1), []
    for _ in range(5):
        started = time.process_time()
        for _ in range(1000):
            a * b
        times.append(time.process_time() - started)
    return float(2.0 ** round(np.log2(max(min(times) / 1000, 1e-9) / SMALL)))


def _cost(plan: Plan, backend: str) -> float:
    """Seconds on the machine of the constants."""
    objects, operations, on_elements = work(plan)
    built = objects + PAIRS_BUILT * sum(_sends(plan, one) for one in plan.model.active_connections(plan.options))
    an_object, an_operation, more = NUMPY if backend == "numpy" else COMPILED[backend]
    at_all, each = BUILD[backend]
    if backend == "cython" and marker(plan).exists():
        each = CACHED
    return at_all + each * built + plan.steps * (an_object * objects + an_operation * operations
                                                   + more * on_elements)


def work(plan: Plan) -> tuple[float, float, float]:
    """What a step has to do: objects of Brian2, operations, and operations on elements."""
    parts = [_of_population(plan, one) for one in plan.model.active_populations(plan.options)]
    parts += [_of_connection(plan, one) for one in plan.model.active_connections(plan.options)]
    return tuple(map(sum, zip(*parts, strict=True)))


def _of_population(plan: Plan, population: Population) -> tuple[float, float, float]:
    given, size = lines(population.equations), plan.size(population.name)
    if not given or not size:
        return SPIKING * bool(plan.trains(population.name)), 0.0, 0.0  # a source of spikes
    clauses = [one for one in (population.threshold, population.reset, *population.events.values()) if one]
    recorded = any(one.population == population.name for one in plan.model.observables.values())
    stages = STAGES.get(population.method or plan.method, 1)
    odes = sum(one.kind == "ode" for one in given)
    operations = stages * (sum(operations_of(one.expression) for one in given if one.expression) + 3 * odes)
    operations += sum(operations_of(one) for one in clauses)
    return 1 + len(clauses) + recorded / plan.every, operations, operations * size


def _of_connection(plan: Plan, connection: Connection) -> tuple[float, float, float]:
    sizes = [plan.size(connection.source), plan.size(connection.target)]
    if not min(sizes) or not _sends(plan, connection):
        return 0.0, 0.0, 0.0
    pairs = (PAIRS_EACH * max(sizes) if max(sizes) > MANY or connection.by_fft(plan.options)
             else len(connection.pairs(plan.options).source))
    operations = sum(operations_of(one.expression) + 2 for one in lines(connection.equations) if one.expression)
    objects = SPIKING * sum(map(bool, (connection.on_pre, connection.on_post))) + len(connection.filled())
    return float(objects), float(operations + 4 * objects), float(operations * pairs)


def _sends(plan: Plan, connection: Connection) -> bool:
    """Whether anything comes through a connection: a source of spikes without a protocol is silent."""
    return bool(plan.model.population(connection.source).equations or plan.trains(connection.source))


@functools.lru_cache(maxsize=4096)
def operations_of(expression: str) -> int:
    """How many operations an expression has; functions count four, as they take longer."""
    try:
        return _operations(parsed(expression))
    except UserError:  # noise, or what only Brian2 knows
        return 1 + sum(expression.count(sign) for sign in "+-*/(")


def _operations(tree: Node) -> int:
    return (tree.kind != "leaf") * (4 if tree.kind == "call" else 1) + sum(map(_operations, tree.parts))


def _by_fft(plan: Plan) -> bool:
    return any(one.by_fft(plan.options) for one in plan.model.active_connections(plan.options))


def _recording_bytes(plan: Plan) -> int:
    there = {one.name: plan.size(one.name) for one in plan.model.active_populations(plan.options)}
    return 8 * (plan.steps // plan.every + 1) * sum(there.get(one.population, 0)
                                                    for one in plan.model.observables.values())


def marker(plan: Plan) -> Path:
    """A file beside Cython's compiled code that says that a plan's was compiled: Brian2 clears it with the rest."""
    said = repr((sorted(plan.model.texts(plan.options).items()), plan.method, plan.every > 1, plan.meta()["versions"]))
    return Path(_cache(), f"astro_sim_{hashlib.sha256(said.encode()).hexdigest()[:24]}.lock")


def _cache() -> str:
    """Where Cython's compiled code is kept."""
    # its package has an attribute of the same name
    place = importlib.import_module("brian2.codegen.runtime.cython_rt.extension_manager").get_cython_cache_dir()
    return place or "."


def note_compiled(plan: Plan) -> None:
    """Remember that the plan's code was compiled by Cython."""
    place = marker(plan)
    if place.parent.is_dir():
        place.touch()
