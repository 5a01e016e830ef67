"""Gradients of a segment recurrence: bptt, checkpointed and amrb, side by side with one signature.

    outs, memory = amrb(step, segments, memory, parameters)

`step(x_t, memory) -> (out_t, memory)` is any function of yours; `segments` is a list of x_t; x_t, out_t and memory are
tensors or tuples (named ones, too), lists and dicts of them. `parameters` are all tensors that need a gradient and that
`step` uses. What is computed from parameters alone may be computed once and stand in every x_t: its gradient is summed
over the segments before it goes further. `outs` is the list of all out_t. A loss may read any of the outs and the
memory; `loss.backward()`, gradient clipping and `torch.autograd.grad` work as usual. The memory may hold numbers, and
may grow.

What a step keeps outside its arguments (random numbers, counters, buffers) is put back for a replay, and every replay
is compared with its forward pass: where they differ, `backward` raises. docs/replay.md has the table of what is right
and what is refused. Refused by `amrb` are also second derivatives, derivatives in forward mode, torch.func, steps that
change their input in place, tensors inside objects that are no tuple, list or dict, parameters that are computed from
one another. The replay sets random states for a while: where threads train side by side and draw numbers, use bptt, or
a process for each. A hook on a parameter that the loss does not reach sees zeros.
"""

from collections.abc import Callable, Iterable

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from foundation.errors import UserError
from foundation.shapes import Tensor
from rmaat.gradient.budget import Budget
from rmaat.gradient.guarded import Guarded
from rmaat.gradient.held_state import HeldState
from rmaat.gradient.memory_store import MEMORY_STORE, OnDevice
from rmaat.gradient.refusals import check_arguments
from rmaat.gradient.replay import Recurrence, Replay

Step = Callable[[object, object], tuple[object, object]]


def bptt(step: Step, segments: Iterable, memory, parameters: Iterable[Tensor] = ()):
    """Plain backpropagation through time: keeps the graph of all segments."""
    outs = []
    for x_t in segments:
        out_t, memory = step(x_t, memory)
        outs.append(out_t)
    return outs, memory


def checkpointed(step: Step, segments: Iterable, memory, parameters: Iterable[Tensor] = ()):
    """torch's generic activation checkpoint around every segment, its replays guarded as those of `amrb` are."""
    if not torch.is_grad_enabled():
        return bptt(step, segments, memory)
    segments = list(segments)
    outs, held, before = [], HeldState(step, tree_leaves(segments)), None
    for t, x_t in enumerate(segments):
        before = Guarded(step, t, held=held, before=before)
        out_t, memory = checkpoint(before, x_t, memory, use_reentrant=False, early_stop=False)
        outs.append(out_t)
    return outs, memory


def amrb(step: Step, segments: Iterable, memory, parameters: Iterable[Tensor] = (), *, keep_last: int | Budget = 1,
         store: OnDevice = MEMORY_STORE["device"]):
    """Astrocytic memory replay: keeps the memory at each segment's start and replays the segments backwards.

    One autograd node for the whole recurrence; holds the activations of one segment plus T memories. It is per-segment
    checkpointing with the memory tokens as checkpoints, and its gradient equals BPTT's to rounding.

    The last `keep_last` segments keep their graph and are not run twice; a `Budget` of bytes chooses their number, as
    `FreeMemory()` does by what is free. The memories wait in `store`. Raises `UserError` when `step` uses a tensor that
    needs a gradient and is not in `parameters`, or for a negative `keep_last`; `ResourceError` when a budget is too
    small.
    """
    if not isinstance(keep_last, Budget) and (not isinstance(keep_last, int) or keep_last < 0):
        raise UserError(f"keep_last = {keep_last!r}: must be a whole number of at least 0, or a Budget "
                        "(FreeMemory() chooses by what is free)")
    segments, parameters = check_arguments(step, segments, parameters)
    run = Recurrence(step, segments, memory, parameters=parameters, store=store)
    if not segments or not torch.is_grad_enabled() or not any(x.requires_grad for x in run.inputs):
        return bptt(step, segments, memory)
    run.keep_last = keep_last.plan(run).keep_last if isinstance(keep_last, Budget) else keep_last
    flat = Replay.apply(run, *run.inputs)
    return run.results(flat)


GRADIENT = {"bptt": bptt, "checkpointed": checkpointed, "amrb": amrb}
