"""`keep_last = "auto"`: as many segments keep their graph as fit in a share of the memory that is free."""

import os
from collections.abc import Callable, Hashable

import torch
from torch._subclasses.fake_tensor import FakeTensor

from foundation.machine import available_memory
from rmaat.gradient.budget import Budget, Cost, Made, Plan, try_segment
from rmaat.gradient.replay import Recurrence

SHARE = .5  # of the free memory: the rest is for the optimizer, the loss, the data, and for others


def free_bytes(device: torch.device) -> int | None:
    """Bytes that this process could still take on a device, None where that is not known.

    On CUDA the card's free memory and what torch holds of it unused; else the host's, within the limit of a container,
    divided by the processes that torchrun started on this machine.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    free = available_memory()
    return None if free is None else free // _processes()


def _processes() -> int:
    told = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(told)) if told.isdecimal() else 1


class FreeMemory(Budget):
    """A budget that is a share of the memory free when it is first asked; where nothing fits, all is replayed.

    A segment is tried only where none of its kind with at least its sizes was tried before: batches whose lengths
    differ would otherwise have a new kind each. Where the free memory is not known (meta and fake tensors, other
    devices) one segment keeps its graph. Use one for one step.
    """

    def __init__(self, share: float = SHARE):
        super().__init__(share)
        self.share, self.peak_bytes = share, None
        self.tried: dict[Hashable, list[tuple[tuple, Cost]]] = {}

    def hold(self, make: Callable[[], Made]) -> Made:
        """`make()`; its bytes are among what the share leaves free."""
        return make()

    def plan(self, run: Recurrence) -> Plan:
        """The plan for one call of `amrb`."""
        device = run.inputs[0].device
        if any(isinstance(x, FakeTensor) for x in run.inputs):
            return Plan(1, 0)
        if self.peak_bytes is None and (free := free_bytes(device)) is not None:
            self.peak_bytes = int(self.share * free)
        return Plan(1, 0) if self.peak_bytes is None else super().plan(run)

    def cost(self, run: Recurrence, t: int, kind: Hashable) -> Cost:
        """What a segment takes, or one of its kind that is not smaller in any size."""
        tensors, leaves = kind
        sizes = tuple(shape for shape, _, _ in tensors)
        known = self.tried.setdefault((tuple((len(shape), *rest) for shape, *rest in tensors), leaves), [])
        for larger, cost in known:
            if all(x <= y for ours, theirs in zip(sizes, larger, strict=True)
                   for x, y in zip(ours, theirs, strict=True)):
                return cost
        known.append((sizes, try_segment(run, t)))
        return known[-1][1]

    def too_small(self, segments: int, least: int) -> Plan:
        """All segments are replayed: the least that there is."""
        return Plan(0, least)
