"""The chain, as a graph: sources, parameters, what reductions make of them, constants of the record, tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from derivation.record.entry import Record
from rmaat.model.config import ModelConfig
from rmaat.trace.matrix import Matrix, matrix

KINDS = {"source": "Sources", "parameter": "Parameters", "reduced": "Reduced from a model", "constant": "Closed forms",
         "tensor": "Tensors of the network"}
NO_PAPER = ("assumed", "convention")


@dataclass(frozen=True)
class Link:
    """One parameter of the chain; `moves` is constant or tensor -> share of its change per share of the parameter."""

    name: str
    value: float
    unit: str
    basis: str
    source: str
    meaning: str
    through: tuple[str, ...]
    moves: Mapping[str, float]

    @property
    def sources(self) -> list[str]:
        """Keys of the bibliography."""
        return self.source.split(", ")

    @property
    def moved(self) -> dict[str, float]:
        """What it moves at all."""
        return {name: share for name, share in self.moves.items() if share}


@dataclass(frozen=True)
class Node:
    """A place of the chain. `group` is the model of a parameter, `entry` the record's of a constant or a tensor."""

    key: str
    kind: str
    name: str
    group: str = ""
    assumed: bool = False
    link: Link | None = None
    entry: str | None = None

    @property
    def label(self) -> str:
        """The name within its group."""
        return self.name.removeprefix(f"{self.group}.")


@dataclass(frozen=True)
class Graph:
    """Nodes by kind, and edges as pairs of keys, from where a number comes to where it goes."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str]]

    def of(self, kind: str) -> dict[str, list[Node]]:
        """The nodes of a kind, by group."""
        groups: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.kind == kind:
                groups.setdefault(node.group, []).append(node)
        return groups


def links(record: Record, effects: Matrix) -> list[Link]:
    """Every parameter, those first of which a closed form is made."""
    uses = {use.name: use for entry in record.entries.values() for use in entry.parameters}
    found = [Link(name, use.value, use.unit, use.basis, use.source, use.meaning, effects.through[name],
                  dict(effects.effects[name])) for name, use in uses.items() if name in effects.effects]
    return sorted(found, key=lambda link: (bool(link.through), link.name))


def effects_of(config: ModelConfig, record: Record) -> Matrix:
    """What moves what in the network that `config` builds."""
    return matrix(config, record)


def graph(record: Record, effects: Matrix, found: Sequence[Link]) -> Graph:
    """The whole chain of a record and a network."""
    edges = list(_edges(record, effects, found))
    used = dict.fromkeys(place for edge in edges for place in edge)
    behind = {name for link in found for name in link.through}
    described = {("parameter", link.name): link for link in found if link.name not in behind}
    described |= {("reduced", link.name): link for link in found if link.name in behind}
    nodes = []
    last = {"assumed here", *effects.unread}  # of their column: no paper, and what this network does not read
    places = sorted(used, key=lambda place: (list(KINDS).index(place[0]), place[1] in last))
    for number, (kind, name) in enumerate(places):
        link = described.get((kind, name))
        group = name.rpartition(".")[0] or "macro" if kind == "parameter" else ""
        assumed = link.basis in NO_PAPER if link else name == "assumed here"
        nodes.append(Node(f"n{number}", kind, name, group, assumed, link, effects.entries.get(name, name)
                          if kind in ("constant", "tensor") else None))
    key = {(node.kind, node.name): node.key for node in nodes}
    return Graph(nodes, [(key[start], key[end]) for start, end in edges])


Place = tuple[str, str]  # kind, name


def _edges(record: Record, effects: Matrix, found: Sequence[Link]) -> Iterator[tuple[Place, Place]]:
    behind = {name for link in found for name in link.through}
    constants, tensors = effects.columns[:effects.num_constants], effects.columns[effects.num_constants:]
    for link in found:
        here = ("reduced" if link.name in behind else "parameter", link.name)
        if here[0] == "parameter":
            for source in link.sources:
                yield ("source", source), here
        for name in link.through:
            yield here, ("reduced", name)
        if not link.through:
            yield from ((here, ("constant", name)) for name in link.moved if name in constants)
    for name, entry in record.entries.items():
        ends = [column for column in constants if effects.entries[column] == name] or [name]
        for end in ends:
            if not any(end in link.moved for link in found):
                yield from ((("source", source), ("constant", end)) for source in entry.sources)
            for tensor in tensors:
                if effects.entries[tensor] == name:
                    yield ("constant", end), ("tensor", tensor)
