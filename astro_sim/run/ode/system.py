"""A plan as a system of ODEs: its flow compiled, with numbers; states in one vector, ordered so that they have bands.

A vector holds population after population, in each the states of one element together. The elements of a single
population are put in an order in which those that are coupled lie near each other (reverse Cuthill-McKee).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from astro_sim.brian.inputs import per_element
from astro_sim.brian.network import pairs_of
from astro_sim.model.compiled_text import Node, function, made
from astro_sim.model.equation_text import lines
from astro_sim.model.flow import WIDTH, flow_of, input_name, own_name
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.run.ode.sums import Sums
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int

SOFT = 3e-8  # of the sizes of two values: where they meet, the sign of their difference goes over in this width
Values = Mapping[str, float | Float[Array, "element"]]


@dataclass(frozen=True)
class Block:
    """The states of a population in the vector: from `start`, `size` elements of `states`."""

    population: str
    start: int
    size: int
    states: tuple[str, ...]

    @property
    def stop(self) -> int:
        """Where the next one begins."""
        return self.start + self.size * len(self.states)


class System:
    """The ODEs of a plan. Everything is in SI base units; elements are in `order` (population -> element numbers).

    Errors: `UserError` where the model is no flow.
    """

    def __init__(self, plan: Plan):
        flow = flow_of(plan.model, plan.options)
        if isinstance(flow, str):
            raise UserError(f"method: {plan.method} is for ODEs alone, and {flow}; leave --method out")
        self.plan, self.flow = plan, flow
        self.sizes = {p.name: plan.size(p.name) for p in plan.model.active_populations(plan.options)}
        self.connections = {c.name: c for c in plan.model.active_connections(plan.options)}
        self.blocks = self._blocks()
        self.order = {name: np.arange(size) for name, size in self.sizes.items()}
        if self.coupled and len(self.blocks) == 1 and not self.dense:
            name = self.blocks[0].population
            self.order[name] = _bands(self._pattern(name))
        self.constants = self._constants()
        self.sums = Sums(plan, self.order, self.constants)
        self.items = [(name, self.sums.tree(name, item)) for name, _, item in flow.items]
        there = {block.population for block in self.blocks}
        self.rates = [(f"_rate_{name}", tree) for population, name, tree in flow.states if population in there]

    def _blocks(self) -> tuple[Block, ...]:
        blocks, start = [], 0
        for population, size in self.sizes.items():
            names = tuple(name for where, name, _ in self.flow.states if where == population)
            if names and size:
                blocks.append(Block(population, start, size, names))
                start = blocks[-1].stop
        return tuple(blocks)

    @property
    def coupled(self) -> bool:
        """Whether elements act on each other."""
        return any(not isinstance(item, Node) for *_, item in self.flow.items)

    @cached_property
    def dense(self) -> bool:
        """Whether a sum has no pairs that could be looked at: by FFT."""
        return any(one.by_fft(self.plan.options) for one in self.connections.values())

    @property
    def count(self) -> int:
        """Number of states."""
        return self.blocks[-1].stop if self.blocks else 0

    # --- who acts on whom

    def _pattern(self, population: str) -> sparse.csr_matrix:
        """Which elements of a population are coupled, itself among them: [target, source]."""
        size, found = self.sizes[population], [sparse.identity(self.sizes[population], format="csr")]
        for connection in self.connections.values():
            if connection.filled():
                pairs = pairs_of(connection, self.plan.options)
                source, target = np.asarray(pairs.source, int), np.asarray(pairs.target, int)
                ones = np.ones(len(source))
                found += [sparse.csr_matrix((ones, way), (size, size)) for way in ((target, source), (source, target))]
        return sum(found[1:], found[0]).tocsr()

    @cached_property
    def band(self) -> int | None:
        """How far from the diagonal the Jacobian reaches; None where all may depend on all."""
        if len(self.blocks) != 1 or self.dense:
            return None
        block, far = self.blocks[0], 0
        if self.coupled:
            rank = np.argsort(self.order[block.population])
            pattern = self._pattern(block.population).tocoo()
            far = int(np.abs(rank[pattern.row] - rank[pattern.col]).max())
        return min((far + 1) * len(block.states) - 1, self.count - 1)

    @cached_property
    def sparsity(self) -> sparse.csr_matrix | None:
        """Which states' rates depend on which states, [rate, state]; None where all may depend on all."""
        if len(self.blocks) != 1 or self.dense:
            return None
        block = self.blocks[0]
        order, k = self.order[block.population], len(block.states)
        pattern = self._pattern(block.population)[order][:, order] if self.coupled else sparse.identity(block.size)
        return sparse.kron(pattern, np.ones((k, k)), format="csr")

    # --- numbers

    def _constants(self) -> dict[str, float | Array]:
        """Parameters, variables that nothing moves, N and i of every population."""
        plan, found = self.plan, {name: float(p.quantity()) for name, p in self.plan.parameters.items()}
        self.homes = {line.name: p.name for p in plan.model.active_populations(plan.options)
                      for line in lines(p.equations)}
        for name, values in plan.per_element.items():
            found[name] = values[self.order[self._owner(name)]] * float(unit(plan.parameters[name].unit))
        moved = {name for name, *_ in self.flow.items} | {name for _, name, _ in self.flow.states}
        for name in self.homes.keys() - moved:
            found[name] = self.start_of(name) if name in plan.initial else 0.0
        for population, size in self.sizes.items():
            found[own_name(population, "N")] = float(size)
            found[own_name(population, "i")] = self.order[population].astype(float)
        found[WIDTH] = max(SOFT, 10 * (plan.rtol or 0.0))
        return found

    def _owner(self, name: str) -> str:
        """The population whose elements a parameter has its values for; one of a connection is of its target."""
        for population in self.plan.model.active_populations(self.plan.options):
            if name in per_element(self.plan, population):
                return population.name
        return next(one.target for one in self.connections.values() if name in per_element(self.plan, one))

    def start_of(self, name: str) -> float | Float[Array, "element"]:
        """A variable's initial value, its elements in order."""
        value = self.plan.initial[name]
        if isinstance(value, Parameter):
            return float(value.quantity())
        return np.array(value)[self.order[self.homes[name]]] * float(unit(self.plan.model.initial[name].unit))

    def start(self) -> Float[Array, "state"]:
        """The vector at the start."""
        y = np.empty(self.count)
        for block in self.blocks:
            part = y[block.start:block.stop].reshape(block.size, -1)
            for n, name in enumerate(block.states):
                part[:, n] = self.start_of(name)
        return y

    def scales(self) -> Float[Array, "state"]:
        """One unit of each state, as declared, in the vector."""
        return np.concatenate([np.tile([float(unit(self.plan.model.initial[name].unit)) for name in block.states],
                                       block.size) for block in self.blocks])

    # --- functions

    def input_names(self) -> dict[str, tuple[str, str]]:
        """What inputs are called in the trees -> (population, variable)."""
        return {input_name(*key): key for key in self.plan.inputs}

    def needed(self, wanted: Sequence[tuple[str, Node]]) -> list[tuple[str, Node]]:
        """The items that the wanted trees need, in their order, then those."""
        names, kept = set().union(*(tree.names for _, tree in wanted)), []
        for name, tree in reversed(self.items):
            if name in names:
                names |= tree.names
                kept.append((name, tree))
        return [*reversed(kept), *wanted]

    def function(self, wanted: Sequence[tuple[str, Node]]) -> Callable:
        """f(values by name) -> arrays (or numbers) of the wanted trees; values: states and inputs, (..., element)."""
        needed = self.needed(wanted)
        used = set().union(*(tree.names for _, tree in needed))
        arguments = [name for name in (*(name for _, name, _ in self.flow.states), *self.input_names())
                     if name in used]
        constants = sorted(self.constants.keys() & used) + list(self.sums.calls)
        source = function(arguments, needed, [name for name, _ in wanted], constants=constants)
        call = made(source, True)(*({**self.constants, **self.sums.calls}[name] for name in constants))
        return lambda values: call(*(values[name] for name in arguments))


def _bands(pattern: sparse.csr_matrix) -> Int[Array, "element"]:
    """An order of the elements in which coupled ones are near each other: the better of theirs and a computed one."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    def width(order: Int[Array, "element"]) -> int:
        rank, pairs = np.argsort(order), pattern.tocoo()
        return int(np.abs(rank[pairs.row] - rank[pairs.col]).max())

    orders = [np.arange(pattern.shape[0]), np.asarray(reverse_cuthill_mckee(pattern, symmetric_mode=True), int)]
    return min(orders, key=width)
