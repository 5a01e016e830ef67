"""Queries of the wanted rows, keys of all, and what they read: V, or X itself where so few read that V does not pay.

Heads stand beside samples in one dimension, `cells` = batch * heads with the heads of a sample side by side, so that
products over rows are plain batched ones.
"""

from dataclasses import dataclass

from torch import nn

from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.precision import at_least_float32, lost_in_rounding

ALL = slice(None)


@dataclass(frozen=True)
class Values:
    """V of every row, for sums over rows: `read(q, k)` is q (k^T V) [cells, wanted, m]."""

    v: Float[Tensor, "cells rows m"]

    def read(self, q: Float[Tensor, "cells wanted m"],
             k: Float[Tensor, "cells rows m"]) -> Float[Tensor, "cells wanted m"]:
        """Write into an m x m state, then read it: linear in the rows, whatever reads."""
        return q.bmm(k.transpose(1, 2).bmm(self.v))


@dataclass(frozen=True)
class FewReaders:
    """X and W_V in the place of V, for a handful of queries: neither V nor the state is ever made."""

    x: Float[Tensor, "batch rows width"]
    weight: Float[Tensor, "heads m width"]

    def read(self, q: Float[Tensor, "cells wanted m"],
             k: Float[Tensor, "cells rows m"]) -> Float[Tensor, "cells wanted m"]:
        """The same q (k^T V), from left to right."""
        heads = len(self.weight)
        # (E5.11) Q (K^T V) = ((Q K^T) X) W_V
        mixed = q.bmm(k.transpose(1, 2)).view(self.x.shape[0], -1, k.shape[1]).bmm(self.x)
        if heads == 1:
            return nn.functional.linear(mixed, self.weight[0])
        return (mixed.unflatten(1, (heads, -1)) @ self.weight.transpose(1, 2)).flatten(0, 1)


def split_heads(x: Float[Tensor, "batch rows width"], heads: int) -> Float[Tensor, "cells rows m"]:
    """Each head's share of the features as rows of its own; x itself for one head."""
    return x if heads == 1 else x.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)


def join_heads(x: Float[Tensor, "cells rows m"], heads: int) -> Float[Tensor, "batch rows width"]:
    """What `split_heads` took apart."""
    return x if heads == 1 else x.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)


def mask_of_cells(mask: Bool[Tensor, "batch rows"], heads: int) -> Bool[Tensor, "cells rows"]:
    """A sample's mask for each of its heads."""
    return mask if heads == 1 else mask.repeat_interleave(heads, 0)


def project_rows(qkv: nn.Linear, x: Float[Tensor, "batch rows width"], wanted: slice) -> tuple[Tensor, Tensor, Tensor]:
    """q [batch, wanted rows, width], k and v [batch, rows, width] from a bias-free projection to 3 widths."""
    width = x.shape[-1]
    if wanted == ALL:  # one product instead of two
        return qkv(x).split(width, -1)
    q = nn.functional.linear(x[:, wanted], qkv.weight[:width])
    return q, *nn.functional.linear(x, qkv.weight[width:]).split(width, -1)


def project_for_sums(qkv: nn.Linear, x: Float[Tensor, "batch rows width"], heads: int, *, wanted: slice,
                     exactly: bool = False) -> tuple[Tensor, Tensor, Values | FewReaders]:
    """q [cells, wanted rows, m], k [cells, rows, m], and what is read with them in at least float32.

    `exactly`: a half-precision V gets back what its own rounding lost.
    """
    width = x.shape[-1]
    if wanted != ALL and few(x[:, wanted].shape[1], width, heads):
        q = nn.functional.linear(x[:, wanted], qkv.weight[:width])
        k = nn.functional.linear(x, qkv.weight[width:2 * width])
        weight = at_least_float32(qkv.weight[2 * width:]).unflatten(0, (heads, -1))
        values = FewReaders(at_least_float32(x), weight)
    else:
        q, k, v = project_rows(qkv, x, wanted)
        v32 = at_least_float32(v)
        if exactly and v32 is not v:  # a mean of rounded values is as wrong as each of them, for it is as much smaller
            v32 = v32 + lost_in_rounding(v, x, qkv.weight[2 * width:])
        values = Values(split_heads(v32, heads))
    return split_heads(q, heads), split_heads(k, heads), values


def few(readers: int, width: int, heads: int) -> bool:
    """Whether so many queries multiply less from left to right: by rows, V and the state cost width (width + m)
    products, `readers` queries of all heads readers (1 + heads) width."""
    return readers * (1 + heads) < width + width // heads
