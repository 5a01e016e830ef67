"""Several processes train one model: torchrun starts them, torch's DDP adds their gradients up, one writes the run.

What may fail on one process alone stands inside `with world.together(...)`: at its end all learn whether one failed,
and then all leave with its exit code, so that none waits for one that is gone.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed, nn

from foundation import stopping
from foundation.errors import ResourceError, UserError
from foundation.files import canonical_json

CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """This process among `size` that train together; the one of rank 0 leads: it alone writes and prints."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> tuple[np.ndarray, float]:
        """This process' part of a global batch, in order, and its share of the samples; the shares add up to 1.

        Parts differ by one sample at most. Where none is left, the first sample is taken with the share 0: DDP waits
        for a gradient from every process.
        """
        part = np.array_split(indices, self.size)[self.rank]
        return (part, len(part) / len(indices)) if len(part) else (indices[:1], 0.)

    def seed(self, *numbers: int) -> int:
        """A seed for this process from a run's seed and a step: what is drawn is a function of these and the rank."""
        return int(np.random.SeedSequence([*numbers, self.rank]).generate_state(1)[0])

    def connect(self, model: nn.Module) -> nn.Module:
        """The model under DDP, with the leader's weights; the model itself where there is one process.

        One bucket, so one all-reduce a step: AMRB hands over all gradients at once, and smaller ones gain nothing.
        """
        if self.size == 1:
            return model
        megabytes = sum(p.numel() * p.element_size() for p in model.parameters()) // 2**20 + 1
        with _contact(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # broadcast_buffers: older versions of torch know no other
            return nn.parallel.DistributedDataParallel(
                model, device_ids=None if self.device.type == "cpu" else [self.device], bucket_cap_mb=megabytes,
                broadcast_buffers=False, gradient_as_bucket_view=True)  # buffers are the record's, equal everywhere

    def backward(self, loss: torch.Tensor, share: float) -> None:
        """Gradients of the global batch's mean from each process' mean over its part: DDP divides by `size`."""
        with _contact():
            (loss * (share * self.size)).backward()

    @contextlib.contextmanager
    def together(self, *names: str) -> Iterator[dict[str, float]]:
        """Numbers by name (0 where not given), summed over all processes at the end; an error in the block ends all.

        One all-reduce of a few bytes. The lowest rank that failed raises its error, the others leave quietly with the
        same exit code.
        """
        told, error = {}, None
        try:
            yield told
        except (Exception, KeyboardInterrupt) as caught:
            if self.size == 1:
                raise
            error = caught
        numbers = [0. if error else float(told.get(name, 0)) for name in names]
        codes, sums = self._sum(error, numbers) if self.size > 1 else ([], numbers)
        told.update(zip(names, sums, strict=True))
        if any(codes):
            first = next(rank for rank, code in enumerate(codes) if code)
            if self.rank == first:
                raise error
            raise SystemExit(codes[first]) from error

    def _sum(self, error: BaseException | None, values: list[float]) -> tuple[list[int], list[float]]:
        """Exit codes by rank (0: fine) and the sums of the values."""
        codes = [0.] * self.size
        if error is not None:
            codes[self.rank] = _exit_code(error)
        summed = torch.tensor([*codes, *values], dtype=torch.float64, device=self.device)
        with _contact():
            distributed.all_reduce(summed)
        sums = summed.tolist()
        return [round(code) for code in sums[:self.size]], sums[self.size:]

    def gather(self, text: str) -> list[str]:
        """The texts of all processes, by rank: as bytes, so that nothing is unpickled."""
        if self.size == 1:
            return [text]
        data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=self.device)
        lengths = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        with _contact():
            distributed.all_gather(lengths, torch.tensor([len(data)], device=self.device))
            longest = max(int(length) for length in lengths)
            parts = [torch.zeros(longest, dtype=torch.uint8, device=self.device) for _ in range(self.size)]
            distributed.all_gather(parts, nn.functional.pad(data, (0, longest - len(data))))
        return [bytes(part[:int(length)].tolist()).decode() for part, length in zip(parts, lengths, strict=True)]

    def agree(self, values: Mapping[str, object]) -> None:
        """Raises `UserError`, on all processes, naming every field whose value (JSON) is not the same on all."""
        first, *others = map(json.loads, self.gather(canonical_json(values)))
        told = []
        for rank, other in enumerate(others, start=1):
            told += [f"{field} is {_short(first.get(field))} on process 0, {_short(other.get(field))} on process {rank}"
                     for field in sorted(first.keys() | other.keys()) if first.get(field) != other.get(field)]
        if told:
            raise self.said_once(UserError(f"the processes would not train the same: {'; '.join(told)}. Give all the "
                                           "same command, files and version"))

    def said_once(self, error: BaseException) -> BaseException:
        """What to raise where all processes fail alike: the error for the one that leads, its exit code for others."""
        return error if self.leads else SystemExit(_exit_code(error))


ALONE = World()
# groups that were joined, until the process ends: gloo's destructor waits for threads that may wait for Python in turn
_kept: list[object] = []


def _short(value: object) -> str:
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:12]}..."


def _exit_code(error: BaseException) -> int:
    return stopping.exit_code() if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)


@contextlib.contextmanager
def _contact() -> Iterator[None]:
    """A process that was killed cannot say so: the others lose the connection."""
    try:
        yield
    except RuntimeError as error:  # gloo has no error class of its own
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise ResourceError("lost contact with another process of this training, which was killed or ran out of "
                            "memory; go on with --resume") from error


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[World]:
    """The processes that torchrun started (or another launcher that sets RANK and WORLD_SIZE); one alone without it.

    gloo on CPU, NCCL on CUDA, where every process gets the GPU of its local rank. Raises `ResourceError` where there
    are fewer GPUs than processes, `UserError` for a launcher's variables that are no ranks.
    """
    variables = {name: os.environ.get(name, fallback) for name, fallback in (("RANK", "0"), ("WORLD_SIZE", "1"))}
    variables["LOCAL_RANK"] = os.environ.get("LOCAL_RANK", variables["RANK"])
    try:
        rank, size, local = (int(text) for text in variables.values())
    except ValueError:
        given = ", ".join(f"{name}={text}" for name, text in variables.items())
        raise UserError(f"the launcher says {given}; these must be whole numbers, as torchrun sets them") from None
    if size == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ResourceError(f"process {local} of this machine has no GPU of its own; there are "
                                f"{torch.cuda.device_count()}: start fewer processes, or use --device cpu")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (ValueError, distributed.DistError) as error:
        raise ResourceError(f"process {rank} of {size} does not reach the others ({error}); start them with "
                            "torchrun") from error
    _kept.append(distributed.group.WORLD)
    try:
        yield World(rank, size, device)
    finally:
        distributed.destroy_process_group()


def leave() -> None:
    """End a process that a launcher started, at once: threads of gloo may abort an interpreter that tears itself down.

    torchrun would take that for a failure and stop the process that still evaluates.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
