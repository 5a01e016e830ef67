"""Manual pages out of Debian packages: a .deb is an ar archive with a tar in it. Nothing is installed or run."""

import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from foundation import reading
from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.roff import target_of

MAGIC, HEADER = b"!<arch>\n", 60
LARGEST = 1 << 30  # bytes of a package
LARGEST_PAGE = 1 << 24  # bytes; the longest of Debian's own has some 700,000
PAGE = re.compile(r"(?:^|/)usr/share/man/man\w+/(.+)\.(\d\w*|n)\.gz$")
BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError, OSError, IndexError, KeyError)


class PageName(NamedTuple):
    """A manual page is known by its name and its section."""

    name: str
    section: str


def members(content: bytes) -> dict[str, bytes]:
    """The files of an ar archive by name. Raises `ValueError` where it is none, or cut."""
    if not content.startswith(MAGIC):
        raise ValueError("not an ar archive")
    found, place = {}, len(MAGIC)
    while place < len(content):
        header = content[place:place + HEADER]
        if len(header) < HEADER or header[58:] != b"`\n":
            raise ValueError("a header is cut")
        size = int(header[48:58])
        data = content[place + HEADER:place + HEADER + size]
        if size < 0 or len(data) < size:
            raise ValueError("a file in it is cut")
        found[header[:16].decode("ascii").strip().rstrip("/")] = data
        place += HEADER + size + size % 2
    return found


def package_bytes(package: Path) -> bytes:
    """A package as it is. Raises `UserError` where it cannot be read, `DamagedFileError` for one that is too large."""
    return reading.read_bytes(package, "package", LARGEST)


def pages_of(package: Path) -> tuple[dict[PageName, str], dict[PageName, PageName]]:
    """Source of each English manual page of a package, and the names that only stand for another page.

    Raises `UserError` for a package that cannot be read, `DamagedFileError` for one that is cut or damaged.
    """
    content = package_bytes(package)
    try:
        inside = members(content)
        name = next((name for name in inside if name.startswith("data.tar")), None)
        if name is None:
            raise ValueError("no data.tar in it")
        if name.endswith(".zst"):
            raise UserError(f"{package}: its files are packed with zstd, which is not read here; take Debian's own "
                            "package, packed with xz")
        pages: dict[PageName, str] = {}
        others: dict[PageName, PageName] = {}
        for page, source, target in _walk(inside[name]):
            if target is None:
                target = target_of(source)
            other = None if target is None else _page_name(target)
            if target is None:
                pages[page] = source
            elif other is not None:
                others[page] = other
        return pages, others
    except UserError:
        raise
    except BROKEN as error:
        raise DamagedFileError(f"{package}: damaged or cut, or no Debian package ({told(error)}); fetch it again"
                               ) from error


def told(error: Exception) -> str:
    """What a reader of archives says, in one line: tarfile has one for each kind of packing."""
    return str(error).partition(":\n")[0]


def _walk(data: bytes) -> Iterator[tuple[PageName, str, str | None]]:
    """(name, source, None) of each page, (name, "", file) of each link."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for member in archive:
            match = PAGE.search(member.name)
            if match is None:
                continue
            page = PageName(match[1], match[2])
            if member.issym() or member.islnk():
                yield page, "", member.linkname
            elif member.isreg():
                unpack = zlib.decompressobj(wbits=31)
                source = unpack.decompress(archive.extractfile(member).read(), LARGEST_PAGE)
                if not unpack.eof:
                    raise ValueError(f"{member.name} is cut, or too long")
                yield page, source.decode("utf-8", "replace"), None


def _page_name(file: str) -> PageName | None:
    match = re.fullmatch(r"(.+)\.(\d\w*|n)(?:\.gz)?", PurePosixPath(file).name)
    return PageName(match[1], match[2]) if match else None
