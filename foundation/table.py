"""A small table: text on a terminal, HTML in a notebook. Standard library only."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows under column heads. `title` stands above, `note` below. Cells are anything that `str` takes."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    note: str = ""

    def _numbers(self) -> list[bool]:
        """Which columns hold numbers alone: they stand to the right."""
        return [bool(self.rows) and all(_is_number(row[n]) for row in self.rows) for n in range(len(self.columns))]

    def __str__(self) -> str:
        cells, right = [[str(cell) for cell in row] for row in (self.columns, *self.rows)], self._numbers()
        widths = [max(len(row[n]) for row in cells) for n in range(len(self.columns))]
        lines = ["  ".join(cell.rjust(width) if numbers else cell.ljust(width)
                           for cell, width, numbers in zip(row, widths, right, strict=True)).rstrip() for row in cells]
        return "\n".join([*([self.title] if self.title else []), *lines, *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        sides = ["right" if numbers else "left" for numbers in self._numbers()]

        def line(tag: str, row: Sequence[object]) -> str:
            cells = (f'<{tag} style="text-align:{side}">{html.escape(str(cell))}</{tag}>'
                     for side, cell in zip(sides, row, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        body = "".join(line("td", row) for row in self.rows)
        return f"<table>{caption}<thead>{line('th', self.columns)}</thead><tbody>{body}</tbody></table>{note}"


def aligned(rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of columns one below the other, without heads, set in by two; the last column is as long as it is."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _is_number(cell: object) -> bool:
    if isinstance(cell, bool):
        return False
    try:
        float(str(cell).replace(",", "").removesuffix("%"))
    except ValueError:
        return str(cell) in ("", "-")
    return True
