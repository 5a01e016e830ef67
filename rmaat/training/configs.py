"""The experiments by name: each a function that returns one complete frozen config. An ablation is `replace` on it."""

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType

from foundation.errors import UserError
from foundation.outside import find
from rmaat.tasks.fashion import Fashion
from rmaat.tasks.image import Image
from rmaat.tasks.listops import ListOps
from rmaat.tasks.manpages import Manpages
from rmaat.tasks.next_byte import NextByte
from rmaat.tasks.recall import Recall
from rmaat.tasks.retrieval import Retrieval
from rmaat.tasks.text import Text
from rmaat.training.configs_generated import GENERATED
from rmaat.training.experiment import Experiment, TrainConfig, experiment
from rmaat.training.settings import change
from rmaat.training.variants import BASELINES, DEFAULT, Change, variant, with_variant


def recall() -> Experiment:
    """Recall over 8 segments of 16 tokens: at least 99 % within a minute of one core; memory reset stays at chance."""
    return experiment("recall", Recall(num_segments=8), TrainConfig(steps=220, evaluate_every=20), segment_length=16)


def recall_small() -> Experiment:
    """Recall over 4 segments: the quickest sign that the memory carries."""
    train = TrainConfig(steps=220, evaluate_every=20)
    return experiment("recall_small", Recall(num_segments=4), train, segment_length=16)


def listops() -> Experiment:
    """ListOps with the benchmark's sizes, half of its trees: 40 % after 13 minutes of one core."""
    train = TrainConfig(steps=1_500, batch_size=32, bucket_batches=32, warmup=100, evaluate_every=150,
                        evaluate_samples=1_000, checkpoint_every=150)
    return experiment("listops", ListOps(), train, segment_length=250, width=64, layers=2, heads=4,
                      num_memory_tokens=8, mixing="ngrams", readout="ends", readout_parts=10, head="features")


def listops_small() -> Experiment:
    """A few steps of ListOps on 2,000 trees: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, learning_rate=1e-3, warmup=5, evaluate_every=15, evaluate_samples=100,
                        checkpoint_every=15)
    return experiment("listops_small", ListOps(train=2_000, validation=200, test=500), train, segment_length=250)


def fashion_small() -> Experiment:
    """Fashion-MNIST as 1,024 tokens in 8 segments: 87 % of the test images after 17 minutes of one core."""
    train = TrainConfig(steps=1_700, batch_size=32, warmup=50, evaluate_every=170, evaluate_samples=1_000,
                        checkpoint_every=100)
    return experiment("fashion_small", Fashion(), train, segment_length=128, width=64, layers=2, heads=4,
                      num_memory_tokens=8, mixing="window", readout="by_segment", readout_parts=32, head="features")


def fashion_smoke() -> Experiment:
    """A short version of fashion_small for a continuous check: a minute, well above the majority."""
    train = TrainConfig(steps=150, batch_size=32, warmup=20, evaluate_every=50, evaluate_samples=500,
                        checkpoint_every=50)
    return experiment("fashion_smoke", Fashion(), train, segment_length=128)


def text() -> Experiment:
    """IMDB reviews of up to 4,096 bytes in 8 segments, three times through. Once through took 807 CPU-seconds."""
    train = TrainConfig(steps=2_100, batch_size=32, bucket_batches=32, warmup=100, evaluate_every=350,
                        evaluate_samples=2_500, checkpoint_every=100)
    return experiment("text", Text(), train, segment_length=512, width=64, layers=2, heads=4, num_memory_tokens=8,
                      mixing="ngrams", readout="pooled", head="features")


def text_small() -> Experiment:
    """A few steps on the first 512 bytes of the reviews: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, warmup=5, evaluate_every=15, evaluate_samples=100, checkpoint_every=15)
    return experiment("text_small", Text(max_length=512), train, segment_length=128)


def image() -> Experiment:
    """CIFAR-10 in grey, 1,024 values in 8 segments, nine times through: 64.8 % after two hours of one core."""
    train = TrainConfig(steps=12_650, batch_size=32, warmup=300, evaluate_every=1_265, evaluate_samples=2_000,
                        checkpoint_every=200)
    return experiment("image", Image(), train, segment_length=128, width=64, layers=2, heads=4, num_memory_tokens=8,
                      dropout=.1, mixing="window", readout="by_segment", readout_parts=8, head="features")


def image_small() -> Experiment:
    """A few steps of image: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, warmup=5, evaluate_every=15, evaluate_samples=100, checkpoint_every=15)
    return experiment("image_small", Image(), train, segment_length=128)


def retrieval() -> Experiment:
    """Pairs of papers of up to 4,000 bytes each in 8 segments, through one network. Many hours on a CPU."""
    train = TrainConfig(steps=20_000, batch_size=32, learning_rate=1e-3, warmup=500, evaluate_every=1_000,
                        evaluate_samples=2_000, checkpoint_every=250)
    return experiment("retrieval", Retrieval(), train, segment_length=500, width=128, layers=4, heads=4,
                      num_memory_tokens=16, dropout=.1)


def retrieval_small() -> Experiment:
    """A few steps on the first 256 bytes of both papers: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, warmup=5, evaluate_every=15, evaluate_samples=100, checkpoint_every=15)
    return experiment("retrieval_small", Retrieval(max_length=256), train, segment_length=64)


def manpages() -> Experiment:
    """Pairs of manual pages of up to 2,048 bytes each in 8 segments, ten times through. Hours on a CPU."""
    train = TrainConfig(steps=3_700, batch_size=32, learning_rate=1e-3, warmup=300, evaluate_every=370,
                        evaluate_samples=2_000, checkpoint_every=185)
    return experiment("manpages", Manpages(), train, segment_length=256, width=128, layers=4, heads=4,
                      num_memory_tokens=16, dropout=.1)


def manpages_small() -> Experiment:
    """A few steps on the first 256 bytes of both pages: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, warmup=5, evaluate_every=15, evaluate_samples=100, checkpoint_every=15)
    return experiment("manpages_small", Manpages(max_length=256), train, segment_length=64)


def next_byte() -> Experiment:
    """A byte-level language model on the file that --data names, 1,024 bytes in 8 segments. Hours on a CPU."""
    train = TrainConfig(steps=10_000, batch_size=32, learning_rate=2e-3, warmup=200, evaluate_every=500,
                        evaluate_samples=500, checkpoint_every=250)
    return experiment("next_byte", NextByte(), train, segment_length=128, width=128, layers=4, heads=4,
                      num_memory_tokens=8)


def next_byte_small() -> Experiment:
    """A few steps of next_byte on samples of 128 bytes: shows that the chain works, not how good the model is."""
    train = TrainConfig(steps=30, batch_size=16, learning_rate=5e-3, warmup=5, evaluate_every=15, evaluate_samples=100,
                        checkpoint_every=15)
    return experiment("next_byte_small", NextByte(length=128), train, segment_length=32)


CONFIGS: dict[str, Callable[[], Experiment]] = {
    "recall": recall, "recall_small": recall_small, "listops": listops, "listops_small": listops_small,
    "fashion_small": fashion_small, "fashion_smoke": fashion_smoke,
    "text": text, "text_small": text_small, "image": image, "image_small": image_small,
    "retrieval": retrieval, "retrieval_small": retrieval_small,
    "manpages": manpages, "manpages_small": manpages_small,
    "next_byte": next_byte, "next_byte_small": next_byte_small,
    **GENERATED, **{f"recall_{name}": variant(name, recall) for name in BASELINES}}


def find_experiment(given: str | Experiment | Callable[[], Experiment],
                    changes: Iterable[str] | Mapping[str, object] = (), *,
                    variant: str | Change = DEFAULT) -> Experiment:
    """An experiment from itself, from a function that returns one, or from the name of a config or `file.py:NAME`.

    `changes` are as `change` takes them, `variant` as `with_variant` does; it begins from the changed experiment.
    Raises `UserError` for an unknown name, for what is no experiment, and for a change that the variant would undo.
    """
    if isinstance(given, str):
        given = find("config", given, CONFIGS, of=(Experiment, FunctionType))
    made = given if isinstance(given, Experiment) else given() if callable(given) else given
    if not isinstance(made, Experiment):
        raise UserError(f"{getattr(given, '__name__', given)!r} gives a {type(made).__name__}; a config is an "
                        "Experiment, or a function without arguments that returns one")
    changes = changes if isinstance(changes, Mapping) else list(changes)
    made = change(made, changes) if changes else made
    other = with_variant(made, variant)
    _check_kept(made, other, changes)
    return other


def _check_kept(made: Experiment, other: Experiment, changes: Iterable[str]) -> None:
    """Raises `UserError` where a variant has undone a change; into how many segments it cuts is its own affair."""
    for field in changes:
        part, _, name = field.partition("=")[0].strip().rpartition(".")
        if part not in ("", "model") or name == "segment_length" or not hasattr(made.model, name):
            continue
        given, now = getattr(made.model, name), getattr(other.model, name)
        if given != now:
            raise UserError(f"model.{name} = {given}: {other.name} has {now} in its place; leave --set {name} out, or "
                            "take another variant")
