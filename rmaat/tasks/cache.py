"""Data that a task has made, kept for the next time: one file for one set of parameters, verified when it is read.

A cache that is damaged is made anew, and one that cannot be written costs time, not the run: both are said as a note.
"""

import contextlib
import hashlib
import json
import math
import mmap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from foundation.errors import UserError
from foundation.files import cache_folder, remove_leftovers, replacing
from foundation.lock import LOCK, locked, remove_left
from foundation.notes import Note, note
from foundation.sealed import hash_of

FORMAT = 1  # of the files; another one has other names
TYPES = {"U8": np.uint8, "I32": np.dtype("<i4"), "I64": np.dtype("<i8"), "F32": np.dtype("<f4")}  # of safetensors
MAX_HEADER = 1 << 20  # bytes; a few names and shapes are far below


class CacheNote(Note):
    """Something in the cache was damaged, or could not be kept."""


def cache_path(name: str, parameters: object, suffix: str = ".safetensors") -> Path:
    """Where what `name` made from `parameters` (JSON values) is kept: a file of the cache folder, named by their hash.

    `name` may have a folder before it, `"pathfinder/train"`.
    """
    key = hash_of([FORMAT, name, parameters])
    return cache_folder() / f"{name}-{key[:20]}{suffix}"


def kept(name: str, parameters: object, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `make()` gives for `parameters`: those in the cache, or made and put there.

    `parameters` are JSON values and say all that decides the arrays, the version of what makes them among it. Arrays
    are of uint8, int32, int64 or float32; those from the cache are mapped, not loaded, and cannot be written to. What
    another process is making is waited for, not made twice. Raises only what `make` raises.
    """
    arrays = stored(name, parameters)
    if arrays is not None:
        tidy(name, parameters)
        return arrays
    with making(name, parameters):
        arrays = stored(name, parameters, again=True)
        if arrays is None:
            arrays = {key: np.ascontiguousarray(array) for key, array in make().items()}
            store(name, parameters, arrays)
    return arrays


@contextlib.contextmanager
def making(name: str, parameters: object) -> Iterator[None]:
    """Inside, no other process of this machine makes what `name` gives for these parameters; the second one waits.

    Where the cache cannot be written to, nobody waits and each makes its own. Look again what is `stored` once inside.
    """
    path = _lock(name, parameters)
    with locked(path, f"making {name}", wait=True):
        remove_leftovers(path.parent, f".{Path(name).name}-")
        yield


def tidy(name: str, parameters: object) -> None:
    """Remove the lock of a process that was killed after it had made everything."""
    remove_left(_lock(name, parameters))


def _lock(name: str, parameters: object) -> Path:
    path = cache_path(name, parameters)
    return path.with_name(f".{path.name}{LOCK}")


def stored(name: str, parameters: object, *, again: bool = False) -> dict[str, np.ndarray] | None:
    """The arrays in the cache; None, with a note where a file is damaged, when there are none that are whole.

    again: what is damaged was said before.
    """
    path = cache_path(name, parameters)
    if not path.is_file():
        return None
    try:
        arrays, digest = _read(path)
        if digest != _digest(arrays, path.name):
            raise ValueError("content does not match its SHA-256")
    except Exception as error:  # whatever its bytes lead to
        if not again:
            note(CacheNote, f"{path} is damaged ({error}); what it held is made anew")
        return None
    return arrays


def store(name: str, parameters: object, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays into the cache; a note says where that does not succeed."""
    from safetensors.numpy import save_file

    path = cache_path(name, parameters)
    try:
        with replacing(path, needs=sum(array.nbytes for array in arrays.values()), apart=True) as temporary:
            save_file(dict(arrays), temporary, metadata={"sha256": _digest(arrays, path.name)})
    except (UserError, OSError) as error:
        note(CacheNote, f"{name}: not cached ({error})")


def _digest(arrays: Mapping[str, np.ndarray], key: str) -> str:
    """SHA-256 over names, types, shapes and values, and over what the file is for: one may not stand for another."""
    digest = hashlib.sha256(key.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(memoryview(array).cast("B") if array.size else b"")
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Arrays of a safetensors file, mapped, and the digest that it gives. Raises `ValueError` where it is not whole."""
    with open(path, "rb") as stream:
        whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(whole[:8], "little")
    if not 2 <= length <= min(MAX_HEADER, len(whole) - 8):
        raise ValueError("no header")
    header, start = json.loads(whole[8:8 + length]), 8 + length
    digest, arrays = header.pop("__metadata__")["sha256"], {}
    for name, entry in header.items():
        kind, shape, (begin, end) = np.dtype(TYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
        count = math.prod(shape)
        if min(shape, default=0) < 0 or end - begin != count * kind.itemsize or begin < 0:
            raise ValueError(f"{name} does not fit")
        flat = np.frombuffer(whole, kind, count, start + begin) if count else np.empty(0, kind)
        arrays[name] = flat.reshape(shape)
    return arrays, digest
