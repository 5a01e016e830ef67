"""The verbs `python -m rmaat benchmark ...`: each measures, prints its tables and targets, and writes them if asked."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foundation.cli import print_json, program
from foundation.errors import UserError
from foundation.machine import MOST_THREADS

if TYPE_CHECKING:
    from rmaat.benchmark.measure import Bench
    from rmaat.benchmark.report import Table, Target

app = program("Measure bytes and time, and say which targets are met.\n\n\b\nExamples:\n"
              "  python -m rmaat benchmark memory --json\n"
              "  python -m rmaat benchmark speed\n"
              "  python -m rmaat benchmark all --out results/speed_cpu.md\n"
              "  python -m rmaat benchmark all --device cuda --precision bf16 --width 512 --heads 8")

MOST_REPEATS = 10_000
Batch = Annotated[int, typer.Option("--batch", min=1)]
Width = Annotated[int, typer.Option("--width", min=1)]
Heads = Annotated[int, typer.Option("--heads", min=1)]
SegmentLength = Annotated[int, typer.Option("--segment-length", min=1)]
Repeats = Annotated[int, typer.Option("--repeats", min=1, max=MOST_REPEATS, help=(
    "Turns; of gradient algorithms the median ratio within a turn counts, elsewhere the fastest."))]
Threads = Annotated[int, typer.Option("--threads", min=1, max=MOST_THREADS, help=(
    "With 1 thread, times are the processor's."))]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32, or autocast to bf16 or fp16.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write it all as a markdown page.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Segments = Annotated[str, typer.Option("--segments", help="Numbers of segments, separated by commas.")]
Parts = Callable[["Bench"], Iterator]


@app.callback()
def _benchmark() -> None:
    """Measure bytes and time, and say which targets are met."""


def _counts(option: str, text: str) -> list[int]:
    """Whole numbers separated by commas."""
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise UserError(f"{option} {text}: give whole numbers of at least 1 separated by commas, e.g. 256,1024")
    return counts


def _bench(*, batch: int, width: int, heads: int, repeats: int, threads: int, device: str, precision: str,
           segment_length: int = 128) -> "Bench":
    import dataclasses

    import torch

    from rmaat.benchmark.measure import SHAPE, Bench
    from rmaat.resources import keep_freed_memory
    from rmaat.training.evaluation import find_device

    keep_freed_memory()
    torch.set_num_threads(threads)
    shape = dataclasses.replace(SHAPE, width=width, heads=heads, segment_length=segment_length)
    return Bench(shape, batch, repeats, find_device(device).type, precision)


def _show(bench: "Bench", title: str, parts: Iterator, *, out: Path | None, json: bool) -> None:
    """Print tables as they come and the targets at the end; write the page if asked."""
    import datetime

    from foundation import trailer
    from foundation.checkout import commit
    from foundation.files import check_writable, write_text
    from rmaat.benchmark.report import Table, as_json, as_markdown, target_table

    if out is not None:
        check_writable(out)
    head = {"command": shlex.join(["python", "-m", "rmaat", *sys.argv[1:]]), "commit": commit() or "unknown",
            "date": datetime.date.today().isoformat(), **bench.conditions()}
    tables, targets = [], []
    if not json:
        print("; ".join(f"{name} {value}" for name, value in head.items()))
    for part in parts:
        (tables if isinstance(part, Table) else targets).append(part)
        if isinstance(part, Table) and not json:
            print(f"\n{part.text()}", flush=True)
    if json:
        print_json(as_json(head, tables, targets))
    elif targets:
        print(f"\n{target_table(targets).text()}")
    if out is not None:
        write_text(out, trailer.page("benchmark", as_markdown(title, head, tables, targets=targets)))


@app.command()
def memory(segments: Segments = "1,2,4,8,16,32", batch: Batch = 8, width: Width = 64,
           heads: Heads = 1, segment_length: SegmentLength = 128, threads: Threads = 1, device: Device = "auto",
           precision: Precision = "fp32", out: Out = None, json: Json = False) -> None:
    """Peak bytes of BPTT, checkpointing and AMRB over the number of segments T, resident memory, predicted peaks.

    \b
    python -m rmaat benchmark memory --segments 1,8,32
    """
    counts = _counts("--segments", segments)
    bench = _bench(batch=batch, width=width, heads=heads, repeats=1, threads=threads, device=device,
                   precision=precision, segment_length=segment_length)
    from rmaat.benchmark import targets

    _show(bench, "Memory of the gradient algorithms", targets.memory(bench, counts), out=out, json=json)


@app.command()
def speed(num_segments: Annotated[int, typer.Option("--num-segments", min=2, help="T.")] = 8, batch: Batch = 8,
          width: Width = 64, heads: Heads = 1, segment_length: SegmentLength = 128, repeats: Repeats = 25,
          threads: Threads = 1, device: Device = "auto", precision: Precision = "fp32", out: Out = None,
          json: Json = False) -> None:
    """Time of AMRB over that of BPTT and of torch.utils.checkpoint, in turns, after the gradients were compared.

    \b
    python -m rmaat benchmark speed --repeats 51
    """
    bench = _bench(batch=batch, width=width, heads=heads, repeats=repeats, threads=threads, device=device,
                   precision=precision, segment_length=segment_length)
    from rmaat.benchmark import targets

    _show(bench, "Speed of the gradient algorithms", targets.speed(bench, num_segments), out=out, json=json)


@app.command()
def attention(lengths: Annotated[str, typer.Option("--lengths", help="Numbers of tokens, separated by commas.")] = (
                  "256,512,1024,2048,4096,8192,16384,65536"),
              backward: Annotated[bool, typer.Option("--backward", help="Forward and backward.")] = False,
              compiled: Annotated[bool, typer.Option("--compiled", help="Also under torch.compile, which takes "
                                                                        "minutes.")] = False,
              batch: Batch = 1, width: Width = 64, heads: Heads = 1, repeats: Repeats = 3, threads: Threads = 1,
              device: Device = "auto", precision: Precision = "fp32", out: Out = None, json: Json = False) -> None:
    """Attention alone, projections included, against torch's SDPA over the number of tokens; achieved bandwidth.

    \b
    python -m rmaat benchmark attention --lengths 256,1024,65536 --backward
    """
    counts = _counts("--lengths", lengths)
    bench = _bench(batch=batch, width=width, heads=heads, repeats=repeats, threads=threads, device=device,
                   precision=precision)
    from rmaat.benchmark import throughput as speeds

    _show(bench, "Attention alone", speeds.attention(bench, counts, backward, compiled=compiled), out=out,
          json=json)


@app.command()
def throughput(segment_lengths: Annotated[str, typer.Option("--segment-lengths", help="Separated by commas.")] = (
                   "128,256,512,1024"),
               segments: Segments = "2,4,16,64", batch: Batch = 1, width: Width = 64, heads: Heads = 1,
               repeats: Repeats = 3, threads: Threads = 1, device: Device = "auto", precision: Precision = "fp32",
               out: Out = None, json: Json = False) -> None:
    """Tokens a second in training, RMAAT against RMT (softmax, BPTT) and RLT (linear, BPTT) of equal architecture.

    \b
    python -m rmaat benchmark throughput --segment-lengths 128 --segments 2,4
    """
    sizes, counts = _counts("--segment-lengths", segment_lengths), _counts("--segments", segments)
    bench = _bench(batch=batch, width=width, heads=heads, repeats=repeats, threads=threads, device=device,
                   precision=precision)
    from rmaat.benchmark import throughput as speeds

    _show(bench, "Throughput in training", speeds.throughput(bench, sizes, counts), out=out, json=json)


@app.command()
def steps(segment_lengths: Annotated[str, typer.Option("--segment-lengths", help="Separated by commas.")] = (
              "64,128,256,512,1024"),
          segments: Segments = "2,4,8,16,32,64", batch: Batch = 32, width: Width = 64, heads: Heads = 1,
          repeats: Repeats = 9, threads: Threads = 1, device: Device = "auto", precision: Precision = "fp32",
          bounds: Annotated[bool, typer.Option(help="Also AMRB over what arithmetic allows, and over BPTT.")] = True,
          two_threads: Annotated[bool, typer.Option("--two-threads", help="Also wall time with two threads, on an idle "
                                                                          "machine.")] = False,
          out: Out = None, json: Json = False) -> None:
    """Whole training steps with AdamW: tokens a second, share of peak, ratios to RMT, RLT, an encoder, a GRU, targets.

    \b
    python -m rmaat benchmark steps --out results/steps_cpu.md
    python -m rmaat benchmark steps --segment-lengths 128,512 --segments 8 --repeats 15
    python -m rmaat benchmark steps --segment-lengths 128 --segments 8 --two-threads
    """
    sizes, counts = _counts("--segment-lengths", segment_lengths), _counts("--segments", segments)
    bench = _bench(batch=batch, width=width, heads=heads, repeats=repeats, threads=threads, device=device,
                   precision=precision)
    from rmaat.benchmark import steps as whole

    def parts() -> Iterator:
        yield from whole.steps(bench, sizes, counts)
        if bounds:
            yield from whole.bounds(bench)
            yield from whole.over_bptt(bench)
        if two_threads:
            yield from whole.two_threads(bench)

    _show(bench, "Whole training steps", parts(), out=out, json=json)


@app.command(name="all")
def everything(batch: Batch = 8, width: Width = 64, heads: Heads = 1, repeats: Repeats = 25, threads: Threads = 1,
               device: Device = "auto", precision: Precision = "fp32", out: Out = None, json: Json = False) -> None:
    """All tables, and all targets in one; some twenty minutes on one CPU thread.

    Attention and throughput take one sequence at a time on a CPU, the batch on a GPU.

    \b
    python -m rmaat benchmark all --out results/speed_cpu.md
    python -m rmaat benchmark all --device cuda --precision bf16 --width 512 --heads 8 --out results/speed_gpu.md
    """
    bench = _bench(batch=batch, width=width, heads=heads, repeats=repeats, threads=threads, device=device,
                   precision=precision)
    _show(bench, "Memory and speed", _all_parts(bench), out=out, json=json)


def _all_parts(bench: "Bench") -> Iterator["Table | Target"]:
    import dataclasses

    from rmaat.benchmark import targets
    from rmaat.benchmark import throughput as speeds

    single = dataclasses.replace(bench, batch=bench.batch if bench.device == "cuda" else 1,
                                 repeats=min(bench.repeats, 3))
    yield from targets.memory(bench)
    yield from targets.speed(bench)
    yield from speeds.attention(single)
    yield from speeds.attention(single, speeds.LENGTHS[:-1], backward=True)  # SDPA at the last takes a minute a run
    yield from speeds.throughput(single)
