"""Whole training steps, optimizer and all, of RMAAT and of what one would take instead; the targets of their ratios.

What is compared runs in turns in one process. A ratio is the median over turns of the ratio within a turn, and its
spread is the middle half of these.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foundation.errors import UserError
from rmaat.benchmark.measure import Bench, in_turns
from rmaat.benchmark.report import Table, Target
from rmaat.benchmark.rivals import Encoder, Gru
from rmaat.benchmark.targets import ALGORITHMS, check_gradients
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.training.variants import VARIANTS

SEGMENT_LENGTHS, SEGMENTS = (64, 128, 256, 512, 1024), (2, 4, 8, 16, 32, 64)
MOST_TOKENS = 32_768     # of a step: the batch is smaller where sequences are long
MOST_ATTENDED = 4_096    # tokens of a sequence over which the encoder and the GRU are run
PRODUCT = 1024           # size of the matrices whose product shows the machine's peak
LONG, SHORT, WHOLE = 512, 128, 1024  # segments from which, segments, and tokens at which the targets stand
COMMAND = "python -m rmaat benchmark steps --segment-lengths {} --segments {} --batch {} --repeats {}"


def networks(shape: ModelConfig) -> dict[str, Callable[[], nn.Module]]:
    """The networks that are compared, by name, for the sizes of `shape`."""
    rmt, rlt = (VARIANTS[name](shape) for name in ("rmt", "rlt"))
    configs = {"default": shape, "amrb": replace(shape, keep_last=1), "bptt": replace(shape, gradient="bptt"),
               "checkpointed": replace(shape, gradient="checkpointed"), "rmt": rmt,
               "rmt amrb": replace(VARIANTS["rmt_amrb"](shape), keep_last=1), "rlt": rlt}
    found = {name: lambda config=config: RMAAT(config) for name, config in configs.items()}
    if shape.max_length <= MOST_ATTENDED:
        found |= {"encoder": lambda: Encoder(shape), "gru": lambda: Gru(shape)}
    return found


def training_step(bench: Bench, model: nn.Module, shape: ModelConfig) -> Callable[[], None]:
    """Forward and backward pass and AdamW on one batch of whole sequences, run once already."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(shape.vocab_size, (bench.batch, shape.max_length), generator=generator).to(bench.device)
    labels = torch.randint(shape.num_classes, (bench.batch,), generator=generator).to(bench.device)
    optimizer = torch.optim.AdamW(model.parameters())

    def run() -> None:
        with bench.autocast():
            logits = model(tokens)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    run()
    return run


def median(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within turns."""
    return statistics.median(x / y for x, y in zip(ours, theirs, strict=True))


def spread(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the ratios within turns, and the middle half of them."""
    ratios = sorted(x / y for x, y in zip(ours, theirs, strict=True))
    count = len(ratios)
    return f"{statistics.median(ratios):.2f} ({ratios[count // 4]:.2f}-{ratios[-1 - count // 4]:.2f})"


def products(run: Callable[[], None]) -> int:
    """Floating point operations of the matrix products of a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


class Measured:
    """The seconds of all networks at one size, in turns with a large product, and what follows from them."""

    def __init__(self, bench: Bench, segment_length: int, num_segments: int):
        shape = replace(bench.shape, segment_length=segment_length, num_segments=num_segments)
        self.asked, self.length = bench.batch, shape.max_length
        self.batch = max(1, min(bench.batch, MOST_TOKENS // shape.max_length))
        bench = replace(bench, batch=self.batch, shape=shape)
        runs = {}
        for name, make in networks(shape).items():
            torch.manual_seed(0)
            runs[name] = training_step(bench, make().to(bench.device), shape)
        matrix = torch.randn(PRODUCT, PRODUCT, device=bench.device)
        runs["product"] = lambda: matrix @ matrix
        self.flops = {name: products(runs[name]) for name in ("bptt", "product")}
        self.seconds = in_turns(runs, bench.repeats, bench.device)
        self.command = COMMAND.format(segment_length, num_segments, self.asked, bench.repeats)
        self.segment_length, self.num_segments = segment_length, num_segments

    def ratio(self, ours: str, theirs: str) -> float | None:
        """Time of one over that of another; None where one was not run."""
        return median(self.seconds[ours], self.seconds[theirs]) if {ours, theirs} <= self.seconds.keys() else None

    def share_of_peak(self) -> float:
        """Operations a second in the products of BPTT's whole step, over those of one large product."""
        return self.flops["bptt"] / self.flops["product"] / median(self.seconds["bptt"], self.seconds["product"])

    def speeds(self) -> list:
        """Tokens a second of each network, a row of the first table."""
        rates = [f"{self.batch * self.length / statistics.median(self.seconds[name]):,.0f}" if name in self.seconds
                 else "-" for name in NAMES]
        return [self.segment_length, self.num_segments, self.batch, *rates, f"{100 * self.share_of_peak():.0f} %"]

    def ratios(self) -> list:
        """The ratios of the issue's table with their spread, a row of the second table."""
        return [self.segment_length, self.num_segments,
                *(spread(self.seconds[x], self.seconds[y]) if {x, y} <= self.seconds.keys() else "-"
                  for x, y in RATIOS), f"`{self.command}`"]


NAMES = ("default", "amrb", "bptt", "checkpointed", "rmt", "rmt amrb", "rlt", "encoder", "gru")
RATIOS = (("default", "rmt amrb"), ("bptt", "rmt"), ("bptt", "rlt"), ("amrb", "checkpointed"), ("encoder", "default"),
          ("gru", "default"))


def steps(bench: Bench, segment_lengths: Sequence[int] = SEGMENT_LENGTHS, segments: Sequence[int] = SEGMENTS
          ) -> Iterator[Table | Target]:
    """Tokens a second and ratios by segment length and T, then the targets that these sizes decide.

    Raises `ResourceError` where AMRB's gradient is not BPTT's: then nothing is measured. Raises `UserError` for sizes
    that are not positive.
    """
    if min(*segment_lengths, *segments) < 1:
        raise UserError("segment lengths and numbers of segments must be at least 1")
    check_gradients(bench.shape, bench.device)
    found = [Measured(bench, size, count) for size in segment_lengths for count in segments]
    yield Table("Tokens a second of whole training steps, medians over turns", (
        "segment", "T", "batch", *NAMES, "bptt, share of peak"), [one.speeds() for one in found], note=(
            "default, amrb, bptt and checkpointed are RMAAT with keep_last = auto, with keep_last = 1, and with the "
            f"other gradients; - where the whole sequence is longer than {MOST_ATTENDED:,} tokens. Share of peak: "
            f"operations of BPTT's matrix products over its step, as a share of a product of {PRODUCT:,} x {PRODUCT:,} "
            "in the same turns."))
    yield Table("Ratios of time within turns: median (middle half)", (
        "segment", "T", *(f"{x} / {y}" for x, y in RATIOS), "command"), [one.ratios() for one in found])
    yield from _targets(found)


def _targets(found: Sequence[Measured]) -> Iterator[Target]:
    """The worst of the sizes that a target speaks of; none where none was measured."""
    def worst(what: str, bound: float, pair: tuple[str, str], *, at_most: bool = True, among: Callable) -> list[Target]:
        ratios = [ratio for one in found if among(one) and (ratio := one.ratio(*pair)) is not None]
        return [Target(what, bound, (max if at_most else min)(ratios), at_most=at_most)] if ratios else []

    def short(one: Measured) -> bool:
        return one.segment_length == SHORT

    def whole(one: Measured) -> bool:
        return short(one) and one.length == WHOLE

    yield from worst(f"default over RMT amrb, segments of {SHORT}", 1., ("default", "rmt amrb"), among=short)
    yield from worst(f"default over RMT amrb, segments of {LONG} and more", .7, ("default", "rmt amrb"),
                     among=lambda one: one.segment_length >= LONG)
    yield from worst(f"bptt pruned over RMT bptt pruned, segments of {SHORT}", 1., ("bptt", "rmt"), among=short)
    yield from worst(f"TransformerEncoder over default, {WHOLE:,} tokens", 4., ("encoder", "default"), at_most=False,
                     among=whole)
    yield from worst(f"GRU over default, {WHOLE:,} tokens", 1.5, ("gru", "default"), at_most=False, among=whole)
    if shares := [one.share_of_peak() for one in found if whole(one)]:
        yield Target("share of the matrix product's peak, bptt", .55, min(shares), at_most=False)


def bounds(bench: Bench, segments: Sequence[int] = (4, 8, 16, 32, 64)) -> Iterator[Table | Target]:
    """Plain AMRB over what the arithmetic allows, 1 + (T - 1)/T times a pass without graph over BPTT's step."""
    rows, shape = [], replace(bench.shape, segment_length=SHORT)
    for count in segments:
        one = replace(bench, shape=shape, batch=max(1, min(bench.batch, MOST_TOKENS // (SHORT * count))))
        seconds = in_turns({"amrb": one.step(count, **ALGORITHMS["amrb not pruned"]),
                            "bptt": one.step(count, **ALGORITHMS["bptt"]),
                            "forward": one.forward(count, **ALGORITHMS["bptt"])}, bench.repeats, bench.device)
        bound = [1 + (count - 1) / count * x / y for x, y in zip(seconds["forward"], seconds["bptt"], strict=True)]
        over = [x / y for x, y in zip(seconds["amrb"], seconds["bptt"], strict=True)]
        rows.append([count, one.batch, statistics.median(over), statistics.median(bound), median(over, bound),
                     spread(over, bound)])
    yield Table(f"Plain AMRB over plain BPTT, segments of {SHORT}, and over its bound", (
        "T", "batch", "over BPTT", "bound", "over the bound", "median (middle half)"), rows, digits=3)
    yield Target(f"AMRB over the bound, T = {min(segments)} to {max(segments)}", 1.03, max(row[4] for row in rows))


def over_bptt(bench: Bench, num_segments: int = 8) -> Iterator[Table | Target]:
    """Pruned AMRB over plain BPTT, with 2 and with 4 layers."""
    one = replace(bench, shape=replace(bench.shape, segment_length=SHORT))
    rows = []
    for layers, bound in ((2, 1.), (4, 1.15)):
        seconds = one.seconds(num_segments, {"amrb": {**ALGORITHMS["amrb"], "layers": layers},
                                             "bptt": {**ALGORITHMS["bptt"], "layers": layers}})
        rows.append([layers, spread(seconds["amrb"], seconds["bptt"])])
        yield Target(f"AMRB over BPTT, pruned, {layers} layers", bound, median(seconds["amrb"], seconds["bptt"]))
    yield Table(f"Pruned AMRB over plain BPTT, segments of {SHORT}, T = {num_segments}", ("layers", "ratio"), rows)


def two_threads(bench: Bench, num_segments: int = 8) -> Iterator[Table | Target]:
    """Wall time of the default step with one thread and with two, in turns. Needs an otherwise idle machine."""
    shape, before = replace(bench.shape, segment_length=SHORT, num_segments=num_segments), torch.get_num_threads()
    step = training_step(bench, RMAAT(shape).to(bench.device), shape)
    found: dict[int, list[float]] = {1: [], 2: []}
    try:
        for _ in range(bench.repeats):
            for threads, seconds in found.items():
                torch.set_num_threads(threads)
                step()
                start = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    yield Table("Wall time of a default step by threads", ("threads", "ms", "one over this"), [
        [threads, 1e3 * statistics.median(seconds), median(found[1], seconds)] for threads, seconds in found.items()])
    yield Target(f"two threads over one, batch {bench.batch}", 1.7, median(found[1], found[2]), at_most=False)
