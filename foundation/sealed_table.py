"""CSV files that carry kind, schema and a hash of themselves as the head of a last, empty column.

Every program reads such a table, and an altered one is noticed. Standard library only.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from foundation.errors import DamagedFileError, UserError
from foundation.files import sha256_bytes
from foundation.reading import content_of, shown

HEAD = "{kind}, schema {schema}, sha256 {digest}"
_HEAD = re.compile(r"([a-z ]+), schema (\d{1,9}), sha256 ([0-9a-f]{64})")
_BENT = re.compile(r"[0-9a-f]{30}")  # what is left of a head in which something was altered
SCHEMA = 1


def text_of(kind: str, heads: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A table as text: `rows` under `heads`, "" where a row lacks one."""
    rows = list(rows)
    digest = sha256_bytes(f"{kind} {SCHEMA}\n{_csv(heads, rows)}".encode())
    return _csv([*heads, HEAD.format(kind=kind, schema=SCHEMA, digest=digest)], rows)


def _csv(heads: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, heads, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(text: str, path: str | os.PathLike, *, what_to_do: str) -> tuple[list[str], list[dict[str, str]], str | None]:
    """Heads, rows by head, and kind of a table's text, verified; the kind is None in one from before there was a hash.

    Raises `DamagedFileError` for a table that was altered or is none, `UserError` for one of a later version.
    """
    with content_of(f"the table {shown(path)}", what_to_do):
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        rows, heads = list(reader), list(reader.fieldnames or ())
        kept = heads
        found = _HEAD.fullmatch(heads[-1]) if heads else None
        if found and int(found[2]) > SCHEMA:
            raise UserError(f"{shown(path)} has schema {found[2]}; this version reads up to {SCHEMA}: use the version "
                            "that wrote it")
        if found:
            kept = heads[:-1]
            rows = [{head: row[head] for head in kept} for row in rows]
        if (not found and any(map(_BENT.search, heads))) or (found and text_of(found[1], kept, rows) != text):
            raise DamagedFileError(f"{shown(path)} does not match its SHA-256: altered; {what_to_do}")
    return kept, rows, found[1] if found else None
