"""The derivation from end to end: simulate, take the dimensions away, solve, fit, and write the record."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from astro_sim.recording.recording import Recording
from derivation.entries.registry import ENTRIES
from derivation.entries.workbench import Maker, Workbench
from derivation.record import record
from derivation.record.ensemble import numbers_of
from derivation.record.points import Behind, Points
from derivation.record.record import Record
from derivation.reductions.registry import reduced
from derivation.simulation import cache
from foundation.table import Table

PACKAGES = ("brian2", "numpy", "scipy", "sympy")


@dataclass(frozen=True, repr=False)
class Derivation:
    """The record, the recordings that it was held against, by name, and the points of them that its forms follow."""

    record: Record
    recordings: Mapping[str, Recording]
    points: tuple[Points, ...] = ()

    def behind(self) -> Behind:
        """The points, and the reductions of the macro model's constants, for the file beside the record."""
        return Behind(numbers_of(self.record), self.points, tuple(reduced()))

    def table(self) -> Table:
        """The record's."""
        return self.record.table()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<Derivation of {self.record!r} from {', '.join(self.recordings) or 'no recording'}>"


def derive(entries: Mapping[str, Maker] = ENTRIES, *, keep: Path | None = None,
           report: Callable[[str], None] = lambda text: None) -> Derivation:
    """Derive the record; deterministic for equal versions.

    `entries` says which entries and how each is made (name -> function of a `Workbench`): those of the record by
    default, `{**ENTRIES, "mine": my_entry}` adds one. `keep` is a folder from which simulations are taken when they
    are there, and where they are put; None: all anew. `report` is told what is being done. Raises `UserError` where an
    entry cannot be made, and `DamagedFileError` where one is no entry that a record may have.
    """
    workbench = Workbench(entries, report)
    with cache.kept_in(keep):
        made = {name: workbench.entry(name) for name in entries}
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return Derivation(record.make(made, versions), workbench.recordings, tuple(workbench.points))
