"""Peak bytes and time of the gradient algorithms, measured at torch's allocator."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch.profiler import ProfilerActivity, profile

from foundation.errors import ResourceError
from rmaat.backprop import GRADIENT
from rmaat.biology import Biology
from rmaat.model import RMAAT, ModelConfig

SHAPE = ModelConfig(vocab_size=256, num_classes=10, segment_length=128, num_segments=1, width=64)


def measure(run: Callable[[], object], device: str | torch.device = "cpu") -> int:
    """Peak bytes that torch's allocator hands out during `run()`, above what was in use before.

    On CPU every allocation is read from torch's profiler, which slows the run: measure time apart. Not seen: memory
    that is not torch's and, on CPU, that the run gives back what was allocated before it. Raises `ResourceError` where
    this torch reports no allocations.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    recorded = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with _silent_stderr():
        recorded.start()
    torch.empty(1, device="cpu")  # shows whether this torch reports allocations at all; taken out again below
    try:
        run()
    finally:
        with _silent_stderr():
            recorded.stop()
    return _peak(recorded)


@contextmanager
def _silent_stderr():
    """The profiler's C++ side writes a line at each start and stop that no setting turns off."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _peak(recorded: profile) -> int:
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    if len(events) < 2:
        raise ResourceError("this build of torch reports no allocations; install one with the Kineto profiler")
    in_use = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns())[2:]:
        in_use += event.nbytes()
        peak = max(peak, in_use)
    return peak


@dataclass(frozen=True)
class Row:
    """One T: peak bytes and best time in seconds of forward and backward, by algorithm."""

    num_segments: int
    peak_bytes: dict[str, int]
    seconds: dict[str, float]


def memory_table(segments: Sequence[int] = (1, 2, 4, 8, 16, 32), shape: ModelConfig = SHAPE, batch: int = 8,
                 repeats: int = 3, device: str = "cpu", biology: Biology | None = None) -> list[Row]:
    """AMRB, checkpointed and BPTT side by side for each number of segments; the algorithms take turns in time."""
    biology = biology or Biology.load()
    rows = []
    for num_segments in segments:
        runs = {name: _training_step(replace(shape, num_segments=num_segments, gradient=name), batch, device, biology)
                for name in GRADIENT}
        for run in runs.values():
            run()
        peak_bytes = {name: measure(run, device) for name, run in runs.items()}
        times = [{name: _seconds(run, device) for name, run in runs.items()} for _ in range(repeats)]
        rows.append(Row(num_segments, peak_bytes, {name: min(time[name] for time in times) for name in runs}))
    return rows


def _training_step(config: ModelConfig, batch: int, device: str, biology: Biology) -> Callable[[], None]:
    torch.manual_seed(0)
    model = RMAAT(config, biology).to(device)
    tokens = torch.randint(config.vocab_size, (batch, config.max_length), device=device)
    lengths = torch.full((batch,), config.max_length, device=device)
    labels = torch.randint(config.num_classes, (batch,), device=device)

    def run() -> None:
        torch.nn.functional.cross_entropy(model(tokens, lengths), labels).backward()
        model.zero_grad(set_to_none=True)

    return run


def _seconds(run: Callable[[], None], device: str) -> float:
    synchronize = torch.cuda.synchronize if torch.device(device).type == "cuda" else (lambda: None)
    synchronize()
    start = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - start


def slope(rows: Sequence[Row], name: str) -> tuple[float, float]:
    """Least-squares a and b of peak_bytes = a + b T for one algorithm."""
    t = torch.tensor([row.num_segments for row in rows], dtype=torch.float64)
    peak = torch.tensor([row.peak_bytes[name] for row in rows], dtype=torch.float64)
    solution = torch.linalg.lstsq(torch.stack([torch.ones_like(t), t], 1), peak[:, None]).solution
    return float(solution[0, 0]), float(solution[1, 0])
