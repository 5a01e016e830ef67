"""What runs say together: accuracy with intervals over seeds, differences, costs, beside the published numbers."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foundation import sealed, sealed_table, trailer
from foundation.errors import UserError
from foundation.files import write_text
from foundation.lock import LOCK, locked
from foundation.notes import Note, note
from rmaat.benchmark.report import Table
from rmaat.training.studies.groups import Group, group
from rmaat.training.studies.summary import collect
from rmaat.training.studies.tables import row_of, tables_of
from rmaat.training.variants import DEFAULT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = "comparison"


class ComparisonNote(Note):
    """Something to know of what a comparison has written."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Groups of comparable runs; differences are against the entry `against` of each group. A page when printed."""

    groups: Sequence[Group]
    against: str
    command: str = ""

    def tables(self) -> list[Table]:
        """Of each group: accuracies and costs; what was reached within a budget; what is not finished."""
        return [table for group in self.groups for table in tables_of(group, self.against)]

    def markdown(self) -> str:
        """All tables as a page."""
        head = ["# Comparison", f"`{self.command}`"] if self.command else ["# Comparison"]
        return "\n\n".join([*head, *("## " + table.text() for table in self.tables())]) + "\n"

    def rows(self) -> list[dict]:
        """A row for each group and entry, numbers unrounded."""
        return [row_of(group, entry, self.against) for group in self.groups for entry in group.entries]

    def csv(self) -> str:
        """The rows as comma-separated values."""
        rows = self.rows()
        return sealed_table.text_of(KIND, list(rows[0]), rows)

    def to_json(self) -> dict:
        """The rows and the runs behind them, without their curves."""
        runs = [{"group": group.name, "label": entry.label, "seed": seed, "config_hash": run.config_hash,
                 "record": run.record, "step": run.step, "steps": run.steps, "accuracy": run.accuracy,
                 "environment": dict(run.environment), **run.costs}
                for group in self.groups for entry in group.entries for seed, run in sorted(entry.runs.items())]
        return {"command": self.command, "against": self.against, "rows": self.rows(), "runs": runs}

    def figures(self) -> "dict[str, Figure]":
        """Pictures by name: the accuracies of all groups, and the curves of each."""
        from rmaat.training.studies import pictures

        return pictures.figures(self)

    def write(self, folder: str | Path) -> list[Path]:
        """compare.md, compare.csv, compare.json and the pictures, into a folder; what they are called.

        A note names pictures of an earlier comparison that stay there. Raises `ResourceError` where another comparison
        is just being written there.
        """
        with locked(Path(folder) / f".compare{LOCK}", "a comparison"):
            paths = self._write(Path(folder))
        left = sorted({path.name for path in Path(folder).glob("curves_*.png")} - {path.name for path in paths})
        if left:
            note(ComparisonNote, f"{folder} still has {', '.join(left)} of an earlier comparison, which compare.md "
                                 "does not show; remove what you no longer need")
        return paths

    def _write(self, folder: Path) -> list[Path]:
        write_text(folder / "compare.csv", self.csv())
        sealed.write(folder / "compare.json", KIND, self.to_json())
        paths = [folder / f"compare.{ending}" for ending in ("md", "csv", "json")]
        told = [self.markdown().rstrip()]
        try:
            from foundation.pictures import write_picture

            for name, figure in self.figures().items():
                paths.append(folder / f"{name}.png")
                write_picture(figure, paths[-1], format="png", dpi=150)
                told.append(f"![{name.replace('_', ' ')}, as in the tables above]({name}.png)")
        finally:  # without matplotlib the tables are written all the same
            write_text(folder / "compare.md", trailer.page(KIND, "\n\n".join(told) + "\n"))
        return paths

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables())

    def __repr__(self) -> str:
        networks = sum(len(group.entries) for group in self.groups)
        return f"<comparison of {networks} networks on {len(self.groups)} tasks>"


def compare(places: str | Path | Iterable[str | Path], *, against: str = DEFAULT) -> Comparison:
    """Compare the runs in folders (at any depth) and in JSON files of studies; unfinished ones are said to be so.

    `against` is the variant from which the differences are taken. Raises `UserError` where there is no run, or no such
    variant among them.
    """
    places = [places] if isinstance(places, (str, Path)) else list(places)
    groups = group(collect(places))
    labels = {entry.label for one in groups for entry in one.entries}
    if against != DEFAULT and against not in labels:
        raise UserError(f"against = {against}: no run of it; there are: {', '.join(sorted(labels))}")
    return Comparison(groups, against, shlex.join(["rmaat", "compare", *map(str, places)]))
