"""Queries of the wanted rows, keys of all, and what they read: V, or X itself where so few read that V does not pay."""

from dataclasses import dataclass

from torch import nn

from rmaat.attention.precision import at_least_float32, lost_in_rounding
from rmaat.shapes import Float, Tensor

ALL = slice(None)


@dataclass(frozen=True)
class Values:
    """V of every row, for sums over rows: `read(q, k)` is q (k^T V) [batch, heads, wanted, m]."""

    v: Float[Tensor, "batch heads rows m"]

    def read(self, q: Float[Tensor, "batch heads wanted m"],
             k: Float[Tensor, "batch heads rows m"]) -> Float[Tensor, "batch heads wanted m"]:
        """Write into an m x m state, then read it: linear in the rows, whatever reads."""
        return q @ (k.transpose(-1, -2) @ self.v)


@dataclass(frozen=True)
class FewReaders:
    """X and W_V in the place of V, for a handful of queries: neither V nor the state is ever made."""

    x: Float[Tensor, "batch rows width"]
    weight: Float[Tensor, "heads m width"]

    def read(self, q: Float[Tensor, "batch heads wanted m"],
             k: Float[Tensor, "batch heads rows m"]) -> Float[Tensor, "batch heads wanted m"]:
        """The same q (k^T V), from left to right."""
        # (E5.11) Q (K^T V) = ((Q K^T) X) W_V
        mixed = (q @ k.transpose(-1, -2)).flatten(1, 2) @ self.x
        return mixed.unflatten(1, q.shape[1:3]) @ self.weight.transpose(-1, -2)


def project_rows(qkv: nn.Linear, x: Float[Tensor, "batch rows width"], heads: int,
                 wanted: slice) -> tuple[Tensor, Tensor, Tensor]:
    """q [batch, heads, wanted rows, m], k and v [batch, heads, rows, m] from a bias-free projection to 3 widths."""
    width = x.shape[-1]
    if wanted == ALL:  # one product instead of two
        q, k, v = qkv(x).unflatten(-1, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        return q, k, v
    q = _by_heads(nn.functional.linear(x[:, wanted], qkv.weight[:width]), heads)
    k, v = _by_heads(nn.functional.linear(x, qkv.weight[width:]), 2 * heads).chunk(2, 1)
    return q, k, v


def project_for_sums(qkv: nn.Linear, x: Float[Tensor, "batch rows width"], heads: int, wanted: slice,
                     exactly: bool = False) -> tuple[Tensor, Tensor, Values | FewReaders]:
    """q and k as `project_rows`, and what is read with them in at least float32.

    `exactly`: a half-precision V gets back what its own rounding lost.
    """
    width = x.shape[-1]
    if wanted != ALL and few(x[:, wanted].shape[1], width, heads):
        q, k = (_by_heads(nn.functional.linear(rows, part), heads) for rows, part in
                ((x[:, wanted], qkv.weight[:width]), (x, qkv.weight[width:2 * width])))
        weight = at_least_float32(qkv.weight[2 * width:]).unflatten(0, (heads, -1))
        return q, k, FewReaders(at_least_float32(x), weight)
    q, k, v = project_rows(qkv, x, heads, wanted)
    v32 = at_least_float32(v)
    if exactly and v32 is not v:  # a mean of rounded values is as wrong as each of them, for it is as much smaller
        rest = lost_in_rounding(v.transpose(1, 2).flatten(2), x, qkv.weight[2 * width:])
        v32 = v32 + _by_heads(rest, heads)
    return q, k, Values(v32)


def few(readers: int, width: int, heads: int) -> bool:
    """Whether so many queries multiply less from left to right: by rows, V and the state cost width (width + m)
    products, `readers` queries of all heads readers (1 + heads) width."""
    return readers * (1 + heads) < width + width // heads


def _by_heads(x: Float[Tensor, "batch rows width"], heads: int) -> Float[Tensor, "batch heads rows m"]:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
