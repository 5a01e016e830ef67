"""Say of files whether they are as they were written: `python -m foundation.verify PATH...`; folders are walked.

What carries a hash is verified: recordings and other HDF5, records and all JSON, metrics, tables, pages, and what a
manifest or a checkpoint names. Pictures, exports and other copies carry none. Exit code 3 where something was altered.
Standard library only.
"""

import json
import os.path
import sys
from collections.abc import Iterator
from pathlib import Path

from foundation import chain, sealed, sealed_table, trailer
from foundation.errors import DamagedFileError, UserError
from foundation.files import MANIFEST, sha256_file, verify_manifest
from foundation.program import end_with
from foundation.reading import opened, read_bytes, read_json, read_text, shown

MOST_BYTES = 100_000_000
TO_DO = "make it anew"


def verify(path: Path) -> str | None:
    """What a file is, verified, its kind in a word or two; None where it carries no hash.

    Raises `DamagedFileError` for one that was altered, `UserError` where it cannot be read.
    """
    kinds = {".json": _json, ".jsonl": _lines, ".csv": _table, ".md": _page, ".html": _page, ".nc": _hdf5,
             ".nwb": _hdf5}
    look = kinds.get(path.suffix)
    if look is None:
        with opened(path, "file"):  # what is not there is not whole
            return None
    return look(path)


def _json(path: Path) -> str | None:
    if path.name == MANIFEST:
        verify_manifest(path.parent)
        return f"manifest of {path.parent.name}"
    body = read_json(path, "file", MOST_BYTES)
    if not isinstance(body, dict) or sealed.HASH not in body:
        return None
    if not sealed.matches(body.pop(sealed.HASH), body):
        raise DamagedFileError(f"{shown(path)} does not match its own hash: altered; {TO_DO}")
    file = body.get("file")
    if isinstance(file, str) and "sha256" in body and Path(file).name == file and (
            sha256_file(path.with_name(file)) != body["sha256"]):
        raise DamagedFileError(f"{shown(path.with_name(file))} does not match its SHA-256 in {path.name}: altered")
    return str(body.get("kind", f"schema {body.get('schema', 1)}"))


def _lines(path: Path) -> str | None:
    first = read_bytes(path, "file", chain.MOST_BYTES).partition(b"\n")[0]
    try:
        kind = json.loads(first)["kind"]
    except (ValueError, RecursionError, KeyError, TypeError):
        kind = "lines"
    found = chain.read(path, str(kind))
    return str(kind) if found and found.head else None


def _table(path: Path) -> str | None:
    return sealed_table.read(read_text(path, "table", MOST_BYTES), path, what_to_do=TO_DO)[2]


def _page(path: Path) -> str | None:
    return trailer.verified_page(read_text(path, "page", MOST_BYTES), path, what_to_do=TO_DO)[1]


def _hdf5(path: Path) -> str | None:
    return "HDF5" if trailer.sealed_hash(path, "file", what_to_do=TO_DO) else None


def files_of(places: list[Path]) -> Iterator[Path]:
    """Files, and all files in folders; names that begin with a dot are nobody's."""
    for place in places:
        if os.path.isdir(place):
            yield from sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
        else:
            yield place


def main() -> int:
    """Print a line for each file that carries a hash; the exit code."""
    altered, unread = 0, 0
    if len(sys.argv) < 2:
        print("error: name files or folders: python -m foundation.verify PATH...", file=sys.stderr)
        return 2
    for path in files_of([Path(text) for text in sys.argv[1:]]):
        try:
            kind = verify(path)
            print(f"{'whole' if kind else 'no hash':8} {shown(path)}{f'  {kind}' if kind else ''}")
        except DamagedFileError as error:
            altered += 1
            print(f"ALTERED  {error}")
        except UserError as error:
            unread = error.exit_code  # the others may be altered all the same
            print(f"error: {error}", file=sys.stderr)
    return 3 if altered else unread


if __name__ == "__main__":
    end_with(main)
