"""Checkpoints that survive a kill: tensors as safetensors, the rest as JSON, both hashed, nothing ever unpickled.

The safetensors file is written first under a new name; then `checkpoint.json`, which names it and its SHA-256, takes
the place of the older one, which stays as `checkpoint.before.json` with its file. So `checkpoint.json` names a whole
file at every moment, one that is damaged later has another behind it, and a reader that has just read the older pointer
still finds what it names.
"""

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from foundation import reading, sealed
from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.files import replacing, sha256_file, write_text
from foundation.notes import Note, note

POINTER = "checkpoint.json"
BEFORE = "checkpoint.before.json"
MOST_BYTES = 1_000_000  # of the pointer
SCHEMA = 1
LEFT = ("checkpoint-*.safetensors", ".checkpoint*.part")
FIELDS = ("schema", "step", "file", "sha256", "config", "record", "hash")


class FallenBack(Note):
    """The last checkpoint is damaged, and the one before was taken."""


class _OtherRunError(DamagedFileError):
    """A whole checkpoint, of another run."""


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps: all tensors by name, and the hashes of the config and record that it belongs to."""

    step: int
    tensors: dict[str, torch.Tensor]
    config: str
    record: str
    fell_back: bool = False  # to the one before, as the last one is damaged


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` into `folder`, where the one before stays and older ones go.

    Raises `ResourceError` when the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    name = f"checkpoint-{checkpoint.step:08d}.safetensors"
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in checkpoint.tensors.items()}
    try:
        with replacing(folder / name, needs=sum(tensor.nbytes for tensor in tensors.values()), apart=True) as temporary:
            save_file(tensors, temporary)  # no metadata: its order is chance, and equal states should be equal files
    except (SafetensorError, OSError, ResourceError) as error:
        said = str(error) if isinstance(error, ResourceError) else f"cannot write {folder / name} ({error})"
        raise ResourceError(f"{said}; the checkpoint before is whole: go on with --resume") from error
    body = {"schema": SCHEMA, "step": checkpoint.step, "file": name, "sha256": sha256_file(folder / name),
            "config": checkpoint.config, "record": checkpoint.record}
    _turn_over(folder, checkpoint.step)
    write_text(folder / POINTER, json.dumps(body | {"hash": sealed.hash_of(body)}, indent=1) + "\n")
    tidy(folder)


def tidy(folder: Path) -> None:
    """Remove what neither pointer names: older states, and what a process that was killed has left.

    For whoever writes in the folder. Where a pointer cannot be read nothing is removed.
    """
    named = []
    for pointer in (folder / POINTER, folder / BEFORE):
        if pointer.exists():
            try:
                named.append(_pointer(pointer)["file"])
            except UserError:
                return
    for old in [old for pattern in LEFT for old in folder.glob(pattern)]:
        if old.name not in named:
            with contextlib.suppress(OSError):
                shutil.rmtree(old) if old.is_dir() else old.unlink()


def _turn_over(folder: Path, step: int) -> None:
    """Let the last checkpoint become the one before the one of `step`."""
    for pointer in (folder / POINTER, folder / BEFORE):
        with contextlib.suppress(UserError):
            body = _pointer(pointer)
            if body["step"] != step and (folder / body["file"]).is_file():
                if pointer.name == POINTER:
                    write_text(folder / BEFORE, _text(pointer))
                return


def exists(folder: Path) -> bool:
    """Whether a run folder has a checkpoint."""
    return (folder / POINTER).exists() or (folder / BEFORE).exists()


def load(folder: Path, config: str | Sequence[str], record: str) -> Checkpoint:
    """Read and verify the last checkpoint in `folder`; `config`, one of several, and `record` are the hashes it has.

    A writer may save meanwhile. Where the last one is damaged, it is the one before, and a note says so. Raises
    `UserError` when there is none, `DamagedFileError` when both are cut, altered or of another run.
    """
    configs = [config] if isinstance(config, str) else list(config)
    read = problem = None
    while (now := _text(folder / POINTER)) != read:
        read = now
        try:
            return _load(folder / POINTER, configs, record)
        except _OtherRunError:
            raise
        except UserError as error:
            problem = error  # a writer has turned the page, or it is damaged
    return _fallen_back(folder, configs, record, problem)


def _fallen_back(folder: Path, configs: Sequence[str], record: str, problem: UserError) -> Checkpoint:
    if not (folder / BEFORE).exists():
        raise problem
    try:
        found = _load(folder / BEFORE, configs, record)
    except UserError:
        raise problem from None
    note(FallenBack, f"{problem}; taken is the checkpoint before, of step {found.step}")
    return replace(found, fell_back=True)


def take_the_one_before(folder: Path) -> None:
    """Make the checkpoint before the last one, as training goes on from there."""
    write_text(folder / POINTER, _text(folder / BEFORE))


def _text(path: Path) -> str:
    """What stands in a pointer, to see whether somebody has written it since."""
    try:
        return reading.read_text(path, "checkpoint", MOST_BYTES)
    except UserError as error:
        return str(error)


def _load(pointer: Path, configs: Sequence[str], record: str) -> Checkpoint:
    from safetensors import SafetensorError

    body = _pointer(pointer)
    for kind, ours in (("config", configs), ("record", [record])):
        if body[kind] not in ours:
            raise _OtherRunError(f"{pointer} belongs to the {kind} {body[kind][:12]}, this run has "
                                 f"{ours[0][:12]}; the folder mixes two runs")
    path = pointer.parent / body["file"]
    missing = f"{path} is missing though {pointer.name} names it; restore it or start anew"
    if not path.is_file():
        raise DamagedFileError(missing)
    try:
        if sha256_file(path) != body["sha256"]:
            raise DamagedFileError(f"{path} does not match its SHA-256 in {pointer.name}: cut or altered")
        return Checkpoint(body["step"], _tensors(path), body["config"], body["record"])
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path}: not a safetensors file ({error})") from error
    except RuntimeError as error:  # torch opens it once more, and a writer may have removed it meanwhile
        if path.is_file():
            raise
        raise DamagedFileError(missing) from error


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds, whatever its path: the library itself takes UTF-8 alone."""
    from safetensors.torch import load, load_file

    try:
        str(path).encode()
    except UnicodeEncodeError:
        return load(reading.read_bytes(path, "checkpoint", path.stat().st_size))
    return load_file(path)


def fill(model: torch.nn.Module, saved: Checkpoint, folder: Path) -> None:
    """Put the checkpoint's weights into `model`; raises `DamagedFileError` when names or shapes are not the model's."""
    weights = {name.removeprefix("model."): value for name, value in saved.tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedFileError(f"the checkpoint in {folder} does not fit its config: {error}") from error



def _pointer(path: Path) -> dict:
    if not path.exists():
        raise UserError(f"no checkpoint in {path.parent}: the run has not reached its first one; "
                        "go on with 'train ... --resume'")
    try:
        body = reading.read_json(path, "checkpoint", MOST_BYTES)
    except UserError as error:
        raise DamagedFileError(f"{path}: unreadable ({error})") from error
    if not isinstance(body, dict) or set(body) != set(FIELDS) or body["schema"] != SCHEMA:
        raise DamagedFileError(f"{path}: not a checkpoint of schema {SCHEMA}")
    if not sealed.matches(body.pop("hash"), body):
        raise DamagedFileError(f"{path} does not match its own hash: altered")
    if type(body["step"]) is not int or not all(isinstance(body[key], str) for key in ("file", "config", "record")):
        raise DamagedFileError(f"{path}: a field is of the wrong type")
    if Path(body["file"]).name != body["file"]:
        raise DamagedFileError(f"{path}: file {body['file']!r} is not a plain name")
    return body
