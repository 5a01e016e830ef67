"""Image of Long Range Arena (Tay2021): CIFAR-10 in grey, 1024 values in row order, ten classes.

Read from the released batches (`cifar-10-batches-bin`, `cifar-10-batches-py`) or from a tree of image files
`{train,test}/<class>/*.png|jpg`; from the folder or from the archive. The last 5,000 training images are for
validation, as in the benchmark.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from foundation.notes import note
from rmaat.tasks import cifar
from rmaat.tasks.cache import kept
from rmaat.tasks.checks import DataNote, check_dials, check_positive, check_split
from rmaat.tasks.splits import ArraySplit, carved
from rmaat.tasks.task import Split, Task
from rmaat.tasks.trees import Tree, checksum_text, find_tree

RELEASED = {"train": 50_000, "test": 10_000}
FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py", "cifar10")


@dataclass(frozen=True)
class Image(Task):
    """45,000 training images, `validation` = 5,000 set aside of the training files, and 10,000 test images."""

    name: ClassVar[str] = "image"
    summary: ClassVar[str] = "CIFAR-10 in grey, row order; --data with its binary or Python batches, or image files"
    vocabulary: ClassVar[str] = "grey values 0..255 in row order, 32 x 32"
    source: ClassVar[str] = "CIFAR-10 (Krizhevsky2009); as in Long Range Arena (Tay2021)"
    licence: ClassVar[str] = "none stated by its authors; cite the report"
    pixels: ClassVar[bool] = True
    vocab_size: ClassVar[int] = 256
    num_classes: ClassVar[int] = cifar.CLASSES
    max_length: ClassVar[int] = cifar.SIDE**2

    validation: int = 5_000

    def __post_init__(self):
        check_dials(self)
        check_positive(self, validation=self.validation)

    @property
    def lengths(self) -> tuple[int, int]:
        """All images have as many tokens."""
        return self.max_length, self.max_length

    def place(self, data: Path | None = None) -> Path | None:
        """The folder or the archive. Raises `UserError` where there is none."""
        return _tree(data).path

    def split(self, name: str, data: Path | None = None) -> Split:
        """Images as tokens [samples, 1024] with labels; "validation" is the end of what the training files hold.

        The classes of image files are their folders in alphabetical order, which is CIFAR-10's own; the images of all
        classes stand in turn.
        """
        part = "test" if check_split(name) == "test" else "train"
        tree = _tree(data)
        arrays = kept("image", [1, tree.stamp()], lambda: cifar.read(tree))
        images, labels = arrays[f"{part}.images"], arrays[f"{part}.labels"]
        if len(labels) != RELEASED[part]:
            note(DataNote, f"task image: {tree.path} holds {len(labels):,} images in {part}; the release has "
                           f"{RELEASED[part]:,}")
        split = ArraySplit(images, labels.copy(), sources={str(tree.path): checksum_text(arrays)})
        return carved(split, name, self.validation, task=self.name)


def _tree(data: Path | None) -> Tree:
    return find_tree(data, folders=FOLDERS, archives=("cifar-10*", "cifar10*"), is_layout=cifar.is_layout,
                     missing=cifar.MISSING)
