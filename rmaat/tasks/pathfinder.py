"""Pathfinder of Long Range Arena (Linsley2018, Tay2021): do both circles lie on the same of two dashed contours?

Generated, or the official images under --data. 32 x 32 pixels in row order are 1,024 tokens; 128 x 128, Path-X, 16,384.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from foundation.cli import Progress
from foundation.errors import UserError, unknown
from foundation.files import sha256_bytes
from rmaat.tasks import pathfinder_files
from rmaat.tasks import pathfinder_scenes as scenes
from rmaat.tasks.cache import making, store, stored, tidy
from rmaat.tasks.checks import check_dials, check_positive, check_seed, check_split
from rmaat.tasks.task import Batch, Split, Task
from rmaat.tasks.workers import in_programs

CHUNK = 500  # images that one worker makes and one file of the cache holds; a run that was stopped goes on after them
PARALLEL_FROM = 100  # starting workers takes longer than making fewer images


@dataclass(frozen=True)
class Pathfinder(Task):
    """`side` 32, 64 or 128; `difficulty` easy, intermediate or hard: contours of 6, 9 or 14 dashes. Generated images
    may have another number of dashes, 3 to 14: `difficulty` "4", say.

    With `distractors` false the two contours are alone on the image. Of official images there are at most as many as
    `train`, `validation` and `test` say.
    """

    name: ClassVar[str] = "pathfinder"
    summary: ClassVar[str] = "are both circles on one dashed contour? generated, or --data with the official images"
    vocabulary: ClassVar[str] = "grey values 0..255 in row order"
    source: ClassVar[str] = "Linsley2018; as in Long Range Arena (Tay2021)"
    licence: ClassVar[str] = "generated here, as this project; that of the official images: see their release"
    pixels: ClassVar[bool] = True
    vocab_size: ClassVar[int] = 256
    num_classes: ClassVar[int] = 2

    side: int = 32
    difficulty: str = "hard"
    distractors: bool = True
    train: int = 160_000
    validation: int = 20_000
    test: int = 20_000
    seed: int = 0

    def __post_init__(self):
        check_dials(self)
        check_positive(self, train=self.train, validation=self.validation, test=self.test)
        check_seed(self)
        if self.side not in scenes.SIDES:
            raise UserError(f"task.side = {self.side!r} of task pathfinder: give one of {scenes.SIDES}")
        if self.difficulty not in scenes.CONTOURS:
            raise unknown("task.difficulty", self.difficulty, scenes.CONTOURS)

    @property
    def max_length(self) -> int:
        """Pixels of an image."""
        return self.side ** 2

    @property
    def lengths(self) -> tuple[int, int]:
        """All images have as many pixels."""
        return self.max_length, self.max_length

    def place(self, data: Path | None = None) -> Path | None:
        """The folder with `imgs` and `metadata`, or the archive; None where the images are generated."""
        if data is None:
            return None
        self._check_released(data)
        return pathfinder_files.place(Path(data), self.side, self.difficulty).path

    def _check_released(self, data: Path) -> None:
        if self.difficulty in scenes.NUMBERS:
            raise UserError(f"task.difficulty = {self.difficulty}: the release has no such images; leave out --data "
                            f"{data}, or give one of: {', '.join(pathfinder_files.FOLDERS)}")

    def data_of_stage(self, data: Path | None) -> Path | None:
        """The release has the difficulties that have a name; others are generated."""
        return None if self.difficulty in scenes.NUMBERS else data

    def of_stage(self, samples: int) -> "Pathfinder":
        """With no more training images than the stage looks at, in whole chunks, which others find in the cache."""
        return replace(self, train=min(self.train, -(-samples // CHUNK) * CHUNK))

    def split(self, name: str, data: Path | None = None) -> Split:
        """Generated and kept in the cache, or read from the official images under `data`, drawn by `seed`."""
        check_split(name)
        if data is None:
            return generated(self, name)
        self._check_released(data)
        return pathfinder_files.official(Path(data), name, side=self.side, difficulty=self.difficulty, seed=self.seed,
                                         at_most=getattr(self, name))


@dataclass(frozen=True)
class ChunkedSplit:
    """Images in chunks of `CHUNK` (the last one may be smaller), each uint8 [images, side * side]."""

    chunks: tuple[np.ndarray, ...]
    labels: np.ndarray  # int64 [samples]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Samples by index, all of one length."""
        rows = [self.chunks[index // CHUNK][index % CHUNK] for index in np.asarray(indices).tolist()]
        tokens = torch.from_numpy(np.stack(rows).astype(np.int64))
        return Batch(tokens, torch.full((len(rows),), tokens.shape[1]), torch.from_numpy(self.labels[indices]))

    def all_labels(self) -> np.ndarray:
        """Labels of all samples, int64 [samples]."""
        return self.labels


def generated(task: Pathfinder, name: str, workers: int | None = None) -> ChunkedSplit:
    """A split of `task`, each chunk from the cache or made anew; the same for any number of `workers`."""
    scene, size = scenes.scene(task.side, task.difficulty, distractors=task.distractors), getattr(task, name)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(scene).items()}
    jobs = [[settings, task.seed, name, start, min(start + CHUNK, size)] for start in range(0, size, CHUNK)]
    keys = [[1, _ink(scene), *job] for job in jobs]
    folder = f"pathfinder/{task.side}-{task.difficulty}-{name}"
    chunks = [stored(folder, key) for key in keys]
    if any(chunk is None for chunk in chunks):
        with making(folder, keys):
            _make_missing(chunks, jobs, keys, name=name, folder=folder, workers=workers)
    else:
        tidy(folder, keys)
    return ChunkedSplit(tuple(chunk["images"] for chunk in chunks),
                        np.concatenate([chunk["labels"] for chunk in chunks]).astype(np.int64))


def _make_missing(chunks: list[dict | None], jobs: list[list], keys: list[list], *, name: str, folder: str,
                  workers: int | None) -> None:
    """Make the chunks that are None, but for those that another process has made meanwhile."""
    chunks[:] = [stored(folder, key, again=True) if chunk is None else chunk
                 for key, chunk in zip(keys, chunks, strict=True)]
    missing = [k for k, chunk in enumerate(chunks) if chunk is None]
    with Progress(f"pathfinder: generating {name}", len(missing)) as progress:
        for done, (k, made) in enumerate(zip(missing, _run([jobs[k] for k in missing], workers), strict=True)):
            count = jobs[k][4] - jobs[k][3]
            values = np.frombuffer(made, np.uint8)
            chunks[k] = {"labels": values[:count], "images": values[count:].reshape(count, -1)}
            store(folder, keys[k], chunks[k])
            progress.update(done + 1)


def _run(jobs: list[list], workers: int | None) -> Iterator[bytes]:
    """The chunks in order."""
    if workers is None:
        workers = (os.cpu_count() or 1) if sum(job[4] - job[3] for job in jobs) >= PARALLEL_FROM else 1
    if workers == 1:
        return (scenes.work(*job) for job in jobs)
    return in_programs(scenes.__name__, jobs, workers=workers)


def _ink(scene: scenes.Scene) -> str:
    """What lines look like here: another version of Pillow may draw them otherwise, and its images are not these."""
    stamps = [scenes.Dashes(scene, margin).stamp(angle) for margin in scene.margins for angle in (0., .3, .8, -2.)]
    return sha256_bytes(repr(stamps).encode())[:16]
