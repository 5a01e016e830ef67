"""Pathfinder's official images: `curv_contour_length_14/imgs/<i>/sample_<j>.png`, `metadata/<i>.npy`, which are text.

All images of a difficulty are read once, from the folder or from the archive that they came in, and kept in the cache.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foundation.cli import Progress
from foundation.errors import DamagedFileError, UserError
from foundation.files import sha256_bytes
from foundation.notes import Note, note
from rmaat.tasks.cache import kept
from rmaat.tasks.checks import DataNote
from rmaat.tasks.image_files import opened_image
from rmaat.tasks.task import SPLITS, Batch
from rmaat.tasks.trees import Tree, checksum_text, find_tree

FOLDERS = {"easy": "curv_baseline", "intermediate": "curv_contour_length_9", "hard": "curv_contour_length_14"}
ABOVE = ("", "pathfinder{side}", "lra_release/pathfinder{side}", "lra_release/lra_release/pathfinder{side}")
MAX_FILE, MAX_IMAGE = 1 << 26, 1 << 20  # bytes; the official images have 1 to 10 kB, lists of them some 50 kB
OFFICIAL = 200_000  # images of a difficulty
AT_A_TIME = 4_096  # images that are copied to be hashed
_PLACE, _FILE = re.compile(r"imgs/\d{1,9}", re.ASCII), re.compile(r"sample_\d{1,9}\.png", re.ASCII)
_SIDE = re.compile(r"(?:^|/)pathfinder(\d+)/", re.ASCII)


class SkippedImages(Note):
    """Images of the release that are empty: one is known."""


@dataclass(frozen=True)
class ChosenImages:
    """Some rows of all images, uint8 [images, side * side], which lie on the disk; `sources` as of `ArraySplit`."""

    images: np.ndarray
    rows: np.ndarray    # int64 [samples]
    labels: np.ndarray  # int64 [samples]
    sources: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, all of one length."""
        tokens = torch.from_numpy(self.images[self.rows[indices]].astype(np.int64))
        return Batch(tokens, torch.full((len(tokens),), tokens.shape[1]), torch.from_numpy(self.labels[indices]))

    def key(self, index: int) -> bytes:
        """What tells one sample from another."""
        return self.images[self.rows[index]].tobytes()

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels

    def held(self) -> Iterator[tuple[str, np.ndarray]]:
        """Its labels and its own images, some at a time: gigabytes of the others are of other splits."""
        yield "labels", self.labels
        for start in range(0, len(self.rows), AT_A_TIME):
            yield "images", self.images[self.rows[start:start + AT_A_TIME]]


def official(data: Path, name: str, *, side: int, difficulty: str, seed: int, at_most: int) -> ChosenImages:
    """Split `name` of the official images under `data`: in an order drawn by `seed` the last tenth is the test split,
    the tenth before it the validation split; of each the first `at_most`.

    Long Range Arena took 80, 10 and 10 % of them, too, in the order of a data set builder that the files do not show.
    Raises `UserError` for a missing file, `DamagedFileError` for one that is not what it should be.
    """
    tree = place(data, side, difficulty)
    arrays = kept(f"pathfinder/official-{side}-{difficulty}", [1, tree.stamp(), side, difficulty],
                  lambda: _read(tree, side, difficulty))
    _say_empty(tree, arrays)
    if (there := len(arrays["labels"]) + int(arrays["empty"][0])) != OFFICIAL:
        note(DataNote, f"task pathfinder: {tree.path} lists {there:,} images; the release has {OFFICIAL:,}")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(arrays["labels"]))
    tenth = len(order) // 10
    if tenth < 1:
        raise UserError(f"{tree.path}: {len(order)} images; at least 10 are needed for three splits")
    bounds = dict(zip(SPLITS, ((0, -2 * tenth), (-2 * tenth, -tenth), (-tenth, None)), strict=True))
    chosen = order[slice(*bounds[name])][:at_most]
    return ChosenImages(arrays["images"], chosen, arrays["labels"].astype(np.int64)[chosen],
                        {str(tree.path): checksum_text(arrays)})


def place(data: Path, side: int, difficulty: str) -> Tree:
    """The folder of a difficulty under `data`, which may be of any level above it, or an archive. Raises `UserError`
    where there is none.
    """
    name = FOLDERS[difficulty]
    return find_tree(data, folders=[f"{above.format(side=side)}/{name}".lstrip("/") for above in ABOVE],
                     archives=(f"pathfinder{side}*", "lra_release*", "lra_release.gz"),
                     is_layout=lambda folder: folder.name == name and (folder / "metadata").is_dir(), missing=(
                         f"{name}/metadata (pathfinder{side} of the Long Range Arena release, "
                         f"lra_release/lra_release/pathfinder{side}); without --data the task generates its images"))


def _read(tree: Tree, side: int, difficulty: str) -> dict[str, np.ndarray]:
    """All images that are not empty, uint8 [images, side * side], in the order of the metadata's numbers; labels; the
    checksum of what was read; how many are empty, and which is the first.
    """
    inner = r"(imgs/\d{1,9}/sample_\d{1,9}\.png|metadata/\d{1,9}\.npy)$"
    wanted = re.compile(("^" if tree.is_folder else rf"(?:^|/){FOLDERS[difficulty]}/") + inner, re.ASCII)
    images, tables, digests = {}, {}, []
    with Progress(f"pathfinder: reading {tree.path.name}", OFFICIAL) as progress:
        for name, content in tree.files(wanted, at_most=MAX_FILE):
            if not tree.is_folder and (found := _SIDE.search(name)) and int(found[1]) != side:
                continue
            short = wanted.search(name)[1]
            digests.append((name, sha256_bytes(content)))
            if short.startswith("imgs/"):
                images[short] = read_image(content, side, tree.where(name)) if content else None
                progress.update(min(len(images), OFFICIAL))
            else:
                tables[int(short.split("/")[1].split(".")[0])] = (tree.where(name), content)
    if not tables:
        raise UserError(f"{tree.path}: no {FOLDERS[difficulty]}/metadata/0.npy of pathfinder{side} in it")
    listed = [one for _, (where, content) in sorted(tables.items()) for one in _entries(content, where)]
    lacking = next(((where, name) for name, _, where in listed if name not in images), None)
    if lacking:
        raise UserError(f"{lacking[0]}: {lacking[1]} is missing; {tree.path} is not whole")
    empty = [name for name, _, _ in listed if images[name] is None]
    there = [(name, label) for name, label, _ in listed if images[name] is not None]
    pixels = np.empty((len(there), side * side), np.uint8)
    for row, (name, _) in enumerate(there):
        pixels[row] = images[name]
    return {"images": pixels, "labels": np.array([label for _, label in there], np.uint8),
            "sha256": tree.checksum(digests), "empty": np.array([len(empty)], np.int64),
            "first_empty": np.frombuffer((empty[0] if empty else "-").encode(), np.uint8)}


def _say_empty(tree: Tree, arrays: Mapping[str, np.ndarray]) -> None:
    if count := int(arrays["empty"][0]):
        first = Path(arrays["first_empty"].tobytes().decode())
        note(SkippedImages, f"{tree.path}: {count} empty image(s) left out, the first is {first.name} in "
                            f"{first.parent}; the release has one, sample_172.png in curv_baseline/imgs/0")


def _entries(content: bytes, where: str) -> list[tuple[str, int, str]]:
    """Image, label and place of each line of a list: folder, file, number, label, and more that is not read."""
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{where}: not the text that the release has in its .npy files") from error
    found = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 4 or fields[3] not in ("0", "1") or not (
                _PLACE.fullmatch(fields[0]) and _FILE.fullmatch(fields[1])):
            raise DamagedFileError(f"{where}, line {number}: expected imgs/<number> sample_<number>.png <number> "
                                   f"<0 or 1>, found {' '.join(fields)[:60]!r}")
        found.append((f"{fields[0]}/{fields[1]}", int(fields[3]), f"{where}, line {number}"))
    return found


def read_image(content: bytes, side: int, where: str) -> np.ndarray:
    """Grey values uint8 [side * side] of a PNG file's bytes. Raises `DamagedFileError` for any other one."""
    if len(content) > MAX_IMAGE:
        raise DamagedFileError(f"{where}: no whole PNG image ({len(content):,} bytes, at most {MAX_IMAGE:,} are read)")
    with opened_image(content, where, ["PNG"]) as image:
        if image.size != (side, side):
            raise DamagedFileError(f"{where}: {image.size[0]} x {image.size[1]} pixels where {side} x {side} are "
                                   "expected; task.side says which")
        return np.asarray(image.convert("L")).reshape(-1)
