"""HDF5 files on a disk that may become full, and the seal that says a file is whole before HDF5 looks into it.

HDF5 cannot close a file whose last writes failed, and crashes when the program ends. So it never sees a write fail: the
failure is kept, what follows is thrown away, and the error is raised once the file is closed.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foundation import trailer

if TYPE_CHECKING:
    import h5py

harmless: set[tuple | None] = set()  # the sealed files that this process wrote, or has tried out

class Disk(io.RawIOBase):
    """A file for h5py's driver `fileobj`; `failed` is the first error of writing, which HDF5 does not see."""

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self.at, self.failed = 0, None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of files."""
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: os.fstat(self.handle).st_size}[whence]
        return self.at

    def tell(self) -> int:
        """As of files."""
        return self.at

    def readinto(self, buffer: memoryview) -> int:
        """As of files; what was never written because the disk is full reads as zeros."""
        data = os.pread(self.handle, len(buffer), self.at)
        buffer[:len(data)] = data
        if self.failed:
            buffer[len(data):] = bytes(len(buffer) - len(data))
        self.at += len(data)
        return len(buffer) if self.failed else len(data)

    def write(self, data: memoryview) -> int:
        """All of it, or none after the first failure."""
        left = memoryview(data).cast("B")
        size, at = len(left), self.at
        with self._kept():
            while len(left) and not self.failed:
                done = os.pwrite(self.handle, left, at)
                left, at = left[done:], at + done
        self.at += size
        return size

    def truncate(self, size: int | None = None) -> int:
        """As of files."""
        with self._kept():
            if not self.failed:
                os.ftruncate(self.handle, self.at if size is None else size)
        return self.at if size is None else size

    def flush(self) -> None:
        """Nothing waits here."""

    def readable(self) -> bool:
        """It can be read."""
        return True

    writable = seekable = readable

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = error

    def close(self) -> None:
        """Close the file, once."""
        if not self.closed:
            os.close(self.handle)
        super().close()


class Writing:
    """A new HDF5 file that is being written: `file`, to which one adds, then `seal`; `close` in every case."""

    def __init__(self, path: str | os.PathLike):
        import h5py

        self.path, self.disk = Path(path), Disk(path)
        self.file: h5py.File = h5py.File(self.disk, "w", driver="fileobj", track_order=True)

    def check(self) -> None:
        """Raises the `OSError` of a write that failed, as soon as it is known."""
        if self.disk.failed:
            raise self.disk.failed

    def close(self) -> None:
        """Close it, whole or not; what HDF5 says of a file that is not whole does not matter."""
        with contextlib.suppress(*((Exception,) if self.disk.failed else ())):
            self.file.close()
        self.disk.close()

    def seal(self) -> None:
        """Close it and put its hash behind it. Raises the `OSError` of a write that failed."""
        self.close()
        self.check()
        harmless.add(unknown(self.path, trailer.seal(self.path)))


@contextlib.contextmanager
def created(path: str | os.PathLike) -> Iterator["h5py.File"]:
    """A new HDF5 file, sealed at the end. Raises `OSError` where it cannot be written."""
    writing = Writing(path)
    try:
        yield writing.file
        writing.seal()
    except Exception:
        writing.close()
        writing.check()  # what went wrong follows from what could not be written
        raise
    finally:
        writing.close()


def sealed_hash(path: str | os.PathLike) -> str | None:
    """The hash of a recording that has a seal; one without may be of an older version or of another program.

    Raises `DamagedFileError` where the seal is not that of the file, `UserError` for what is no regular file.
    """
    return trailer.sealed_hash(path, "recording", what_to_do="simulate again")


def unknown(path: Path, digest: str) -> tuple | None:
    """What the sealed file at `path` is, to be put into `harmless`; None where it stands there already."""
    about = path.stat()
    what = digest, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns  # its name may change
    return None if what in harmless else what
