"""What AMRB promises, measured: one row a promise with target, measured value, and whether it is met."""

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from foundation.errors import ResourceError
from rmaat.benchmark import SHAPE, Row, _seconds, _training_step, measure, slope
from rmaat.biology import Biology
from rmaat.model import RMAAT, ModelConfig


@dataclass(frozen=True)
class Target:
    """One promise; `at_most` says on which side of `bound` the measured value should lie."""

    what: str
    bound: float
    measured: float
    unit: str = ""
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


@dataclass(frozen=True)
class Bench:
    """Sizes and machine of one measurement; runs differ from `shape` in the fields given."""

    shape: ModelConfig = SHAPE
    batch: int = 8
    repeats: int = 5
    device: str = "cpu"

    def step(self, num_segments: int, **fields) -> Callable[[], None]:
        """A training step, run once already."""
        run = _training_step(replace(self.shape, num_segments=num_segments, **fields), self.batch, self.device,
                             Biology.load())
        run()
        return run

    def peak(self, num_segments: int, **fields) -> int:
        return measure(self.step(num_segments, **fields), self.device)

    def ratio(self, ours: dict, theirs: dict, num_segments: int = 8) -> float:
        """Median over `repeats` of time over time, the two taking turns."""
        runs = [self.step(num_segments, **fields) for fields in (ours, theirs)]
        return statistics.median(_seconds(runs[0], self.device) / _seconds(runs[1], self.device)
                                 for _ in range(self.repeats))


def check_gradients(shape: ModelConfig) -> None:
    """A fast wrong gradient is worth nothing. Raises `ResourceError` where AMRB's is not that of BPTT."""
    grads = []
    for gradient in ("bptt", "amrb"):
        torch.manual_seed(0)
        model = RMAAT(replace(shape, num_segments=3, segment_length=8, gradient=gradient, dropout=.1),
                      Biology.load()).double()
        model(torch.randint(shape.vocab_size, (2, 24)), torch.tensor([24, 24])).square().sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    if not (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm():
        raise ResourceError("the gradients of amrb and bptt differ on this machine: nothing is measured")


def bytes_rows(bench: Bench) -> Iterator[Target]:
    """Peak bytes at torch's allocator, over the parameters."""
    state = bench.batch * bench.shape.num_memory_tokens * bench.shape.width * 4
    peaks = {t: bench.peak(t) for t in (8, 16, 32)}
    a, b = slope([Row(t, {"amrb": peak}, {}) for t, peak in peaks.items()], "amrb")
    yield Target("peak = a + b T: b over B M d x 4 bytes", 1.05, b / state)
    one, all_ = (bench.peak(t, gradient="bptt", unread="full") for t in (1, 32))
    yield Target("a over the peak of BPTT at T = 1", 1.05, a / one)
    full = [Row(t, {"amrb": bench.peak(t, unread="full")}, {}) for t in (8, 32)]
    yield Target("the same, not pruned", 1.05, slope(full, "amrb")[0] / one)
    four = {"layers": 4}
    layer = [Row(t, {"amrb": bench.peak(t, replay="layer", **four)}, {}) for t in (8, 32)]
    yield Target("the same, 4 layers replayed layer by layer", .6,
                 slope(layer, "amrb")[0] / bench.peak(1, gradient="bptt", unread="full", **four))
    yield Target("peak of BPTT over peak of AMRB, T = 32", 25.0, all_ / peaks[32], at_most=False)
    yield Target("resident memory, T = 4 to 64: growth", 10.0, resident_growth(bench), "MB")


def seconds_rows(bench: Bench) -> Iterator[Target]:
    """Time of a training step over that of another, T = 8."""
    bptt, four = {"gradient": "bptt", "unread": "full"}, {"layers": 4}
    generic = {"gradient": "checkpointed", "unread": "full"}
    yield Target("time over BPTT, not pruned", 1.25, bench.ratio({"unread": "full"}, bptt))
    yield Target("time over BPTT, pruned, 2 layers", 1.0, bench.ratio({}, bptt))
    yield Target("time over BPTT, pruned, 4 layers", 1.2, bench.ratio(four, bptt | four))
    yield Target("time over torch.utils.checkpoint, pruned", .9, bench.ratio({}, generic))
    yield Target("the same, neither pruned", 1.02, bench.ratio({"unread": "full"}, generic))
    yield Target("the same, both pruned", 1.02, bench.ratio({}, {"gradient": "checkpointed"}))


RESIDENT = """
import re, torch
from pathlib import Path
from dataclasses import replace
from rmaat.targets import SHAPE, Bench
torch.set_num_threads({threads})

def peak():  # of this program alone, in kB; getrusage's maximum would begin with that of the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

bench = Bench(replace(SHAPE, width={width}, segment_length={segment_length}), {batch})
for _ in range(3):
    bench.step(4, **{fields})()
before = peak()
bench.step(64, **{fields})()
print((peak() - before) / 1000)
"""


def resident_growth(bench: Bench, **fields) -> float:
    """MB by which the peak of a fresh process' resident memory grows from training at T = 4 to training at T = 64.

    What the process needed at T = 4 and gave back is used again first, so a few MB more do not show. Read from Linux's
    /proc; raises `ResourceError` elsewhere.
    """
    code = RESIDENT.format(threads=torch.get_num_threads(), width=bench.shape.width, batch=bench.batch, fields=fields,
                           segment_length=bench.shape.segment_length)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ResourceError("the process that measures resident memory failed: " + done.stderr.strip()[-300:])
    return float(done.stdout.split()[-1])
