"""Time of the attention alone against torch's SDPA, and tokens a second of whole networks; runs take turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from foundation.machine import refuse_above_memory
from foundation.shapes import Tensor
from rmaat.attention import ATTENTION
from rmaat.benchmark.measure import Bench, copy_bandwidth, in_turns
from rmaat.benchmark.report import Table
from rmaat.resources import NUMBER_BYTES
from rmaat.training.variants import VARIANTS

LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16_384, 65_536)
# attention and its options by column; "no R" is astromorphic without the astrocytes' write
MODULES = {"SDPA": ("softmax", {}), "linear": ("linear", {}), "no R": ("astromorphic", {"rel_pos": "none"}),
           "positional": ("astromorphic", {"rel_pos": "positional"}),
           "content": ("astromorphic", {"rel_pos": "content"})}
COMPILED = "positional compiled"
PROJECTED = 4  # tensors of the size of the input: itself, queries, keys and values


class Traffic(TorchDispatchMode):
    """Bytes that the operations inside read and write: their tensors' sizes, views apart, as if nothing were cached."""

    def __init__(self):
        super().__init__()
        self.nbytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = {id(x): x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)}
            self.nbytes += sum(x.numel() * x.element_size() for x in tensors.values())
        return result


def attention(bench: Bench, lengths: Sequence[int] = LENGTHS, backward: bool = False, *,
              compiled: bool = False) -> Iterator[Table]:
    """Attention modules alone (projections and all) over N tokens, against torch's SDPA; batch, width, heads of bench.

    The second table says what share of the device's copy bandwidth they reach. `compiled` adds the positional module
    under torch.compile, which takes minutes. Raises `UserError` where heads does not divide width.
    """
    names = [*MODULES, *([COMPILED] if compiled else [])]
    what = f"{'forward and backward' if backward else 'forward'}, batch {bench.batch}"
    plain = list(MODULES)[1:]
    times, rates, best = [], [], copy_bandwidth(bench.device)
    for length in lengths:
        runs = _attention_runs(bench, length, backward, compiled=compiled)
        seconds = {name: min(found) for name, found in in_turns(runs, bench.repeats, bench.device).items()}
        times.append([length, *(1e3 * seconds[name] for name in names),
                      *(seconds[names[0]] / seconds[name] for name in names[1:])])
        moved = {name: _traffic(runs[name]) for name in plain}
        rates.append([length, *(nbytes / seconds[name] / 1e9 for name, nbytes in moved.items()),
                      *(100 * nbytes / seconds[name] / best for name, nbytes in moved.items())])
    yield Table(f"Attention alone, {what}: fastest of turns", (
        "tokens", *(f"{name}, ms" for name in names), *(f"SDPA / {name}" for name in names[1:])), times, note=(
            "no R, positional, content: astromorphic attention without and with the astrocytes' write; positional "
            "computes R in every call here, a network once for all segments. SDPA / x: how many times faster x is."))
    yield Table(f"Achieved bandwidth, {what}", (
        "tokens", *(f"{name}, GB/s" for name in plain), *(f"{name}, % of copy" for name in plain)), rates, 1,
        f"Bytes read and written by all operations, over the time; a large copy moves {best / 1e9:.1f} GB/s here. What "
        "stays in a cache counts, too, so that small sizes may reach more than a copy.")


def _traffic(run: Callable[[], object]) -> int:
    with Traffic() as traffic:
        run()
    return traffic.nbytes


def _attention_runs(bench: Bench, length: int, backward: bool, *, compiled: bool) -> dict[str, Callable[[], None]]:
    torch.manual_seed(0)
    if torch.device(bench.device).type == "cpu":
        refuse_above_memory(f"a batch of {bench.batch} samples of {length} tokens, width {bench.shape.width}",
                            NUMBER_BYTES * PROJECTED * bench.batch * length * bench.shape.width,
                            "give a lower --batch, --lengths or --width")
    x = torch.randn(bench.batch, length, bench.shape.width, device=bench.device, requires_grad=backward)

    def attend(module: torch.nn.Module) -> Callable[[], None]:
        def run() -> None:
            with torch.set_grad_enabled(backward), bench.autocast():
                y = module(x, 0)
            if backward:
                y.sum().backward()
                module.zero_grad(set_to_none=True)
                x.grad = None

        return run

    modules = {name: ATTENTION[kind](bench.shape.width, bench.shape.heads, length, biology=bench.biology, **options
                                     ).to(bench.device) for name, (kind, options) in MODULES.items()}
    if compiled:
        modules[COMPILED] = torch.compile(modules["positional"])
    return {name: attend(module) for name, module in modules.items()}


def throughput(bench: Bench, segment_lengths: Sequence[int] = (128, 256, 512, 1024),
               segments: Sequence[int] = (2, 4, 16, 64)) -> Iterator[Table]:
    """Tokens a second in training, of RMAAT with AMRB and BPTT, of RMT and RLT (BPTT), same architecture."""
    rows = []
    for segment_length in segment_lengths:
        for num_segments in segments:
            config = replace(bench.shape, segment_length=segment_length, num_segments=num_segments)
            networks = {"rmaat amrb": replace(config, keep_last=1), "rmaat bptt": replace(config, gradient="bptt"),
                        "rmt": VARIANTS["rmt"](config), "rlt": VARIANTS["rlt"](config)}
            runs = {name: replace(bench, shape=made).step(num_segments) for name, made in networks.items()}
            tokens = bench.batch * config.max_length
            speed = {name: tokens / min(found) for name, found in in_turns(runs, bench.repeats, bench.device).items()}
            ours = [speed[name] / speed[other] for name in ("rmaat amrb", "rmaat bptt") for other in ("rmt", "rlt")]
            rows.append([segment_length, num_segments, *map(round, speed.values()), *ours])
    yield Table(f"Training, tokens a second, batch {bench.batch}: fastest of turns", (
        "segment", "T", *networks, *(f"{name} / {other}" for name in ("amrb", "bptt") for other in ("rmt", "rlt"))),
        rows, note="Forward and backward pass of equal architectures; amrb and bptt: RMAAT, rmt and rlt: with BPTT. "
                   "x / y: how many times faster x is.")
