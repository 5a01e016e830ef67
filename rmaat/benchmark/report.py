"""What a benchmark hands out: tables, and targets that are met or missed; as text, as markdown, as JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | float


@dataclass(frozen=True)
class Target:
    """One promise; `at_most` says on which side of `bound` the measured value should lie."""

    what: str
    bound: float | int
    measured: float
    unit: str = ""
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the measured number is on its side of the bound; NaN is not."""
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def row(self) -> list[str]:
        """The target as a row of the table."""
        return [self.what, f"{'<=' if self.at_most else '>='} {self.bound:g} {self.unit}".rstrip(),
                f"{self.measured:.3f} {self.unit}".rstrip(), "ok" if self.met else "MISS"]


@dataclass(frozen=True)
class Table:
    """Rows of cells under their columns; whole numbers are shown with commas, others with `digits` decimals."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: int = 2
    note: str = ""

    def text(self) -> str:
        """Markdown, its columns in line so that it reads on a terminal too; what steers one is replaced."""
        cells = [list(self.columns), *([self._shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        numbers = [all(not isinstance(row[k], str) for row in self.rows) for k in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(cell.rjust(width) if number else cell.ljust(width)
                                     for cell, width, number in zip(row, widths, numbers, strict=True)) + " |"

        rule = "|" + "|".join("-" * (width + 1) + (":" if number else "-")
                              for width, number in zip(widths, numbers, strict=True)) + "|"
        told = [self.title, "", line(cells[0]), rule, *map(line, cells[1:])]
        whole = "\n".join([*told, "", self.note] if self.note else told)
        return "".join(mark if mark.isprintable() or mark == "\n" else "\N{REPLACEMENT CHARACTER}" for mark in whole)

    def _shown(self, cell: Cell) -> str:
        if isinstance(cell, str):
            return cell
        return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.{self.digits}f}"


def target_table(targets: Sequence[Target]) -> Table:
    """All promises, the misses said plainly."""
    missed = sum(not target.met for target in targets)
    return Table("Targets", ("what", "target", "measured", ""), [target.row() for target in targets],
                 note=f"{len(targets) - missed} of {len(targets)} met" + (f", {missed} MISSED" if missed else ""))


def as_json(head: Mapping[str, Cell], tables: Sequence[Table], targets: Sequence[Target]) -> dict:
    """All of it as plain values, unrounded."""
    return {**head, "tables": [dataclasses.asdict(table) for table in tables],
            "targets": [dataclasses.asdict(target) | {"met": target.met} for target in targets]}


def as_markdown(title: str, head: Mapping[str, Cell], tables: Sequence[Table], *, targets: Sequence[Target]) -> str:
    """A page for `results/`: how it was made, the targets, the tables."""
    told = [f"# {title}", "\n".join(f"- {name}: {f'`{value}`' if name == 'command' else value}"
                                    for name, value in head.items())]
    for table in [*([target_table(targets)] if targets else []), *tables]:
        told.append("## " + table.text())
    return "\n\n".join(told) + "\n"
