"""What AMRB promises, measured against BPTT and `torch.utils.checkpoint`: tables, and targets met or missed."""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from foundation.errors import ResourceError
from rmaat.benchmark.measure import Bench, in_turns, line, peaks
from rmaat.benchmark.report import Table, Target
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure

# What each name stands for. Pruning belongs to AMRB; BPTT may have it, too, and is then shown apart.
ALGORITHMS = {"bptt": {"gradient": "bptt", "unread": "full"}, "bptt pruned": {"gradient": "bptt"},
              "checkpointed": {"gradient": "checkpointed", "unread": "full"},
              "amrb not pruned": {"unread": "full", "keep_last": 1}, "amrb": {"keep_last": 1}}
FOUR = {"layers": 4}


def check_gradients(shape: ModelConfig, device: str = "cpu") -> None:
    """A fast wrong gradient is worth nothing. Raises `ResourceError` where AMRB's is not that of BPTT."""
    grads = []
    for gradient in ({"gradient": "bptt"}, {"keep_last": 1}):
        torch.manual_seed(0)
        model = RMAAT(replace(shape, num_segments=3, segment_length=8, dropout=.1, **gradient),
                      Biology.load()).double().to(device)
        tokens = torch.arange(48, device=device).reshape(2, 24) % shape.vocab_size
        model(tokens, torch.tensor([24, 24], device=device)).square().sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    if not (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm():
        raise ResourceError("the gradients of amrb and bptt differ on this machine: nothing is measured")


def memory(bench: Bench, segments: Sequence[int] = (1, 2, 4, 8, 16, 32)) -> Iterator[Table | Target]:
    """Peak bytes at torch's allocator over the parameters, by number of segments T, and what is promised of them."""
    found = peaks(bench, sorted({1, 8, 32, *segments}), ALGORITHMS)
    names = list(ALGORITHMS)
    yield Table("Peak bytes of a training step", ("T", *names, "bptt / amrb", "bptt pruned / amrb"),
                [[t, *row.values(), row["bptt"] / row["amrb"], row["bptt pruned"] / row["amrb"]]
                 for t, row in found.items()])
    floor = bench.batch * bench.shape.num_memory_tokens * bench.shape.width * 4
    # From T = 2 on: at T = 1 nothing is replayed, so no sum of gradients waits during a replay.
    lines = {name: line((t, row[name]) for t, row in found.items() if t > 1) for name in names}
    yield Table("Peak bytes = a + b T, least squares over T > 1", ("", "a", "b", "b / (B M d x 4 bytes)"),
                [[name, round(a), round(b), b / floor] for name, (a, b) in lines.items()])
    one = found[1]["bptt"]
    yield Target("peak = a + b T: b over B M d x 4 bytes", 1.05, lines["amrb"][1] / floor)
    yield Target("a over the peak of BPTT at T = 1", 1.05, lines["amrb"][0] / one)
    yield Target("the same, not pruned", 1.05, lines["amrb not pruned"][0] / one)
    yield Target("the same, 4 layers replayed layer by layer", .6, _layer_replay(bench))
    yield Target("peak of BPTT over peak of AMRB, T = 32", 25, found[32]["bptt"] / found[32]["amrb"], at_most=False)
    yield Target("resident memory, T = 4 to 64: growth", 10, resident_growth(bench, **ALGORITHMS["amrb"]), "MB")
    yield Target("budget_bytes: error of the predicted peak", .05, prediction_error(bench, found[8]["amrb"]))


def _layer_replay(bench: Bench) -> float:
    """a of layer-by-layer replay at 4 layers over BPTT's peak at T = 1."""
    found = peaks(bench, (2, 8, 32), {"layers": {"replay": "layer", **ALGORITHMS["amrb"], **FOUR}})
    return line((t, row["layers"]) for t, row in found.items())[0] / bench.peak(1, **ALGORITHMS["bptt"], **FOUR)


def prediction_error(bench: Bench, least: int, num_segments: int = 8, **fields) -> float:
    """Largest relative error of the peak that `budget_bytes` predicts before the run; budgets in units of `least`."""
    errors = []
    for factor in (1.2, 2.5, 4):
        model = bench.model(num_segments, budget_bytes=int(factor * least), **fields)
        measured = measure(bench.step_of(model), bench.device)
        (plan,) = model.plans
        errors.append(abs(plan.peak_bytes / measured - 1))
    return max(errors)


def speed(bench: Bench, num_segments: int = 8) -> Iterator[Table | Target]:
    """Time of a training step of AMRB over that of others, after the gradients were compared.

    The median over turns of the ratio within a turn counts: what else runs on the machine comes and goes, and a turn's
    two steps meet nearly the same of it.
    """
    check_gradients(bench.shape, bench.device)
    T = num_segments
    rows, targets = [], []

    def compare(what: str, bound: float | None, ours: Mapping, *, theirs: Mapping, T: int = T) -> None:
        told(what, bench.seconds(T, {"ours": ours, "theirs": theirs}), bound)

    def told(what: str, seconds: Mapping[str, Sequence[float]], bound: float | None = None) -> float:
        one, other = seconds.values()
        ratios = sorted(x / y for x, y in zip(one, other, strict=True))
        ratio, count = statistics.median(ratios), len(ratios)
        rows.append([what, 1e3 * statistics.median(one), 1e3 * statistics.median(other), ratio,
                     f"{ratios[count // 4]:.2f} to {ratios[-1 - count // 4]:.2f}"])
        if bound is not None:
            targets.append(Target(what, bound, ratio))
        return ratio

    bptt, generic = ALGORITHMS["bptt"], ALGORITHMS["checkpointed"]
    pruned, full = ALGORITHMS["amrb"], ALGORITHMS["amrb not pruned"]
    again = told("a pass without graph, all segments, over BPTT", in_turns(
        {"ours": bench.forward(T, **full), "theirs": bench.step(T, **bptt)}, bench.repeats, bench.device))
    compare(f"time over BPTT, plain (by arithmetic {_work(T, 1):.3f})", None, full, theirs=bptt)
    for other in sorted({4, 32} - {T}):
        compare(f"the same, T = {other} (by arithmetic {_work(other, 1):.3f})", None, full, theirs=bptt, T=other)
    compare(f"the same, keep_last = 3 (by arithmetic {_work(T, 3):.3f})", None, full | {"keep_last": 3}, theirs=bptt)
    compare("time over BPTT, pruned, 2 layers", 1.0, pruned, theirs=bptt)
    compare("time over BPTT, pruned, 4 layers", 1.15, pruned | FOUR, theirs=bptt | FOUR)
    compare("both pruned, 2 layers", None, pruned, theirs=ALGORITHMS["bptt pruned"])
    for times in (1, 2, 4):
        size = {"segment_length": times * bench.shape.segment_length}
        what = f"time over torch.utils.checkpoint, segments of {size['segment_length']}"
        compare(what, .9 if times == 1 else 1.02, pruned | size, theirs=generic | size)
        compare(f"{what}, neither pruned", 1.02, full | size, theirs=generic | size)
    yield Table(f"Time of a training step, T = {T}: medians over turns", (
        "what", "AMRB, ms", "other, ms", "ratio", "middle half of turns"), rows, note=(
            "By arithmetic: a backward pass costs two forward passes, and all but the last keep_last segments run "
            f"forward twice: 1 + (T - keep_last)/(3 T). By the pass without graph as measured, {again:.3f} of BPTT's "
            f"step instead of 1/3: {_work(T, 1, again):.3f}, with keep_last = 3 {_work(T, 3, again):.3f}."))
    yield from targets


def _work(T: int, keep_last: int, forward: float = 1 / 3) -> float:
    """Time over BPTT's where the segments that run twice cost `forward` of a step more."""
    return 1 + (T - keep_last) / T * forward


RESIDENT = """
import re, torch
from pathlib import Path
from dataclasses import replace
from rmaat.resources import keep_freed_memory
from rmaat.benchmark.measure import SHAPE, Bench
keep_freed_memory()
torch.set_num_threads({threads})

def peak():  # of this program alone, in kB; getrusage's maximum would begin with that of the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

bench = Bench(replace(SHAPE, width={width}, segment_length={segment_length}), {batch}, precision="{precision}")
for _ in range(3):
    bench.step(4, **{fields})()
before = peak()
bench.step(64, **{fields})()
print((peak() - before) / 1000)
"""


def resident_growth(bench: Bench, **fields) -> float:
    """MB by which the peak of a fresh process' resident memory grows from training at T = 4 to training at T = 64.

    What the process needed at T = 4 and gave back is used again first, so a few MB more do not show. Always on the
    CPU; read from Linux's /proc: raises `ResourceError` elsewhere.
    """
    code = RESIDENT.format(threads=torch.get_num_threads(), width=bench.shape.width, batch=bench.batch, fields=fields,
                           segment_length=bench.shape.segment_length, precision=bench.precision)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.splitlines() or ["it said nothing"])[-1]
        raise ResourceError(f"the process that measures resident memory ended with {done.returncode}: {said[:300]}")
    return float(done.stdout.split()[-1])
