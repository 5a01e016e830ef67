"""Arrays that were given in Python, by the SHA-256 of their content: in this session, and in the cache for another."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from foundation.errors import UserError
from rmaat.tasks import cache
from rmaat.tasks.samples import Samples

_GIVEN: dict[str, Samples] = {}
FOLDER = "files/arrays"


def place(row: int) -> Callable[[str], str]:
    """Where a value of a sample stands, by its column."""
    return lambda column: f"the arrays given, sample {row}, {column}"


def keep(key: str, samples: Samples) -> None:
    """Keep documents, labels and splits."""
    _GIVEN[key] = samples
    arrays = {}
    for name, values in (*((f"document{k}", column) for k, column in enumerate(samples.documents)),
                         ("label", samples.labels), ("split", [split or "" for split in samples.splits])):
        kinds = set(map(type, values))
        kind = "int" if np.ndarray in kinds else "str" if all(issubclass(one, str) for one in kinds) else "bytes"
        parts = [_packed(value) for value in values]
        arrays[f"{name}.{kind}"] = np.frombuffer(b"".join(parts), np.uint8)
        arrays[f"{name}.offsets"] = np.cumsum([0] + [len(part) for part in parts], dtype=np.int64)
    if cache.stored(FOLDER, key) is None:
        cache.store(FOLDER, key, arrays)


def _packed(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else np.asarray(value).astype("<i4").tobytes()


def look_up(key: str) -> Samples:
    """What was given. Raises `UserError` where neither the session nor the cache has it."""
    if key in _GIVEN:
        return _GIVEN[key]
    arrays = cache.stored(FOLDER, key)
    if arrays is None:
        raise UserError(f"task files: the arrays with SHA-256 {key[:12]} are neither of this session nor in the cache; "
                        "call rmaat.tasks.files.from_arrays with them again")
    made = {}
    for column, _, kind in (name.rpartition(".") for name in arrays):
        if kind != "offsets":
            flat, offsets = arrays[f"{column}.{kind}"].tobytes(), arrays[f"{column}.offsets"].tolist()
            made[column] = [_unpacked(flat[begin:end], kind) for begin, end in pairwise(offsets)]
    documents = tuple(made[name] for name in ("document0", "document1") if name in made)
    _GIVEN[key] = Samples(documents, made["label"], [split or None for split in made["split"]],
                          [place(row) for row in range(len(made["label"]))])
    return _GIVEN[key]


def _unpacked(part: bytes, kind: str) -> object:
    if kind == "str":
        return part.decode("utf-8", "surrogatepass")
    return part if kind == "bytes" else np.frombuffer(part, "<i4")
