"""Tokens as numbers, for images: what two grey values share is learned once."""

import torch

from foundation.shapes import Bool, Float, Int, Tensor
from rmaat.biology.provenance import Engineering, declare

RANGE, HALF = 4, .5
origins = declare(
    HALF=Engineering(HALF, "the middle of the tokens' range becomes 0"),
    RANGE=Engineering(RANGE, "from the lowest to the highest token as numbers: of the order of a normed input"))


def as_numbers(tokens: Int[Tensor, "..."], vocab_size: int, *, there: Bool[Tensor, "..."],
               dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Tokens 0..vocab_size - 1 as -2..2, and 0 where none is `there`."""
    middle, unit = (vocab_size - 1) * HALF, max(1, vocab_size - 1) / RANGE
    return ((tokens.to(dtype) - middle) / unit).masked_fill(~there, 0)
