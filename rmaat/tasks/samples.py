"""What the columns of a user's own data become: documents as tokens, labels as classes, samples in splits."""

import datetime
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Number

import numpy as np

from foundation.errors import UserError
from rmaat.tasks.task import SPLITS

UNITS = ("bytes", "characters", "tokens")
NAMES = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
         "dev": "validation", "test": "test"}
MOST_TOKENS = 1 << 20  # of a vocabulary
KNOWN_FROM = 2  # token of the first known character; 0 is padding, 1 one that the training data lack
WHOLE = re.compile(r"(-?\d+)\.0+", re.ASCII)  # a number as programs write it that know no whole ones
Where = Callable[[int, str], str]


@dataclass(frozen=True)
class Samples:
    """Documents (a list for each column of texts), label texts, and the split that a sample's file or column names."""

    documents: tuple[list, ...]
    labels: list[str]
    splits: list[str | None]
    where: list[Callable[[str], str]]  # of a sample: the place of a column

    def __len__(self) -> int:
        return len(self.labels)


def label_text(value: object) -> str:
    """A label as text, the same whatever file it comes from; "" where there is none.

    A whole number written with a point is that number, and truth values are in small letters. Raises `ValueError` for
    what is no label: a list, an array, infinity.
    """
    if value is None or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, (str, Number, np.bool_, datetime.date)) or value in (math.inf, -math.inf):
        raise ValueError(f"a label is one text or number, found {type(value).__name__} {str(value)[:40]}")
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)  # 1e16, too
    text = str(value).strip()
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text.lower() if text.lower() in ("true", "false") else text


def classes_of(labels: Sequence[str], where: str) -> tuple[str, ...]:
    """The classes, sorted: as numbers where all are whole numbers, else as texts.

    Raises `UserError` where there is one only, and where nearly every sample has one of its own.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        raise UserError(f"{where}: all {len(labels)} samples have the label {next(iter(counts))!r}; two classes are "
                        "needed at least")
    if len(counts) > 50 and len(counts) > len(labels) / 2:
        raise UserError(f"{where}: {len(counts)} different labels in {len(labels)} samples; is it the right column? "
                        "Numbers to be estimated have to be put into classes first")
    try:
        return tuple(sorted(counts, key=lambda label: (int(label), label)))
    except ValueError:
        return tuple(sorted(counts))


def encoder(unit: str, characters: str, size: int) -> Callable[[str | bytes | np.ndarray], list[int] | np.ndarray]:
    """What makes tokens of a `document`; 0 is padding. It raises `ValueError` for given tokens of `size` or more."""
    if unit == "bytes":
        return lambda text: 1 + np.frombuffer(_as_bytes(text), np.uint8).astype(np.int32)
    if unit == "characters":
        known = {character: number for number, character in enumerate(characters, start=KNOWN_FROM)}
        return lambda text: [known.get(character, 1) for character in as_text(text)]
    return lambda value: numbers(value, size)


def document(value: object, unit: str) -> str | bytes | np.ndarray | None:
    """A document as it is kept: a text or bytes, or tokens as an array; None where nothing stands there.

    Raises `ValueError` saying what a document of this unit should be.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if unit == "tokens":
        value = numbers(value)
    elif not isinstance(value, (str, bytes)):
        raise ValueError(f"a text is expected, found {type(value).__name__}; task.unit = tokens takes whole numbers")
    return value if len(value) else None


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def as_text(value: str | bytes) -> str:
    """A document as text."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def numbers(value: object, size: int = MOST_TOKENS) -> np.ndarray:
    """Tokens given as a list, an array, or a text of whole numbers. Raises `ValueError` for anything else."""
    if isinstance(value, str):
        try:
            value = [int(word) for word in value.replace(",", " ").strip(" []").split()]
        except ValueError:
            raise ValueError(f"whole numbers with blanks between them are expected, found {value[:40]!r}") from None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        array = np.empty((0, 0))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"a list of whole numbers is expected, found {str(value)[:40]}")
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < size:
        bad = int(array.min()) if array.min() < 0 else int(array.max())
        raise ValueError(f"token {bad} is not in 0..{size - 1}")
    return array.astype(np.int32)


def content(documents: Sequence[object]) -> bytes:
    """What tells one sample's documents from another's."""
    digest = hashlib.sha256()
    for document in documents:
        part = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else \
            bytes(document) if isinstance(document, (bytes, np.bytes_)) else np.asarray(document).tobytes()
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def divided(samples: Samples, *, validation: float, test: float, seed: int) -> list[str]:
    """The split of every sample: the one that is named, else drawn; equal documents always come into the same split.

    Drawn are validation and test where no sample is named to be of them, from those of train or without a name; which
    ones depends on their content and `seed` alone, not on the order of the file.
    """
    named = {name for name in samples.splits if name}
    found = [name or "train" for name in samples.splits]
    keys: dict[bytes, list[int]] = {}
    for row, name in enumerate(found):
        if name == "train":
            keys.setdefault(content([column[row] for column in samples.documents]), []).append(row)
    order = sorted(keys, key=lambda key: hashlib.sha256(str(seed).encode() + key).digest())
    free, begin = sum(map(len, keys.values())), 0
    for name, share in (("test", test), ("validation", validation)):
        if name in named:
            continue
        wanted, taken = max(1, round(share * free)), 0
        while taken < wanted and begin < len(order):
            for row in keys[order[begin]]:
                found[row] = name
            taken += len(keys[order[begin]])
            begin += 1
    if lacking := [name for name in SPLITS if name not in found]:
        file = samples.where[0]("").partition(", ")[0]
        raise UserError(f"{file}: " + (
            f"{len(samples)} samples with {len(order)} different documents leave none for {lacking[0]}; give more "
            "samples, or other shares with task.validation and task.test" if free else
            f"none of the {len(samples)} samples is said to be of train; name some of them train"))
    return found
