"""What of a model moves by ODEs alone: its states, and everything that follows from them, in an order to compute it in.

    flow = flow_of(model, options)      # a `Flow`, or the reason, in words, why steps of a fixed length are needed

A model is a flow where nothing happens to it at single times (spikes, thresholds, resets), nothing is drawn, and sums
over connections follow from the states of the moment.
"""

import functools
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from astro_sim.model.compiled_text import Node, binary, leaf, parsed
from astro_sim.model.equation_text import Line, lines, noisy
from astro_sim.model.model import Model
from astro_sim.model.option import Options
from foundation.errors import UserError

AT_TIMES = re.compile(r"\b(t|dt|rand|randn|timestep|lastspike|not_refractory|t_in_timesteps)\b")
MOST_TERMS = 8
WIDTH = "_width"  # a constant that who solves the flow chooses
JUMPING = frozenset({"int", "%", "//", "<", "<=", ">", ">=", "==", "!="})
PAIR = ("i", "j")  # indices of a pair, in a connection's text


@dataclass(frozen=True)
class Term:
    """weight (of the pair) * source (of its source) * target (of its target), each a tree or None for 1."""

    weight: Node | None
    source: Node | None
    target: Node | None


@dataclass(frozen=True)
class Sum:
    """What a connection sums into a variable: `terms` where it splits into factors of one side each, else `whole`."""

    connection: str
    into_source: bool
    whole: Node
    terms: tuple[Term, ...] | None
    source_names: Mapping[str, str] = field(compare=False, default_factory=dict)  # name in the text -> variable
    target_names: Mapping[str, str] = field(compare=False, default_factory=dict)
    pair_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Flow:
    """`states` as (population, name, tree of its rate); `items`, as (name, population, tree or sums) in their order.

    `soft`: whether rates bend sharply where two values meet, as elements that are alike do all the time: a clip or an
    amount in a sum, or the sign of a difference. That is crossed over `WIDTH` of its parts' sizes: where two values
    stay together rates would jump, and no step would be short enough. `jumps`: what else makes rates jump.
    Names of inputs in the trees are `input_name`s; N, i of a population `own_name`s.
    """

    soft: bool
    jumps: str
    states: tuple[tuple[str, str, Node], ...]
    items: tuple[tuple[str, str, "Node | tuple[Sum, ...]"], ...]


def input_name(population: str, variable: str) -> str:
    """What an input is called in the trees: variables are unique over populations, inputs need not be."""
    return f"_input_{population}_{variable}"


def own_name(population: str, word: str) -> str:
    """What N and i of a population are called in the trees."""
    return f"_{word}_{population}"


def flow_of(model: Model, options: Options) -> Flow | str:
    """The flow of a model under its options, or why it is none."""
    populations = tuple((p.name, p.equations, _at_times(p)) for p in model.active_populations(options))
    there = {name for name, *_ in populations}
    connections = tuple((c.name, c.source, c.target, c.equations, bool(c.on_pre or c.on_post))
                        for c in model.active_connections(options))
    inputs = tuple((i.population, i.variable) for i in model.inputs.values() if i.population in there)
    return _flow(populations, connections, inputs)


def _at_times(population) -> str:
    if population.threshold or population.events or population.reset:
        return "has a threshold or events"
    return ""


@functools.lru_cache(maxsize=256)
def _flow(populations: tuple, connections: tuple, inputs: tuple) -> Flow | str:
    for name, text, why in populations:
        found = why or _unfit(text)
        if found:
            return f"{name} {found}"
    for name, _, _, text, spikes in connections:
        if spikes:
            return f"{name} acts at spikes"
        found = _unfit(text) or ("has ODEs of its own" if any(one.kind == "ode" for one in lines(text)) else "")
        if found:
            return f"{name} {found}"
    if not any(line.kind == "ode" for _, text, _ in populations for line in lines(text)):
        return "has no ODE"
    try:
        return _ordered(populations, connections, inputs)
    except UserError as error:
        return str(error)


def _unfit(text: str) -> str:
    """Why lines of ODE text cannot be those of a flow; "" where they can."""
    for one in lines(text):
        if noisy(one.expression):
            return "has noise"
        named = AT_TIMES.search(one.expression)
        if named:
            return f"has {named[0]} in its equations"
        if set(one.flags) - {"constant", "summed"}:
            return f"has a variable that is {one.flags[0]}"
    return ""


def _ordered(populations: tuple, connections: tuple, inputs: tuple) -> Flow:
    """Errors: `UserError` where something depends on itself, or cannot be compiled."""
    states, table = [], {}
    for name, text, _ in populations:
        instead = {variable: leaf(input_name(at, variable)) for at, variable in inputs if at == name}
        instead |= {word: leaf(own_name(name, word)) for word in ("N", "i")}
        for line in lines(text):
            if line.kind == "ode":
                states.append((name, line.name, parsed(line.expression).replaced(instead)))
            elif line.kind == "subexpression":
                table[line.name] = (name, parsed(line.expression).replaced(instead))
    sums: dict[str, list[Sum]] = {}
    homes = {line.name: name for name, text, _ in populations for line in lines(text)}
    for connection in connections:
        for variable, made in _sums(*connection[:4], homes=homes):
            sums.setdefault(variable, []).append(made)
    table |= {name: (homes[name], tuple(made)) for name, made in sums.items()}
    jumps = [_jump(tree) for tree in (*(tree for *_, tree in states), *_trees(table))]
    plain = {name: made for name, (_, made) in table.items() if isinstance(made, Node)}
    states = [(where, name, _softened(tree, plain)) for where, name, tree in states]
    table = {name: (where, _softened(made, plain) if isinstance(made, Node) else
                    tuple(replace(one, whole=_softened(one.whole, plain)) for one in made))
             for name, (where, made) in table.items()}
    in_sums = [one.whole for _, made in table.values() if not isinstance(made, Node) for one in made]
    soft = (any(WIDTH in tree.names for tree in (*(tree for *_, tree in states), *_trees(table)))
            or any(_jump(tree, {"clip", "abs"}) for tree in in_sums))
    left = next((_jump(tree, {"sign"}) for tree in (*(tree for *_, tree in states), *_trees(table))
                 if _jump(tree, {"sign"})), "")
    return Flow(soft, next(filter(None, jumps), left), tuple(states),
                tuple((name, *table[name]) for name in _order(table)))


def _trees(table: Mapping[str, tuple]) -> list[Node]:
    return [tree for _, made in table.values()
            for tree in ((made,) if isinstance(made, Node) else (one.whole for one in made))]


def _jump(tree: Node, words: Set[str] = JUMPING) -> str:
    """The first part of a tree that jumps, as it is written; "" where none does."""
    if tree.text in words and tree.kind != "leaf":
        return tree.text.removeprefix("_")
    return next(filter(None, (_jump(part, words) for part in tree.parts)), "")


def _softened(tree: Node, table: Mapping[str, Node]) -> Node:
    """The tree with the sign of every difference crossed over a width."""
    parts = tuple(_softened(part, table) for part in tree.parts)
    if tree.text == "sign" and tree.kind == "call":
        difference = tree.parts[0]
        difference = table.get(difference.text, difference) if difference.kind == "leaf" else difference
        if difference.kind == "binary" and difference.text in "+-":
            size = binary("+", *(Node("call", "abs", (part,)) for part in difference.parts))
            return Node("call", "_soft_sign", (parts[0], binary("*", leaf(WIDTH), size)))
    return Node(tree.kind, tree.text, parts) if parts else tree


def _order(table: Mapping[str, tuple]) -> list[str]:
    """Names so that each comes after what it needs. Errors: `UserError` for a circle."""
    ordered, visiting = {}, set()

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name in visiting:
            raise UserError(f"{name} follows from itself")
        visiting.add(name)
        for needed in sorted(_needs(table[name][1]) & table.keys()):
            visit(needed)
        ordered[name] = None

    for name in table:
        visit(name)
    return list(ordered)


def _needs(made: Node | tuple[Sum, ...]) -> set[str]:
    if isinstance(made, Node):
        return set(made.names)
    return {variable for one in made for variable in (*one.source_names.values(), *one.target_names.values())}


def _sums(name: str, source: str, target: str, text: str, *, homes: Mapping[str, str]) -> list[tuple[str, Sum]]:
    """(variable filled, what is summed into it) of a connection."""
    table = {line.name: line for line in lines(text)}
    found = []
    for line in table.values():
        if "summed" not in line.flags:
            continue
        end = next(end for end in ("_post", "_pre") if line.name.endswith(end))
        tree = _inlined(line.expression, table)
        own = {one for one in tree.names if one in table or one in PAIR}
        sides = [{word: word.removesuffix(tail) for word in tree.names - own
                  if word.endswith(tail) and homes.get(word.removesuffix(tail)) == population}
                 for tail, population in (("_pre", source), ("_post", target))]
        instead = {f"N{tail}": leaf(own_name(population, "N")) for tail, population in (("_pre", source),
                                                                                       ("_post", target))}
        tree = tree.replaced(instead)
        terms = _split(tree, [frozenset(own), frozenset(sides[0]), frozenset(sides[1])])
        # a difference of both sides is taken pair by pair: what leaves one element then enters the other, to the bit
        if terms is not None and (len(terms) > MOST_TERMS or any(term.source is None for term in terms)):
            terms = None
        found.append((line.name.removesuffix(end), Sum(name, end == "_pre", tree, terms, sides[0], sides[1],
                                                       frozenset(own))))
    return found


def _inlined(expression: str, table: Mapping[str, Line]) -> Node:
    """An expression with the connection's own subexpressions in their places."""
    tree = parsed(expression)
    for _ in range(len(table) + 1):
        instead = {word: parsed(table[word].expression) for word in tree.names
                   if word in table and table[word].kind == "subexpression" and "summed" not in table[word].flags}
        if not instead:
            return tree
        tree = tree.replaced(instead)
    raise UserError(f"'{expression}' follows from itself")


def _split(tree: Node, sides: list[frozenset[str]]) -> tuple[Term, ...] | None:
    """The tree as a sum of products of factors that each depend on the pair, the source or the target alone."""
    touched = [n for n, names in enumerate(sides) if tree.names & names]
    if len(touched) <= 1:
        factors: list[Node | None] = [None, None, None]
        factors[touched[0] if touched else 0] = tree
        return (Term(*factors),)
    if tree.kind == "unary":
        return _product((Term(leaf(-1.0), None, None),), _split(tree.parts[0], sides))
    if tree.kind != "binary" or tree.text not in "+-*/":
        return None
    left, right = (_split(part, sides) for part in tree.parts)
    if left is None or right is None:
        return None
    if tree.text == "*":
        return _product(left, right)
    if tree.text == "/":
        if len(right) > 1:
            return None
        return _product(left, (Term(*(one and binary("/", leaf(1.0), one) for one in _fields(right[0]))),))
    return left + (right if tree.text == "+" else _product((Term(leaf(-1.0), None, None),), right))


def _fields(term: Term) -> tuple[Node | None, Node | None, Node | None]:
    return term.weight, term.source, term.target


def _product(left: tuple[Term, ...] | None, right: tuple[Term, ...] | None) -> tuple[Term, ...] | None:
    if left is None or right is None:
        return None
    return tuple(Term(*(b if a is None else a if b is None else binary("*", a, b)
                        for a, b in zip(_fields(one), _fields(other), strict=True)))
                 for one in left for other in right)
