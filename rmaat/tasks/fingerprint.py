"""How data is recognised: a fingerprint that tells one data set from another, and a hash of all that is held of it."""

import dataclasses
import hashlib

import numpy as np

from rmaat.tasks.checks import look_at
from rmaat.tasks.task import Split


def fingerprint(split: Split) -> str:
    """SHA-256 over all labels and the tokens of up to 64 samples: enough to tell one data set from another."""
    batch = split.batch(look_at(split))
    digest = hashlib.sha256(split.all_labels().astype("<i8").tobytes())
    digest.update(batch.tokens.numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def contents(split: Split) -> str | None:
    """SHA-256 over all arrays that a split holds as its fields: it notices one token that was changed.

    None for a split that holds none: its samples follow from the task's dials.
    """
    names = [field.name for field in dataclasses.fields(split)] if dataclasses.is_dataclass(split) else []
    held = [(name, getattr(split, name)) for name in names]
    arrays = [(name, value) for name, value in held if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"]
    digest = hashlib.sha256()
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest() if arrays else None
