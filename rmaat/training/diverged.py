"""What made a training diverge: the step, its batch, its seeds and the weights before it, to look at, and to try again.

The tensors are in `diverged.safetensors`, the rest in `diverged.json`, which has the hash of both.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from foundation import sealed
from foundation.errors import DamagedFileError
from foundation.files import replacing, sha256_file
from rmaat.tasks.task import Batch
from rmaat.training.distributed import World

if TYPE_CHECKING:
    from rmaat.training.steps import Trainer

TOLD, TENSORS = "diverged.json", "diverged.safetensors"


@dataclass(frozen=True)
class Diverged:
    """A step (from 1) whose loss or gradient was not finite.

    `batch` are the samples at `indices` of the training split, over all processes; `seed` is the run's, and
    `torch_seeds` are those of torch before the step, by process. `weights` are the model's before the step.
    """

    step: int
    loss: str
    gradient_norm: str
    learning_rate: float
    seed: int
    torch_seeds: tuple[int, ...]
    indices: np.ndarray
    batch: Batch
    weights: dict[str, torch.Tensor]


def keep(trainer: "Trainer", loss: float, norm: float) -> Path:
    """Write down the step that `trainer` was about to do; returns the file to look at."""
    from safetensors.torch import save_file

    config, folder, size = trainer.config, trainer.run.folder, trainer.world.size
    split, indices = trainer.samples()
    tensors = {f"batch.{name}": value.contiguous() for name, value in split.batch(indices)._asdict().items()}
    tensors["indices"] = torch.as_tensor(np.array(indices, "i8"))
    tensors |= {f"model.{name}": value.detach().cpu().contiguous()
                for name, value in trainer.model.state_dict().items()}
    with replacing(folder / TENSORS, apart=True) as temporary:
        save_file(tensors, temporary)
    sealed.write(folder / TOLD, "diverged step", {
        "step": trainer.step + 1, "loss": str(loss), "gradient_norm": str(norm),
        "learning_rate": config.rate(trainer.step), "seed": config.seed,
        "torch_seeds": [World(rank, size).seed(config.seed, trainer.step) for rank in range(size)],
        "config": trainer.run.config, "record": trainer.run.record.hash, "file": TENSORS,
        "sha256": sha256_file(folder / TENSORS)})
    return folder / TOLD


def load(folder: str | Path) -> Diverged:
    """What `keep` wrote into a run's folder.

    Raises `UserError` where there is nothing, `DamagedFileError` for what is cut or altered.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    told = sealed.read(folder / TOLD, "diverged step")
    if not (folder / TENSORS).is_file() or sha256_file(folder / TENSORS) != told["sha256"]:
        raise DamagedFileError(f"{folder / TENSORS} is missing, or does not match its SHA-256 in {TOLD}")
    tensors = load_file(folder / TENSORS)
    batch = Batch(**{name: tensors[f"batch.{name}"] for name in Batch._fields})
    weights = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    return Diverged(told["step"], told["loss"], told["gradient_norm"], told["learning_rate"], told["seed"],
                    tuple(told["torch_seeds"]), tensors["indices"].numpy(), batch, weights)
