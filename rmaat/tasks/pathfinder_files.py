"""Pathfinder's official images: `curv_contour_length_14/imgs/<i>/sample_<j>.png`, `metadata/<i>.npy`, which are text.

Images are opened when a batch asks for them: 200,000 of them need neither memory nor a wait at the start.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foundation.errors import DamagedFileError, UserError
from foundation.notes import Note, note
from rmaat.tasks.task import SPLITS, Batch

FOLDERS = {"easy": "curv_baseline", "intermediate": "curv_contour_length_9", "hard": "curv_contour_length_14"}
INNER = ("{name}", "pathfinder{side}/{name}", "lra_release/pathfinder{side}/{name}",
         "lra_release/lra_release/pathfinder{side}/{name}")
MAX_METADATA, MAX_IMAGE = 1 << 26, 1 << 20  # bytes of a file; the official ones have some 10 kB and 1 to 10 kB
_PLACE, _FILE = re.compile(r"imgs/\d{1,9}", re.ASCII), re.compile(r"sample_\d{1,9}\.png", re.ASCII)


class SkippedImages(Note):
    """Images of the release that are empty: one is known."""


@dataclass(frozen=True)
class ImageFiles:
    """Images by their files, opened when they are asked for."""

    files: tuple[Path, ...]
    labels: np.ndarray  # int64 [samples]
    side: int

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index. Raises `DamagedFileError` for an image that cannot be read or has another size."""
        rows = [read_image(self.files[index], self.side) for index in np.asarray(indices).tolist()]
        tokens = torch.from_numpy(np.stack(rows).astype(np.int64))
        return Batch(tokens, torch.full((len(rows),), self.side ** 2), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels


def official(data: Path, name: str, *, side: int, difficulty: str, seed: int, at_most: int) -> ImageFiles:
    """Split `name` of the official images under `data`: in an order drawn by `seed` the last tenth is the test split,
    the tenth before it the validation split; of each the first `at_most`.

    Long Range Arena took 80, 10 and 10 % of them, too, in the order of a data set builder that the files do not show.
    Raises `UserError` for a missing file, `DamagedFileError` for one that is not what it should be.
    """
    folder = place(data, side, difficulty)
    files, labels = _listed(folder)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(files))
    tenth = len(files) // 10
    if tenth < 1:
        raise UserError(f"{folder}: {len(files)} images; at least 10 are needed for three splits")
    bounds = dict(zip(SPLITS, ((0, -2 * tenth), (-2 * tenth, -tenth), (-tenth, None)), strict=True))
    chosen = order[slice(*bounds[name])][:at_most]
    return ImageFiles(tuple(files[k] for k in chosen), np.asarray(labels, np.int64)[chosen], side)


def place(data: Path, side: int, difficulty: str) -> Path:
    """The folder of a difficulty under `data`, which may be of any level above it. Raises `UserError` if none is."""
    for inner in INNER:
        folder = data / inner.format(name=FOLDERS[difficulty], side=side)
        if (folder / "metadata").is_dir():
            return folder
    if data.is_file():
        raise UserError(f"{data} is a file; unpack it and give the folder that it makes with --data")
    raise UserError(f"no {FOLDERS[difficulty]}/metadata in {data}; the folder should be pathfinder{side} of the Long "
                    f"Range Arena release (lra_release/lra_release/pathfinder{side}), or one above it; without --data "
                    "the task generates its images")


def _listed(folder: Path) -> tuple[list[Path], list[int]]:
    """All images that are not empty, in the order of the metadata's numbers, with their labels."""
    tables = sorted((path for path in (folder / "metadata").iterdir() if re.fullmatch(r"\d{1,9}\.npy", path.name)),
                    key=lambda path: int(path.stem))
    if not tables:
        raise UserError(f"{folder / 'metadata'}: no file like 0.npy; the folder is not whole")
    files, labels, empty = [], [], []
    for table in tables:
        for number, line in enumerate(_text(table).split("\n"), start=1):
            if not line.strip():
                continue
            path, label = _entry(line.split(), folder, f"{table}, line {number}")
            if path.stat().st_size:
                files.append(path)
                labels.append(label)
            else:
                empty.append(path)
    if empty:
        note(SkippedImages, f"{folder}: {len(empty)} empty image(s) left out, the first is {empty[0].name} in "
                            f"imgs/{empty[0].parent.name}; the release has one, sample_172.png in curv_baseline/imgs/0")
    return files, labels


def _text(path: Path) -> str:
    if not path.is_file():
        raise DamagedFileError(f"{path}: not a regular file")
    if (size := path.stat().st_size) > MAX_METADATA:
        raise DamagedFileError(f"{path}: {size:,} bytes; the list of a folder's images is shorter")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path}: not the text that the release has in its .npy files") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _entry(fields: list[str], folder: Path, where: str) -> tuple[Path, int]:
    """Image and label of a line: folder, file, number, label, and more that is not read."""
    if len(fields) < 4 or fields[3] not in ("0", "1") or not (
            _PLACE.fullmatch(fields[0]) and _FILE.fullmatch(fields[1])):
        raise DamagedFileError(f"{where}: expected imgs/<number> sample_<number>.png <number> <0 or 1>, found "
                               f"{' '.join(fields)[:60]!r}")
    path = folder / fields[0] / fields[1]
    if not path.is_file():
        raise UserError(f"{where}: {path} is missing; the folder is not whole")
    return path, int(fields[3])


def read_image(path: Path, side: int) -> np.ndarray:
    """Grey values uint8 [side * side] of a PNG file. Raises `DamagedFileError` for any other one."""
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        if not path.is_file() or path.stat().st_size > MAX_IMAGE:
            raise DamagedFileError(f"{path}: not a file of an image of {side} x {side} pixels")
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            if image.size != (side, side):
                raise DamagedFileError(f"{path}: {image.size[0]} x {image.size[1]} pixels where {side} x {side} are "
                                       "expected; task.side says which")
            return np.asarray(image.convert("L")).reshape(-1)
    except (UnidentifiedImageError, SyntaxError, ValueError, EOFError, OSError, Image.DecompressionBombError) as error:
        raise DamagedFileError(f"{path}: no whole PNG image ({error})") from error
