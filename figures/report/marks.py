"""What `whatif` gives at the marks of the sliders; kept for the next page, since each needs a reduction."""

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from derivation import whatif
from derivation.record.entry import ParameterUse, Record
from foundation import sealed
from foundation.errors import UserError
from foundation.files import cache_folder, canonical_json, sha256_bytes, sha256_file
from foundation.reading import content_of

DOWN, UP = (0.9, 0.8), (1.1, 1.2)  # of the value, from the middle outwards
SHARES = (*DOWN[::-1], *UP)
KIND = "marks of sliders"
Behind = Mapping[str, tuple[ParameterUse, frozenset[str]]]  # by parameter: what it acts through


@dataclass(frozen=True)
class Mark:
    """What `whatif` gives at a value of a parameter: the constants that stand between, and those of the entries."""

    value: float
    share: float  # of the record's value
    through: Mapping[str, float]
    constants: Mapping[str, Mapping[str, float]]


def marks_of(record: Record, behind: Behind) -> dict[str, tuple[Mark, ...]]:
    """The marks of every parameter, from the lowest to the highest; to each side as far as there is a value.

    Taken from the cache where the same record and the same program made them; put there where it can be written.
    """
    path = place(record)
    with contextlib.suppress(UserError), content_of(str(path)):  # none yet, damaged, or not what it says: made anew
        found = sealed.read(path, KIND)["marks"]
        return {name: tuple(Mark(**one) for one in found[name]) for name in behind}
    made = {name: _marks(record, use, through) for name, (use, through) in behind.items()}
    with contextlib.suppress(UserError):  # a cache that cannot be written costs time, not the page
        sealed.write(path, KIND, {"marks": {name: [dataclasses.asdict(one) for one in own]
                                            for name, own in made.items()}})
    return made


def place(record: Record) -> Path:
    """Where the marks of a record are kept."""
    return cache_folder() / f"marks-{_key(record)}.json"


def _key(record: Record) -> str:
    """The record's numbers, and the source of all that computes with them."""
    folders = [Path(import_module(name).__file__).parent for name in ("astro_sim", "derivation")]
    source = [sha256_file(path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    return sha256_bytes(canonical_json([record.hash, SHARES, source, sha256_file(Path(__file__))]).encode())


def _marks(record: Record, use: ParameterUse, through: frozenset[str]) -> tuple[Mark, ...]:
    found = [_mark(record, use, through, 1.0)]
    for side in (DOWN, UP):
        for share in side:
            try:
                found.append(_mark(record, use, through, share))
            except UserError:
                break
    return tuple(sorted(found, key=lambda mark: mark.value))


def _mark(record: Record, use: ParameterUse, through: frozenset[str], share: float) -> Mark:
    value = use.value * share
    after = record if share == 1 else whatif({use.name: f"{value!r} {use.unit if use.unit != '1' else ''}".strip()},
                                             record=record).after
    reached = {one.name: one.value for entry in after.entries.values() for one in entry.parameters
               if one.name in through}
    return Mark(value, share, dict(sorted(reached.items())),
                {name: entry.values() for name, entry in after.entries.items()})
