"""What drives the inputs of a population, as Brian2 takes it: lines of ODE text and the numbers that belong to them."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astro_sim.brian import parts
from astro_sim.model import Connection, Population
from astro_sim.model.equation_text import symbols
from astro_sim.parameter import plain_unit, unit
from astro_sim.plan import Plan
from astro_sim.protocols.course import Course
from foundation.shapes import Float, Int

COPIES = 2  # of a table: as it is computed, and in base units
WORK = 10   # columns that a course is computed by
SMOOTH_WORK = 9  # further ones, of every part, where it moves smoothly


@dataclass
class Inputs:
    """`text` is the ODE text with a line for every input, `method` the state updater that takes them as they move.

    All numbers are in base units: `tables` by the name of a TimedArray, and their units; `columns` and `constants` by
    the name of a variable of the group.
    """

    text: str
    method: str | Callable
    tables: dict[str, Float[np.ndarray, "step _"]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Int[np.ndarray, "element"]] = field(default_factory=dict)
    constants: dict[str, Float[np.ndarray, "element"]] = field(default_factory=dict)

    def timed_arrays(self, dt: float, before: str = "") -> dict[str, Any]:
        """The tables as Brian2 takes them; dt in seconds; `before` is put before their names in Brian2."""
        import brian2

        dimensions = {name: brian2.get_dimensions(unit(written)) for name, written in self.units.items()}
        return {name: brian2.TimedArray(brian2.Quantity(table, dim=dimensions[name]), dt=dt * brian2.second,
                                        name=f"{before}{name}") for name, table in self.tables.items()}

    def add(self, name: str, table: Float[np.ndarray, "step column"], written: str, *, room: int = 0) -> None:
        """Add a table of numbers of the unit `written`, with columns for `room` courses at least."""
        self.tables[name] = np.pad(table * float(unit(written)), ((0, 0), (0, max(0, room - table.shape[1]))))
        self.units[name] = written


def inputs_of(plan: Plan, population: Population, open_courses: Mapping[tuple[str, str], int], *,
              open_parts: Mapping[str, tuple[int, int, int]], linked: Container[str] = ()) -> Inputs:
    """The inputs of a population, and its parameters that have one value an element.

    open_courses, open_parts: see `LeftOpen`; linked: variables that another group sets. An input that never changes is
    a constant of the group: cheaper than a course, and the same numbers.
    """
    made, moving = Inputs(population.equations, plan.method), {}
    for name in per_element(plan, population):
        made.text += f"\n{name} : {unscaled(plan.parameters[name].unit)} (constant)"
        made.constants[name] = plan.per_element[name] * float(unit(plan.parameters[name].unit))
    for variable, course in plan.courses(population.name).items():
        values = course.held
        if variable in linked:
            made.text += f"\n{variable} : {unscaled(course.unit)} (linked)"
        elif values is None or (population.name, variable) in open_courses:
            moving[variable] = course
        else:
            made.constants[variable] = values * float(unit(course.unit))
            made.text += f"\n{variable} : {unscaled(course.unit)} (constant)"
    least, room, terms = open_parts.get(population.name, (0, 0, 2))
    cut = None
    if moving and not plan.model.stochastic:
        cut = parts.cut(plan.courses(population.name), dt=plan.dt, steps=plan.steps, least=least, terms=terms)
    if cut:
        _add_parts(made, population.name, moving, cut=cut, dt=plan.dt, room=room)
        made.method = parts.updater(plan.method, cut.parts, list(moving))
    else:
        for variable, course in moving.items():
            _add_means(made, variable, course, edges=plan.edges,
                       room=open_courses.get((population.name, variable), 0))
    return made


def per_element(plan: Plan, part: Population | Connection) -> list[str]:
    """The parameters with one value an element that a part uses."""
    used = set().union(*map(symbols, part.expressions()))
    return [name for name in plan.per_element if name in used]


def _add_means(made: Inputs, variable: str, course: Course, *, edges: Float[np.ndarray, "edge"], room: int) -> None:
    """Add an input that is held over every step."""
    made.add(f"course_{variable}", course.means(edges), course.unit, room=room)
    made.columns[f"column_{variable}"] = course.which
    made.text += (f"\n{variable} = course_{variable}(t, column_{variable}) : {unscaled(course.unit)} "
                  f"(constant over dt)\ncolumn_{variable} : integer (constant)")


def _add_parts(made: Inputs, population: str, courses: Mapping[str, Course], *, cut: parts.Cut, dt: float, room: int
               ) -> None:
    """Add inputs that move inside a step."""
    for variable, course in courses.items():
        for power, (what, tables) in enumerate(zip(parts.TERMS, parts.lines_in_parts(course, cut, dt), strict=False)):
            for part, table in enumerate(tables):
                made.add(f"course_{variable}_{what}_{part}", table, course.unit + "/second" * power, room=room)
        made.text += f"\n{parts.text_of(variable, unscaled(course.unit), cut.parts, terms=cut.terms)}"
    for part, table in enumerate(cut.lengths):
        made.add(f"course_{population}_part_{part}", table, "1", room=room)
    made.columns["column_part"] = cut.columns
    made.text += f"\n{parts.text_of_parts(population, cut.parts)}"


def table_numbers(courses: Sequence[Course], steps: int, cut_shape: tuple[int, int, int]) -> int:
    """How many numbers the tables of a population's inputs hold while they are made, at most.

    cut_shape: as of `parts.shape`.
    """
    drives = [len(course.drives) for course in courses if course.held is None]
    number, columns, terms = cut_shape
    in_parts = (terms * len(drives) + 1) * number * columns
    work = WORK + (SMOOTH_WORK * number if terms > 2 else 0)
    return (work + COPIES * (sum(drives) + in_parts)) * (steps + 1) if drives else 0


def cut_shape(plan: Plan, population: str) -> tuple[int, int, int]:
    """(parts of a step, ways to cut it, terms of an input) of a population's inputs; with noise steps stay whole."""
    courses = {} if plan.model.stochastic else plan.courses(population)
    return parts.shape(courses, dt=plan.dt, steps=plan.steps)


def unscaled(written: str) -> str:
    """Brian2 wants the unit of an equation without a scale; `mmolar` is the base unit of a concentration.

    Name by name: Brian2's own word for the whole, such as katal/(metre**3), its equations cannot read.
    """
    import brian2

    def base(name: re.Match) -> str:
        return repr(brian2.get_unit(brian2.get_dimensions(unit(name[0]))))

    return re.sub("[A-Za-z]+", base, plain_unit(written))
