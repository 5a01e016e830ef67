"""Checkpoints that survive a kill: tensors as safetensors, the rest as JSON, both hashed, nothing ever unpickled.

The safetensors file is written first under a new name; then `checkpoint.json`, which names it and its SHA-256, takes
the place of the older one. At every moment `checkpoint.json` names a whole file.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from foundation import reading
from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.files import canonical_json, replacing, sha256_bytes, sha256_file, write_text

POINTER = "checkpoint.json"
MOST_BYTES = 1_000_000  # of the pointer
SCHEMA = 1
FIELDS = ("schema", "step", "file", "sha256", "config", "record", "hash")


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps: all tensors by name, and the hashes of the config and record that it belongs to."""

    step: int
    tensors: dict[str, torch.Tensor]
    config: str
    record: str


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` into `folder` and remove the one before. Raises `ResourceError` when the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    name = f"checkpoint-{checkpoint.step:08d}.safetensors"
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in checkpoint.tensors.items()}
    try:
        with replacing(folder / name) as temporary:
            save_file(tensors, temporary)  # no metadata: its order is chance, and equal states should be equal files
    except (SafetensorError, OSError, ResourceError) as error:
        raise ResourceError(f"cannot write {folder / name} ({error}); the checkpoint before is whole: make room and go "
                            "on with --resume") from error
    body = {"schema": SCHEMA, "step": checkpoint.step, "file": name, "sha256": sha256_file(folder / name),
            "config": checkpoint.config, "record": checkpoint.record}
    write_text(folder / POINTER, json.dumps(body | {"hash": _hash(body)}, indent=1) + "\n")
    for old in [*folder.glob("checkpoint-*.safetensors"), *folder.glob(".checkpoint*.part")]:
        if old.name != name:
            with contextlib.suppress(OSError):
                old.unlink()


def exists(folder: Path) -> bool:
    """Whether a run folder has a checkpoint."""
    return (folder / POINTER).exists()


def load(folder: Path, config: str, record: str) -> Checkpoint:
    """Read and verify the checkpoint in `folder`; `config` and `record` are the hashes it must belong to.

    Raises `UserError` when there is none, `DamagedFileError` when it is cut, altered or of another run.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    body = _pointer(folder / POINTER)
    for kind, ours in (("config", config), ("record", record)):
        if body[kind] != ours:
            raise DamagedFileError(f"{folder / POINTER} belongs to the {kind} {body[kind][:12]}, this run has "
                                   f"{ours[:12]}; the folder mixes two runs")
    path = folder / body["file"]
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing though {POINTER} names it; restore it or start anew")
    if sha256_file(path) != body["sha256"]:
        raise DamagedFileError(f"{path} does not match its SHA-256 in {POINTER}: cut or altered")
    try:
        return Checkpoint(body["step"], load_file(path), body["config"], body["record"])
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path}: not a safetensors file ({error})") from error


def fill(model: torch.nn.Module, saved: Checkpoint, folder: Path) -> None:
    """Put the checkpoint's weights into `model`; raises `DamagedFileError` when names or shapes are not the model's."""
    weights = {name.removeprefix("model."): value for name, value in saved.tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedFileError(f"the checkpoint in {folder} does not fit its config: {error}") from error


def _hash(body: dict) -> str:
    return sha256_bytes(canonical_json(body).encode())


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
    if body.pop("hash") != _hash(body):
        raise DamagedFileError(f"{path} does not match its own hash: altered")
    if type(body["step"]) is not int or not all(isinstance(body[key], str) for key in ("file", "config", "record")):
        raise DamagedFileError(f"{path}: a field is of the wrong type")
    if Path(body["file"]).name != body["file"]:
        raise DamagedFileError(f"{path}: file {body['file']!r} is not a plain name")
    return body
