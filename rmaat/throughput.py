"""Time of the attention alone against torch's SDPA, and tokens a second of whole networks; runs take turns."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from rmaat.attention import ATTENTION
from rmaat.baselines import BASELINES
from rmaat.benchmark import SHAPE
from rmaat.biology import Biology
from rmaat.model import RMAAT, ModelConfig

LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16_384)


@dataclass(frozen=True)
class Times:
    """One size: the fastest of several runs, in seconds, by name; interleaved, so that all meet the same machine."""

    size: dict[str, int]
    seconds: dict[str, float]


def fastest(runs: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Seconds of the fastest of `repeats` calls of each run, in turns, after one call of each that does not count.

    With one thread on a CPU these are CPU seconds, which other programs on the machine disturb least.
    """
    found, now = {name: float("inf") for name in runs}, clock(device)
    for count in range(repeats + 1):
        for name, run in runs.items():
            _wait(device)
            start = now()
            run()
            _wait(device)
            if count:
                found[name] = min(found[name], now() - start)
    return found


def clock(device: str) -> Callable[[], float]:
    alone = torch.device(device).type == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def attention_table(lengths: Sequence[int] = LENGTHS, width: int = 64, heads: int = 1, batch: int = 1,
                    repeats: int = 3, backward: bool = False, device: str = "cpu",
                    biology: Biology | None = None) -> list[Times]:
    """Attention modules alone (projections and all) over N tokens; softmax is torch's SDPA, the reference.

    With `backward`, forward and backward. Raises `UserError` where heads does not divide width.
    """
    biology = biology or Biology.load()
    rows = []
    for length in lengths:
        torch.manual_seed(0)
        x = torch.randn(batch, length, width, device=device, requires_grad=backward)
        modules = {"softmax": ("softmax", "none"), "linear": ("linear", "none"),
                   "astromorphic none": ("astromorphic", "none"),
                   "astromorphic positional": ("astromorphic", "positional"),
                   "astromorphic content": ("astromorphic", "content")}
        built = {name: ATTENTION[kind](width, heads, length, biology, rel_pos).to(device)
                 for name, (kind, rel_pos) in modules.items()}
        runs = {name: _attend(module, x, backward) for name, module in built.items()}
        rows.append(Times({"tokens": length}, fastest(runs, repeats, device)))
    return rows


def _attend(module: torch.nn.Module, x: torch.Tensor, backward: bool) -> Callable[[], None]:
    def run() -> None:
        with torch.set_grad_enabled(backward):
            y = module(x, 0)
        if backward:
            y.sum().backward()
            module.zero_grad(set_to_none=True)
            x.grad = None

    return run


def throughput_table(segment_lengths: Sequence[int] = (128, 512, 1024), segments: Sequence[int] = (2, 4, 16),
                     shape: ModelConfig = SHAPE, batch: int = 4, repeats: int = 2, device: str = "cpu",
                     biology: Biology | None = None) -> list[Times]:
    """A training step (forward, backward; no optimizer) of RMAAT with AMRB and BPTT, RMT and RLT, same architecture."""
    biology = biology or Biology.load()
    rows = []
    for segment_length in segment_lengths:
        for num_segments in segments:
            config = replace(shape, segment_length=segment_length, num_segments=num_segments)
            networks = {"rmaat amrb": config, "rmaat bptt": replace(config, gradient="bptt"),
                        "rmt": BASELINES["rmt"](config), "rlt": BASELINES["rlt"](config)}
            runs = {name: _train(made, batch, device, biology) for name, made in networks.items()}
            size = {"segment_length": segment_length, "num_segments": num_segments, "tokens": batch * config.max_length}
            rows.append(Times(size, fastest(runs, repeats, device)))
    return rows


def _train(config: ModelConfig, batch: int, device: str, biology: Biology) -> Callable[[], None]:
    torch.manual_seed(0)
    model = RMAAT(config, biology).to(device)
    tokens = torch.randint(config.vocab_size, (batch, config.max_length), device=device)
    lengths = torch.full((batch,), config.max_length, device=device)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)

    def run() -> None:
        torch.nn.functional.cross_entropy(model(tokens, lengths), labels).backward()
        model.zero_grad(set_to_none=True)

    return run


def attention_text(rows: Sequence[Times]) -> str:
    """Milliseconds, and SDPA's time over each: above 1 is faster than SDPA."""
    names = list(rows[0].seconds)
    lines = ["| tokens | " + " | ".join(f"{name}, ms" for name in names) + " | "
             + " | ".join(f"softmax / {name}" for name in names[1:]) + " |", "|---" * (2 * len(names)) + "|"]
    for row in rows:
        times = [row.seconds[name] for name in names]
        lines.append(f"| {row.size['tokens']} | " + " | ".join(f"{1e3 * t:.2f}" for t in times) + " | "
                     + " | ".join(f"{times[0] / t:.2f}" for t in times[1:]) + " |")
    return "\n".join(lines)


def throughput_text(rows: Sequence[Times]) -> str:
    """Tokens a second, and the first network's speed over the others'."""
    names = list(rows[0].seconds)
    lines = ["| segment | T | " + " | ".join(f"{name}, tokens/s" for name in names) + " | "
             + " | ".join(f"{names[0]} / {name}" for name in names[1:]) + " |", "|---" * (2 * len(names) + 1) + "|"]
    for row in rows:
        speed = [row.size["tokens"] / row.seconds[name] for name in names]
        lines.append(f"| {row.size['segment_length']} | {row.size['num_segments']} | "
                     + " | ".join(f"{value:,.0f}" for value in speed) + " | "
                     + " | ".join(f"{speed[0] / value:.2f}" for value in speed[1:]) + " |")
    return "\n".join(lines)


def conditions(device: str) -> str:
    """What a time needs to be compared with another: device, threads, versions."""
    import platform

    name = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else _processor()
    return (f"{name}; {torch.get_num_threads()} thread(s); torch {torch.__version__}, Python "
            f"{platform.python_version()}; float32; fastest of interleaved runs, "
            f"{'CPU' if clock(device) is time.process_time else 'wall'} time")


def _processor() -> str:
    import platform
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
