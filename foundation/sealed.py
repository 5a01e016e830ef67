"""JSON files that carry kind, schema and a hash of themselves: an altered one is noticed, a later one says so.

Standard library only.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from foundation.errors import DamagedFileError, UserError
from foundation.files import canonical_json, sha256_bytes, write_text
from foundation.reading import read_text

MOST_BYTES = 100_000_000
HASH = "hash"


def hash_of(body: object) -> str:
    """SHA-256 of a value's canonical JSON."""
    return sha256_bytes(canonical_json(body).encode())


def matches(digest: object, body: object) -> bool:
    """Whether a hash that was read is that of the body; a body that is no JSON of ours, as with NaN, has none."""
    try:
        return digest == hash_of(body)
    except (ValueError, RecursionError):
        return False


def write(path: str | os.PathLike, kind: str, body: Mapping[str, object], *, schema: int = 1) -> None:
    """Write `body` whole or not at all; `kind` is what the file is, "changes"."""
    write_text(path, json.dumps(with_hash(kind, body, schema=schema), indent=1, allow_nan=False) + "\n")


def with_hash(kind: str, body: Mapping[str, object], *, schema: int = 1) -> dict:
    """What `write` puts into the file."""
    if taken := {"kind", "schema", HASH} & body.keys():
        raise ValueError(f"{', '.join(sorted(taken))}: stands for something else in such a file")
    whole = {"kind": kind, "schema": schema, **body}
    return {**whole, HASH: hash_of(whole)}


def read(path: str | os.PathLike, kind: str, *, schema: int = 1, what_to_do: str = "restore it") -> dict:
    """What `write` was given, verified; `schema` is the latest that the reader knows, and stays in what is returned.

    Raises `UserError` where there is no such file or a later version wrote it, `DamagedFileError` for one that is cut,
    altered or of another kind.
    """
    text = read_text(Path(path), f"file of {kind}", MOST_BYTES)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}: unreadable ({error}); {what_to_do}") from error
    return verified(body, path, kind, schema=schema, what_to_do=what_to_do)


def verified(body: object, path: str | os.PathLike, kind: str, *, schema: int = 1,
             what_to_do: str = "restore it") -> dict:
    """The body of what was read from `path`. Raises as `read`."""
    body = dict(body) if isinstance(body, dict) else {}
    if not matches(body.pop(HASH, None), body):
        raise DamagedFileError(f"{path} does not match its own hash: altered; {what_to_do}")
    if body.pop("kind", None) != kind or type(body.get("schema")) is not int or body["schema"] < 1:
        raise DamagedFileError(f"{path}: no file of {kind}; {what_to_do}")
    if body["schema"] > schema:
        raise UserError(f"{path} has schema {body['schema']}; this version reads up to {schema}: use the version that "
                        "wrote it")
    return body
