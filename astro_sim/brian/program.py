"""A C++ program of a network, built once and run again with other values.

What can differ between its runs: parameters (but not delays), initial values, what drives the inputs, the seed. All
else is compiled in: model, options, step, duration, method, recording interval, spike trains.
"""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from astro_sim.brian.inputs import cut_shape, inputs_of, per_element
from astro_sim.brian.left_open import LEFT_OPEN, LeftOpen
from astro_sim.brian.network import Built, build
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.protocols import Drive
from astro_sim.recording.collect import Columns, recorded
from astro_sim.recording.recording import Recording
from foundation.errors import ResourceError, UserError
from foundation.files import canonical_json, mark
from foundation.process import ending_with_this
from foundation.shapes import Array, Float, Int

SEED = "ASTRO_SIM_SEED"
RECORDS = "records"
NOT_READ = re.compile("^(Error reading|Could not read)", re.MULTILINE)
# Brian2's own line, with the number from outside
SEEDING = f"_random_generators[0].seed(std::strtoul(std::getenv(\"{SEED}\"), NULL, 10));"


@dataclass(frozen=True)
class Program:
    """A compiled network in `folder`; it writes `variables` of each population, and `events`, in this order."""

    folder: Path
    left_open: LeftOpen
    variables: Mapping[str, tuple[str, ...]]
    events: tuple[str, ...]

    def run(self, plan: Plan) -> Recording:
        """Run a plan that has the program's `structure`. Errors: `ResourceError` where the program fails."""
        with tempfile.TemporaryDirectory(prefix="astro_sim_") as results:
            arguments = [f"{name}={_argument(value, Path(results) / f'value_{n}')}"
                         for n, (name, value) in enumerate(_values(plan, self.left_open).items())]
            done = subprocess.run([self.folder / "main", "--results_dir", f"{results}/", *arguments], cwd=self.folder,
                                  env={**os.environ, SEED: str(plan.seed)}, capture_output=True, text=True, check=False,
                                  preexec_fn=ending_with_this())
            # Brian2 goes on with the values compiled in where it cannot read a file of values, and ends with 0
            if done.returncode or NOT_READ.search(done.stderr):
                raise ResourceError(f"backend cpp: the program ended with {done.returncode}: {done.stderr[-200:]}")
            with open(Path(results) / RECORDS, "rb") as stream:
                raw = {population: _columns(stream, names, plan.size(population))
                       for population, names in self.variables.items()}
                return recorded(plan, raw, {name: _happened(stream) for name in self.events})


def structure(plan: Plan) -> str:
    """Equal for plans that one program can run."""
    meta = plan.meta()
    delays = {connection.delay for connection in plan.model.active_connections(plan.options)}
    meta["parameters"] = {name: given["value"] if name in delays else None
                          for name, given in meta["parameters"].items()}
    meta["protocol"] = [train.as_dict() for train in plan.protocol if not isinstance(train, Drive)]
    connections = plan.model.active_connections(plan.options)
    compiled_in = {name for connection in connections for name in per_element(plan, connection)}
    meta["per_element"] = {name: values.tolist() if name in compiled_in else None
                           for name, values in plan.per_element.items()}
    for name in ("initial", "seed", "parameter_set"):
        del meta[name]
    return f"{id(plan.model)} {canonical_json(meta)}"


def what_differs(plans: Sequence[Plan]) -> LeftOpen:
    """What a program for all of them must leave open."""
    first = plans[0]
    parameters = frozenset(name for name in first.parameters
                           if len({plan.parameters[name].value for plan in plans}) > 1)
    courses, cuts = {}, {}
    for population in first.model.active_populations(first.options):
        for variable in first.courses(population.name):
            tables = [plan.inputs[population.name, variable].means(plan.edges) for plan in plans]
            if any((table != table[0]).any() for table in tables):
                courses[population.name, variable] = max(table.shape[1] for table in tables)
        number, ways, terms = map(max, zip(*(cut_shape(plan, population.name) for plan in plans), strict=True))
        if number:
            cuts[population.name] = number, ways, terms
    return LeftOpen(parameters, courses, cuts)


@contextlib.contextmanager
def built(plans: Sequence[Plan], folder: Path) -> Iterator[Program]:
    """The program of plans of one structure, in a folder of its own below `folder` until the end.

    Errors: `ResourceError` where no compiler works, `UserError` for what Brian2 refuses.
    """
    import brian2
    from brian2.core.base import BrianObjectException
    from brian2.utils.logger import catch_logs

    from astro_sim.brian import backend

    plan, left_open = plans[0], what_differs(plans)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".program.{mark()}.", dir=folder) as place:
        with backend.opened("cpp", plan.seed, place) as device, catch_logs():
            try:
                brian2.device.insert_code("main", SEEDING)
                network = build(plan, left_open)
                network.network.run(plan.steps_run * plan.dt * brian2.second, namespace={})
                brian2.device.insert_code("before_end", _writing(network))
                device.compile()
            except (brian2.DimensionMismatchError, BrianObjectException) as error:
                raise UserError(f"model {plan.model.name}: Brian2 refuses it: {error.__cause__ or error}") from error
            variables = {population: tuple(monitor.record_variables)
                         for population, monitor in network.monitors.items()}
        # absolute: the program is run from there
        yield Program(Path(place).absolute(), left_open, variables, tuple(network.events))


def _writing(network: Built) -> str:
    """C++ that writes what was recorded into one file and ends the program.

    Brian2 would write each array that it has into a file of its own, near a hundred of them for a tripartite synapse,
    which takes longer than thousands of steps; and it would not notice a disk that is full.
    """
    import brian2

    def name(monitor: Any, variable: str) -> str:
        return f"brian::{brian2.device.get_array_name(monitor.variables[variable], access_data=False)}"

    def row(array: str) -> str:
        return f"records.write((const char*) {array}.data(), {array}.size()*sizeof({array}[0]));"

    lines = []
    for monitor in (*network.monitors.values(), *network.events.values()):
        time = name(monitor, "t")
        lines += [f"count = {time}.size();", "records.write((const char*) &count, sizeof count);", row(time)]
        if monitor in network.events.values():
            lines.append(row(name(monitor, "i")))
            continue
        lines += [f"for (auto k = 0*count; k < count; k++) {{ auto& values = {name(monitor, variable)}(k); "
                  f"{row('values')} }}" for variable in monitor.record_variables]
    return "\n".join(["{", f'std::ofstream records(brian::results_dir + "{RECORDS}", std::ios::binary);',
                      "int64_t count;", *lines, "records.close();",
                      f'if (!records) {{ std::cerr << "cannot write {RECORDS}"; return 1; }}', "return 0;", "}"])


def _columns(stream: BinaryIO, names: Sequence[str], size: int) -> Columns:
    """A population's records, as `_writing` puts them."""
    count = int(_numbers(stream, "i8", 1)[0])
    time = _numbers(stream, "f8", count)
    return Columns(time, {name: _numbers(stream, "f8", count * size).reshape(count, size) for name in names})


def _happened(stream: BinaryIO) -> tuple[Float[Array, "event"], Int[Array, "event"]]:
    """Times and elements of an event."""
    count = int(_numbers(stream, "i8", 1)[0])
    return _numbers(stream, "f8", count), _numbers(stream, "i4", count)


def _numbers(stream: BinaryIO, kind: str, count: int) -> Array:
    found = np.fromfile(stream, kind, count)
    if len(found) < count:
        raise ResourceError(f"backend cpp: {count} numbers were to be read, {len(found)} were there; is the disk full?")
    return found


def _argument(value: float | Array, path: Path) -> str:
    """A number as it is written on the command line, or the file that holds several."""
    if np.size(value) == 1:
        return repr(np.asarray(value).item())
    np.ascontiguousarray(value).tofile(path)
    return str(path)


def _values(plan: Plan, left_open: LeftOpen) -> dict[str, float | Array]:
    """What the program is told: GROUP.VARIABLE -> number or array, in SI base units."""
    found = {f"{LEFT_OPEN}.{name}": float(plan.parameters[name].quantity()) for name in left_open.parameters}
    variables = plan.model.variables()
    for name, value in plan.initial.items():
        scale = float(unit(plan.model.initial[name].unit))
        found[f"{variables[name][0].name}.{name}"] = _base(value, scale)
    for population in plan.model.active_populations(plan.options):
        inputs = inputs_of(plan, population, left_open.courses, open_parts=left_open.parts)
        found |= {f"{name}.values": table for name, table in inputs.tables.items()}
        found |= {f"{population.name}.{name}": columns.astype("i4") for name, columns in inputs.columns.items()}
        found |= {f"{population.name}.{name}": numbers for name, numbers in inputs.constants.items()}
    return found


def _base(value: Parameter | tuple[float, ...], scale: float) -> float | Array:
    return float(value.quantity()) if isinstance(value, Parameter) else np.array(value) * scale

