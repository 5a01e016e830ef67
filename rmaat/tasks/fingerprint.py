"""How data is recognised: a fingerprint that tells one data set from another, and a hash of all that is held of it."""

import dataclasses
import hashlib
from collections.abc import Iterator

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
    """SHA-256 over all that a split holds: it notices one token that was changed.

    That is the arrays among its fields, or what its `held()` goes through. None for a split that holds none: its
    samples follow from the task's dials.
    """
    digest, found = hashlib.sha256(), False
    for name, array in split.held() if hasattr(split, "held") else _fields(split):
        found = True
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest() if found else None


def _fields(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    for field in dataclasses.fields(split) if dataclasses.is_dataclass(split) else ():
        value = getattr(split, field.name)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            yield field.name, value
