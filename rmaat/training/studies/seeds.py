"""The same training with several seeds, one after the other: folders seed0, seed1, ... and the interval over them."""

from collections.abc import Sequence
from pathlib import Path

from foundation.errors import UserError
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import Experiment
from rmaat.training.result import Result
from rmaat.training.trainer import train


def seeds_of(text: str) -> list[int]:
    """Seeds of a text like `0,1,2`. Raises `UserError` for another one."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise UserError(f"--seeds {text}: give different whole numbers separated by commas, as 0,1,2")
    return [int(part) for part in parts]


def train_seeds(experiment: Experiment, out: str | Path, seeds: Sequence[int], **options) -> list[Result | None]:
    """`train` for every seed, in `out/seed0` and so on; `options` as there. Raises what `train` raises."""
    made = [find_experiment(experiment, {"train.seed": seed}) for seed in seeds]
    return [train(one, Path(out) / f"seed{seed}", **options) for one, seed in zip(made, seeds, strict=True)]
