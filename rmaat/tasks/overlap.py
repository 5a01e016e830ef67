"""What splits have in common, and what each lacks: samples that come again, classes that are missing."""

from collections.abc import Mapping

import numpy as np

from foundation.notes import note
from rmaat.tasks.checks import DataNote
from rmaat.tasks.task import Split, Task


def keys_of(split: Split, indices: np.ndarray | None = None) -> np.ndarray | None:
    """A number, uint64, for each sample (at `indices`) that is the same for the same tokens; None where a split holds
    no data but makes them."""
    import hashlib

    key = getattr(split, "key", None)
    if key is None:
        return None
    chosen = range(len(split)) if indices is None else indices.tolist()
    return np.array([int.from_bytes(hashlib.blake2b(key(index), digest_size=8).digest(), "little")
                     for index in chosen], dtype=np.uint64)


def note_what_is_odd(splits: Mapping[str, Split], task: Task) -> None:
    """A note for splits of one class alone, for labels that train lacks, and for samples that are in two splits."""
    for name, split in splits.items():
        labels = split.all_labels()
        if labels.ndim == 1 and len(labels) > 1 and task.num_classes > 1 and (labels == labels[0]).all():
            note(DataNote, f"task {task.name}: all {len(labels):,} samples of {name} have the label {labels[0]}, of "
                           f"{task.num_classes} classes")
        known = splits["train"].all_labels() if "train" in splits and labels.ndim == 1 else labels
        if count := int((unseen := ~np.isin(labels, known)).sum()):
            note(DataNote, f"task {task.name}: {count:,} of the {len(labels):,} samples of {name} have a label that "
                           f"none of train has, the first {labels[unseen.argmax()]}")
    seen = {name: keys for name, split in splits.items() if (keys := keys_of(split)) is not None}
    names = list(seen)
    for place, name in enumerate(names):
        for other in names[:place]:
            count = int(np.isin(seen[name], seen[other]).sum())
            if count:
                note(DataNote, f"task {task.name}: {count:,} of the {len(splits[name]):,} samples of {name} are in "
                               f"{other}, too")
