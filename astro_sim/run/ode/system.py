"""A plan as a system of ODEs: its flow compiled, with numbers; states in one vector, ordered so that they have bands.

A vector holds population after population, in each the states of one element together. The elements of a single
population are put in an order in which those that are coupled lie near each other (reverse Cuthill-McKee).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from astro_sim.brian.network import pairs_of
from astro_sim.model import Connection
from astro_sim.model.compiled_text import Node, binary, function, leaf, made, parsed
from astro_sim.model.equation_text import evaluator, lines
from astro_sim.model.flow import WIDTH, Sum, flow_of, input_name, own_name
from astro_sim.model.grid_sum import GridSum
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.run.ode.courses import Stretch
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int

PLAIN_UP_TO = 6  # elements that are computed one by one, on plain numbers: quicker than NumPy's calls
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
        self.sums: dict[str, Callable] = {}
        self.items = [(name, self._tree(name, population, item)) for name, population, item in flow.items]
        self.rates = [(f"_rate_{name}", tree) for _, name, tree in flow.states]

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
            home = next(size for size in self.sizes if self.sizes[size] == len(values))
            found[name] = values[self.order[home]] * float(unit(plan.parameters[name].unit))
        moved = {name for name, *_ in self.flow.items} | {name for _, name, _ in self.flow.states}
        for name in self.homes.keys() - moved:
            found[name] = self.start_of(name) if name in plan.initial else 0.0
        for population, size in self.sizes.items():
            found[own_name(population, "N")] = float(size)
            found[own_name(population, "i")] = self.order[population].astype(float)
        found[WIDTH] = max(SOFT, 10 * (plan.rtol or 0.0))
        return found

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

    # --- sums

    def _tree(self, name: str, population: str, item: "Node | tuple[Sum, ...]") -> Node:
        """What computes an item: its own tree, or calls of what sums."""
        if isinstance(item, Node):
            return item
        trees = [self._summed(one, f"{name}_{n}") for n, one in enumerate(item)]
        total = trees[0]
        for tree in trees[1:]:
            total = binary("+", total, tree)
        return total

    def _summed(self, one: Sum, name: str) -> Node:
        connection = self.connections[one.connection]
        if connection.by_fft(self.plan.options):
            return self._by_fft(connection, name)
        pairs = self._pairs(connection)
        if one.terms is None:
            return self._pair_by_pair(one, connection, pairs, name)
        values, terms = self._pair_values(connection, pairs), []
        shape = (self.sizes[connection.target], self.sizes[connection.source])
        for n, term in enumerate(one.terms):
            weights = np.broadcast_to(1.0 if term.weight is None else _value(term.weight, values), len(pairs[0]))
            matrix = sparse.csr_matrix((weights, (pairs[1], pairs[0])), shape)
            matrix = matrix.T.tocsr() if one.into_source else matrix
            far, near = ((term.target, term.source) if one.into_source else (term.source, term.target))
            names = {**one.source_names, **one.target_names}
            called = f"_sum_{name}_{n}"
            self.sums[called] = _product_with(matrix)
            tree = Node("call", called, (leaf(1.0) if far is None else _renamed(far, names),))
            terms.append(tree if near is None else binary("*", tree, _renamed(near, names)))
        total = terms[0]
        for tree in terms[1:]:
            total = binary("+", total, tree)
        return total

    def _pairs(self, connection: Connection) -> tuple[Int[Array, "pair"], Int[Array, "pair"]]:
        """Places of source and target of each pair in their orders."""
        pairs = pairs_of(connection, self.plan.options)
        ranks = {name: np.argsort(self.order[name]) for name in {connection.source, connection.target}}
        return (ranks[connection.source][np.asarray(pairs.source, int)],
                ranks[connection.target][np.asarray(pairs.target, int)])

    def _pair_values(self, connection: Connection, pairs: tuple) -> dict[str, float | Array]:
        """The constants of each pair, and parameters."""
        given, found = pairs_of(connection, self.plan.options), {**self.constants}
        units = {line.name: line.unit for line in lines(connection.equations)}
        for name, numbers in given.constants.items():
            found[name] = np.asarray(numbers, float) * float(unit(units[name]))
        for name, expression in connection.fixed.items():
            found[name] = evaluator(expression, "")(found)
        found |= {"i": np.asarray(given.source, float), "j": np.asarray(given.target, float)}
        # one value an element: that of the target, whose sum it is
        return found | {name: self.constants[name][pairs[1]] for name in self.plan.per_element}

    def _pair_by_pair(self, one: Sum, connection: Connection, pairs: tuple, name: str) -> Node:
        values = self._pair_values(connection, pairs)
        arguments = [*one.source_names, *one.target_names]
        constants = sorted(one.whole.names - set(arguments))
        source = function(arguments, [("_flux", one.whole)], ["_flux"], constants=constants)
        flux = made(source, True)(*(values[word] for word in constants))
        ends = [pairs[0]] * len(one.source_names) + [pairs[1]] * len(one.target_names)
        into, size = ((pairs[0], self.sizes[connection.source]) if one.into_source else
                      (pairs[1], self.sizes[connection.target]))
        add = _product_with(sparse.csr_matrix((np.ones(len(into)), (into, np.arange(len(into)))), (size, len(into))))

        def total(*given: float | Array) -> Array:
            return add(flux(*(value if np.ndim(value) == 0 else value[..., end]
                              for value, end in zip(given, ends, strict=True)))[0])

        called = f"_sum_{name}"
        self.sums[called] = total
        return Node("call", called, tuple(leaf(word.rpartition("_")[0]) for word in arguments))

    def _by_fft(self, connection: Connection, name: str) -> Node:
        from astro_sim.brian.coupling import weight_and_source

        _, weight, source = weight_and_source(connection)
        constants = {key: value for key, value in self.constants.items() if np.ndim(value) == 0}
        falls = evaluator(connection.fixed[weight], "")
        grid = GridSum(connection.grid(self.plan.options), lambda far: falls({**constants, "distance": far}))

        def total(values: Array) -> Array:
            return grid(values) if values.ndim == 1 else np.stack([grid(row) for row in values])

        self.sums[f"_sum_{name}"] = total
        return Node("call", f"_sum_{name}", (leaf(source),))

    # --- functions

    def compiled(self, wanted: Sequence[tuple[str, Node]], *, arrays: bool = True) -> tuple[str, list[str], list[str]]:
        """(source, states and inputs that it takes, constants of its maker) for the trees that are wanted."""
        return self._source(wanted, arrays, self.input_names())

    def input_names(self) -> dict[str, tuple[str, str]]:
        """What inputs are called in the trees -> (population, variable)."""
        return {input_name(*key): key for key in self.plan.inputs}

    def _needed(self, wanted: Sequence[tuple[str, Node]]) -> list[tuple[str, Node]]:
        """The items that the wanted trees need, in their order, then those."""
        names, kept = set().union(*(tree.names for _, tree in wanted)), []
        for name, tree in reversed(self.items):
            if name in names:
                names |= tree.names
                kept.append((name, tree))
        return [*reversed(kept), *wanted]

    def function(self, wanted: Sequence[tuple[str, Node]]) -> Callable:
        """f(values by name) -> arrays (or numbers) of the wanted trees; values: states and inputs, (..., element)."""
        needed = self._needed(wanted)
        used = set().union(*(tree.names for _, tree in needed))
        arguments = [name for name in (*(name for _, name, _ in self.flow.states), *self.input_names())
                     if name in used]
        constants = sorted(self.constants.keys() & used) + list(self.sums)
        source = function(arguments, needed, [name for name, _ in wanted], constants=constants)
        call = made(source, True)(*({**self.constants, **self.sums}[name] for name in constants))
        return lambda values: call(*(values[name] for name in arguments))

    def vectorised(self, inputs: Mapping[tuple[str, str], Stretch]) -> Callable:
        """rates(y, t) on the whole vector."""
        call, names = self.function(self.rates), self.input_names()
        held = {name: inputs[key].value for name, key in names.items() if inputs[key].kind == "held"}
        moving = {name: inputs[key] for name, key in names.items() if name not in held}
        blocks, count = self.blocks, self.count

        def rates(y: Array, t: float) -> Array:
            values = dict(held)
            for name, course in moving.items():
                values[name] = course(t)
            for block in blocks:
                values.update(zip(block.states, y[block.start:block.stop].reshape(block.size, -1).T, strict=True))
            found, out = iter(call(values)), np.empty(count)
            for block in blocks:
                part = out[block.start:block.stop].reshape(block.size, -1)
                for n in range(len(block.states)):
                    part[:, n] = next(found)
            return out

        return rates

    @property
    def plain(self) -> bool:
        """Whether elements are so few, and apart, that plain numbers are quicker than arrays."""
        return not self.coupled and len(self.blocks) == 1 and self.blocks[0].size <= PLAIN_UP_TO

    def one_by_one(self, inputs: Mapping[tuple[str, str], Stretch]) -> Callable:
        """rates(y, t) on the whole vector, element by element on plain numbers."""
        block, names, otherwise = self.blocks[0], self.input_names(), self.vectorised(inputs)
        calls = [self._plain(block, n, {name: inputs[key] for name, key in names.items()}, otherwise)
                 for n in range(block.size)]
        if len(calls) == 1:
            return calls[0]
        k = len(block.states)

        def rates(y: Array, t: float) -> list[float]:
            found: list[float] = []
            for n, call in enumerate(calls):
                found += call(y[n * k:n * k + k], t)
            return found

        return rates

    def _plain(self, block: Block, element: int, inputs: Mapping[str, Stretch], otherwise: Callable) -> Callable:
        """rates(y, t) of one element."""
        needed = self._needed(self.rates)
        used = set().union(*(tree.names for _, tree in needed))
        opening, values = [f"{', '.join(block.states)}, = _y.tolist()"], {"_otherwise": self._alone(block, element,
                                                                                                   otherwise)}
        for name, course in inputs.items():
            if name not in used:
                continue
            if course.kind == "held":
                values[name] = course.value
            elif course.kind == "straight":
                values |= {f"{name}_value": course.value, f"{name}_slope": course.slope, f"{name}_start": course.start}
                opening.append(f"{name} = {name}_value + {name}_slope*(_t - {name}_start)")
            else:
                values[f"{name}_at"] = lambda t, at=course.at: _element(at(t), element)
                opening.append(f"{name} = {name}_at(_t)")
        values |= {name: value for name, value in self.constants.items() if name in used}
        values = {name: value if callable(value) else _element(value, element) for name, value in values.items()}
        source = function(["_y", "_t"], needed, [name for name, _ in self.rates], constants=sorted(values),
                          opening=opening, rescue=True)
        return made(source, False)(*(values[name] for name in sorted(values)))

    def _alone(self, block: Block, element: int, otherwise: Callable) -> Callable:
        """The rates of one element by arrays: infinity and NaN where plain numbers end in an error."""
        k = len(block.states)

        def rates(y: Array, t: float) -> tuple[float, ...]:
            whole = np.tile(np.asarray(y, float), block.size)
            return tuple(otherwise(whole, t)[element * k:element * k + k].tolist())

        return rates


def _element(value: float | Array, element: int) -> float:
    return float(value[element]) if np.ndim(value) else float(value)


def _value(tree: Node, values: Values) -> float | Array:
    """A tree of constants as a number or array."""
    names = sorted(tree.names)
    return made(function([], [("_value", tree)], ["_value"], constants=names), True)(*(values[n] for n in names))()[0]


def _renamed(tree: Node, names: Mapping[str, str]) -> Node:
    return tree.replaced({word: leaf(variable) for word, variable in names.items()})


def _product_with(matrix: sparse.csr_matrix) -> Callable:
    """x -> matrix @ x, along the last axis; a number stands for all elements."""
    width = matrix.shape[1]

    def product(x: float | Array) -> Array:
        if np.ndim(x) == 0:
            x = np.full(width, float(x))
        return matrix @ x if x.ndim == 1 else (matrix @ x.T).T

    return product


def _bands(pattern: sparse.csr_matrix) -> Int[Array, "element"]:
    """An order of the elements in which coupled ones are near each other: the better of theirs and a computed one."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    def width(order: Int[Array, "element"]) -> int:
        rank, pairs = np.argsort(order), pattern.tocoo()
        return int(np.abs(rank[pairs.row] - rank[pairs.col]).max())

    orders = [np.arange(pattern.shape[0]), np.asarray(reverse_cuthill_mckee(pattern, symmetric_mode=True), int)]
    return min(orders, key=width)
