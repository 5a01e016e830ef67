"""What a step may do that a replay would silently get wrong: seen here, and refused."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from numbers import Number

import torch
from torch.autograd import forward_ad

from foundation.errors import UserError
from foundation.shapes import Tensor

PLAIN = (type(None), Number, str, bytes, Enum, torch.Size, torch.dtype, torch.device)  # what holds no tensor


def differentiable(x: Tensor) -> bool:
    """Whether x can have a gradient at all."""
    return x.is_floating_point() or x.is_complex()


def check_plain(leaves: Iterable, what: str) -> None:
    """A tensor inside some other object would pass unseen, and its gradient be lost."""
    for leaf in leaves:
        if not isinstance(leaf, PLAIN):
            raise UserError(f"amrb: {what} holds an object of type {type(leaf).__name__}; allowed are tensors, "
                            "numbers, texts and None, and tuples, lists and dicts of them")


def check_independent(parameters: Sequence[Tensor]) -> None:
    """Of a tensor and one that is computed from it, autograd would count the path through the second twice."""
    computed = [p.grad_fn for p in parameters if p.grad_fn is not None]
    named, seen, todo = {id(p) for p in parameters}, {None}, list(computed)
    while todo:
        for node, _ in todo.pop().next_functions:
            if node in computed or id(getattr(node, "variable", None)) in named:
                raise UserError("amrb: `parameters` holds a tensor and another that is computed from it (a view, say); "
                                "name one of them, and where the step needs both hand the other over in x_t")
            if node not in seen:
                seen.add(node)
                todo.append(node)


def check_named(outputs: Iterable[Tensor], leaves: Iterable[Tensor], parameters: Sequence[Tensor], *, began: int,
                carried: Mapping[object, str]) -> None:
    """A tensor that the step uses and `parameters` lacks would get no gradient.

    began: torch's sequence number when the segment began; what has a lower one was computed outside the step, and its
    graph can be gone through only once. carried: last operation of tensors that the step kept of the segment before
    with their graph, and where it kept them.
    """
    known = {id(x) for x in (*leaves, *parameters)}
    seen = {x.grad_fn for x in parameters} | {None}  # not beyond parameters that are computed themselves
    todo = [y.grad_fn for y in outputs if y.grad_fn not in seen]
    while todo:
        node = todo.pop()
        if node in carried:
            raise UserError(f"amrb: the step keeps a tensor of one segment with its graph, {carried[node]}, and "
                            "reads it in the next; a replay has no graph from one to the next. Hand it through "
                            "`memory`, or keep x.detach()")
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            raise UserError(f"amrb: the step uses a tensor of shape {tuple(leaf.shape)} that needs a gradient "
                            "and is not in `parameters`; pass all of them, e.g. list(model.parameters())")
        if leaf is None and node._sequence_nr() < began and not node.name().endswith("AccumulateGrad"):
            raise UserError("amrb: the step uses a tensor computed outside it that needs a gradient (the output "
                            f"of an encoder, say; its last operation is {node.name().removesuffix('Backward0')}); hand "
                            "it over in x_t of every segment, where its gradients are summed")
        for successor, _ in node.next_functions:
            if successor not in seen:
                seen.add(successor)
                todo.append(successor)


def check_arguments(step: object, segments: object, parameters: object) -> tuple[list, list[Tensor]]:
    """Segments and parameters as lists. Errors: `UserError` for what cannot be meant."""
    if not callable(step):
        raise UserError(f"amrb: step = {step!r} cannot be called; give a function (x_t, memory) -> (out_t, memory)")
    if not isinstance(segments, Iterable):
        raise UserError(f"amrb: segments is a {type(segments).__name__}; give a list of x_t")
    if isinstance(parameters, torch.nn.Module):
        raise UserError("amrb: parameters is a module; give its parameters, list(module.parameters())")
    if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
        raise UserError(f"amrb: parameters is a {type(parameters).__name__}; give a list of tensors, such as "
                        "list(module.parameters())")
    found = list(parameters)
    for one in found:
        if not isinstance(one, Tensor):
            hint = "; named_parameters() gives pairs, parameters() tensors" if isinstance(one, tuple) else ""
            raise UserError(f"amrb: parameters holds a {type(one).__name__}, not a tensor{hint}")
    return list(segments), found


def check_result(result: object) -> None:
    """What a step returned. Errors: `UserError` where it is not two things."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        shown = f"{len(result)} values" if isinstance(result, tuple | list) else f"a {type(result).__name__}"
        raise UserError(f"amrb: the step returned {shown}; it must return two: (out_t, memory), None where there is no "
                        "out_t")


def check_sharding(modules: Iterable[torch.nn.Module]) -> None:
    """FSDP2 makes and drops whole parameters of a module inside the step, also in the replay.

    Errors: `UserError` where a part of a module that the step uses is sharded by itself. As one unit, the whole model
    is made whole before the step begins.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    for module in modules if fsdp is not None else ():
        for part in module.modules():
            if part is not module and isinstance(part, fsdp.FSDPModule):
                raise UserError(f"amrb: the step uses a {type(part).__name__} that is sharded by itself (unshard() by "
                                "hand does not help): its parameters change during the backward pass; shard the model "
                                "as one unit, fully_shard(model), or use checkpointed")


def check_no_tangents(tensors: Iterable[Tensor]) -> None:
    """A derivative forwards would be lost in silence."""
    if forward_ad._current_level >= 0 and any(forward_ad.unpack_dual(x).tangent is not None for x in tensors
                                              if differentiable(x)):
        raise UserError("amrb has no derivative in forward mode (torch.func.jvp, forward_ad); use bptt for it")
