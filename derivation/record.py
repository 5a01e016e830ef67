"""The record: the only thing that travels from biology to the network. Small, readable, hashed, strictly read.

Standard library only, so that a machine that trains needs no simulator.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from derivation import closed_form
from foundation.errors import DamagedFileError, UserError, choose
from foundation.files import canonical_json, write_text

SCHEMA = 1
DEFAULT_PATH = Path(__file__).parent / "records" / "rmaat.json"
MAX_BYTES = 1_000_000
BASES = ("measured", "fitted", "derived", "stated", "assumed")


@dataclass(frozen=True)
class Constant:
    """A number inside a closed form.

    `value` is what the network uses; `formula` gives it from the entry's parameters; `fitted`, with its 95 %
    `interval`, is what a recording of the full model gave for it.
    """

    value: float
    meaning: str
    formula: str | None = None
    fitted: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ParameterUse:
    """One biological number that an entry rests on. `sensitivity` maps a constant to d(constant)/d(parameter).

    `through` names the parameter of the entry that stands between, when the constants' formulas do not have this one.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    basis: str
    model: str
    sensitivity: Mapping[str, float]
    through: str | None = None


@dataclass(frozen=True)
class Evidence:
    """How the form was held against a recording: what was compared, the largest deviation, the range it covers."""

    compared: str
    max_error: float
    error_unit: str
    range: str
    recording: str | None = None  # hash of the recording
    neglected: str = ""


@dataclass(frozen=True)
class Entry:
    """One thing that the network takes from biology: a closed form as text, its constants, and its chain."""

    meaning: str
    equation: str
    formula: str
    arguments: Mapping[str, str]
    constants: Mapping[str, Constant]
    basis: str
    sources: tuple[str, ...]
    parameters: tuple[ParameterUse, ...]
    cancels: Mapping[str, str]
    evidence: Evidence | None

    def evaluate(self, functions: Mapping[str, Callable] = closed_form.MATH, **arguments):
        """Value of the closed form at `arguments` (floats or, with torch's `functions`, tensors)."""
        constants = {name: constant.value for name, constant in self.constants.items()}
        return closed_form.evaluate(self.formula, constants | arguments, functions)


@dataclass(frozen=True)
class Record:
    """All entries, the versions that made them, and the SHA-256 of the whole."""

    entries: Mapping[str, Entry]
    versions: Mapping[str, str]
    hash: str

    def entry(self, name: str) -> Entry:
        return choose("record entry", name, dict(self.entries))


def in_order(uses: Iterable[ParameterUse]) -> list[ParameterUse]:
    """Each parameter followed by those that act through it, as a reader follows the chain."""
    uses = list(uses)
    return [one for use in uses if use.through is None
            for one in (use, *(other for other in uses if other.through == use.name))]


# ---------------------------------------------------------------------------------------------- writing


def _plain(value):
    """Dataclasses and tuples to JSON values; fields that are None stay, so that the reader can be strict."""
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def make(entries: Mapping[str, Entry], versions: Mapping[str, str]) -> Record:
    """A record of `entries` with its hash; goes through the reader's checks, so nothing unreadable is ever written."""
    body = {"schema": SCHEMA, "entries": _plain(entries), "versions": _plain(versions)}
    return _read(body | {"hash": _hash(body)}, "the new record")


def dumps(record: Record) -> str:
    body = {"schema": SCHEMA, "entries": _plain(record.entries), "versions": _plain(record.versions)}
    return json.dumps(body | {"hash": record.hash}, indent=1, sort_keys=True, allow_nan=False) + "\n"


def save(record: Record, path: str | Path) -> None:
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
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DamagedFileError(f"record {path}: larger than {MAX_BYTES} bytes, so not a record")
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"record {path}: not a text file") from error
    except OSError as error:
        raise UserError(f"cannot read the record {path}: {error.strerror}; "
                        "make one with 'python -m derivation derive --out FILE'") from error
    return loads(text, f"record {path}")


def loads(text: str, where: str = "record") -> Record:
    """`load` from text; `where` names it in errors."""
    try:
        body = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant,
                          parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{where}: not JSON ({error})") from error
    return _read(body, where)


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


class _Reader:
    """Typed look-ups that name the path of what is wrong."""

    def __init__(self, where: str):
        self.where = where

    def fail(self, path: str, why: str) -> DamagedFileError:
        return DamagedFileError(f"{self.where}: {path or 'top'}: {why}")

    def keys(self, value, path: str, cls_or_names) -> dict:
        names = cls_or_names if isinstance(cls_or_names, tuple) else tuple(f.name for f in fields(cls_or_names))
        value = self.mapping(value, path)
        for name in names:
            if name not in value:
                raise self.fail(f"{path}.{name}".lstrip("."), "missing")
        for name in value:
            if name not in names:
                raise self.fail(f"{path}.{name}".lstrip("."), f"unknown key; known are {', '.join(names)}")
        return value

    def mapping(self, value, path: str) -> dict:
        if not isinstance(value, dict):
            raise self.fail(path, f"expected an object, found {type(value).__name__}")
        return value

    def sequence(self, value, path: str) -> list:
        if not isinstance(value, list):
            raise self.fail(path, f"expected a list, found {type(value).__name__}")
        return value

    def text(self, value, path: str) -> str:
        if not isinstance(value, str):
            raise self.fail(path, f"expected text, found {type(value).__name__}")
        return value

    def texts(self, value, path: str) -> dict[str, str]:
        return {name: self.text(item, f"{path}.{name}") for name, item in self.mapping(value, path).items()}

    def number(self, value, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.fail(path, f"expected a finite number, found {value!r}")
        return float(value)

    def one_of(self, value, path: str, allowed: tuple[str, ...]) -> str:
        if value not in allowed:
            raise self.fail(path, f"{value!r} is not one of {', '.join(allowed)}")
        return value

    def formula(self, value, path: str, allowed: set[str]) -> str:
        try:
            free = closed_form.names(self.text(value, path))
        except DamagedFileError as error:
            raise self.fail(path, str(error)) from error
        if free - allowed:
            raise self.fail(path, f"uses {', '.join(sorted(free - allowed))}, which the entry does not declare")
        return value


def _read(body, where: str) -> Record:
    reader = _Reader(where)
    body = reader.mapping(body, "")
    schema = body.get("schema")
    if isinstance(schema, bool) or schema != SCHEMA:
        raise reader.fail("schema", f"{schema!r} is not the version {SCHEMA} that this program reads; derive it anew")
    body = reader.keys(body, "", ("schema", "entries", "versions", "hash"))
    digest = reader.text(body["hash"], "hash")
    if digest != _hash({key: item for key, item in body.items() if key != "hash"}):
        raise reader.fail("hash", "does not match the content: altered or damaged; "
                          "derive it anew, or restore it with 'git checkout'")
    entries = {name: _entry(reader, item, f"entries.{name}")
               for name, item in reader.mapping(body["entries"], "entries").items()}
    versions = reader.texts(body["versions"], "versions")
    return Record(entries, versions, digest)


def _entry(reader: _Reader, value, path: str) -> Entry:
    value = reader.keys(value, path, Entry)
    texts = {key: reader.texts(value[key], f"{path}.{key}") for key in ("arguments", "cancels")}
    parameters = tuple(_parameter(reader, item, f"{path}.parameters[{k}]")
                       for k, item in enumerate(reader.sequence(value["parameters"], f"{path}.parameters")))
    known = {parameter.name for parameter in parameters}
    for k, parameter in enumerate(parameters):
        if parameter.through is not None and parameter.through not in known:
            raise reader.fail(f"{path}.parameters[{k}].through", f"{parameter.through!r} is no parameter of the entry")
    constants = {name: _constant(reader, item, f"{path}.constants.{name}", known)
                 for name, item in reader.mapping(value["constants"], f"{path}.constants").items()}
    return Entry(
        meaning=reader.text(value["meaning"], f"{path}.meaning"),
        equation=reader.text(value["equation"], f"{path}.equation"),
        formula=reader.formula(value["formula"], f"{path}.formula", constants.keys() | texts["arguments"].keys()),
        arguments=texts["arguments"],
        constants=constants,
        basis=reader.one_of(value["basis"], f"{path}.basis", BASES),
        sources=tuple(reader.text(item, f"{path}.sources[{k}]")
                      for k, item in enumerate(reader.sequence(value["sources"], f"{path}.sources"))),
        parameters=parameters,
        cancels=texts["cancels"],
        evidence=None if value["evidence"] is None else _evidence(reader, value["evidence"], f"{path}.evidence"),
    )


def _constant(reader: _Reader, value, path: str, known: set[str]) -> Constant:
    value = reader.keys(value, path, Constant)
    number = reader.number(value["value"], f"{path}.value")
    interval = value["interval"]
    if interval is not None:
        interval = tuple(reader.number(item, f"{path}.interval[{k}]")
                         for k, item in enumerate(reader.sequence(interval, f"{path}.interval")))
        if len(interval) != 2 or interval[0] > interval[1]:
            raise reader.fail(f"{path}.interval", f"{list(interval)} is not [low, high]")
    formula = value["formula"]
    if formula is not None:
        reader.formula(formula, f"{path}.formula", known)
    fitted = value["fitted"]
    if fitted is not None:
        fitted = reader.number(fitted, f"{path}.fitted")
    return Constant(number, reader.text(value["meaning"], f"{path}.meaning"), formula, fitted, interval)


def _parameter(reader: _Reader, value, path: str) -> ParameterUse:
    value = reader.keys(value, path, ParameterUse)
    texts = {key: reader.text(value[key], f"{path}.{key}") for key in ("name", "unit", "meaning", "source", "model")}
    sensitivity = {name: reader.number(item, f"{path}.sensitivity.{name}")
                   for name, item in reader.mapping(value["sensitivity"], f"{path}.sensitivity").items()}
    if value["through"] is not None:
        texts["through"] = reader.text(value["through"], f"{path}.through")
    return ParameterUse(value=reader.number(value["value"], f"{path}.value"), sensitivity=sensitivity,
                        basis=reader.one_of(value["basis"], f"{path}.basis", BASES), **texts)


def _evidence(reader: _Reader, value, path: str) -> Evidence:
    value = reader.keys(value, path, Evidence)
    if value["recording"] is not None:
        reader.text(value["recording"], f"{path}.recording")
    return Evidence(max_error=reader.number(value["max_error"], f"{path}.max_error"), recording=value["recording"],
                    **{key: reader.text(value[key], f"{path}.{key}")
                       for key in ("compared", "error_unit", "range", "neglected")})
