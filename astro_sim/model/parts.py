"""The parts that a model is declared with: populations, connections, inputs, what is recorded, what must hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from astro_sim.model.equation_text import ARRIVING, lines, names
from astro_sim.model.option import Options
from foundation.errors import UserError

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


def one_to_one(size: Callable[[Options], int]) -> Callable[[Options], Pairs]:
    """The pairs (k, k) of two populations of the same `size`, as a function of the options."""
    return lambda options: Pairs(range(size(options)), range(size(options)))


@dataclass(frozen=True)
class Connection(Text):
    """Brian2 Synapses text between two populations, for the options in `when` (name -> allowed values).

    `fixed` sets a variable of each pair once, by an expression. Summed variables are computed from the state at the
    start of a step, in the order of `order`, and moved to its middle or held (coupling.py): coupling through them is of
    second or first order in dt, or of `coupling_order` where the text sums the mean over the step. `delay` names a
    parameter. `reads` are variables of other populations (name -> population) whose element k belongs to pair k.

    `grid` gives the shape of the population where it is a regular grid and every element meets every other, by a weight
    of distance alone: the sum is then a convolution, by FFT, and there are no pairs. None: pair by pair.

    A spike falls between steps where its time or its delay does. Where `on_pre` uses `since_arrival`, the time since
    then, it runs on the first step after; where it uses `arrival_time`, on the last step before, so that the state may
    be told what is to come: both are exact. Without them it runs on the nearest step.
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

    @property
    def arriving(self) -> str | None:
        """`since_arrival` or `arrival_time`, whichever its effect uses; None where it runs on the nearest step.

        Errors: `UserError` where it uses both.
        """
        found = sorted(ARRIVING & names(self.on_pre or ""))
        if len(found) > 1:
            raise UserError(f"{self.name}: on_pre uses {' and '.join(found)}, which belong to two steps; give each a "
                            "connection of its own")
        return found[0] if found else None

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
