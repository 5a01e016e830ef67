"""The matrix parameter x entry x tensor, from the record's stored derivatives."""

import textwrap
from dataclasses import dataclass

from derivation.record.record import Record
from foundation.table import Table
from rmaat.biology.provenance import FromRecord, collect
from rmaat.model.config import ModelConfig
from rmaat.trace.report import build, elasticities, influences, path_of
from rmaat.trace.text import without_layer

PAGE = 100  # columns
HEAD = ("By how many percent +1 % of a parameter moves the constants and tensors of each entry (first order;\n"
        "a tensor: its largest change over its largest value).")


@dataclass(frozen=True, repr=False)
class Matrix:
    """`effects[parameter][column]`: share by which a column moves per share of the parameter; missing: no chain.

    Columns are constants ("retention.q") and tensors of the network as built ("retention.retention"), those of equal
    layers told once; `entries[column]` is the record's entry that a column belongs to. `through[parameter]` names the
    constants of the chain by which it acts; `unread` holds the columns of entries that this network does not read.
    """

    columns: tuple[str, ...]
    num_constants: int
    effects: dict[str, dict[str, float]]
    through: dict[str, tuple[str, ...]]
    unread: frozenset[str]
    entries: dict[str, str]

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters, in the order of the rows."""
        return list(self.effects)

    def tables(self) -> list[Table]:
        """A table an entry, those that this network reads first: in percent, for +1 % of a parameter."""
        keys = dict.fromkeys(self.entries.values())
        blocks = {key: [column for column in self.columns if self.entries[column] == key] for key in keys}
        return [self._table(key, columns) for key, columns in
                sorted(blocks.items(), key=lambda block: block[1][0] in self.unread)]

    def _table(self, entry: str, columns: list[str]) -> Table:
        """The parameters with a chain to an entry, and how far each moves its constants and tensors."""
        rows = [(name, self._behind(name, columns), *(_cell(row.get(column)) for column in columns))
                for name, row in self.effects.items() if any(column in row for column in columns)]
        heads = [column.removeprefix(f"{entry}.").rpartition(".")[2] for column in columns]
        tensors = [column for column in columns if column in self.columns[self.num_constants:]]
        read = f"; read as {', '.join(tensors)}" if tensors else "; not read by this network"
        title = "\n".join(textwrap.wrap(entry + read + ("" if rows else "; no parameter stands behind it"), PAGE))
        return Table(("parameter", "through", *heads), rows, title)

    def _behind(self, name: str, columns: list[str]) -> str:
        """The constants of these columns' chains by which a parameter acts."""
        return ", ".join(one for one in self.through[name]
                         if any(column in self.effects.get(one, {}) for column in columns))

    def __str__(self) -> str:
        return "\n\n".join([HEAD, *map(str, self.tables())])

    def __repr__(self) -> str:
        return f"<matrix of {len(self.effects)} parameters and {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        return f"<p>{HEAD}</p>" + "".join(table._repr_html_() for table in self.tables())


def _cell(effect: float | None) -> str:
    return "." if effect is None else f"{effect:.2g}"


def matrix(config: ModelConfig, record: Record) -> Matrix:
    """Every parameter of the record against every constant, and every tensor of `config`'s network."""
    items = [item for item in collect(build(config, record)) if isinstance(item.origin, FromRecord)]
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(without_layer(path_of(item)), path_of(item))
    kept = [item for item in items if path_of(item) in first.values()]
    measured, used = influences(config, record, kept), {item.origin.entry for item in items}
    constants = [f"{key}.{name}" for key, entry in record.entries.items() for name in entry.constants]
    effects: dict[str, dict[str, float]] = {}
    through: dict[str, tuple[str, ...]] = {}
    for key, entry in record.entries.items():
        for name, constant, via, effect in elasticities(entry):
            row, column = effects.setdefault(name, {}), f"{key}.{constant}"
            row[column] = row.get(column, 0.) + effect
            through[name] = tuple(dict.fromkeys((*through.get(name, ()), *([via] if via else []))))
    for item in kept:
        for use in record.entry(item.origin.entry).parameters:
            effects[use.name][without_layer(path_of(item))] = measured.get((path_of(item), use.name), 0.)
    unread = {f"{key}.{name}" for key, entry in record.entries.items() if key not in used for name in entry.constants}
    entries = {f"{key}.{name}": key for key, entry in record.entries.items() for name in entry.constants}
    entries |= {without_layer(path_of(item)): item.origin.entry for item in kept}
    return Matrix((*constants, *first), len(constants), effects, through=through, unread=frozenset(unread),
                  entries=entries)
