"""A C++ program of a network, built once and run again with other values.

What can differ between its runs: parameters (but not delays), initial values, what drives the inputs, the seed. All
else is compiled in: model, options, step, duration, method, recording interval, spike trains.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astro_sim.courses import input_courses
from astro_sim.network import LEFT_OPEN, LeftOpen, build, driven, written_unit
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.protocols import Drive
from astro_sim.recording import Columns, Recording, recorded
from foundation.errors import ResourceError, UserError
from foundation.files import canonical_json

SEED = "ASTRO_SIM_SEED"
# Brian2's own line, with the number from outside
SEEDING = f"_random_generators[0].seed(std::strtoul(std::getenv(\"{SEED}\"), NULL, 10));"


@dataclass(frozen=True)
class Program:
    """A compiled network in `folder`; `files` and `events` name what it writes, by population and event."""

    folder: Path
    left_open: LeftOpen
    files: Mapping[str, Mapping[str, str]]
    events: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def run(self, plan: Plan) -> Recording:
        """Run a plan that has the program's `structure`. Errors: `ResourceError` where the program fails."""
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="astro_sim_") as results:
            arguments = [f"{name}={_argument(value, Path(results) / f'value_{n}')}"
                         for n, (name, value) in enumerate(_values(plan, self.left_open).items())]
            done = subprocess.run([self.folder / "main", "--results_dir", f"{results}/", *arguments], cwd=self.folder,
                                  env={**os.environ, SEED: str(plan.seed)}, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ResourceError(f"backend cpp: the program ended with {done.returncode}: {done.stderr[-200:]}")

            def read(name: str, kind: str = "f8"):
                return np.fromfile(Path(results) / name, kind)

            raw = {}
            for population, names in self.files.items():
                time = read(names["t"])
                raw[population] = Columns(time, {name: read(file).reshape(len(time), -1)
                                                 for name, file in names.items() if name != "t"})
            return recorded(plan, raw, {name: (read(when), read(where, "i4"))
                                        for name, (when, where) in self.events.items()})


def structure(plan: Plan) -> str:
    """Equal for plans that one program can run."""
    meta = plan.meta()
    delays = {connection.delay for connection in plan.model.active_connections(plan.options)}
    meta["parameters"] = {name: given["value"] if name in delays else None
                          for name, given in meta["parameters"].items()}
    meta["protocol"] = [train.as_dict() for train in plan.protocol if not isinstance(train, Drive)]
    for name in ("initial", "seed", "parameter_set"):
        del meta[name]
    return f"{id(plan.model)} {canonical_json(meta)}"


def what_differs(plans: Sequence[Plan]) -> LeftOpen:
    """What a program for all of them must leave open."""
    first = plans[0]
    parameters = frozenset(name for name in first.parameters
                           if len({plan.parameters[name].value for plan in plans}) > 1)
    courses = {}
    for population in first.model.active_populations(first.options):
        for variable in driven(first, population):
            tables = [input_courses(plan, population.name, variable)[0] for plan in plans]
            if any((table != table[0]).any() for table in tables):
                courses[population.name, variable] = max(table.shape[1] for table in tables)
    return LeftOpen(parameters, courses)


@contextlib.contextmanager
def built(plans: Sequence[Plan], folder: Path) -> Iterator[Program]:
    """The program of plans of one structure, in a folder of its own below `folder` until the end.

    Errors: `ResourceError` where no compiler works, `UserError` for what Brian2 refuses.
    """
    import brian2
    from brian2.core.base import BrianObjectException
    from brian2.utils.logger import catch_logs

    from astro_sim import backend

    plan, left_open = plans[0], what_differs(plans)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".program_", dir=folder) as place:
        with backend.opened("cpp", plan.seed, place) as device, catch_logs():
            try:
                brian2.device.insert_code("main", SEEDING)
                network = build(plan, left_open)
                network.network.run((plan.steps + 1) * plan.dt * brian2.second, namespace={})
                device.compile()
            except (brian2.DimensionMismatchError, BrianObjectException) as error:
                raise UserError(f"model {plan.model.name}: Brian2 refuses it: {error.__cause__ or error}") from error
            name = brian2.device.get_array_filename
            files = {population: {key: name(monitor.variables[key]) for key in ("t", *monitor.record_variables)}
                     for population, monitor in network.monitors.items()}
            events = {key: (name(monitor.variables["t"]), name(monitor.variables["i"]))
                      for key, monitor in network.events.items()}
        yield Program(Path(place), left_open, files, events)


def _argument(value, path: Path) -> str:
    """A number as it is written on the command line, or the file that holds several."""
    import numpy as np

    if np.size(value) == 1:
        return repr(np.asarray(value).item())
    np.ascontiguousarray(value).tofile(path)
    return str(path)


def _values(plan: Plan, left_open: LeftOpen) -> dict[str, object]:
    """What the program is told: GROUP.VARIABLE -> number or array, in SI base units."""
    found = {f"{LEFT_OPEN}.{name}": float(plan.parameters[name].quantity()) for name in left_open.parameters}
    variables = plan.model.variables()
    for name, value in plan.initial.items():
        scale = float(unit(plan.model.initial[name].unit))
        found[f"{variables[name][0].name}.{name}"] = _base(value, scale)
    for population in plan.model.active_populations(plan.options):
        for variable in driven(plan, population):
            found |= _input(plan, population.name, variable, left_open.courses.get((population.name, variable), 0))
    return found


def _base(value, scale: float):
    import numpy as np

    return float(value.quantity()) if isinstance(value, Parameter) else np.array(value) * scale


def _input(plan: Plan, population: str, variable: str, room: int) -> dict[str, object]:
    """An input: a number an element, or courses with room for `room` of them and the course of each element."""
    import numpy as np

    (table, columns), scale = input_courses(plan, population, variable), float(unit(written_unit(plan, variable)))
    if not room:
        return {f"{population}.{variable}": table[0, columns] * scale}
    table = np.pad(table, ((0, 0), (0, room - table.shape[1])))
    return {f"course_{variable}.values": table * scale, f"{population}.column_{variable}": columns.astype("i4")}
