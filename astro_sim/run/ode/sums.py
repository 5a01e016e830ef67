"""Sums over connections as calls in the trees: by sparse products where they split, pair by pair, or by FFT."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import sparse

from astro_sim.brian.coupling import weight_and_source
from astro_sim.brian.inputs import per_element
from astro_sim.brian.network import pairs_of
from astro_sim.model import Connection
from astro_sim.model.compiled_text import Node, binary, function, leaf, made
from astro_sim.model.equation_text import evaluator, lines
from astro_sim.model.flow import Sum
from astro_sim.model.grid_sum import GridSum
from astro_sim.parameter import unit
from astro_sim.plan import Plan
from foundation.shapes import Array, Int

Values = Mapping[str, float | Array]


class Sums:
    """Makes the sums of a plan. `calls` holds the functions that the trees name.

    order: population -> its elements in the order of all arrays; constants: name -> number or array (element,).
    """

    def __init__(self, plan: Plan, order: Mapping[str, Int[Array, "element"]], constants: Values):
        self.plan, self.order, self.constants = plan, order, constants
        self.sizes = {name: len(elements) for name, elements in order.items()}
        self.connections = {c.name: c for c in plan.model.active_connections(plan.options)}
        self.calls: dict[str, Callable] = {}

    def tree(self, name: str, item: "Node | tuple[Sum, ...]") -> Node:
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
            self.calls[called] = _product_with(matrix)
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
        return found | {name: self.constants[name][pairs[1]] for name in per_element(self.plan, connection)}

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
        self.calls[called] = total
        return Node("call", called, tuple(leaf(word.rpartition("_")[0]) for word in arguments))

    def _by_fft(self, connection: Connection, name: str) -> Node:
        _, weight, source = weight_and_source(connection)
        constants = {key: value for key, value in self.constants.items() if np.ndim(value) == 0}
        falls = evaluator(connection.fixed[weight], "")
        grid = GridSum(connection.grid(self.plan.options), lambda far: falls({**constants, "distance": far}))

        def total(values: Array) -> Array:
            return grid(values) if values.ndim == 1 else np.stack([grid(row) for row in values])

        self.calls[f"_sum_{name}"] = total
        return Node("call", f"_sum_{name}", (leaf(source),))


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
