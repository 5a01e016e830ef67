"""What the closed forms were held against: the points themselves, and how the macro constants were reduced.

The file stands beside its record (rmaat.json: rmaat.points.json) and holds the hash of the record's numbers. Whoever
draws a fit reads it from here and needs no simulator. Standard library only; `derive` writes it.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from derivation.record import record
from derivation.record.ensemble import numbers_of
from derivation.record.reader import Reader
from derivation.record.record import Record
from foundation import sealed
from foundation.files import canonical_json, sha256_bytes

KIND = "points behind a record"
WHAT_TO_DO = "write it anew with 'python -m derivation derive'"


@dataclass(frozen=True)
class Points:
    """`observed` [n] of an entry at `places` [n], the values of its `argument`; `fixed` are its other arguments.

    `formula` with `constants` is the form as it was fitted to them; of points that were only compared it is empty.
    `comparison` names the entry's rivals that were fitted to the same points; `about` is what was observed, in `unit`.
    """

    entry: str
    about: str
    unit: str
    argument: str
    places: tuple[float, ...]
    observed: tuple[float, ...]
    fixed: Mapping[str, float]
    formula: str
    constants: Mapping[str, float]
    comparison: str


@dataclass(frozen=True)
class Reduced:
    """A constant of the macro model: how it came about, and what was neglected; `error` is a share, None without one.

    `valid` says where the reduced model stays within 5 % of the full one, in words; `assumes` names what is assumed in
    it.
    """

    name: str
    value: float
    unit: str
    basis: str
    meaning: str
    model: str
    protocol: str
    neglected: str
    compared: str
    error: float | None
    valid: str
    equation: str
    sources: tuple[str, ...]
    assumes: tuple[str, ...]


@dataclass(frozen=True)
class Behind:
    """Points and reductions behind the record whose numbers have the hash `numbers`."""

    numbers: str
    points: tuple[Points, ...]
    reductions: tuple[Reduced, ...]

    def belongs_to(self, source: Record) -> bool:
        """Whether they are behind the numbers of this record."""
        return self.numbers == numbers_of(source)

    def of(self, entry: str) -> list[Points]:
        """The points of an entry."""
        return [one for one in self.points if one.entry == entry]

    @property
    def hash(self) -> str:
        """SHA-256 of the content."""
        return sha256_bytes(canonical_json(dataclasses.asdict(self)).encode())


def path_beside(record_path: str | Path | None) -> Path:
    """Where the points of a record are: beside it (of the committed record by default)."""
    return Path(record_path or record.DEFAULT_PATH).with_suffix(".points.json")


def save(behind: Behind, path: str | Path) -> None:
    """Write the file, whole or not at all."""
    sealed.write(path, KIND, dataclasses.asdict(behind))


def load(path: str | Path) -> Behind:
    """Read and verify. Raises `UserError` where there is none, `DamagedFileError` for one that is cut or altered."""
    body = sealed.read(path, KIND, what_to_do=WHAT_TO_DO)
    body.pop("schema")
    reader = Reader(f"points {path}")
    found = reader.read(body, "", Behind)
    for number, one in enumerate(found.points):
        if len(one.observed) != len(one.places) or not one.places:
            raise reader.fail(f"points[{number}].observed", f"{len(one.observed)} numbers at {len(one.places)} places; "
                              f"there must be one at each, and at least one; {WHAT_TO_DO}")
        if one.formula:
            reader.formula(one.formula, f"points[{number}].formula", {one.argument, *one.fixed, *one.constants})
    return found


def behind_record(source: Record, record_path: str | Path | None = None) -> Behind | None:
    """The points beside a record's file, None where there are none or where they are behind other numbers.

    Raises `DamagedFileError` for a file that is cut or altered.
    """
    path = path_beside(record_path)
    found = load(path) if path.exists() else None
    return found if found is not None and found.belongs_to(source) else None
