"""A hash behind what a format's own readers look at: one line at the end, for HDF5, Markdown and HTML.

It is looked at before any library is, and says whether the file is as it was written. Standard library only.
"""

import hashlib
import io
import os
import re
from pathlib import Path

from foundation.errors import DamagedFileError, UserError
from foundation.files import sha256_bytes, sha256_file
from foundation.reading import opened, shown

BINARY = b"\nastro_sim sha256 %s\n"
_BINARY = re.compile(re.escape(BINARY).replace(b"%s", b"([0-9a-f]{64})"))
LENGTH = len(BINARY % bytes(64))
COMMENT = "<!-- {kind}, schema {schema}, sha256 {digest} -->\n"
_COMMENT = re.compile(r"<!-- ([a-z ]+), schema (\d{1,9}), sha256 ([0-9a-f]{64}) -->\n\Z")
_BENT = re.compile(r"[0-9a-f]{30}[^\n]*\n?\Z")  # what is left of a last line in which something was altered
SCHEMA = 1  # of pages


def seal(path: Path) -> str:
    """Put the SHA-256 of a file behind it; returns it. Raises the `OSError` of a write that failed."""
    digest = sha256_file(path)
    with open(path, "ab") as stream:
        stream.write(BINARY % digest.encode())
    return digest


def sealed_hash(path: str | os.PathLike, what: str, *, what_to_do: str) -> str | None:
    """The hash of a file that has one behind it, else None: it may be of an older version or of another program.

    Raises `DamagedFileError` where the hash is not that of the file, `UserError` for what is no regular file.
    """
    with opened(path, what) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - 2 * LENGTH))
        end = stream.read()
        found = list(_BINARY.finditer(end))
        if not found and BINARY.partition(b"%s")[0] not in end:
            return None
        if not found or found[-1].end() != len(end) or _digest(stream, size - LENGTH) != found[-1][1].decode():
            raise DamagedFileError(f"{shown(path)} does not match its SHA-256: damaged or altered; {what_to_do}")
    return found[-1][1].decode()


def _digest(stream: io.BufferedReader, size: int) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while size > 0 and (block := stream.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def page(kind: str, text: str) -> str:
    """Markdown or HTML with its hash as a comment in the last line."""
    text = text.encode(errors="replace").decode()  # a path may hold bytes that are no text
    digest = sha256_bytes(f"{kind} {SCHEMA}\n{text}".encode())
    return text + COMMENT.format(kind=kind, schema=SCHEMA, digest=digest)


def verified_page(text: str, path: str | os.PathLike, *, what_to_do: str) -> tuple[str, str | None]:
    """The text without its comment, and its kind; an older one has none.

    Raises `DamagedFileError` where the hash is not that of the text, `UserError` for a page of a later version.
    """
    found = _COMMENT.search(text)
    if not found and not _BENT.search(text):
        return text, None
    if found and int(found[2]) > SCHEMA:
        raise UserError(f"{shown(path)} has schema {found[2]}; this version reads up to {SCHEMA}: use the version that "
                        "wrote it")
    body = text[:found.start()] if found else ""
    if not found or page(found[1], body) != text:
        raise DamagedFileError(f"{shown(path)} does not match its SHA-256: altered; {what_to_do}")
    return body, found[1]
