"""What would another value of a parameter do? The record as it would be, and what that means for the network."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from derivation.proof.recomputation import Change, compare, parameters, read_changes, recompute
from derivation.record import record as records
from derivation.record.record import Record
from foundation.errors import UserError
from foundation.table import Table

# What a constant means for the network: words, entry, constant, and how it is read. Memory and kernels reach to 1/e.
MEANINGS: tuple[tuple[str, str, str, Callable[[float], float]], ...] = (
    ("memory horizon (segments)", "retention", "q", lambda q: -1 / math.log(q)),
    ("kernel width (tokens)", "relative_position", "scale", lambda scale: 1 / scale),
    ("kernel width, diffusive (tokens)", "relative_position_diffusive", "scale", lambda scale: 1 / scale),
    ("half release at calcium", "feedback", "K", float),
    ("half release at calcium, bound", "feedback_bound", "K", float),
    ("calcium at twice the drive (times)", "calcium_response", "exponent", lambda power: 2**power),
    ("the same, as fitted (times)", "calcium_response_fitted", "exponent", lambda power: 2**power),
)


def meaning(source: Record) -> dict[str, float]:
    """What the constants mean for the network, in words with their unit.

    Raises `UserError` where one means nothing, as a memory of which a cycle leaves nothing, or all.
    """
    means = {}
    for words, name, constant, read in MEANINGS:
        if name in source.entries and constant in source.entries[name].constants:
            value = source.entries[name].constants[constant].value
            try:
                means[words] = read(value)
            except (ArithmeticError, ValueError) as error:
                limits = "".join(f"the form holds for {limit.quantity} in [{_end(limit.low)}, {_end(limit.high)}]: "
                                 f"{limit.reason}; " for limit in source.entries[name].outside())
                raise UserError(f"{name}.{constant} = {value:g} has no {words.partition(' (')[0]}; {limits}choose "
                                "values nearer to the old ones") from error
    return means


def _end(limit: float | None) -> str:
    return "..." if limit is None else f"{limit:g}"


@dataclasses.dataclass(frozen=True, repr=False)
class WhatIf:
    """A record, the same with parameters at other values, and those `changes` in the parameters' own units."""

    before: Record
    after: Record
    changes: Mapping[str, float]

    @property
    def constants(self) -> list[Change]:
        """Every constant of every entry: before, after, and what the stored derivatives predict."""
        return compare(self.before, self.changes, self.after)

    @property
    def meaning(self) -> dict[str, tuple[float, float]]:
        """What the constants mean for the network: (before, after)."""
        after = meaning(self.after)
        return {words: (value, after[words]) for words, value in meaning(self.before).items()}

    @property
    def notes(self) -> list[str]:
        """Where a form is outside its range now, and was not before."""
        return [f"{name} is outside its range now: {limit.reason}" for name, entry in self.after.entries.items()
                for limit in entry.outside() if limit not in self.before.entries[name].outside()]

    def table(self) -> Table:
        """Every constant, the relative change, and the one that the derivatives predict."""
        plain = [name for name, entry in self.before.entries.items() if not entry.constants]
        note = "by derivative: to first order, by the stored derivatives; the larger the step, the further off"
        note += f"\nno constant: {', '.join(plain)}" if plain else ""
        return Table(("entry.constant", "before", "after", "change", "by derivative"), list(map(_row, self.constants)),
                     f"record {self.before.hash[:12]} with {self._told() or 'nothing changed'}", note)

    def _told(self) -> str:
        """The changes with their units."""
        units = {name: use.unit for name, use in parameters(self.before).items()}
        return ", ".join(f"{name} = {value:g} {units[name]}".removesuffix(" 1") for name, value in self.changes.items())

    def network(self) -> Table:
        """What the constants mean for the network, before and after."""
        rows = [(words, f"{before:.6g}", f"{after:.6g}") for words, (before, after) in self.meaning.items()]
        note = "\n".join(f"note: {text}" for text in self.notes)
        return Table(("for the network", "before", "after"), rows, note=note)

    def as_json(self) -> dict:
        """All of it as plain values."""
        return {"changes": dict(self.changes), "constants": [vars(row) for row in self.constants],
                "meaning": self.meaning, "notes": self.notes}

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.network()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + self.network()._repr_html_()

    def __repr__(self) -> str:
        moved = [f"{row.entry}.{row.constant}" for row in self.constants if row.after != row.before]
        return (f"<WhatIf {self._told() or 'nothing changed'}: {', '.join(moved) or 'no constant'} of record "
                f"{self.before.hash[:12]} moved>")


def _row(row: Change) -> tuple[str, ...]:
    name, numbers = f"{row.entry}.{row.constant}", (f"{row.before:.6g}", f"{row.after:.6g}")
    if row.after == row.before == row.predicted or not row.before:
        return (name, *numbers, "-", "-")
    return (name, *numbers, f"{row.after / row.before - 1:+.2%}", f"{row.predicted / row.before - 1:+.2%}")


def whatif(*settings: str | Mapping[str, object], record: Record | str | Path | None = None,
           **named: object) -> WhatIf:
    """Old and new value of every constant under other parameters: `whatif("tau_pl=300 second", ell=1.8)`.

    Settings are text as on the command line, mappings such as {"graupner_brunel.tau": "300 second"}, or keywords; a
    value is text with a unit, a Brian2 quantity, or a bare number where the parameter has no unit. `record` is the
    committed one by default. Raises `UserError` for settings that cannot be read, and where a constant has no value.
    """
    before = record if isinstance(record, Record) else records.load(record)
    changes = read_changes(before, _pairs(settings, named))
    after = recompute(before, changes)
    meaning(after)  # raises where it says nothing
    return WhatIf(before, after, changes)


def _pairs(settings: tuple[str | Mapping[str, object], ...],
           named: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for setting in settings:
        if isinstance(setting, Mapping):
            yield from setting.items()
            continue
        name, _, value = (part.strip() for part in setting.partition("="))
        if not name or not value:
            raise UserError(f"{setting!r}: write NAME=VALUE UNIT, for example 'tau_pl=300 second'")
        yield name, value
    yield from named.items()
