"""Files by name from a folder or from the archive that they came in (tar, packed or not, or zip); nothing is unpacked.

An archive is read as bytes: no file of it is written anywhere, links and devices are passed over, and no file is read
beyond a bound, whatever its header says.
"""

import contextlib
import hashlib
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import DamagedFileError, UserError
from foundation.files import cache_folder, sha256_file
from foundation.reading import opened

LARGEST = 1 << 28  # bytes of one file
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")
Read = Callable[[int], bytes]  # the next up to so many bytes of a file
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, ValueError, KeyError,
           RuntimeError, NotImplementedError, IndexError, OverflowError)


@dataclass(frozen=True)
class Tree:
    """A folder or an archive whose files are wanted; names are relative to it, with / between the parts."""

    path: Path

    @property
    def is_folder(self) -> bool:
        """Whether it is no archive."""
        return self.path.is_dir()

    def stamp(self) -> list:
        """What changes when the files do: sizes and times, read in a moment. Not a checksum."""
        if not self.is_folder:
            about = self.path.stat()
            return [self.path.name, about.st_size, about.st_mtime_ns]
        found = ((name, path.stat()) for name, path in self._walk())
        return [[name, about.st_size, about.st_mtime_ns] for name, about in found]

    def files(self, wanted: re.Pattern[str], *, at_most: int = LARGEST) -> Iterator[tuple[str, bytes]]:
        """Name and content of every file whose name `wanted` finds something in; hidden files are passed over.

        Raises `DamagedFileError` for an archive that is cut or damaged, `UserError` for what cannot be read and for a
        file of more than `at_most` bytes.
        """
        for name, read in self.streams(wanted):
            content = read(at_most + 1)
            if len(content) > at_most:
                raise UserError(f"{self.path}: {name} has more than {at_most:,} bytes; is it the right file?")
            yield name, content

    def streams(self, wanted: re.Pattern[str]) -> Iterator[tuple[str, Read]]:
        """As `files`, but `read(n)` gives the next up to n bytes of a file, for files of any size.

        A file is read while it is the last that was given. Raises what `files` raises, `read` as well.
        """
        reader = self._folder if self.is_folder else self._zip if zipfile.is_zipfile(self.path) else self._tar
        with self._words():
            for name, read in reader(lambda name: bool(wanted.search(name)) and not _is_hidden(name)):
                yield name, self._worded(read)

    def hashed(self, wanted: re.Pattern[str]) -> Iterator[tuple[str, Read, Callable[[], str]]]:
        """As `streams`, with a function that gives the SHA-256, in hexadecimal, of what has been read of the file."""
        for name, read in self.streams(wanted):
            digest = hashlib.sha256()

            def counted(at_most: int, read=read, digest=digest) -> bytes:
                content = read(at_most)
                digest.update(content)
                return content

            yield name, counted, digest.hexdigest

    def check_archive(self) -> None:
        """Raises `UserError` for a file that is no archive, `DamagedFileError` where its name says that it is one."""
        with self._words():
            if not zipfile.is_zipfile(self.path):
                self._opened_tar().close()

    def check_root(self, roots: Collection[str]) -> None:
        """Raises `UserError` where the data are there more than once, in folders of these names."""
        if len(roots) > 1:
            named = " and ".join(sorted(root or "." for root in roots)[:4])
            raise UserError(f"{self.path} holds the data {len(roots)} times, in {named}; give the folder of one with "
                            "--data")

    def where(self, name: str) -> str:
        """What a message calls a file of it."""
        return str(self.path / name) if self.is_folder else f"{self.path}: {name}"

    def _worded(self, read: Read) -> Read:
        def worded(at_most: int) -> bytes:
            with self._words():
                return read(at_most)

        return worded

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        """What readers of archives raise becomes `DamagedFileError` or `UserError`."""
        try:
            yield
        except UserError:
            raise
        except _BROKEN as error:
            raise DamagedFileError(f"{self.path}: damaged or cut, or no tar or zip ({error or type(error).__name__}); "
                                   "fetch it again") from error
        except OSError as error:  # bz2 and gzip say so, too, where bytes are not theirs
            kind = DamagedFileError if error.errno is None else UserError
            raise kind(f"cannot read {error.filename or self.path}: {error.strerror or error}") from error

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for folder, below, names in os.walk(self.path):
            below.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file():
                    yield path.relative_to(self.path).as_posix(), path

    def _folder(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Read]]:
        for name, path in self._walk():
            if wanted(name):
                with opened(path, "data") as stream:
                    yield name, stream.read

    def _tar(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Read]]:
        with self._opened_tar() as archive:
            for member in archive:
                if member.isreg() and wanted(member.name):
                    content = archive.extractfile(member).read
                    yield member.name, _whole(content, member.size)
            archive.fileobj.seek(archive.offset)  # tarfile ends quietly where a header is cut or damaged
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError("its end is missing")

    def _opened_tar(self) -> tarfile.TarFile:
        try:
            return tarfile.open(self.path, "r:*")
        except tarfile.ReadError as error:  # its words are a line for each kind of packing
            if self.path.name.lower().endswith((*ENDINGS, ".gz")):
                raise DamagedFileError(f"{self.path}: damaged or cut, neither tar nor zip; fetch it again") from error
            raise UserError(f"{self.path} is neither a tar nor a zip; give the folder in which the files are, or the "
                            "archive that they came in") from error

    def _zip(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Read]]:
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                if not member.is_dir() and wanted(member.filename):
                    with archive.open(member) as stream:
                        yield member.filename, stream.read

    def checksum(self, contents: Sequence[tuple[str, str]]) -> np.ndarray:
        """SHA-256 of what was read, uint8 [32], as a cache keeps it; `checksum_text` makes it a text.

        That of an archive; of a folder that of the sorted lines 'SHA-256  name' of the files read, which `contents`
        has as (name, SHA-256).
        """
        if not self.is_folder:
            return np.frombuffer(bytes.fromhex(sha256_file(self.path)), dtype=np.uint8)
        lines = sorted(f"{digest}  {name}\n" for name, digest in contents)
        digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).digest()
        return np.frombuffer(digest, dtype=np.uint8)


def checksum_text(arrays: Mapping[str, np.ndarray]) -> str:
    """The checksum among cached arrays, in hexadecimal digits."""
    return arrays["sha256"].tobytes().hex()


def _whole(read: Read, size: int) -> Read:
    """tarfile ends a file quietly where its archive is cut."""
    left = size

    def checked(at_most: int) -> bytes:
        nonlocal left
        content = read(at_most)
        left -= len(content)
        if left > 0 and len(content) < at_most:
            raise EOFError("a file in it ends too early")
        return content

    return checked


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def natural(name: str) -> list:
    """A key that sorts 2.png before 10.png."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def default_folder() -> Path:
    """Where data are looked for without --data: the folder `data` in the cache folder."""
    return cache_folder() / "data"


def find_tree(data: Path | None, *, folders: Sequence[str], archives: Sequence[str], is_layout: Callable[[Path], bool],
              missing: str) -> Tree:
    """The tree under `data`: an archive, a folder of the layout, or a folder that has one of `folders` or `archives`.

    `archives` are patterns of names, without their endings or, with a dot, whole. Raises `UserError` with the text
    `missing` where there is none.
    """
    place = default_folder() if data is None else Path(data)
    if place.is_file():
        Tree(place).check_archive()
        return Tree(place)
    for folder in ("", *folders):
        if is_layout(place / folder):
            return Tree(place / folder)
    names = {pattern + ending for pattern in archives for ending in ENDINGS if "." not in pattern} | {
        pattern for pattern in archives if "." in pattern}
    found = sorted({path for name in names for path in place.glob(name) if path.is_file()} if place.is_dir() else ())
    if len(found) > 1:
        raise UserError(f"{place} holds {len(found)} archives that would do: {', '.join(path.name for path in found)}; "
                        "give one of them with --data")
    if not found:
        raise UserError(f"no {missing}: looked {'in' if place.is_dir() else 'for'} {place}; give the folder or the "
                        "archive with --data")
    return Tree(found[0])
