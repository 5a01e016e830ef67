"""Streaming token by token: logits of each token as soon as it comes, at constant cost."""

from collections.abc import Mapping

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from foundation.errors import UserError
from foundation.shapes import Float, Integer, Tensor
from rmaat.model.segments import last_tokens
from rmaat.model.stream import Stream

PLAIN = ("memory", "carried", "before", "last", "segment", "places")


class TokenStream(Stream):
    """`batch` sequences in step through a causal model with output = tokens (or features).

    `feed(tokens [batch, n]) -> logits [batch, n, classes]`, for any n: what the model gives for these tokens in the
    whole sequence, to rounding. A token costs the same wherever it stands, and the state does not grow, except within a
    segment for attention = softmax (its keys) and for a kernel that is no exponential (its line). `answer()` gives the
    logits of the last token once more. The state is the memory and what each block has seen of the segment so far.
    Raises what `Stream` raises.
    """

    def __init__(self, model, batch: int = 1, num_segments: int | None = None):
        super().__init__(model, batch, num_segments)
        self.pasts: list[tuple] = []
        self.carried = self._entering[:, model.config.num_memory_tokens:]
        with torch.no_grad():
            self.last = self._told(self.total[:, None])[:, 0]

    def _told(self, x: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n out"]:
        return x if self.model.head is None else self.model.head(x)

    @torch.no_grad()
    def feed(self, tokens: Integer[Tensor, "batch n"]) -> Float[Tensor, "batch n out"]:
        """Take the next tokens of every sequence and give the logits of each; a refusal leaves the state as it was."""
        self._check(tokens)
        tokens, size, start = tokens.to(self.memory.device, torch.int64), self.model.config.segment_length, 0
        told = [self.last[:, None][:, :0]]
        while start < tokens.shape[1]:
            if self.places == size:
                self._pass_on()
            part = tokens[:, start:start + size - self.places]
            told.append(self._follow(part))
            self.last = told[-1][:, -1]
            start += part.shape[1]
        return torch.cat(told, 1)

    @property
    def _entering(self) -> Float[Tensor, "batch tokens width"]:
        with torch.no_grad():
            return self.model.retention.enter(self.memory, self.model._initial())

    def _begin(self) -> list[tuple]:
        """What each block has seen before the first token of a segment: the memory as it is read."""
        x, pasts = self._entering[:, :self.model.config.num_memory_tokens], []
        for block in self.model.blocks:
            attended, past = block.attention.start(block.before_attention(x))
            x = block.after(x, attended)
            pasts.append(past)
        return pasts

    def _follow(self, tokens: Integer[Tensor, "batch n"]) -> Float[Tensor, "batch n out"]:
        """Tokens of one segment through all blocks."""
        places, pasts = slice(self.places, self.places + tokens.shape[1]), []
        line = torch.cat([self.before, tokens], 1)
        x, self.carried = self.model.mixing(self.model.embedding(tokens), self.carried, None,
                                            line if self.model.mixing.reach else None)
        x, self.before = x + self.model.position[places], last_tokens(line, self.model.mixing.reach)
        for block, past, prepared in zip(self.model.blocks, self.pasts or self._begin(), self._now_prepared(),
                                         strict=True):
            attended, past = block.attention.follow(block.before_attention(x), past, prepared=prepared)
            x = block.after(x, attended)
            pasts.append(past)
        self.pasts, self.places = pasts, places.stop
        return self._told(self.model.norm(x))

    def _pass_on(self) -> None:
        """The segment is over: the memory as it is written."""
        entering = x = self._entering[:, :self.model.config.num_memory_tokens]
        for block, past in zip(self.model.blocks, self.pasts, strict=True):
            x = block.after(x, block.attention.finish(block.before_attention(x), past))
        own = () if self.own is None else (self.own,)
        self.memory = torch.cat([self.model.retention(entering, x, self.segment, *own), self.carried], 1)
        self.pasts, self.places, self.segment = [], 0, self.segment + 1
        self.carried = self._entering[:, self.model.config.num_memory_tokens:]

    def answer(self) -> Float[Tensor, "batch out"]:
        """The logits of the last token; changes nothing."""
        if not self.places:
            raise UserError("an answer before the first token; feed() at least one")
        return self.last.clone()

    def _parts(self) -> tuple[list, object]:
        """What the blocks have seen, flat, and how it was packed; a segment that has not begun is as at its start."""
        with torch.no_grad():
            return tree_flatten(self.pasts or self._begin())

    def state(self) -> dict[str, Tensor]:
        """Copies of all that the stream keeps, as tensors by name."""
        leaves = {f"past.{number}": leaf if isinstance(leaf, Tensor) else torch.tensor(leaf)
                  for number, leaf in enumerate(self._parts()[0]) if leaf is not None}
        plain = {"memory": self.memory, "carried": self.carried, "before": self.before, "last": self.last,
                 "segment": torch.tensor(self.segment), "places": torch.tensor(self.places)}
        return {name: tensor.clone() for name, tensor in (plain | leaves).items()}

    def restore(self, state: Mapping[str, Tensor]) -> "TokenStream":
        """Go on from `state()` of a stream of the same model and batch."""
        if set(PLAIN) - set(state):
            raise UserError(f"a token stream's state has {', '.join(PLAIN)} and what the blocks have seen; given are "
                            + ", ".join(sorted(state)))
        for name in ("memory", "carried", "before", "last"):
            ours, given = getattr(self, name), state[name]
            if ours.shape != given.shape or ours.dtype != given.dtype:
                raise UserError(f"state {name}: {tuple(given.shape)} {given.dtype}, this stream has "
                                f"{tuple(ours.shape)} {ours.dtype}; restore into a stream of the same model and batch")
        segment, places = int(state["segment"]), int(state["places"])
        if not 1 <= segment <= (self.num_segments or segment) or not 0 <= places <= self.model.config.segment_length:
            raise UserError(f"state with {places} tokens in segment {segment}: at most "
                            f"{self.model.config.segment_length}, in segment 1 to {self.num_segments or 'any'}")
        pasts, device = self._unpacked(state), self.memory.device
        for name in ("memory", "carried", "before", "last"):
            setattr(self, name, state[name].detach().clone().to(device))
        self.pasts, self.places, self.segment = pasts if places else [], places, segment
        return self

    def _unpacked(self, state: Mapping[str, Tensor]) -> list[tuple]:
        """What the blocks have seen, checked against what they see at a segment's start; rows may be more."""
        with torch.no_grad():
            leaves, packed = tree_flatten(self._begin())
        names = [f"past.{number}" for number in range(len(leaves))]
        if unknown := set(state) - {*PLAIN, *names}:
            raise UserError(f"state {', '.join(sorted(unknown))}: not of a stream of this model")
        found = []
        for name, ours in zip(names, leaves, strict=True):
            given = state.get(name)
            if isinstance(ours, int):
                given = int(state["places"])
            elif given is None and ours is not None:
                raise UserError(f"state {name} is missing; restore into a stream of the same model and batch")
            elif given is not None:
                like = self.memory if ours is None else ours
                if given.ndim != like.ndim or given.dtype != like.dtype or [*given.shape[:-2], given.shape[-1]] != [
                        *like.shape[:-2], like.shape[-1]]:
                    raise UserError(f"state {name}: {tuple(given.shape)} {given.dtype} is not of a stream of this "
                                    "model and batch")
                given = given.detach().clone().to(self.memory.device)
            found.append(given)
        return tree_unflatten(found, packed)
