"""What a step may do that a replay would silently get wrong: seen here, and refused."""

from collections.abc import Iterable, Sequence
from enum import Enum
from numbers import Number

import torch

from foundation.errors import UserError
from foundation.shapes import Tensor

ALIKE = {torch.float64: 1e-6, torch.complex128: 1e-6, torch.float32: 3e-3, torch.complex64: 3e-3}  # float32 may be TF32
ALIKE_HALF = .01  # all of the norm, far above the rounding that CUDA's order of sums may bring
LOOKED_AT = 1024  # numbers of an out_t that are kept to be compared with its replay
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


def check_named(outputs: Iterable[Tensor], leaves: Iterable[Tensor], parameters: Sequence[Tensor]) -> None:
    """A tensor that the step uses and `parameters` lacks would get no gradient."""
    known = {id(x) for x in (*leaves, *parameters)}
    seen = {x.grad_fn for x in parameters} | {None}  # not beyond parameters that are computed themselves
    todo = [y.grad_fn for y in outputs if y.grad_fn not in seen]
    while todo:
        node = todo.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            raise UserError(f"amrb: the step uses a tensor of shape {tuple(leaf.shape)} that needs a gradient "
                            "and is not in `parameters`; pass all of them, e.g. list(model.parameters())")
        for successor, _ in node.next_functions:
            if successor not in seen:
                seen.add(successor)
                todo.append(successor)


def some(x: Tensor) -> Tensor:
    """Copies of up to `LOOKED_AT` numbers of x, evenly spaced; none of a sparse or nested one."""
    flat = x.detach().flatten() if x.layout is torch.strided else torch.empty(0)
    return flat[::-(-flat.numel() // LOOKED_AT) or 1].clone()


def check_alike(found: Sequence[Tensor], expected: Sequence[Tensor], what: str, *, exact: bool) -> None:
    """Whether a replay is the forward pass again; rounding may differ (torch has other kernels under no_grad).

    `exact`: nothing was computed in half precision on the way to a wider number.
    """
    for x, y in zip(found, expected, strict=True):
        if not differentiable(x):
            continue
        rounding = torch.finfo(x.dtype).eps * x.numel() ** .5  # of numbers near 1 that cancelled
        alike = ALIKE.get(x.dtype, ALIKE_HALF) if exact else ALIKE_HALF
        if (x.detach() - y.to(x.device)).norm() > alike * y.norm() + rounding:
            raise UserError(f"amrb: a replayed segment gives {what} than its forward pass gave. The step "
                            "draws random numbers that are not torch's own, or has a state of its own; hand all of it "
                            "through `memory`, or use bptt")
