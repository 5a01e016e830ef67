"""A model: ODE text, parameters, initial values, inputs, observables and structural options, checked as one.

A model is data. It is checked when it is made, without Brian2: a symbol that is used and not declared, or declared and
not used, is refused, so a value that looks like part of a model always is one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from astro_sim.model.equation_text import Line, lines, noisy, symbols
from astro_sim.parameter import Parameter
from astro_sim.protocols.text import chosen_elements
from foundation.errors import UserError, choose, unknown

Options = Mapping[str, object]


@dataclass(frozen=True)
class Option:
    """A structural choice: `allowed` is a tuple of names, or (lowest, highest) of a number.

    The default's type says which: a name, a whole number, a number, or whole numbers (text such as 0+0+1-3).
    """

    default: object
    allowed: tuple
    meaning: str

    def read(self, name: str, given):
        """`given` (text or value) as an allowed value; raises `UserError` with what is allowed."""
        if isinstance(self.default, str):
            if given not in self.allowed:
                raise unknown(f"value of option {name}", str(given), self.allowed)
            return given
        if isinstance(self.default, tuple):
            return self._whole_numbers(name, given)
        kind, words = (float, "a number") if isinstance(self.default, float) else (int, "a whole number")
        low, high = self.allowed
        try:
            value = kind(str(given))
        except ValueError:
            value = low - 1
        if not low <= value <= high:  # NaN too
            raise UserError(f"option {name}: '{given}' is not allowed; give {words} from {low} to {high}")
        return value

    def _whole_numbers(self, name: str, given) -> tuple[int, ...]:
        low, high = self.allowed
        try:
            found = chosen_elements(given) if given is not None else ()
            if not isinstance(given, str) and any(float(one) != int(one) for one in given):
                raise ValueError
        except (TypeError, ValueError, UserError) as error:
            raise UserError(f"option {name}: '{str(given)[:40]}' is not allowed; give whole numbers from {low} to "
                            f"{high}, as in 0+0+1") from error
        if any(not low <= one <= high for one in found):
            raise UserError(f"option {name}: {next(one for one in found if not low <= one <= high)} is not allowed; "
                            f"give whole numbers from {low} to {high}")
        return found


CLAUSES = ("threshold", "reset", "refractory", "events", "on_pre", "on_post", "on_event", "delay", "method")


class Text:
    """What Brian2 is given: the ODE text and, where there are any, spikes, events and what they do."""

    @property
    def text(self) -> str:
        """Everything that Brian2 runs of this part, for printing and for the hash of the model."""
        said = {name: getattr(self, name, None) for name in CLAUSES}
        said = {name: value for name, value in said.items() if value and value != "spike"}
        return "\n".join([self.equations.strip(), *(f"{name}: {str(value).strip()}" for name, value in said.items())]
                         ).strip()


@dataclass(frozen=True)
class Population(Text):
    """Elements of one kind under one ODE text.

    `size`, `labels` and `positions` are functions of the options; positions are one row of coordinates an element (no
    unit: places) or None where distance is not that of a space. `method` overrides that of the run: "exact" where the
    ODEs are linear. With other options than those in `when` it is not built. A population without ODE text that a
    `SpikeInput` names only sends the spikes of a protocol.
    """

    name: str
    meaning: str
    equations: str
    size: Callable[[Options], int] = lambda options: 1
    labels: Callable[[Options], Sequence[str]] | None = None
    positions: Callable[[Options], Sequence | None] | None = None
    threshold: str | None = None
    reset: str | None = None
    refractory: str | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None
    when: Mapping[str, tuple] = field(default_factory=dict)

    def active(self, options: Options) -> bool:
        """Whether the population is there with these options."""
        return all(options[name] in values for name, values in self.when.items())

    def expressions(self) -> list[str]:
        """Every expression of the population, to look names up in."""
        extra = [self.threshold, self.reset, self.refractory, *self.events.values()]
        return [line.expression for line in lines(self.equations) if line.expression] + [e for e in extra if e]


@dataclass(frozen=True)
class Pairs:
    """Which element of the source meets which of the target, and the constants of each pair (name -> values)."""

    source: Sequence[int]
    target: Sequence[int]
    constants: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection(Text):
    """Brian2 Synapses text between two populations, for the options in `when` (name -> allowed values).

    `fixed` sets a variable of each pair once, by an expression. Summed variables are computed from the state at the
    start of a step, in the order of `order`, and moved to its middle or held (coupling.py): coupling through them is of
    second or first order in dt, or of `coupling_order` where the text sums the mean over the step. `delay` names a
    parameter. `reads` are variables of other populations (name -> population) whose element k belongs to pair k.

    `grid` gives the shape of the population where it is a regular grid and every element meets every other, by a weight
    of distance alone: the sum is then a convolution, by FFT, and there are no pairs. None: pair by pair.
    """

    name: str
    source: str
    target: str
    meaning: str
    equations: str
    pairs: Callable[[Options], Pairs]
    fixed: Mapping[str, str] = field(default_factory=dict)
    when: Mapping[str, tuple] = field(default_factory=dict)
    on_pre: str | None = None
    on_post: str | None = None
    delay: str | None = None
    on_event: str = "spike"
    order: int = 0
    coupling_order: int = 1
    reads: Mapping[str, str] = field(default_factory=dict)
    grid: Callable[[Options], tuple[int, ...] | None] | None = None

    def active(self, options: Options) -> bool:
        """Whether the connection is there with these options."""
        return all(options[name] in values for name, values in self.when.items())

    def by_fft(self, options: Options) -> bool:
        """Whether positions are a grid with these options, so that the sum is a convolution."""
        return self.grid is not None and self.grid(options) is not None

    def expressions(self) -> list[str]:
        """Every expression of the connection, to look names up in."""
        extra = [*self.fixed.values(), self.on_pre, self.on_post, self.delay]
        return [line.expression for line in lines(self.equations) if line.expression] + [e for e in extra if e]

    def filled(self) -> dict[str, str]:
        """Variables that this connection sums into: name -> population."""
        sides = {"_pre": self.source, "_post": self.target}
        return {line.name.removesuffix(end): population for line in lines(self.equations) if "summed" in line.flags
                for end, population in sides.items() if line.name.endswith(end)}


@dataclass(frozen=True)
class Input:
    """What a protocol may drive: the symbol `variable` of a population, on all elements or on `elements(options)`.

    `allowed`, as of a parameter, says which values can be.
    """

    population: str
    variable: str
    unit: str
    default: float
    meaning: str
    elements: Callable[[Options], Sequence[int]] | None = None
    allowed: str = "any"


@dataclass(frozen=True)
class SpikeInput:
    """Spikes that a protocol may send: the elements of `population`, which has no ODE text, are their sources."""

    population: str
    meaning: str


@dataclass(frozen=True)
class Observable:
    """A variable that is recorded.

    `low` and `high` bound what can be true: a number of `unit`, a parameter's name, or a function of the plan.
    """

    population: str
    unit: str
    long_name: str
    low: float | str | Callable | None = None
    high: float | str | Callable | None = None


@dataclass(frozen=True)
class Event:
    """Something that happens to single elements and is recorded with its time: `event` of a population of its own."""

    population: str
    long_name: str
    event: str = "spike"


@dataclass(frozen=True)
class Belonging:
    """The element of `target` to which each element of `population` belongs: saved with every recording."""

    population: str
    target: str
    long_name: str
    indices: Callable[[Options], Sequence[int]]


@dataclass(frozen=True)
class Law:
    """What the equations keep, checked after every run: a run that breaks it is an error.

    `quantity(plan, recording)` is float64 (time,), or None where the law does not hold for such a run. To `tolerance`
    it must be zero (kind "zero": a share of what it is the sum of), or not above zero (kind "falls": by how much of its
    size something rose since the record before). The recording is a block of rows, with the two before it.
    """

    meaning: str
    kind: str
    quantity: Callable
    tolerance: float = 1e-9


@dataclass(frozen=True)
class Model:
    """Everything that says what is simulated. Variables are named uniquely over all populations.

    `method` integrates it where none is asked for. `drawn` are functions of the plan (its seed too) that give one
    initial value an element, in the unit of `initial`, to variables for which the user gives none.

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

    def __post_init__(self):
        self._check_parameter_sets()
        self._check_names()
        self._check_symbols()
        self._check_variables()

    @property
    def default_set(self) -> str:
        """Name of the parameter set that is taken where none is named."""
        return next(iter(self.parameter_sets))

    def population(self, name: str) -> Population:
        """A population by name. Errors: `UserError` for an unknown one."""
        return choose("population", name, {p.name: p for p in self.populations})

    def parameters(self, parameter_set: str | None = None) -> Mapping[str, Parameter]:
        """A parameter set by name, the default one without. Errors: `UserError` for an unknown one."""
        return choose(f"parameter set of {self.name}", parameter_set or self.default_set, dict(self.parameter_sets))

    def read_options(self, given: Options) -> dict[str, object]:
        """All options, the given ones checked, the others at their default."""
        for name in given:
            if not self.options:
                raise UserError(f"option {name}: {self.name} has no options; leave it out")
            choose(f"option of {self.name}", name, dict(self.options))
        return {name: option.read(name, given.get(name, option.default)) for name, option in self.options.items()}

    def active_populations(self, options: Options) -> list[Population]:
        """The populations that are there with these options."""
        return [population for population in self.populations if population.active(options)]

    def active_connections(self, options: Options) -> list[Connection]:
        """The connections that are there with these options."""
        return [connection for connection in self.connections if connection.active(options)]

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
        given = {line.name for part in (*self.populations, *self.connections) for line in lines(part.equations)}
        given |= self.parameters().keys() | {i.variable for i in self.inputs.values()}
        self._refuse("Brian2 reads xi and xi_... as noise, so nothing else can be named so; choose another name for",
                     self.name, {name for name in given if noisy(name)})

    def _check_symbols(self) -> None:
        """Used == declared, for parameters, inputs and variables together."""
        parameters, variables = set(self.parameters()), self.variables()
        used_anywhere: set[str] = set()
        for population in self.populations:
            own = {line.name for line in lines(population.equations)}
            inputs = {i.variable for i in self.inputs.values() if i.population == population.name}
            used = set().union(*(symbols(text) for text in population.expressions()))
            self._refuse("used and not declared", population.name, used - own - inputs - parameters)
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
            raise UserError(f"model {self.name}: two populations name a variable alike; names must be unique")
        missing = set(self.states()) - self.initial.keys()
        self._refuse("without an initial value", self.name, missing)
        named = self.observables.keys() | self.initial.keys() | self.drawn.keys()
        self._refuse("named and not declared", self.name, named - self.variables().keys())
        for name, seen in self.events.items():
            source = self.population(seen.population)
            happens = source.threshold if seen.event == "spike" else seen.event in source.events
            self._refuse("recorded and never happening", seen.population, set() if happens else {name})

    def _refuse(self, what: str, where: str, names: set[str]) -> None:
        if names:
            raise UserError(f"model {self.name}, {where}: {what}: {', '.join(sorted(names))}")
