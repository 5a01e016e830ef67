"""Fashion-MNIST as sequences of 1024 grey values in row order: the size of LRA's Image task with data at hand.

Source: Zalando's IDX files (MIT), as the Debian package dataset-fashion-mnist installs them. The release has no
validation split: the last images of the training file are set aside for it and are not trained on.
"""

import contextlib
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation import reading
from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.checks import check_dials, check_split
from rmaat.tasks.splits import ArraySplit
from rmaat.tasks.task import Split, Task
from rmaat.tasks.trees import default_folder

DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FILES = {"train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
         "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")}
SIDE, IMAGE = 32, 28  # images of 28 x 28 are framed with zeros to 32 x 32 = 1024 tokens
GZIP = b"\x1f\x8b"  # a packed file's first bytes
_BROKEN = (gzip.BadGzipFile, EOFError, zlib.error, ValueError)
MAX_VALUES = 1 << 26  # more than any file of this kind: a damaged header must not fill the memory


@dataclass(frozen=True)
class Fashion(Task):
    """10 classes of clothing; 60,000 training images, `validation` of them set aside, and 10,000 test images."""

    name: ClassVar[str] = "fashion"
    summary: ClassVar[str] = "Fashion-MNIST in row order, 1024 grey values; IDX files in --data or Debian's place"
    vocabulary: ClassVar[str] = "grey values 0..255 in row order, an image of 28 x 28 framed with 0 to 32 x 32"
    source: ClassVar[str] = "Fashion-MNIST (Zalando)"
    licence: ClassVar[str] = "MIT"
    pixels: ClassVar[bool] = True
    vocab_size: ClassVar[int] = 256
    num_classes: ClassVar[int] = 10
    max_length: ClassVar[int] = SIDE * SIDE

    validation: int = 5_000

    def __post_init__(self):
        check_dials(self)
        if not 1 <= self.validation < 60_000:
            raise UserError(f"task.validation = {self.validation} of task fashion is not in 1..59999 "
                            "(images set aside from the 60,000 of the training file)")

    @property
    def lengths(self) -> tuple[int, int]:
        """All images have as many tokens."""
        return self.max_length, self.max_length

    def place(self, data: Path | None = None) -> Path | None:
        """The folder with the IDX files. Raises `UserError` where one is missing."""
        folder = _folder(data)
        find_files(folder)
        return folder

    def split(self, name: str, data: Path | None = None) -> Split:
        """Images as tokens [samples, 1024] with labels; "validation" is the end of the training file."""
        images, labels = read_pair(_folder(data), check_split(name))
        if name != "test":
            if self.validation >= len(labels):
                raise UserError(f"task.validation = {self.validation}, but the training file holds "
                                f"{len(labels)} images")
            carved = slice(-self.validation, None) if name == "validation" else slice(None, -self.validation)
            images, labels = images[carved], labels[carved]
        frame = (SIDE - IMAGE) // 2
        framed = np.pad(images, ((0, 0), (frame, frame), (frame, frame)))
        return ArraySplit(framed.reshape(len(framed), SIDE * SIDE), labels.astype(np.int64))


def _folder(data: Path | None) -> Path:
    """`data` or a folder `fashion` in it, or where the package installs the files, or where `data fetch` puts them."""
    if data is not None:
        inner = Path(data) / Fashion.name
        return inner if inner.is_dir() else Path(data)
    return DEFAULT_FOLDER if DEFAULT_FOLDER.is_dir() else default_folder() / Fashion.name


def find_files(folder: Path) -> dict[str, Path]:
    """The four files by the names of the release; packed or not, with a dot in the place of a hyphen, or of any name:
    then by what they hold, and the two larger ones are those of the training images.

    Raises `UserError` where one is missing.
    """
    there = sorted(path for path in folder.iterdir() if reading.is_file(path)) if folder.is_dir() else []
    named = {_plain(path.name): path for path in reversed(there)}  # of a file that is there twice, the unpacked one
    names = [name for pair in FILES.values() for name in pair]
    if lacking := [name for name in names if _plain(name) not in named]:
        found = _by_content(there)
        if found is None:
            raise _missing(folder, lacking[0])
        return dict(zip(names, found, strict=True))
    return {name: named[_plain(name)] for name in names}


def _plain(name: str) -> str:
    return name.lower().removesuffix(".gz").replace(".", "-").replace("_", "-")


def _by_content(paths: Sequence[Path]) -> tuple[Path, Path, Path, Path] | None:
    """Images and labels of train, then of test; None where these are not two files of images and their labels each."""
    shapes = {path: shape for path in paths if (shape := _shape(path))}
    images = sorted((path for path in shapes if shapes[path][1:] == (IMAGE, IMAGE)), key=lambda path: -shapes[path][0])
    pairs = [(path, *(other for other in shapes if shapes[other] == shapes[path][:1])) for path in images]
    if [len(pair) for pair in pairs] != [2, 2] or shapes[images[0]] == shapes[images[1]]:
        return None
    return (*pairs[0], *pairs[1])


def _shape(path: Path) -> tuple[int, ...] | None:
    """The sizes in an IDX file's header; None for a file that is none."""
    try:
        with _unpacked(path) as stream:
            return _sizes(stream, path)
    except (*_BROKEN, OSError, UserError):
        return None


def read_pair(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 28, 28] and labels uint8 [n] of the file that holds split `name`.

    Raises `UserError` naming a missing file, `DamagedFileError` for one that is cut, altered or does not match.
    """
    files = find_files(folder)
    images, labels = (read_idx(folder, files[file].name) for file in FILES["test" if name == "test" else "train"])
    if images.ndim != 3 or images.shape[1:] != (IMAGE, IMAGE) or labels.shape != images.shape[:1]:
        raise DamagedFileError(f"{folder}: images of shape {images.shape} and labels of shape {labels.shape} do not "
                               f"belong together; expected (n, {IMAGE}, {IMAGE}) and (n,)")
    if labels.size == 0 or labels.max() >= Fashion.num_classes:
        raise DamagedFileError(f"{folder}: labels are not all in 0..9; not Fashion-MNIST")
    return images, labels


def read_idx(folder: Path, name: str) -> np.ndarray:
    """An IDX file of unsigned bytes, packed by gzip or not: 0 0 8 dimensions, each size as big-endian int32, then the
    values. Raises `DamagedFileError` for any other file, `UserError` for one that cannot be read.
    """
    path = folder / name
    try:
        with _unpacked(path) as stream:
            shape = _sizes(stream, path)
            expected = math.prod(shape)
            values = stream.read(expected + 1)
    except _BROKEN as error:
        raise DamagedFileError(f"{path}: damaged or cut ({error}); fetch it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(values) != expected:
        raise DamagedFileError(f"{path}: {min(len(values), expected)} values where the header says {expected}, "
                               "or more after them; the file is damaged")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[io.BufferedIOBase]:
    with reading.opened(path, "images") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield stream


def _sizes(stream: io.BufferedIOBase, path: Path) -> tuple[int, ...]:
    magic = stream.read(4)
    if magic[:3] != b"\0\0\x08" or len(magic) < 4 or not 1 <= magic[3] <= 3:
        raise DamagedFileError(f"{path}: not an IDX file of bytes (starts with {magic.hex() or 'nothing'})")
    shape = tuple(np.frombuffer(stream.read(4 * magic[3]), dtype=">u4").tolist())
    if len(shape) != magic[3] or math.prod(shape) > MAX_VALUES:
        raise DamagedFileError(f"{path}: the header gives the sizes {shape}; the file is damaged")
    return shape


def _missing(folder: Path, name: str) -> UserError:
    files = ", ".join(file for pair in FILES.values() for file in pair)
    return UserError(f"no {name} in {folder}; the folder should hold {files}, packed or not. Install the Debian "
                     "package dataset-fashion-mnist, let 'rmaat data fetch fashion' bring it, or give the folder with "
                     "--data DIR")
