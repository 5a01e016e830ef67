"""Other records that the biology's uncertainty allows: draws and published parameter sets, as changes of one record.

The file stands beside its record (rmaat.json: rmaat.ensemble.json) and holds the hash of its numbers. Standard library
only: a machine that trains takes a draw from here and needs no simulator. `uncertainty.py` makes the draws.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from derivation.record import record
from derivation.record.reader import Reader
from derivation.record.record import Record
from foundation.errors import UserError, unknown
from foundation.files import canonical_json, sha256_bytes, write_text

SCHEMA = 1
MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class Draw:
    """What differs from the record: parameters by name, constants by entry and name; `note` says what was drawn."""

    note: str
    parameters: Mapping[str, float]
    constants: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, repr=False)
class Ensemble:
    """`draws` at random, `published` one parameter set each; `rejected` says what has no record, and why.

    `numbers` is the hash of the numbers that they are changes of, `assumed_spread` the standard deviation of the
    logarithm of every assumed parameter.
    """

    numbers: str
    seed: int
    assumed_spread: float
    draws: tuple[Draw, ...]
    published: Mapping[str, Draw]
    rejected: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Ensemble {self.hash[:12]}: {len(self.draws)} draws, {len(self.published)} published sets>"

    @property
    def hash(self) -> str:
        """SHA-256 of the content."""
        return sha256_bytes(canonical_json(self._body()).encode())

    def _body(self) -> dict:
        return {"schema": SCHEMA} | dataclasses.asdict(self)

    def belongs_to(self, source: Record) -> bool:
        """Whether the ensemble was drawn for the numbers of this record."""
        return self.numbers == numbers_of(source)

    def sample(self, source: Record, which: str) -> Record:
        """The whole record of a draw, "0" to the last, or of a published set by name; says so in its versions.

        Raises `UserError` for another name and where the ensemble is not of `source`.
        """
        if not self.belongs_to(source):
            raise UserError(f"the ensemble was drawn from other numbers than those of record {source.hash[:12]}; draw "
                            "anew with 'python -m derivation sample'")
        if which in self.published:
            return changed(source, self.published[which], f"published set {which} of ensemble {self.hash[:12]}")
        if not which.isdecimal() or int(which) >= len(self.draws):
            raise unknown("record sample", which, [*self.published, f"0 to {len(self.draws) - 1}"])
        draw = self.draws[int(which)]
        return changed(source, draw, f"draw {int(which)} of ensemble {self.hash[:12]}: {draw.note}")


def numbers_of(source: Record) -> str:
    """SHA-256 of a record's constants, with formulas and intervals, and parameters: all that a draw rests on."""
    body = {key: {"parameters": {use.name: [use.value, use.basis] for use in entry.parameters},
                  "constants": {name: [constant.value, constant.formula, constant.interval]
                                for name, constant in entry.constants.items()}}
            for key, entry in source.entries.items()}
    return sha256_bytes(canonical_json(body).encode())


def changed(source: Record, draw: Draw, what: str) -> Record:
    """`source` with a draw's parameters and constants; fits, evidence and derivatives stay those of `source`."""
    entries = {}
    for key, entry in source.entries.items():
        uses = tuple(dataclasses.replace(use, value=draw.parameters.get(use.name, use.value))
                     for use in entry.parameters)
        values = draw.constants.get(key, {})
        constants = {name: dataclasses.replace(constant, value=values.get(name, constant.value))
                     for name, constant in entry.constants.items()}
        entries[key] = dataclasses.replace(entry, parameters=uses, constants=constants)
    return record.make(entries, {**source.versions, "changed": what})


def path_beside(record_path: str | Path | None) -> Path:
    """Where the ensemble of a record is: beside it (of the committed record by default)."""
    return Path(record_path or record.DEFAULT_PATH).with_suffix(".ensemble.json")


def save(ensemble: Ensemble, path: str | Path) -> None:
    """Write the file with its hash, whole or not at all."""
    body = ensemble._body() | {"hash": ensemble.hash}
    write_text(path, json.dumps(body, indent=1, sort_keys=True, allow_nan=False) + "\n")


def load(path: str | Path) -> Ensemble:
    """Read and verify an ensemble. Raises `UserError` where there is none, `DamagedFileError` for one that is not
    whole and unaltered."""
    path = Path(path)
    where = f"ensemble {path}"
    body = record.strict_json(record.read_text(path, "ensemble", MAX_BYTES, made_by="sample"), where)
    reader = Reader(where)
    names = tuple(field.name for field in dataclasses.fields(Ensemble))
    body = reader.keys(body, "", ("schema", *names, "hash"))
    if body["schema"] != SCHEMA or isinstance(body["schema"], bool):
        raise reader.fail("schema", f"{body['schema']!r} is not the version {SCHEMA} that this program reads")
    found = reader.read({name: body[name] for name in names}, "", Ensemble)
    if reader.read(body["hash"], "hash", str) != found.hash:
        raise reader.fail("hash", "does not match the content: altered or damaged; draw anew with "
                                  "'python -m derivation sample'")
    return found
