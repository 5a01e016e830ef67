"""The instruments of the benchmarks: peak bytes at torch's allocator, time in turns, copy bandwidth, conditions."""

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from foundation.errors import choose
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure, refuse_too_large_a_batch

SHAPE = ModelConfig(vocab_size=256, num_classes=10, segment_length=128, num_segments=1, width=64)
PRECISION = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MIB = 2**20


def clock(device: str) -> Callable[[], float]:
    """Seconds: with one thread on a CPU those of the processor, which other programs disturb least; else of the wall.

    On CUDA, after all that was asked of the device is done.
    """
    if torch.device(device).type == "cuda":
        return lambda: (torch.cuda.synchronize(device), time.perf_counter())[1]
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def in_turns(runs: Mapping[str, Callable[[], object]], repeats: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each run, in turns so that all meet the same machine; one more does not count.

    Every other turn goes backwards, so that none of them always comes after the one that leaves the caches cold.
    """
    found, now = {name: [] for name in runs}, clock(device)
    for count in range(repeats + 1):
        for name, run in list(runs.items())[::-1 if count % 2 else 1]:
            start = now()
            run()
            seconds = now() - start
            if count:
                found[name].append(seconds)
    return found


def copy_bandwidth(device: str = "cpu", nbytes: int = 256 * MIB, repeats: int = 5) -> float:
    """Bytes a second, read and written, that this device moves at best: the fastest of some large copies."""
    source = torch.ones(nbytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * nbytes / min(in_turns({"copy": lambda: target.copy_(source)}, repeats, device)["copy"])


@dataclass(frozen=True)
class Bench:
    """Sizes and machine of one measurement; runs differ from `shape` in the fields given.

    `precision` other than fp32 runs the forward pass under autocast. Raises `UserError` for an unknown precision.
    """

    shape: ModelConfig = SHAPE
    batch: int = 8
    repeats: int = 5
    device: str = "cpu"
    precision: str = "fp32"

    def __post_init__(self):
        choose("precision", self.precision, PRECISION)

    @cached_property
    def biology(self) -> Biology:
        """The committed record."""
        return Biology.load()

    def autocast(self) -> torch.autocast:
        """The context of the forward pass, by `precision`."""
        dtype = PRECISION[self.precision]
        return torch.autocast(self.device, dtype, enabled=dtype != torch.float32)

    def model(self, num_segments: int, **fields) -> RMAAT:
        """A network of `shape` with T = num_segments and the fields given; the same weights every time."""
        torch.manual_seed(0)
        return RMAAT(replace(self.shape, num_segments=num_segments, **fields), self.biology).to(self.device)

    def sequences(self, config: ModelConfig, *, graph: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """Random tokens [batch, max_length] and their lengths. Raises `ResourceError` where a pass over them has no
        room in memory."""
        if torch.device(self.device).type == "cpu":
            refuse_too_large_a_batch(config, self.batch, config.max_length, given=f"--batch {self.batch}", graph=graph)
        return (torch.randint(config.vocab_size, (self.batch, config.max_length), device=self.device),
                torch.full((self.batch,), config.max_length, device=self.device))

    def step(self, num_segments: int, **fields) -> Callable[[], None]:
        """A training step (forward and backward pass, no optimizer), run once already."""
        return self.step_of(self.model(num_segments, **fields))

    def step_of(self, model: RMAAT) -> Callable[[], None]:
        """The step of a model at hand, run once already."""
        config = model.config
        tokens, lengths = self.sequences(config)
        labels = torch.randint(config.num_classes, (self.batch,), device=self.device)

        def run() -> None:
            with self.autocast():
                logits = model(tokens, lengths)
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            model.zero_grad(set_to_none=True)

        run()
        return run

    def forward(self, num_segments: int, **fields) -> Callable[[], None]:
        """A forward pass without graph, as AMRB runs every segment but the kept ones first."""
        model = self.model(num_segments, **fields)
        tokens, lengths = self.sequences(model.config, graph=False)

        def run() -> None:
            with torch.no_grad(), self.autocast():
                model(tokens, lengths)

        return run

    def peak(self, num_segments: int, **fields) -> int:
        """Peak bytes of one training step, above what was in use before."""
        return measure(self.step(num_segments, **fields), self.device)

    def seconds(self, num_segments: int, variants: Mapping[str, Mapping]) -> dict[str, list[float]]:
        """Seconds of the steps with the fields of each variant, in turns."""
        return in_turns({name: self.step(num_segments, **fields) for name, fields in variants.items()}, self.repeats,
                        self.device)

    def conditions(self) -> dict[str, str | int]:
        """What a figure needs to be compared with another."""
        device = torch.cuda.get_device_name(self.device) if torch.device(self.device).type == "cuda" else _processor()
        return {"device": device, "threads": torch.get_num_threads(), "precision": self.precision,
                "batch": self.batch, "width": self.shape.width, "layers": self.shape.layers,
                "heads": self.shape.heads, "memory tokens": self.shape.num_memory_tokens, "repeats": self.repeats,
                "time": "CPU seconds" if clock(self.device) is time.process_time else "seconds",
                "freed memory": "kept for the next segment, as in training",
                "load at the start": f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores",
                "torch": torch.__version__, "Python": platform.python_version(),
                "record": self.biology.record.hash[:12]}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def line(points: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Least-squares a and b of y = a + b x."""
    x, y = torch.tensor(list(points), dtype=torch.float64).T
    solution = torch.linalg.lstsq(torch.stack([torch.ones_like(x), x], 1), y[:, None]).solution
    return float(solution[0, 0]), float(solution[1, 0])


def peaks(bench: Bench, segments: Sequence[int], variants: Mapping[str, Mapping]) -> dict[int, dict[str, int]]:
    """Peak bytes of a training step by number of segments and variant."""
    return {t: {name: bench.peak(t, **fields) for name, fields in variants.items()} for t in segments}
