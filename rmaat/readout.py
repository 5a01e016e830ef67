"""What the classifier reads of the segments' features, beside the memory tokens."""

from collections.abc import Sequence

import torch

from rmaat.shapes import Float, Int, Tensor


def last(outs: Sequence[Tensor], lengths: Int[Tensor, "batch"], segment_length: int) -> Float[Tensor, "batch width"]:
    """Mean features of each sample's own last segment; outs are sums over valid tokens, [batch, width] each."""
    index = (lengths - 1) // segment_length
    if bool((index == len(outs) - 1).all()):
        sums = outs[-1]
    else:
        sums = torch.stack(list(outs), 1)[torch.arange(len(lengths), device=lengths.device), index]
    return sums / (lengths - index * segment_length)[:, None]


def pooled(outs: Sequence[Tensor], lengths: Int[Tensor, "batch"], segment_length: int) -> Float[Tensor, "batch width"]:
    """Mean features of all valid tokens of all segments."""
    return torch.stack(list(outs)).sum(0) / lengths[:, None]


READOUT = {"last": last, "pooled": pooled}
