"""Sums over many tokens are kept at least in float32: in float16 they overflow from about 1,000 tokens on."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from foundation.shapes import Float, Tensor


class _Widened(torch.autograd.Function):
    """float32 of half precision; a gradient that half precision cannot hold becomes the largest that it can."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.half = x.dtype
        return x.float()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return within(grad, ctx.half).to(ctx.half)


def at_least_float32(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x itself, or its float32 copy where it is half precision."""
    if x.dtype not in (torch.float16, torch.bfloat16):
        return x
    return _Widened.apply(x) if torch.is_grad_enabled() else x.float()


def within(x: Float[Tensor, "..."], half: torch.dtype) -> Float[Tensor, "..."]:
    """x held within what `half` can hold: beyond it infinities of both signs would meet as NaN."""
    most = torch.finfo(half).max
    return x.clamp(-most, most)


def no_autocast(x: Tensor) -> AbstractContextManager:
    """A context in which autocast does not round what is computed on x's device."""
    kind = x.device.type
    rounds = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if rounds else nullcontext()


def project_precisely(weight: Float[Tensor, "out width"], x: Float[Tensor, "*batch width"],
                      half: torch.dtype) -> Float[Tensor, "*batch out"]:
    """The product of float32 x with a weight as one half-precision matrix product, x not rounded to `half` before.

    x goes in as two half-precision numbers, its rounded value and what that leaves; the product adds them in float32.
    """
    x = within(x, half)
    rounded = x.to(half)
    rest = (x.detach() - rounded.detach()).to(half)
    product = nn.functional.linear(torch.cat([rounded, rest], -1), torch.cat([weight, weight], -1).to(half))
    return within(product, half)


def lost_in_rounding(product: Float[Tensor, "*batch out"], x: Float[Tensor, "*batch width"],
                     weight: Float[Tensor, "out width"]) -> Float[Tensor, "*batch out"]:
    """x W^T - product, for a half-precision `product` of the two: what its rounding lost, itself in half precision.

    One more half-precision matrix product; it subtracts in float32 before it rounds. Has no gradient of its own.
    """
    half = product.dtype
    with torch.no_grad():
        rows = product.reshape(-1, product.shape[-1])
        rest = torch.addmm(rows, x.to(half).flatten(0, -2), weight.to(half).T, beta=-1.)
    return rest.view(product.shape)
