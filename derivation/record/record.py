"""The record: the only thing that travels from biology to the network. Small, readable, hashed, strictly read.

Standard library only, so that a machine that trains needs no simulator.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from derivation.record.entry import (
    SCHEMA,
    Alternative,
    Comparison,
    Constant,
    Entry,
    Evidence,
    ParameterUse,
    Range,
    Record,
    Rival,
    Scale,
    Simulation,
    in_order,
)
from derivation.record.reader import Reader
from foundation import reading
from foundation.errors import DamagedFileError
from foundation.files import canonical_json, write_text

__all__ = ["DEFAULT_PATH", "MAX_BYTES", "SCHEMA", "Alternative", "Comparison", "Constant", "Entry",
           "Evidence", "ParameterUse", "Range", "Record", "Rival", "Scale", "Simulation", "dumps", "in_order", "load",
           "loads", "make", "save", "strict_json"]
DEFAULT_PATH = Path(__file__).parents[1] / "records" / "rmaat.json"
MAX_BYTES = 1_000_000


# ---------------------------------------------------------------------------------------------- writing


def _plain(value):
    """Dataclasses and tuples to JSON values; fields that are None stay, so that the reader can be strict."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _body(entries: Mapping[str, Entry], versions: Mapping[str, str]) -> dict:
    return {"schema": SCHEMA, "entries": _plain(entries), "versions": _plain(versions)}


def make(entries: Mapping[str, Entry], versions: Mapping[str, str]) -> Record:
    """A record of `entries` with its hash; goes through the reader's checks, so nothing unreadable is ever written."""
    body = _body(entries, versions)
    return _read(body | {"hash": _hash(body)}, "the new record")


def dumps(record: Record) -> str:
    """A record as text: what was read is written back as it was."""
    body = _body(record.entries, record.versions) | {"hash": record.hash}
    return json.dumps(body, indent=1, sort_keys=True, allow_nan=False) + "\n"


def save(record: Record, path: str | Path) -> None:
    """Write the file, whole or not at all."""
    write_text(path, dumps(record))


def _hash(body: Mapping) -> str:
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


# ---------------------------------------------------------------------------------------------- reading


def load(path: str | Path | None = None) -> Record:
    """Read and verify a record (the committed one by default).

    Raises `UserError` (exit code 2) when there is no such file and `DamagedFileError` (3) when it is not a whole,
    unaltered record; the message names the path inside the file.
    """
    path = Path(path) if path is not None else DEFAULT_PATH
    return loads(read_text(path, "record", MAX_BYTES, made_by="derive --out FILE"), f"record {path}")


def read_text(path: Path, what: str, most: int, *, made_by: str) -> str:
    """The text of a file that is at most `most` bytes. `what` and the verb `made_by` are for the errors of `load`."""
    return reading.read_text(path, what, most, advice=f"make one with 'python -m derivation {made_by}'")


def loads(text: str, where: str = "record") -> Record:
    """`load` from text; `where` names it in errors."""
    return _read(strict_json(text, where), where)


def strict_json(text: str, where: str):
    """JSON without duplicate keys, NaN or infinite numbers. Raises `DamagedFileError`."""
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{where}: not JSON ({error})") from error


def _no_duplicates(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in names if names.count(key) > 1)!r}")
    return result


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _no_constant(name):
    raise ValueError(f"{name} is not a number")


def _read(body, where: str) -> Record:
    reader = Reader(where)
    schema = reader.read(body, "", dict).get("schema", SCHEMA)
    if isinstance(schema, bool) or schema != SCHEMA:
        raise DamagedFileError(f"{where} has schema {schema!r}; this version reads {SCHEMA}; "
                               "derive it anew: python -m derivation derive")
    body = reader.keys(body, "", ("schema", "entries", "versions", "hash"))
    digest = reader.read(body["hash"], "hash", str)
    if digest != _hash({key: item for key, item in body.items() if key != "hash"}):
        raise reader.fail("hash", "does not match the content: altered or damaged; "
                          "derive it anew, or restore it with 'git checkout'")
    entries = reader.read(body["entries"], "entries", Mapping[str, Entry])
    versions = reader.read(body["versions"], "versions", Mapping[str, str])
    # whole numbers became floats: the hash is that of what will be written
    return Record(entries, versions, _hash(_body(entries, versions)))
