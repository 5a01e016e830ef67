"""Attention that sees the past alone, in linear time: running sums by blocks of tokens in the place of one sum.

A segment has its memory tokens twice: as they are read, which see one another alone, and as they are written, which see
everything. A token sees itself, the tokens before it and the memory as it is read. Were there one row for both, a token
of the next layer would read in it what comes after the token. Rows are the tokens, the memory that is read, the memory
that is written; `num_memory_tokens` counts both. A portion of tokens goes on from what the ones before it have left,
so that a stream token by token computes what a whole pass computes, to rounding.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import nn

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.base import Attention
from rmaat.attention.baselines import Linear, Softmax
from rmaat.attention.past_kernel import Carried, past_kernel
from rmaat.attention.precision import at_least_float32, no_autocast
from rmaat.attention.projection import ALL, join_heads, mask_of_cells, project_for_sums, split_heads
from rmaat.attention.rel_pos import Content, NoRelPos, Positional
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import Engineering, declare

BLOCK, COPIES = 64, 2
origins = declare(
    BLOCK=Engineering(BLOCK, "tokens whose pairs are multiplied out; any size gives the same result"),
    COPIES=Engineering(COPIES, "of each memory token: as it is read, and as it is written"))
Mask = Bool[Tensor, "batch rows"] | None
Rows = Float[Tensor, "batch rows width"]


class Causal(Attention):
    """What every causal attention is: `start` with the memory that is read, `follow` with the next tokens any number of
    times, `finish` with the memory that is written. Each gives what its rows read, and what was seen by then.
    """

    causal: ClassVar[bool] = True

    def start(self, memory: Rows, mask: Mask = None) -> tuple[Rows, tuple]:
        """The memory as it is read: what it reads of itself, and the past that a segment begins with."""
        raise NotImplementedError(f"{type(self).__name__} needs start(memory, mask)")

    def follow(self, x: Rows, past: tuple, *, mask: Mask = None, prepared: Tensor | None = None) -> tuple[Rows, tuple]:
        """The next tokens: what each reads of the past, the tokens before it and itself, and the past after them."""
        raise NotImplementedError(f"{type(self).__name__} needs follow(x, past, mask, prepared)")

    def finish(self, memory: Rows, past: tuple, mask: Mask = None) -> Rows:
        """The memory as it is written: what it reads of all."""
        raise NotImplementedError(f"{type(self).__name__} needs finish(memory, past, mask)")

    def forward(self, x: Rows, num_memory_tokens: int = 0, mask: Mask = None, *, wanted: slice = ALL,
                prepared: Tensor | None = None) -> Float[Tensor, "batch wanted width"]:
        places, half = self.places_of(x, num_memory_tokens), num_memory_tokens // COPIES
        if num_memory_tokens % COPIES:
            raise UserError(f"num_memory_tokens = {num_memory_tokens}: a causal attention has each memory token twice, "
                            "as it is read and as it is written; give an even number")
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)
        sizes = [places, half, half]
        tokens, read, written = x.split(sizes, 1)
        there = [None] * len(sizes) if mask is None else mask.split(sizes, 1)
        of_memory, past = self.start(read, there[1])
        of_tokens, past = self.follow(tokens, past, mask=there[0], prepared=prepared)
        return torch.cat([of_tokens, of_memory, self.finish(written, past, there[2])], 1)[:, wanted]


class Past(NamedTuple):
    """What has been written: sums over all rows so far, the next token's place, and what the kernel carries."""

    written: Float[Tensor, "cells m m"]
    keys: Float[Tensor, "cells 1 m"]
    place: int
    carried: Carried


def read_past(q: Float[Tensor, "cells rows m"], write: Float[Tensor, "cells rows m"], v: Float[Tensor, "cells rows m"],
              before: Float[Tensor, "cells m m"]) -> tuple[Float[Tensor, "cells rows m"], Float[Tensor, "cells m m"]]:
    """q_i (before + sum of write_j^T v_j over j <= i), and the sum after the last row; linear in the rows."""
    rows = q.shape[1]
    if not rows:
        return q, before
    size = min(rows, BLOCK)
    q, write, v = (nn.functional.pad(x, (0, 0, 0, -rows % size)).unflatten(1, (-1, size)) for x in (q, write, v))
    # (E5.14) S_(b+1) = S_b + W_b^T V_b, read by Q_b S_b + tril(Q_b W_b^T) V_b
    written = torch.cat([before[:, None], write.transpose(-1, -2) @ v], 1).cumsum(1)
    read = (q @ write.transpose(-1, -2)).tril() @ v + q @ written[:, :-1]
    return read.flatten(1, 2)[:, :rows], written[:, -1]


class RunningSums(Causal):
    """A causal attention whose past is two sums; what it makes of them a subclass says: `_level`, `_scaled`, `_out`."""

    exactly = False

    def _level(self, keys: Float[Tensor, "cells rows m"]) -> Float[Tensor, "cells rows m"]:
        """g of summed keys."""
        raise NotImplementedError

    def _scaled(self, read: Float[Tensor, "cells rows m"],
               level: Float[Tensor, "cells rows 1"]) -> Float[Tensor, "cells rows m"]:
        """What was read, at C of each query."""
        raise NotImplementedError

    def _query(self, q: Float[Tensor, "cells rows m"]) -> Float[Tensor, "cells rows m"]:
        """phi(Q), or phi(Q) times any factor where `_scaled` divides by it."""
        return self.feature_map.shifted(q)

    def _out(self, read: Rows, half: torch.dtype) -> Rows:
        """Through the output projection, from at least float32 to `half`."""
        raise NotImplementedError

    def _processes(self, x: Rows, past: Past, prepared: Tensor | None) -> tuple[Tensor | None, Carried]:
        """phi(R) of the next tokens' places, [1 or batch * heads or heads, rows, m], and what the kernel carries on."""
        return None, None

    def _projected(self, x: Rows, mask: Mask) -> tuple[Tensor, Tensor, Tensor, torch.dtype]:
        """phi(Q), phi(K), 0 where nobody is, V, and the type that the projection gave."""
        q, k, values = project_for_sums(self.qkv, x, self.heads, wanted=ALL, exactly=self.exactly)
        with no_autocast(x):
            keys = self.feature_map(at_least_float32(k))
            if mask is not None:
                keys = keys * mask_of_cells(mask, self.heads)[..., None]
            return self._query(at_least_float32(q)), keys, values.v, q.dtype

    def _together(self, x: Rows, past: Past | None, mask: Mask) -> tuple[Rows, Past]:
        """Rows without a place, which see one another and the past."""
        q, k, v, half = self._projected(x, mask)
        with no_autocast(x):
            # (E5.13) H_i, g_i: of the rows that row i sees
            written, keys = k.transpose(1, 2).bmm(v), k.sum(1, keepdim=True)
            if past is not None:
                written, keys = past.written + written, past.keys + keys
            read = join_heads(self._scaled(q.bmm(written), (q * self._level(keys)).sum(-1, keepdim=True)), self.heads)
        return self._out(read, half), Past(written, keys, 0, None)

    def start(self, memory: Rows, mask: Mask = None) -> tuple[Rows, Past]:
        """The memory as it is read, and the sums over it."""
        return self._together(memory, None, mask)

    def finish(self, memory: Rows, past: Past, mask: Mask = None) -> Rows:
        """The memory as it is written."""
        return self._together(memory, past, mask)[0]

    def follow(self, x: Rows, past: Past, *, mask: Mask = None, prepared: Tensor | None = None) -> tuple[Rows, Past]:
        """The next tokens, and the sums with them."""
        process, carried = self._processes(x, past, prepared)
        q, k, v, half = self._projected(x, mask)
        with no_autocast(x):
            # (E5.13) H_i, g_i: of the rows that row i sees
            keys = past.keys + k.cumsum(1)
            level = (q * self._level(keys)).sum(-1, keepdim=True)
            if process is not None:
                k = (k.unflatten(0, (-1, self.heads)) + process.unflatten(0, (-1, self.heads))).flatten(0, 1)
            read, written = read_past(q, k, v, past.written)
            read = join_heads(self._scaled(read, level), self.heads)
        keys = keys[:, -1:] if x.shape[1] else past.keys
        return self._out(read, half), Past(written, keys, past.place + x.shape[1], carried)


class CausalLinear(RunningSums, Linear):
    """Normalised linear attention over the past alone. Rows and mask as `Causal`, options as `Linear`."""

    def _level(self, keys):
        return keys.clamp(min=self.feature_map.least_sum)

    def _scaled(self, read, level):
        return read / level

    def _out(self, read, half):
        return self.project(read.to(half))


class CausalAstromorphic(RunningSums, Astromorphic):
    """Astromorphic attention over the past alone: neurons and astrocytes write token after token, calcium rises with
    them, and a process feels those before it. Rows and mask as `Causal`, options as `Astromorphic`.
    """

    exactly = True

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology | None = None,
                 rel_pos: str = "positional", kernel: str = "record", **options):
        biology = biology or Biology.load()
        super().__init__(width, heads, places, biology=biology, rel_pos=rel_pos, kernel=kernel, **options)
        if not isinstance(self.rel_pos, NoRelPos):
            self.rel_pos.kernel = past_kernel(biology, places, kernel)
        if isinstance(self.rel_pos, Positional):  # R has unit variance where the past is long, of half a line's width
            distance = torch.arange(places, dtype=torch.float64, device="cpu")
            scale = float(self.rel_pos.curve(distance=distance).square().sum().rsqrt())
            with torch.no_grad():
                self.rel_pos.rows.mul_(scale / self.rel_pos.initial_scale)
            self.rel_pos.initial_scale = scale

    def _level(self, keys):
        return self.calcium_response(drive=keys.clamp(min=self.feature_map.least_sum))

    def _scaled(self, read, level):
        return read * (self.feedback(calcium=level) / self.m)

    def _query(self, q):
        return self.feature_map.shifted(q) if self.scale_free else self.feature_map(q)

    def _out(self, read, half):
        return self.projected(read, half)

    def _processes(self, x, past, prepared):
        if isinstance(self.rel_pos, Content):
            signal = self.rel_pos.project(x)
            with no_autocast(x):
                signal = at_least_float32(signal)
                # (E5.5) R = r (X W_R)
                coupled = self.rel_pos.kernel(signal, past.carried)
                carried = self.rel_pos.kernel.after(coupled, signal, past.carried)
                return self.feature_map(split_heads(coupled, self.heads)), carried
        whole = self.prepare() if prepared is None else prepared
        return None if whole is None else whole[:, past.place:past.place + x.shape[1]], None


class Cached(NamedTuple):
    """All keys and values so far, [batch, heads, rows, m], and which of them are there."""

    k: Tensor
    v: Tensor
    there: Mask


class CausalSoftmax(Causal, Softmax):
    """Scaled dot-product attention over the past alone. Rows and mask as `Causal`; reads no option."""

    def _attend(self, x: Rows, past: Cached | None, mask: Mask, *, ordered: bool) -> tuple[Rows, Cached]:
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in self.qkv(x).chunk(3, -1))
        rows, there = x.shape[1], mask
        if past is not None:
            if mask is not None or past.there is not None:
                there = torch.cat([x.new_ones(x.shape[0], each.shape[2], dtype=torch.bool) if known is None else known
                                   for each, known in ((past.k, past.there), (k, mask))], 1)
            k, v = torch.cat([past.k, k], 2), torch.cat([past.v, v], 2)
        if not rows:
            return x, Cached(k, v, there)
        allowed = None if there is None else there[:, None, None]
        if ordered:
            order = torch.ones(rows, k.shape[2], dtype=torch.bool, device=x.device).tril(k.shape[2] - rows)
            allowed = order if allowed is None else order & allowed
        read = nn.functional.scaled_dot_product_attention(q, k, v, allowed)
        return self.project(read.transpose(1, 2).flatten(2)), Cached(k, v, there)

    def start(self, memory: Rows, mask: Mask = None) -> tuple[Rows, Cached]:
        """The memory as it is read, and its keys."""
        return self._attend(memory, None, mask, ordered=False)

    def follow(self, x: Rows, past: Cached, *, mask: Mask = None, prepared: None = None) -> tuple[Rows, Cached]:
        """The next tokens, and all keys so far."""
        return self._attend(x, past, mask, ordered=True)

    def finish(self, memory: Rows, past: Cached, mask: Mask = None) -> Rows:
        """The memory as it is written."""
        return self._attend(memory, past, mask, ordered=False)[0]


CAUSAL: dict[type[Attention], type[Causal]] = {
    Astromorphic: CausalAstromorphic, Linear: CausalLinear, Softmax: CausalSoftmax}
