"""A batch looked at once, cut into segments, and what is asked of the network for each of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Int, Integer, Tensor
from rmaat.model.config import ModelConfig
from rmaat.model.mixing import MIXING

WHOLE = (torch.int64, torch.int32)
TOKENS = (*WHOLE, torch.uint8)


class Segment(NamedTuple):
    """Up to `segment_length` places of a batch."""

    tokens: Tensor         # whole numbers [batch, places], or vectors in their place [batch, places, width]
    mask: Tensor | None    # bool [batch, places], true for tokens that are there; None: all
    t: int                 # 1..T
    T: Tensor | None = None  # int64 [batch], segments of each sample, where schedule = sample; None: the config's
    before: Tensor | None = None  # int64 [batch, reach], the tokens before its first, -1 for none; for a mixing


class Work(NamedTuple):
    """What a gradient algorithm runs, and runs again, for one segment: `step(segment, memory, prepared)`."""

    step: Callable
    segment: Segment
    prepared: list[Tensor | None]  # of each block, what follows from its parameters alone

    def run(self, memory: Tensor) -> tuple[Tensor | None, Tensor]:
        """(what is read of the segment, the memory after it)."""
        return self.step(self.segment, memory, self.prepared)


class Given(NamedTuple):
    """A batch that was looked at: tokens (or vectors), lengths, and the shortest and longest of these."""

    tokens: Tensor
    lengths: Int[Tensor, "batch"]
    shortest: int
    longest: int


def inside(given: Given) -> Bool[Tensor, "batch longest"] | None:
    """Which tokens are there; None where all samples are as long as the longest."""
    if given.shortest == given.longest:
        return None
    return torch.arange(given.longest, device=given.tokens.device) < given.lengths[:, None]


def cut(given: Given, segment_length: int, *, schedule: str = "config", reach: int = 0) -> list[Segment]:
    """The segments of a batch, t = 1..T; the last may be shorter, and mask is None where all samples are whole.

    Each brings the `reach` tokens that stand before it.
    """
    segments, device = [], given.tokens.device
    T = None if schedule == "config" else (given.lengths.long() - 1).div(segment_length, rounding_mode="floor") + 1
    for start in range(0, given.longest, segment_length):
        stop = min(start + segment_length, given.longest)
        x, mask = given.tokens[:, start:stop], None
        if stop > given.shortest:
            mask = torch.arange(start, stop, device=device) < given.lengths[:, None]
            x = x.masked_fill(~mask if x.ndim == mask.ndim else ~mask[..., None], 0)
        before = last_tokens(given.tokens[:, :start], reach) if reach else None
        x = x.long() if x.dtype == torch.uint8 else x
        segments.append(Segment(x, mask, start // segment_length + 1, T, before))
    return segments


def last_tokens(tokens: Integer[Tensor, "batch n"], reach: int) -> Int[Tensor, "batch reach"]:
    """The last `reach` tokens, -1 where there are none."""
    tokens = tokens[:, max(0, tokens.shape[1] - reach):].long()
    return nn.functional.pad(tokens, (reach - tokens.shape[1], 0), value=-1)


def join(outs: Sequence[Float[Tensor, "batch _ width"]], given: Given,
         head: Callable | None) -> Float[Tensor, "batch length out"]:
    """The segments' tokens one after the other, through `head`; 0 where there is no token."""
    x, there = torch.cat(list(outs), 1), inside(given)
    if head is not None:
        x = head(x)
        x = x if there is None else x.masked_fill(~there[..., None], 0)
    return nn.functional.pad(x, (0, 0, 0, given.tokens.shape[1] - given.longest))


def check_input(config: ModelConfig, tokens: Tensor | None, lengths: Tensor | None = None,
                *, inputs_embeds: Tensor | None = None) -> Given:
    """The batch, after looking at everything that could be wrong with it. Raises `UserError`."""
    if (tokens is None) == (inputs_embeds is None):
        raise UserError(f"{'neither' if tokens is None else 'both'} of tokens and inputs_embeds given; give one of "
                        "them: tokens [batch, length], or vectors in their place [batch, length, width]")
    for name, value in (("tokens", tokens), ("lengths", lengths), ("inputs_embeds", inputs_embeds)):
        if value is not None:
            check_tensor(name, value)
    x = check_tokens(tokens) if inputs_embeds is None else check_vectors(config, inputs_embeds)
    if inputs_embeds is not None and MIXING[config.mixing].reach:
        raise UserError(f"mixing = {config.mixing} reads tokens, given are inputs_embeds; give tokens, or build the "
                        "network with another mixing")
    if 0 in x.shape[1:] or (not torch.compiler.is_exporting() and not x.shape[0]):
        raise UserError(f"tokens has the shape {tuple(x.shape)}; give at least one sequence of at least one token")
    batch, length = x.shape[:2]
    check_documents(config, batch)
    shortest = longest = length
    if lengths is None:
        lengths = torch.full((batch,), length, device=x.device)
    else:
        shortest, longest = check_lengths(lengths, batch, length)
    if longest > config.max_length:
        raise UserError(f"a sequence of {longest} tokens does not fit num_segments = {config.num_segments} segments of "
                        f"segment_length = {config.segment_length}; raise one of them")
    if inputs_embeds is None:
        there = None  # what stands in the padding is not looked at
        if shortest < length:
            there = torch.arange(length, device=x.device) < lengths[:, None]
        check_vocabulary(config, x, there)
    return Given(x, lengths, shortest, longest)


def check_documents(config: ModelConfig, rows: int) -> None:
    """Raises `UserError` where a batch is not of whole samples."""
    if rows % config.documents:
        raise UserError(f"{rows} sequences with documents = {config.documents}: give the first documents of all "
                        "samples and then, in the same order, the second ones")


def check_tensor(name: str, value: object) -> None:
    """An array or a list looks so much like a tensor that the other checks would name the wrong fault."""
    if not isinstance(value, Tensor):
        raise UserError(f"{name} is of type {type(value).__name__}; give a tensor: torch.as_tensor({name})")


def check_tokens(tokens: Tensor) -> Tensor:
    """Tokens, if they are whole numbers [batch, n]."""
    if tokens.ndim != 2 or tokens.dtype not in TOKENS:
        raise UserError(f"tokens has the shape {tuple(tokens.shape)} and type {tokens.dtype}; give int64 (or int32, "
                        "uint8) of shape [batch, length]")
    return tokens


def check_vectors(config: ModelConfig, vectors: Tensor) -> Float[Tensor, "batch length width"]:
    """Vectors in the place of tokens, if they have the network's width."""
    if vectors.ndim != 3 or vectors.shape[-1] != config.width or not vectors.is_floating_point():
        raise UserError(f"inputs_embeds has the shape {tuple(vectors.shape)} and type {vectors.dtype}; give floating "
                        f"point numbers of shape [batch, length, {config.width}]")
    return vectors


def check_lengths(lengths: Tensor, batch: int, length: int) -> tuple[int, int]:
    """The shortest and the longest."""
    if tuple(lengths.shape) != (batch,) or lengths.dtype not in WHOLE:
        raise UserError(f"lengths has the shape {tuple(lengths.shape)} and type {lengths.dtype}, for a batch of "
                        f"{batch}; give int64 of shape [batch], or leave lengths out where all sequences are whole")
    if torch.compiler.is_exporting():  # the program is for any lengths, and looks at them when it runs
        torch._assert_async(((lengths >= 1) & (lengths <= length)).all(), "lengths are not in 1 to the width of tokens")
        return 1, length
    shortest, longest = (int(x) for x in lengths.aminmax())
    if shortest < 1 or longest > length:
        raise UserError(f"lengths run from {shortest} to {longest}; allowed are 1 to {length}, the width of tokens")
    return shortest, longest


def check_vocabulary(config: ModelConfig, tokens: Tensor, there: Bool[Tensor, "batch length"] | None = None) -> None:
    """Look at the tokens that are there (None: all); on the meta device there is nothing to look at."""
    if tokens.is_meta:
        return
    looked_at = tokens if there is None else tokens.masked_fill(~there, 0)
    if torch.compiler.is_exporting():
        inside = (looked_at >= 0) & (looked_at < config.vocab_size)
        torch._assert_async(inside.all(), "a token is out of vocabulary")
        return
    low, high = (int(x) for x in looked_at.aminmax()) if tokens.numel() else (0, 0)
    if low >= 0 and high < config.vocab_size:
        return
    sample, place = ((looked_at < 0) | (looked_at >= config.vocab_size)).nonzero()[0].tolist()
    allowed = f"0 to {config.vocab_size - 1}" if config.vocab_size else "none; give inputs_embeds"
    raise UserError(f"sample {sample} of the batch, place {place}: token {looked_at[sample, place].item()} is out of "
                    f"vocabulary; vocab_size = {config.vocab_size} allows {allowed}")
