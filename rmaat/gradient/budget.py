"""How many segments may keep their graph under a budget of bytes: one segment is tried, the rest is arithmetic."""

import weakref
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from foundation.errors import ResourceError, UserError
from foundation.shapes import Tensor
from rmaat.gradient.alike import fingerprints
from rmaat.gradient.refusals import check_sharding
from rmaat.gradient.replay import Graph, Recurrence
from rmaat.gradient.surroundings import Surroundings, hooks_off

Made = TypeVar("Made")
MOST_PLANS = 200  # the oldest goes: where lengths differ, nearly every batch may have one of its own


class Tracker(TorchDispatchMode):
    """Bytes of living tensors that were made inside, and their peak.

    Not seen: scratch space of an operation (oneDNN's for bfloat16 on a CPU: some per cent in a small network).
    """

    def __init__(self):
        super().__init__()
        self.in_use = self.peak = 0
        self._bytes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and (storage := x.untyped_storage())._cdata not in self._bytes:
                made = storage._cdata not in given  # else a view of what was there before
                self._bytes[storage._cdata] = storage.nbytes() if made else 0
                self.in_use += self._bytes[storage._cdata]
                self.peak = max(self.peak, self.in_use)
                weakref.finalize(storage, self._gone, storage._cdata)
        return result

    def _gone(self, key: int) -> None:
        self.in_use -= self._bytes.pop(key)

    def phase(self) -> tuple[int, int]:
        """Peak since the last call, and bytes in use."""
        peak, self.peak = self.peak, self.in_use
        return peak, self.in_use


@dataclass(frozen=True)
class Cost:
    """Bytes of one segment: peak and rest of a pass without graph, of one with graph, of its backward pass."""

    forward: tuple[int, int]
    graph: tuple[int, int]
    backward: tuple[int, int]  # from the start of the pass with graph on; the rest are the gradients
    memory: int
    outs: int
    kept: int  # its fingerprint, its random state (5 kB of the host's where numbers are drawn), buffers that it moved


def _nbytes(tensors: Sequence[Tensor]) -> int:
    return sum(x.numel() * x.element_size() for x in tensors)


def try_segment(run: Recurrence, t: int) -> Cost:
    """Run segment t from the first memory, forward and backward; random state and `.grad` stay as they are."""
    check_sharding(run.held.modules)
    memory, segment = [x.detach() for x in run.memory], run.segments[t]
    before = Surroundings.now({x.device for x in run.inputs}, held=run.held)
    with before:
        with Tracker() as tracker, torch.no_grad():
            kept = run.call(t, memory, segment)
        peak, rest = tracker.phase()
        drawn = Surroundings.now(before.random, before, run.held).newer_than(before)
        taken = sum(one.nbytes for one in fingerprints(kept[0][0]))
        del kept
        forward = peak, rest - tracker.in_use  # what is left are autocast's casts, one set for all segments
        torch.clear_autocast_cache()
        with Tracker() as tracker:
            graph = Graph(run, t, memory, segment)
            torch.clear_autocast_cache()
            outs, after = _nbytes(graph.out), _nbytes(graph.after)
            built = tracker.phase()
            ones = [[torch.ones((), dtype=y.dtype, device=y.device).expand_as(y) if y.requires_grad else None
                     for y in tensors] for tensors in (graph.out, graph.after)]
            with hooks_off(run.parameters):
                found = graph.gradients(*ones)
            peak = tracker.phase()[0]
            del graph, ones
            cost = Cost(forward, built, (peak, tracker.in_use), after, outs,
                        taken + (drawn if run.inputs[0].device.type == "cpu" else 0))
            del found
        torch.clear_autocast_cache()
    return cost


def predict(costs: Sequence[Cost], keep_last: int, memories_wait: bool = True) -> int:
    """Peak bytes of forward and backward pass over the inputs; costs by segment.

    `memories_wait`: they do so on the device. Not included: what the loss itself computes from outs and memory.
    """
    first_kept, held, peak, gradients = len(costs) - keep_last, 0, 0, 0
    for t, cost in enumerate(costs):
        at_peak, rest = cost.graph if t >= first_kept else cost.forward
        peak = max(peak, held + at_peak)
        held += rest + cost.kept - (0 if memories_wait else cost.memory)
    held += costs[-1].memory + sum(cost.outs for cost in costs)  # their gradients
    for t in reversed(range(len(costs))):
        cost = costs[t]
        held -= cost.graph[1] if t >= first_kept else 0
        peak = max(peak, held + gradients + cost.graph[1], held + gradients + cost.backward[0],
                   held + gradients + cost.graph[0] if t < first_kept else 0)
        gradients = max(gradients, cost.backward[1])
    return peak


@dataclass(frozen=True)
class Plan:
    """What a budget decided: segments that keep their graph, and the peak bytes predicted for that."""

    keep_last: int
    peak_bytes: int


class Budget:
    """`keep_last` for `amrb` that chooses itself: as many segments as fit in `peak_bytes` over the inputs.

    A segment of each kind is run once before the first run of its sizes (kinds differ in shapes, or in what is neither
    tensor nor number); then its plan is remembered in `plans`. Use one budget for one step. Raises `UserError` for a
    budget that is no positive number, `ResourceError` with the prediction when not even keep_last = 0 fits.
    """

    def __init__(self, peak_bytes: float | int):
        if not peak_bytes > 0:
            raise UserError(f"budget_bytes = {peak_bytes}: must be above 0")
        self.peak_bytes = peak_bytes
        self.plans: dict[Hashable, Plan] = {}
        self.beside = 0

    def hold(self, make: Callable[[], Made]) -> Made:
        """`make()`, whose result the caller holds beside the recurrence: its bytes count, and those of its graph."""
        with Tracker() as tracker:
            made = make()
        self.beside = tracker.in_use
        return made

    def plan(self, run: Recurrence) -> Plan:
        """The plan for one call of `amrb`."""
        kinds = [run.kind(t) for t in range(len(run))]
        key = (tuple(kinds), torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"))
        if key not in self.plans:
            if len(self.plans) >= MOST_PLANS:
                del self.plans[next(iter(self.plans))]
            self.plans[key] = self._choose(run, kinds)
        return self.plans[key]

    def _choose(self, run: Recurrence, kinds: Sequence[Hashable]) -> Plan:
        latest = {kind: t for t, kind in enumerate(kinds)}
        costs = {kind: self.cost(run, t, kind) for kind, t in latest.items()}
        by_segment = [costs[kind] for kind in kinds]
        wait = all(run.store.holds(x.device) for x in run.memory)
        copies = run.held.nbytes(run.held.now())

        def peak_bytes(keep_last: int) -> int:
            return self.beside + copies + predict(by_segment, keep_last, wait)

        fitting = bisect_right(range(len(run) + 1), self.peak_bytes, key=peak_bytes)
        return Plan(fitting - 1, peak_bytes(fitting - 1)) if fitting else self.too_small(len(run), peak_bytes(0))

    def cost(self, run: Recurrence, t: int, kind: Hashable) -> Cost:
        """What segment t takes; `kind` says what may decide that."""
        return try_segment(run, t)

    def too_small(self, segments: int, least: int) -> Plan:
        """What to do where even all segments replayed need more. Raises `ResourceError`."""
        raise ResourceError(
            f"budget_bytes = {self.peak_bytes:,.0f} is too small: {segments} segments need {least:,} bytes over "
            "parameters and inputs even with all of them replayed (keep_last = 0); raise it, replay layer by layer, "
            "or make batch or segments smaller")
