"""JSON lines in which each line carries a hash of itself and of all lines before it; appended to, whole lines only.

The first line says what the file is. A line that was altered, put in, taken out or moved breaks the chain; a file that
was cut ends early, and its last hash, kept elsewhere, tells. Half a line at the end is what a kill leaves: it is left
out. Standard library only.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import DamagedFileError, UserError
from foundation.files import canonical_json, sha256_bytes, write_text
from foundation.reading import read_bytes

MOST_BYTES = 4 << 30
SCHEMA = 1
HASH = "hash"


@dataclass(frozen=True)
class Chained:
    """The lines of a file without their hashes, the last hash ("" in a file from before there were any).

    `of` is what the first line says that they belong to, "" where it says nothing.
    """

    lines: tuple[dict, ...]
    head: str
    cut: bool = False  # half a line at the end was left out
    of: str = ""


class Chain:
    """Appends lines to a file that `create` has begun, or that `reopen` found whole."""

    def __init__(self, path: Path, head: str):
        self.path, self.head = path, head

    def append(self, body: Mapping[str, object]) -> None:
        """Write one line. Raises what `open` raises."""
        text, self.head = _line(body, self.head)
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(text)

    def sync(self) -> None:
        """Let what was written outlive a loss of power."""
        with open(self.path, "rb") as stream:
            os.fsync(stream.fileno())


def create(path: str | os.PathLike, kind: str, lines: Iterable[Mapping[str, object]] = (), *, of: str = "") -> Chain:
    """Write a file anew with these lines, whole or not at all; `kind` is what the lines are, "metrics".

    `of` is the hash of what they belong to, where they should not be taken for those of another.
    """
    text, head = _line({"kind": kind, "schema": SCHEMA, **({"of": of} if of else {})}, "")
    texts = [text]
    for body in lines:
        text, head = _line(body, head)
        texts.append(text)
    write_text(path, "".join(texts))
    return Chain(Path(path), head)


def read(path: str | os.PathLike, kind: str) -> Chained | None:
    """All whole lines of a file, verified; None where there is no such file.

    Lines from before there were hashes are read as they are. Raises `DamagedFileError` naming the first line that is
    not what was written, `UserError` for a file of another kind or of a later version.
    """
    path = Path(path)
    if not os.path.exists(path):  # a path that no system takes is none either, which Path.exists raises for
        return None
    try:
        *texts, tail = read_bytes(path, kind, MOST_BYTES).split(b"\n")
    except UserError as error:
        raise DamagedFileError(f"{path}: unreadable ({error})") from error
    rows = [_parsed(text, path, number) for number, text in enumerate(texts, start=1)]
    if not any(HASH in row for row in rows):
        return Chained(tuple(rows), "", bool(tail))
    _check_first(rows[0], path, kind)
    of = rows[0].get("of", "")
    lines, head = [], ""
    for number, (row, text) in enumerate(zip(rows, texts, strict=True), start=1):
        head = _verified(row, text, head, where=f"{path}, line {number}")
        lines.append({key: value for key, value in row.items() if key != HASH})
    _check_tail(tail, head, path)
    return Chained(tuple(lines[1:]), head, bool(tail), of)


def reopen(path: str | os.PathLike, kind: str) -> Chain:
    """Go on with a file, or begin it; half a line at its end is removed. Raises what `read` raises."""
    found = read(path, kind)
    if found is None or found.cut or not found.head:
        return create(path, kind, found.lines if found else (), of=found.of if found else "")
    return Chain(Path(path), found.head)


def _line(body: Mapping[str, object], head: str) -> tuple[str, str]:
    """A line's text, and its hash: of the text without it, after the hash of the line before."""
    found = sha256_bytes((head + canonical_json(body)).encode())
    return canonical_json({**body, HASH: found}) + "\n", found


def _parsed(text: bytes, path: Path, number: int) -> dict:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}, line {number}: altered or damaged ({error})") from error
    if not isinstance(row, dict):
        raise DamagedFileError(f"{path}, line {number}: altered or damaged (no object)")
    return row


def _check_first(row: dict, path: Path, kind: str) -> None:
    if row.get("kind") != kind or type(row.get("schema")) is not int or type(row.get("of", "")) is not str:
        raise DamagedFileError(f"{path}, line 1: altered, or no file of {kind}")
    if row["schema"] > SCHEMA:
        raise UserError(f"{path} has schema {row['schema']}; this version reads up to {SCHEMA}: use the version that "
                        "wrote it")


def _verified(row: dict, text: bytes, head: str, *, where: str) -> str:
    """The line's hash, which must follow from the line and from the hash before; the text is compared to the letter."""
    body = {key: value for key, value in row.items() if key != HASH}
    try:
        wanted, found = _line(body, head)
    except ValueError:
        wanted, found = "", ""
    if wanted.encode() != text + b"\n":
        raise DamagedFileError(f"{where}: does not match its hash: altered, or a line is missing before it; restore "
                               "the file, or move it away")
    return found


def _check_tail(tail: bytes, head: str, path: Path) -> None:
    """Half a line is what a kill leaves; a whole one with another end was altered."""
    try:
        row = json.loads(tail[:-1])
        _verified(row, tail[:-1], head, where="")
    except (ValueError, RecursionError, AttributeError, DamagedFileError):
        return
    raise DamagedFileError(f"{path}: its end was altered; restore the file, or move it away")
