"""Configs of tasks that make their own data (Pathfinder; copy, pairs, parity), and of a user's own files."""

from collections.abc import Callable

from rmaat.tasks.copy import Copy
from rmaat.tasks.files import Files
from rmaat.tasks.pairs import Pairs
from rmaat.tasks.parity import Parity
from rmaat.tasks.pathfinder import Pathfinder
from rmaat.training.experiment import Experiment, TrainConfig, experiment


def _train(steps: int, every: int) -> TrainConfig:
    return TrainConfig(steps=steps, learning_rate=3e-3, warmup=50, evaluate_every=every, checkpoint_every=every)


def copy() -> Experiment:
    """A word of 4 symbols over 8 segments, one of them asked for at the end; not known to be learned in these steps."""
    return experiment("copy", Copy(), _train(4_000, 200), segment_length=16)


def copy_small() -> Experiment:
    """A word of 2 symbols over 2 segments for a few steps: shows that the chain works, not that it is learned."""
    return experiment("copy_small", Copy(num_segments=2, word=2), _train(60, 30), segment_length=16)


def pairs() -> Experiment:
    """Four keys with values in 7 segments, the value of one asked for in the eighth; not known to be learned."""
    return experiment("pairs", Pairs(), _train(4_000, 200), segment_length=16)


def pairs_small() -> Experiment:
    """Two keys with values in the first of 2 segments for a few steps: shows that the chain works."""
    return experiment("pairs_small", Pairs(num_segments=2, pairs=2), _train(60, 30), segment_length=16)


def parity() -> Experiment:
    """The parity of the first tokens of 4 segments: the memory is changed by all; not known to be learned."""
    return experiment("parity", Parity(), _train(4_000, 200), segment_length=16)


def parity_small() -> Experiment:
    """The parity of the first tokens of 2 segments for a few steps: shows that the chain works."""
    return experiment("parity_small", Parity(num_segments=2), _train(60, 30), segment_length=16)


def pathfinder() -> Experiment:
    """Pathfinder32, hard, 1,024 pixels in 2 segments, after shorter contours. Three hours of one core, with images."""
    train = TrainConfig(steps=18_000, batch_size=32, warmup=100, evaluate_every=500, evaluate_samples=2_000,
                        checkpoint_every=500, curriculum="difficulty=3:700,4:700,5:900,easy:2200,intermediate:2500")
    return experiment("pathfinder", Pathfinder(), train, segment_length=512, layers=1, heads=4, num_memory_tokens=8,
                      mixing="convolution_2d", readout="largest", head="features")


def pathfinder_small() -> Experiment:
    """A few steps of Pathfinder32, easy, on 400 images: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=20, batch_size=16, warmup=5, evaluate_every=10, evaluate_samples=50, checkpoint_every=10)
    return experiment("pathfinder_small", Pathfinder(difficulty="easy", train=400, validation=50, test=100), train,
                      segment_length=256)


def pathx() -> Experiment:
    """Path-X: Pathfinder128, hard, 16,384 grey values in 32 segments. Days on a CPU."""
    train = TrainConfig(steps=50_000, batch_size=32, learning_rate=1e-3, warmup=1_000, evaluate_every=1_000,
                        evaluate_samples=1_000, checkpoint_every=500)
    return experiment("pathx", Pathfinder(side=128), train, segment_length=512, width=128, layers=4, heads=4,
                      num_memory_tokens=16)


def files() -> Experiment:
    """Your own data, --data FILE: documents of up to 1,024 bytes in 8 segments. Minutes of one core."""
    train = TrainConfig(steps=1_000, batch_size=32, warmup=50, evaluate_every=100, checkpoint_every=100)
    return experiment("files", Files(), train, segment_length=128, width=48, heads=3, num_memory_tokens=8)


def files_small() -> Experiment:
    """Your own data for a few steps: shows that they are read, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, warmup=5, evaluate_every=15, evaluate_samples=100, checkpoint_every=15)
    return experiment("files_small", Files(max_length=256), train, segment_length=64)


GENERATED: dict[str, Callable[[], Experiment]] = {
    "copy": copy, "copy_small": copy_small, "pairs": pairs, "pairs_small": pairs_small, "parity": parity,
    "parity_small": parity_small, "pathfinder": pathfinder, "pathfinder_small": pathfinder_small, "pathx": pathx,
    "files": files, "files_small": files_small}
