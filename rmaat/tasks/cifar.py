"""CIFAR-10 from its released batches or from a tree of image files, as grey values."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foundation.errors import DamagedFileError, UserError
from foundation.files import sha256_bytes
from rmaat.tasks.image_files import opened_image
from rmaat.tasks.pickled_arrays import read_pickled
from rmaat.tasks.trees import Tree, natural

SIDE, CLASSES = 32, 10
COLOURS = 3 * SIDE * SIDE
GREY = np.array([.2989, .587, .114], dtype=np.float32)  # of red, green, blue: ITU-R BT.601, as tf.image has it
BINARY, PYTHON = r"data_batch_\d+\.bin|test_batch\.bin", r"data_batch_\d+|test_batch"
BATCH = re.compile(rf"(?:^|/)({BINARY}|{PYTHON})$", re.IGNORECASE)
FILE = re.compile(r"(?:^|/)(train|test)/([^/]+)/([^/]+)\.(?:png|jpe?g)$", re.IGNORECASE)
WANTED = re.compile(f"{BATCH.pattern}|{FILE.pattern}", re.IGNORECASE)
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
MISSING = ("CIFAR-10 (www.cs.toronto.edu/~kriz/cifar.html: cifar-10-binary.tar.gz or cifar-10-python.tar.gz) with "
           "data_batch_1..5 and test_batch, or image files train/<class>/*.png and test/<class>/*.png")


class Found(NamedTuple):
    """Images of one file with what orders them."""

    order: list
    images: np.ndarray  # uint8 [n, 1024]
    labels: np.ndarray  # int64 [n]


def is_layout(folder: Path) -> bool:
    """Whether a folder is one of the three layouts."""
    return any((folder / f"{BATCHES[-1]}{ending}").is_file() for ending in ("", ".bin")) or (
        (folder / "train").is_dir() and (folder / "test").is_dir())


def grey(colours: np.ndarray) -> np.ndarray:
    """Grey uint8 [..., n] of red, green and blue uint8 [..., 3, n], rounded as tf.image.rgb_to_grayscale does.

    That is what the benchmark calls: to 0..1, weighted, times 255.5, cut off.
    """
    scaled = colours.astype(np.float32) / np.float32(255)
    return (np.tensordot(scaled, GREY, (-2, 0)) * np.float32(255.5)).astype(np.uint8)


def read(tree: Tree) -> dict[str, np.ndarray]:
    """Images uint8 [n, 1024] and labels int64 [n] of train and test, with the checksum of what was read.

    Raises `UserError` for what is missing, `DamagedFileError` for what is damaged, with the file's name.
    """
    found: dict[str, list[Found]] = {"train": [], "test": []}
    digests, seen, roots = [], set(), set()
    for name, content in tree.files(WANTED):
        digests.append((name, sha256_bytes(content)))
        where = f"{tree.path}: {name}"
        if batch := BATCH.search(name):
            stem, dot, _ = batch[1].lower().partition(".")
            if stem not in BATCHES:
                raise UserError(f"{where}: there is no such batch; expected {MISSING}")
            if stem in seen:
                raise UserError(f"{tree.path} holds {stem} twice; give the folder of one release with --data")
            seen.add(stem)
            colours, labels = (_binary if dot else _python)(content, where)
            found["test" if stem == "test_batch" else "train"].append(
                Found(natural(stem), grey(colours), _checked(labels, where)))
        else:
            file = FILE.search(name)
            part, kind, stem = file.groups()
            roots.add(name[:file.start(1)])
            found[part.lower()].append(Found([kind, natural(stem)], picture(content, where)[None], np.zeros(1)))
    if seen and len(seen) != len(digests):
        raise UserError(f"{tree.path} holds batches and image files; give the folder of one of them with --data")
    tree.check_root(roots)
    if not all(found.values()) or (seen and seen != set(BATCHES)):
        lack = ", ".join(sorted(set(BATCHES) - seen)) if seen else " and ".join(p for p in found if not found[p])
        raise UserError(f"no {lack} in {tree.path}; it should hold {MISSING}")
    join = _join_batches if seen else _join_files
    arrays = {"sha256": tree.checksum(digests)}
    for part, (images, labels) in join(found, tree):
        arrays |= {f"{part}.images": images, f"{part}.labels": labels.astype(np.int64)}
    return arrays


def _join_batches(found: dict[str, list[Found]], tree: Tree) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    for part, batches in found.items():
        batches.sort(key=lambda batch: batch.order)
        yield part, (np.concatenate([b.images for b in batches]), np.concatenate([b.labels for b in batches]))


def _join_files(found: dict[str, list[Found]], tree: Tree) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """The classes in turn, each in the order of its files' names."""
    classes = {part: sorted({file.order[0] for file in files}) for part, files in found.items()}
    if classes["train"] != classes["test"] or len(classes["train"]) != CLASSES:
        raise UserError(f"{tree.path}: train has the classes {', '.join(classes['train'])}; test has "
                        f"{', '.join(classes['test'])}; expected the same {CLASSES} in both")
    for part, files in found.items():
        files.sort(key=lambda file: file.order)
        label = np.array([classes[part].index(file.order[0]) for file in files])
        rank = np.arange(len(label)) - np.searchsorted(label, label)
        order = np.lexsort((label, rank))
        yield part, (np.concatenate([file.images for file in files])[order], label[order])


def _checked(labels: np.ndarray, where: str) -> np.ndarray:
    if labels.size and (labels.min() < 0 or labels.max() >= CLASSES):
        row = int(((labels < 0) | (labels >= CLASSES)).argmax())
        raise DamagedFileError(f"{where}, image {row}: label {labels[row]} is not in 0..{CLASSES - 1}")
    return labels


def _binary(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """A record is a label and 3 x 1024 colour values."""
    if not content or len(content) % (1 + COLOURS):
        raise DamagedFileError(f"{where}: {len(content)} bytes are not whole records of {1 + COLOURS}; the file is cut")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + COLOURS)
    return records[:, 1:].reshape(-1, 3, SIDE * SIDE), records[:, 0]


def _python(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """A dictionary with `data` uint8 [n, 3072] and `labels`, a list."""
    held = read_pickled(content, where)
    fields = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in held.items()} \
        if isinstance(held, dict) else {}
    colours, labels = fields.get("data"), fields.get("labels")
    if not isinstance(colours, np.ndarray) or colours.dtype != np.uint8 or colours.ndim != 2 \
            or colours.shape[1] != COLOURS or not isinstance(labels, list | np.ndarray) \
            or len(labels) != len(colours) or not all(type(x) is int or isinstance(x, np.integer) for x in labels):
        raise DamagedFileError(f"{where}: expected a dictionary with data uint8 [n, {COLOURS}] and labels [n]; it has "
                               f"{', '.join(map(str, fields)) or type(held).__name__}")
    return colours.reshape(-1, 3, SIDE * SIDE), np.array(labels, dtype=object)  # of any size


def picture(content: bytes, where: str) -> np.ndarray:
    """Grey values uint8 [1024] of a PNG or JPEG file of 32 x 32 pixels. Raises `UserError`, `DamagedFileError`."""
    with opened_image(content, where, ("PNG", "JPEG")) as image:
        if image.size != (SIDE, SIDE):
            raise UserError(f"{where}: {image.width} x {image.height} pixels; expected {SIDE} x {SIDE}, so resize it")
        values = np.asarray(image.convert("RGB"))
    return grey(values.reshape(-1, 3).T)
