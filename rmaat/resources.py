"""Memory and disk of a training process: what is kept, what it peaks at, and what is said when it runs out."""

import contextlib
import ctypes
import errno
import gc
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch.profiler import ProfilerActivity, profile

from foundation.errors import ResourceError
from foundation.machine import asked_and_free, of_memory, refuse_above_memory

if TYPE_CHECKING:
    from rmaat.model.config import ModelConfig

NUMBER_BYTES = 4
TOKEN_BYTES = 8
LAYER_BYTES = 20_000  # of a layer's modules as Python objects, at least
COURSE_BYTES = 8 * 3  # of a place or a segment: curves of the record are computed in float64, with what they need
DEVICE_FAILED = "CUDA error"  # as torch says that a GPU has gone, or fell off its bus
# from glibc's malloc.h, for its mallopt()
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER, LARGEST_BLOCK = -1, 32 * 2**20  # the largest that glibc accepts; blocks above it are given back at once


def keep_freed_memory() -> bool:
    """Let this process keep what a segment frees for the next segment; whether that was to be had.

    AMRB frees a segment's activations before it replays the next. glibc gives such memory back to the system at once
    and then fetches it again page by page: some hundred page faults a segment. For programs that train until they
    end, on Linux with glibc; elsewhere, and where the environment has MALLOC_ settings of its own, it does nothing.
    What torch asks for, and its peak, stay the same.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_TRIM_THRESHOLD, NEVER)) and bool(mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK))


def refuse_too_large_a_network(config: "ModelConfig") -> None:
    """Raises `ResourceError` with the estimate, before anything is built, where a network cannot fit into the memory.

    Counted are learned numbers, what a segment's places and the segments' factors take, and the modules as objects: no
    network needs less. On another device than the CPU the numbers are not this memory's.
    """
    width, places = config.width, config.segment_length
    layer = (4 + 2 * config.feedforward) * width**2 + places * width
    numbers = (config.vocab_size + places + config.num_memory_tokens) * width + config.layers * layer
    objects = config.layers * LAYER_BYTES + COURSE_BYTES * (places + config.num_segments)
    on_cpu = torch.empty(0).device.type == "cpu"
    sizes = ", ".join(f"{name} = {getattr(config, name)}" for name in (
        "vocab_size", "width", "layers", "segment_length", "num_segments", "num_memory_tokens", "feedforward"))
    refuse_above_memory(
        f"a network of {sizes}", objects + (NUMBER_BYTES * numbers if on_cpu else 0),
        "lower the largest of them, as --set model.NAME")


def refuse_too_large_a_batch(config: "ModelConfig", samples: int, length: int, *, given: str, graph: bool = True,
                             number_bytes: int = NUMBER_BYTES) -> None:
    """Raises `ResourceError` with the estimate where a batch of samples of `length` tokens cannot fit into the memory.

    Counted are the tokens, and what the blocks make of one segment: input and both sides of the feed-forward, of all
    layers where their `graph` is kept. No batch needs less. `given` says by what it became so large.
    """
    places, kept = min(length, config.segment_length), 1
    numbers = places * config.width * (1 if config.network == "gru" else 1 + 2 * config.feedforward)
    if graph and config.network == "rmaat" and config.replay == "segment":
        kept = config.layers
    needed = samples * config.documents * (TOKEN_BYTES * length + number_bytes * kept * numbers)
    refuse_above_memory(f"{given}: a batch of {samples:,} samples of {length} tokens", needed, "give fewer samples")


@contextlib.contextmanager
def resource_errors(what: str) -> Iterator[None]:
    """Memory or disk that runs out becomes a `ResourceError` (exit code 4): how many bytes, and what to lower."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_little_memory(what, error) from error
    except RuntimeError as error:  # torch's allocator on CPU has no error class of its own
        if DEVICE_FAILED in str(error):
            said = str(error).splitlines()[0][:200]
            raise ResourceError(f"{what}: the device failed ({said}); what is written is whole: go on with --resume, "
                                "or with --device cpu") from error
        if of_memory(error) is None:
            raise
        raise _too_little_memory(what, error) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = f", {shutil.disk_usage(os.path.dirname(error.filename) or '.').free:,} bytes are free where " \
               f"{error.filename} is" if isinstance(error.filename, str) else ""
        raise ResourceError(f"{what}: no space left on the disk{free}; make room and go on with --resume") from error


def _too_little_memory(what: str, error: BaseException) -> ResourceError:
    told = of_memory(error)
    if told is None:  # a GPU's
        told = asked_and_free(error, _free_on_the_gpu())
    return ResourceError(f"{what}: not enough memory{f' ({told})' if told else ''}; lower "
                         "train.batch_size, model.segment_length or model.width, let fewer segments keep their graph "
                         "(model.keep_last), or use model.gradient=amrb")


def _free_on_the_gpu() -> int:
    """Bytes of memory that are free there now; 0 where that is not told."""
    try:
        return torch.cuda.mem_get_info()[0]
    except (RuntimeError, AssertionError):
        return 0


def measure(run: Callable[[], object], device: str | torch.device = "cpu") -> int:
    """Peak bytes that torch's allocator hands out during `run()`, above what was in use before.

    On CPU every allocation is read from torch's profiler, which slows the run: measure time apart. Not seen: memory
    that is not torch's and, on CPU, that the run gives back what was allocated before it. Raises `ResourceError` where
    this torch reports no allocations.
    """
    with _no_collection():
        return _measure(run, torch.device(device))


def _measure(run: Callable[[], object], device: torch.device) -> int:
    if device.type == "cuda":
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


@contextlib.contextmanager
def _no_collection():
    """Garbage of earlier runs, collected during this one, would look as if this one gave memory back."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _silent_stderr():
    """The profiler's C++ side writes a line at each start and stop; its setting is read when torch is imported."""
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
