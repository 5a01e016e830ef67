"""A model: ODE text, parameters, initial values, inputs, observables and structural options, checked as one.

A model is data. It is checked when it is made, without Brian2: a symbol that is used and not declared, or declared and
not used, is refused, so a value that looks like part of a model always is one.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from astro_sim.model.equation_text import ARRIVING, Line, lines, names, noisy, symbols
from astro_sim.model.names import LONGEST, PARTS, problem_of, taken_by_brian2
from astro_sim.model.option import Option, Options
from astro_sim.model.parts import (
    Belonging,
    Connection,
    Event,
    Input,
    Law,
    Observable,
    Population,
    SpikeInput,
)
from astro_sim.model.tables import ParameterSet, model_table
from astro_sim.parameter import Parameter
from foundation.errors import UserError, choose
from foundation.outside import modules_of_files
from foundation.table import Table

KNOWN_IN_ON_PRE = "stands for a spike's arrival, which is known in the on_pre of a connection alone"
HOW = {  # what to do about names that are refused
    "used and not declared": "; give each a line of the equations, a Parameter in every set, or an Input",
    "declared and not used": "; use it in an equation, or take it out",
    "declared and never filled": "; a line without '=' takes its value from a connection or `initial`: give it one; "
                                 "for a Parameter or an Input take the line out",
    "without an initial value": "; give each a Parameter in `initial`"}


@dataclass(frozen=True, repr=False)
class Model:
    """Everything that says what is simulated. Variables are named uniquely over all populations.

    `method` steps it where steps are taken and none is asked for. `drawn` are functions of the plan (its seed too) that
    give one initial value an element, in the unit of `initial`, to variables for which the user gives none. `starts`
    are initial values that a parameter set brings along: set -> variable -> value, in the unit of `initial`, and in its
    place.

    Errors: `UserError` for any symbol used and not declared, or declared and not used, in any part.
    """

    name: str
    summary: str
    populations: tuple[Population, ...]
    parameter_sets: Mapping[str, Mapping[str, Parameter]]
    initial: Mapping[str, Parameter]
    observables: Mapping[str, Observable]
    connections: tuple[Connection, ...] = ()
    inputs: Mapping[str, Input] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    not_modelled: str = ""
    spike_inputs: Mapping[str, SpikeInput] = field(default_factory=dict)
    method: str = "rk4"
    drawn: Mapping[str, Callable] = field(default_factory=dict)
    events: Mapping[str, Event] = field(default_factory=dict)
    maps: Mapping[str, Belonging] = field(default_factory=dict)
    laws: tuple[Law, ...] = ()
    starts: Mapping[str, Mapping[str, Parameter]] = field(default_factory=dict)

    def __post_init__(self):
        sets = {name: ParameterSet(table, f"{self.name}:{name}") for name, table in self.parameter_sets.items()}
        object.__setattr__(self, "parameter_sets", sets)
        self._check_parameter_sets()
        self._check_names()
        self._check_symbols()
        self._check_variables()
        self._check_starts()

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.summary}; parameter sets {', '.join(self.parameter_sets)}>"

    def table(self) -> Table:
        """What can be driven, what can be chosen, what is recorded, and the names of the parameter sets."""
        return model_table(self)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __reduce__(self) -> tuple[Callable, tuple]:
        """A built-in model travels to other processes as its name, any other with the functions that it is made of."""
        built_in = sys.modules.get("astro_sim.models")  # where that is not loaded, this is no built-in model
        if built_in is not None and built_in.MODELS.get(self.name) is self:
            return built_in.named, (self.name,)
        import cloudpickle

        for module in modules_of_files():
            cloudpickle.register_pickle_by_value(module)
        return _unpacked, (cloudpickle.dumps(vars(self)),)

    @property
    def default_set(self) -> str:
        """Name of the parameter set that is taken where none is named."""
        return next(iter(self.parameter_sets))

    def population(self, name: str) -> Population:
        """A population by name. Errors: `UserError` for an unknown one."""
        return choose("population", name, {p.name: p for p in self.populations})

    def parameters(self, parameter_set: str | None = None) -> ParameterSet:
        """A parameter set by name, the default one without. Errors: `UserError` for an unknown one."""
        return choose(f"parameter set of {self.name}", parameter_set or self.default_set, dict(self.parameter_sets))

    def initial_of(self, parameter_set: str | None = None) -> dict[str, Parameter]:
        """The initial values that a parameter set begins with. Errors: `UserError` for an unknown one."""
        self.parameters(parameter_set)
        return {**self.initial, **self.starts.get(parameter_set or self.default_set, {})}

    def read_options(self, given: Options) -> dict[str, object]:
        """All options, the given ones checked, the others at their default."""
        for name in given:
            if not self.options:
                raise UserError(f"option {name}: {self.name} has no options; leave it out")
            choose(f"option of {self.name}", name, dict(self.options))
        return {name: option.read(name, given.get(name, option.default)) for name, option in self.options.items()}

    def told_options(self, options: Options) -> dict[str, object]:
        """The options that decide a recording: without those that older recordings do not name, at their default."""
        return {name: value for name, value in options.items()
                if not (self.options[name].later and value == self.options[name].default)}

    def active_populations(self, options: Options) -> list[Population]:
        """The populations that are there with these options."""
        return [population for population in self.populations if population.active(options)]

    def active_connections(self, options: Options) -> list[Connection]:
        """The connections that are there with these options."""
        return [connection for connection in self.connections if connection.active(options)]

    def texts(self, options: Options) -> dict[str, str]:
        """What Brian2 runs of every part that is there with these options, by its name."""
        return {part.name: part.text for part in (*self.active_populations(options), *self.active_connections(options))}

    def coupling_order(self, options: Options) -> int | None:
        """Order in dt of the coupling through sums, the lowest of all; None where there are none."""
        least = 2 if options.get("coupling_scheme") == "extrapolated" else 1
        orders = [max(least, c.coupling_order) for c in self.active_connections(options) if c.filled()]
        return min(orders, default=None)

    def used_parameters(self, options: Options) -> list[str]:
        """Names of the parameters that take part under these options, in the order of declaration."""
        parts = [*self.active_populations(options), *self.active_connections(options)]
        used = {name for part in parts for text in part.expressions() for name in symbols(text)}
        return [name for name in self.parameters() if name in used]

    def variables(self) -> dict[str, tuple[Population, Line]]:
        """Every variable of every population: name -> (population, its line)."""
        return {line.name: (population, line)
                for population in self.populations for line in lines(population.equations)}

    @property
    def continuous(self) -> bool:
        """No events and no noise: every variable moves smoothly, apart from edges of an input."""
        events = any(p.threshold or p.events for p in self.populations)
        kicks = any(c.on_pre or c.on_post for c in self.connections)
        return not (events or kicks or self.stochastic)

    @property
    def stochastic(self) -> bool:
        """Whether an equation has noise."""
        return any(noisy(line.expression) for _, line in self.variables().values())

    def kicked(self, name: str) -> bool:
        """Whether spikes or other events arrive at a variable's population, so that it may turn back at any step."""
        reached = {connection.target for connection in self.connections if connection.on_pre or connection.on_post}
        return self.variables()[name][0].name in reached

    def states(self) -> list[str]:
        """Names of the variables that have a differential equation."""
        return [name for name, (_, line) in self.variables().items() if line.kind == "ode"]

    def _check_parameter_sets(self) -> None:
        names = [set(table) for table in self.parameter_sets.values()]
        if not names or any(other != names[0] for other in names):
            raise UserError(f"model {self.name}: every parameter set must hold the same names, and there must be one")

    def _check_names(self) -> None:
        """No name means something else to Brian2, and none means two things here."""
        populations = [line.name for p in self.populations for line in lines(p.equations)]
        pairs = [line.name for c in self.connections for line in lines(c.equations) if "summed" not in line.flags]
        driven = {i.variable for i in self.inputs.values()}
        given = {*populations, *pairs, *driven, *self.parameters()}
        made = {f"{name}_before" for connection in self.connections for name in connection.filled()}
        made |= {f"{what}_{one.name}" for one in self.connections if ARRIVING & names(one.on_pre or "")
                 for what in ("offset", "offsets", "arrived")}
        problems = {name: problem_of(name) for name in given}
        problems |= {name: f"is Brian2's own {kind}" for name, kind in taken_by_brian2(given).items()}
        problems |= {name: "ends like a variable of one side of a connection" for name in {*populations, *driven}
                     if name.endswith(("_pre", "_post")) and not problems[name]}
        problems |= dict.fromkeys(given & made, "is a name that the simulator makes for a connection")
        problems |= dict.fromkeys(self.parameters().keys() & {*populations, *pairs, *driven},
                                  "is a parameter and a variable")
        problems |= dict.fromkeys(driven & set(populations), "is a line of the equations and the variable of an input")
        parts = [part.name for part in (*self.populations, *self.connections)]
        problems |= {name: problem_of(name) or "is a name of the simulator's own or given twice" for name in parts
                     if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or PARTS.fullmatch(name)
                     or parts.count(name) > 1}
        for name, problem in sorted(problems.items()):
            if problem:
                raise UserError(f"model {self.name[:LONGEST]}: '{name[:LONGEST]}' {problem}; choose another name")

    def _check_symbols(self) -> None:
        """Used == declared, for parameters, inputs and variables together."""
        parameters, variables = set(self.parameters()), self.variables()
        used_anywhere: set[str] = set()
        for population in self.populations:
            own = {line.name for line in lines(population.equations)}
            inputs = {i.variable for i in self.inputs.values() if i.population == population.name}
            used = set().union(*(symbols(text) for text in population.expressions()))
            self._refuse("used and not declared", population.name, used - own - inputs - parameters)
            self._refuse(KNOWN_IN_ON_PRE, population.name, ARRIVING & _names(population.expressions()))
            self._refuse("declared and not used", population.name, inputs - used)
            used_anywhere |= used
        for connection in self.connections:
            used_anywhere |= self._connection_symbols(connection, parameters)
        filled = {name for connection in self.connections for name in connection.filled()}
        needed = used_anywhere | self.observables.keys()
        idle = {name for name, (_, line) in variables.items() if line.kind != "ode" and name not in needed}
        self._refuse("declared and not used", self.name, idle | (parameters - used_anywhere))
        empty = {name for name, (_, line) in variables.items()
                 if line.kind == "variable" and name not in filled and name not in self.initial}
        self._refuse("declared and never filled", self.name, empty)

    def _connection_symbols(self, connection: Connection, parameters: set[str]) -> set[str]:
        """Names that a connection uses, `_pre` and `_post` resolved; refuses what neither side declares."""
        self._refuse(KNOWN_IN_ON_PRE, connection.name,
                     ARRIVING & _names(text for text in connection.expressions() if text != connection.on_pre))
        connection.arriving  # noqa: B018  refuses a text that uses both names
        own = {line.name for line in lines(connection.equations) if "summed" not in line.flags}
        sides = {end: {line.name for line in lines(self.population(name).equations)}
                 for end, name in (("_pre", connection.source), ("_post", connection.target))}
        found: set[str] = set()
        used = set().union(*(symbols(text) for text in connection.expressions()))
        for name in used:
            end = next((e for e in sides if name.endswith(e)), None)
            known = name in own | parameters | connection.reads.keys() or (end and name.removesuffix(end) in sides[end])
            self._refuse("used and not declared", connection.name, set() if known else {name})
            found.add(name.removesuffix(end) if end and name not in own | parameters else name)
        self._refuse("declared and not used", connection.name, (own | connection.reads.keys()) - used)
        for name, population in connection.reads.items():
            known = any(line.name == name for line in lines(self.population(population).equations))
            self._refuse("read and not declared", connection.name, set() if known else {name})
        for name, population in connection.filled().items():
            known = any(line.name == name for line in lines(self.population(population).equations))
            self._refuse("filled and not declared", connection.name, set() if known else {name})
        return found

    def _check_variables(self) -> None:
        count = sum(len(lines(population.equations)) for population in self.populations)
        if count != len(self.variables()):
            raise UserError(f"model {self.name}: two populations have a variable of the same name; names must be "
                            "unique")
        missing = set(self.states()) - self.initial.keys()
        self._refuse("without an initial value", self.name, missing)
        named = self.observables.keys() | self.initial.keys() | self.drawn.keys()
        self._refuse("named and not declared", self.name, named - self.variables().keys())
        for name, seen in self.events.items():
            source = self.population(seen.population)
            happens = source.threshold if seen.event == "spike" else seen.event in source.events
            self._refuse("recorded and never happening", seen.population, set() if happens else {name})

    def _check_starts(self) -> None:
        self._refuse("starts of unknown parameter sets", self.name, self.starts.keys() - self.parameter_sets.keys())
        for name, values in self.starts.items():
            self._refuse("starts without a value in `initial`", name, values.keys() - self.initial.keys())
            other = {variable for variable, value in values.items() if value.unit != self.initial[variable].unit}
            self._refuse("starts in another unit than in `initial`", name, other)

    def _refuse(self, what: str, where: str, names: set[str]) -> None:
        if names:
            place = f"model {self.name}" + (f", {where}" if where != self.name else "")
            raise UserError(f"{place}: {what}: {', '.join(sorted(names))}" + HOW.get(what, ""))


def _names(texts: Iterable[str]) -> set[str]:
    return set().union(*(names(text) for text in texts))


def _unpacked(fields: bytes) -> Model:
    """A model of a user's own that another of the user's processes has sent."""
    import cloudpickle

    return Model(**cloudpickle.loads(fields))
