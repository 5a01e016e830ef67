"""Sums over many tokens are kept at least in float32: in float16 they overflow from about 1,000 tokens on."""

import torch

from rmaat.shapes import Float, Tensor


def at_least_float32(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x itself, or its float32 copy where it is half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
