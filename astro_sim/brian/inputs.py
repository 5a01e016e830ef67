"""What drives the inputs of a population, as Brian2 takes it: lines of ODE text and the numbers that belong to them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from astro_sim.brian import parts
from astro_sim.model import Population
from astro_sim.parameter import unit
from astro_sim.protocols.courses import drives_of, held, input_courses, written_unit

COPIES = 2  # of a table: as it is computed, and in base units
WORK = 10   # columns that a course is computed by


@dataclass
class Inputs:
    """`text` is the ODE text with a line for every input, `method` the state updater that takes them as they move.

    All numbers are in base units: `tables` float64 [step, column] by the name of a TimedArray, and their units;
    `columns` int [element] and `constants` float64 [element] by the name of a variable of the group.
    """

    text: str
    method: str | Callable
    tables: dict[str, object] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    columns: dict[str, object] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)

    def timed_arrays(self, dt: float) -> dict[str, object]:
        """The tables as Brian2 takes them; dt in seconds."""
        import brian2

        return {name: brian2.TimedArray(brian2.Quantity(table, dim=brian2.get_dimensions(unit(self.units[name]))),
                                        dt=dt * brian2.second, name=name) for name, table in self.tables.items()}

    def _add(self, name: str, table, written: str, room: int) -> None:
        import numpy as np

        self.tables[name] = np.pad(table * float(unit(written)), ((0, 0), (0, max(0, room - table.shape[1]))))
        self.units[name] = written


def inputs_of(plan, population: Population, open_courses: Mapping, open_parts: Mapping) -> Inputs:
    """The inputs of a population. open_courses, open_parts: see `network.LeftOpen`.

    An input that never changes is a constant of the group: cheaper than a course, and the same numbers.
    """
    found, moving = Inputs(population.equations, plan.method), []
    for variable in driven(plan, population):
        values, written = held(plan, population.name, variable), written_unit(plan, population.name, variable)
        if values is None or (population.name, variable) in open_courses:
            moving.append((variable, written))
        else:
            found.constants[variable] = values * float(unit(written))
            found.text += f"\n{variable} : {unscaled(written)} (constant)"
    least, room = open_parts.get(population.name, (0, 0))
    cut = parts.cut(plan, population.name, least) if moving else None
    if cut:
        _in_parts(plan, population, found, cut, [variable for variable, _ in moving], room)
        return found
    for variable, written in moving:
        table, columns = input_courses(plan, population.name, variable)
        found._add(f"course_{variable}", table, written, open_courses.get((population.name, variable), 0))
        found.columns[f"column_{variable}"] = columns
        found.text += (f"\n{variable} = course_{variable}(t, column_{variable}) : {unscaled(written)} "
                       f"(constant over dt)\ncolumn_{variable} : integer (constant)")
    return found


def _in_parts(plan, population: Population, found: Inputs, cut: parts.Cut, variables: list[str], room: int) -> None:
    """Add inputs that move inside a step."""
    for variable in variables:
        written = written_unit(plan, population.name, variable)
        for what, its, tables in zip(("part", "slope"), (written, f"{written}/second"),
                                     parts.course(plan, population.name, variable, cut), strict=True):
            for part, table in enumerate(tables):
                found._add(f"course_{variable}_{what}_{part}", table, its, room)
        found.text += f"\n{parts.lines_of(variable, unscaled(written), cut.parts)}"
    for part, table in enumerate(cut.lengths):
        found._add(f"course_{population.name}_part_{part}", table, "1", room)
    found.columns["column_part"] = cut.columns
    found.text += f"\n{parts.lines_of_parts(population.name, cut.parts)}"
    found.method = parts.updater(plan.method, cut.parts, variables)


def table_numbers(plan, population: Population) -> int:
    """How many numbers the tables of a population's inputs hold while they are made, at most."""
    courses = [len(drives_of(plan, population.name, variable)[0]) for variable in driven(plan, population)
               if held(plan, population.name, variable) is None]
    number, columns = parts.shape(plan, population.name)
    in_parts = (2 * len(courses) + 1) * number * columns
    return (WORK + COPIES * (sum(courses) + in_parts)) * (plan.steps + 1) if courses else 0


def driven(plan, population: Population) -> list[str]:
    """The variables of a population that inputs set."""
    return list(dict.fromkeys(i.variable for i in plan.model.inputs.values() if i.population == population.name))


def unscaled(written: str) -> str:
    """Brian2 wants the unit of an equation without a scale; `mmolar` is the base unit of a concentration.

    Name by name: Brian2's own word for the whole, such as katal/(metre**3), its equations cannot read.
    """
    import brian2

    def base(name: re.Match) -> str:
        return repr(brian2.get_unit(brian2.get_dimensions(unit(name[0]))))

    return re.sub("[A-Za-z]+", base, written.replace("^", "**"))
