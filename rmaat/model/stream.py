"""Streaming: a sequence without a known end, fed token by token or segment by segment, asked for an answer any time."""

import copy
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from foundation import sealed
from foundation.errors import UserError
from foundation.files import canonical_json, replacing, sha256_bytes
from foundation.reading import content_of, is_file
from foundation.reference import reference
from foundation.shapes import Float, Integer, Tensor
from rmaat.model.memory import RETENTION
from rmaat.model.segments import Segment, check_documents, check_tokens, check_vocabulary, last_tokens

KIND, OLDER = "stream", {"config", "num_segments", "sha256"}  # what older files have, without a hash of it
STATE = ("memory", "pending", "before", "total", "segment")
FREE = ("num_segments", "dropout", "gradient", "replay", "keep_last", "budget_bytes", "memory_store")  # may differ


class Stream:
    """`batch` sequences in step, at constant cost a segment and with a state that does not grow.

    `feed(tokens [batch, n])` for any n, of the types that the model takes; `answer() -> logits [batch, classes]` at any
    time. A segment waits in the state until the token after it comes, so that an answer is that of
    `model(tokens so far)`, bit for bit, whatever the portions; dropout must be off (`model.eval()`), and no graph is
    kept. The state is the memory [batch, M, width], at most one segment of tokens, the segment's number and, for the
    readouts `pooled` and `largest`, one vector [batch, width]; for `by_segment` those of each segment so far, up to T;
    for `ends` those of the first and the last tokens.

    Rules that know T (accumulate, multiply) need `num_segments` = T, and end there; with schedule = sample this is each
    sequence's own T, and the answer that of the model once T segments are fed. With T unknown the rules leaky,
    geometric, none and reset go on for ever (`geometric` writes q^(t-1) of segment t: nothing, after some hundred).
    Raises `UserError` for tokens out of vocabulary or of another batch, for an end that is passed, for an answer before
    the first token, for a model in training mode with dropout, for a state that is not this stream's, and for a model
    that gives no logits of a sample (output = tokens, features). Not modelled: sequences of different lengths side by
    side; give each its own stream.
    """

    def __init__(self, model, batch: int = 1, num_segments: int | None = None):
        for name, value in (("batch", batch), ("num_segments", num_segments)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UserError(f"{name} = {value!r}: must be a whole number of at least 1")
        config, device = model.config, model.initial_memory.device
        if config.output != "classes" and not config.causal:
            raise UserError(f"output = {config.output}: a stream answers with the logits of a sample so far; give it a "
                            "model with output = classes, or one whose tokens see the past alone (causal = true)")
        check_documents(config, batch)
        if model.retention.needs_num_segments and num_segments is None:
            free = sorted(name for name, kind in RETENTION.items() if not kind.needs_num_segments)
            raise UserError(f"retention = {config.retention!r} needs the number of segments, which a stream does not "
                            f"know; give stream(num_segments=T), or train with one of: {', '.join(free)}")
        self.readout = model.readout
        if self.readout.apart:
            if num_segments not in (None, config.num_segments):
                raise UserError(f"num_segments = {num_segments}: with readout = {config.readout} the classifier is one "
                                f"of {config.num_segments} segments; leave it out, or train with another readout")
            num_segments = config.num_segments
        self.model, self.num_segments = model, num_segments
        if num_segments not in (None, config.num_segments):  # the same weights under a rule of another T
            self.model = copy.copy(model)
            self.model._modules = dict(model._modules)
            self.model.retention = config.retention_class(model.biology, num_segments).to(device)
        self._parameters, self._prepared = None, None
        self.own = torch.full((batch,), num_segments, device=device) if config.schedule == "sample" else None
        self.memory = model.start(batch).detach().clone()
        kept = self.readout.vectors(1) * config.width
        self.total = torch.zeros(batch, kept, dtype=self.memory.dtype, device=device)
        nothing = torch.zeros(batch, 0, dtype=torch.int64, device=device)
        self.before = last_tokens(nothing, model.mixing.reach)
        self._set_pending(nothing, 1)

    def _set_pending(self, tokens: Tensor, segment: int) -> None:
        self.pending, self.segment = [tokens] if tokens.shape[1] else [], segment
        self.places = tokens.shape[1]

    @torch.no_grad()
    def feed(self, tokens: Integer[Tensor, "batch n"]) -> None:
        """Take the next tokens of every sequence; a refusal leaves the state as it was."""
        self._check(tokens)
        size, start = self.model.config.segment_length, 0
        while start < tokens.shape[1]:
            if self.places == size:
                self._pass_on()
            part = tokens[:, start:start + size - self.places]
            self.pending.append(part.to(self.memory.device, torch.int64, copy=True))  # the caller may reuse its tensor
            self.places += part.shape[1]
            start += part.shape[1]

    def _check(self, tokens: Tensor) -> None:
        config = self.model.config
        if self.model.blocks.training and config.dropout:
            raise UserError("the model is in training mode and would apply dropout; call model.eval() before it "
                            "streams")
        check_tokens(tokens)
        if tokens.shape[0] != len(self.memory):
            raise UserError(f"tokens for {tokens.shape[0]} sequences; this stream has {len(self.memory)}")
        end = None if self.num_segments is None else self.num_segments * config.segment_length
        fed = (self.segment - 1) * config.segment_length + self.places
        if end is not None and fed + tokens.shape[1] > end:
            raise UserError(f"{fed} tokens and {tokens.shape[1]} more do not fit num_segments = {self.num_segments} "
                            f"segments of {config.segment_length}; give stream() a larger number, or a rule without T")
        check_vocabulary(config, tokens)

    def _run(self, reads: bool) -> tuple[Tensor | None, Tensor]:
        """The pending tokens as a segment: what the readout gathers of it, where read, and the memory after it."""
        before = self.before if self.before.shape[1] else None
        segment = Segment(torch.cat(self.pending, 1), None, self.segment, self.own, before)
        return self.model.run(reads)(segment, self.memory, self._now_prepared())

    def _now_prepared(self) -> list[Tensor | None]:
        """What the blocks prepare of their parameters, anew where these are no longer those of the last time."""
        parameters = [(p.data_ptr(), p._version) for p in self.model.parameters()]
        if parameters != self._parameters:
            self._parameters, self._prepared = parameters, self.model.prepare()
        return self._prepared

    def _pass_on(self) -> None:
        """The pending segment is over: into the memory."""
        counts = self.readout.earlier(self.segment) and self.model.reads_features
        sums, self.memory = self._run(counts)
        if counts:
            self.total = sums if self.segment == 1 else self.readout.join(self.total, sums)
        self.before = last_tokens(torch.cat([self.before, *self.pending], 1), self.before.shape[1])
        self._set_pending(self.pending[0][:, :0], self.segment + 1)

    @torch.no_grad()
    def answer(self) -> Float[Tensor, "samples classes"]:
        """The logits for what was fed so far; changes nothing."""
        if not self.places:
            raise UserError("an answer before the first token; feed() at least one")
        sums, memory = self._run(self.model.reads_features)
        fed = (self.segment - 1) * self.model.config.segment_length + self.places
        outs, length = [sums], self.places
        if self.readout.earlier(1):
            outs, length = [self.total, sums] if self.segment > 1 else [sums], fed
        lengths = torch.full((len(memory),), length, device=memory.device)
        return self.model.answer(outs, lengths, memory)

    def state(self) -> dict[str, Tensor]:
        """Copies of all that the stream keeps, as tensors by name."""
        pending = torch.cat(self.pending, 1) if self.pending else self.memory.new_zeros(len(self.memory), 0).long()
        return {"memory": self.memory.clone(), "pending": pending.clone(), "before": self.before.clone(),
                "total": self.total.clone(), "segment": torch.tensor(self.segment)}

    def restore(self, state: Mapping[str, Tensor]) -> "Stream":
        """Go on from `state()` of a stream of the same model and batch."""
        size = self.model.config.segment_length
        if set(state) != set(STATE):
            raise UserError(f"a stream's state has {', '.join(STATE)}; given are {', '.join(sorted(state))}")
        pending, segment = state["pending"], int(state["segment"])
        kept = self.readout.vectors(max(segment - 1, 1))
        shapes = {"memory": self.memory.shape, "before": self.before.shape,
                  "total": (len(self.memory), kept * self.model.config.width)}
        for name, shape in shapes.items():
            ours, given = getattr(self, name), state[name]
            if tuple(shape) != tuple(given.shape) or ours.dtype != given.dtype:
                raise UserError(f"state {name}: {tuple(given.shape)} {given.dtype}, this stream has "
                                f"{tuple(shape)} {ours.dtype}; restore into a stream of the same model and batch")
        if pending.dtype != torch.int64 or pending.ndim != 2 or len(pending) != len(self.memory) \
                or pending.shape[1] > size or segment < 1 or segment > (self.num_segments or segment):
            raise UserError(f"state pending {tuple(pending.shape)} in segment {segment}: at most {size} tokens for "
                            f"{len(self.memory)} sequences, in segment 1 to {self.num_segments or 'any'}")
        check_vocabulary(self.model.config, pending)
        device = self.memory.device
        for name in ("memory", "total", "before"):
            setattr(self, name, state[name].detach().clone().to(device))
        self._set_pending(pending.clone().to(device), segment)
        return self

    def save(self, path: str | os.PathLike) -> None:
        """The state as one safetensors file with its SHA-256 and what of the config shapes it; whole or not there."""
        from safetensors.torch import save_file

        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state().items()}
        about = {"config": self._shape(), "num_segments": self.num_segments, "sha256": _digest(tensors)}
        with replacing(path, apart=True) as temporary:
            save_file(tensors, temporary, metadata={"stream": canonical_json(sealed.with_hash(KIND, about))})

    def load(self, path: str | os.PathLike) -> "Stream":
        """Go on from a file of `save`. The weights are not in it: give the model that it was saved with.

        Raises `UserError` where there is no such file or it belongs to another config, `DamagedFileError` where it is
        cut or altered.
        """
        tensors, about = _read(Path(path))
        ours = self._shape() | {"num_segments": self.num_segments}
        given = about["config"] | {"num_segments": about["num_segments"]}
        for field in sorted(ours.keys() | given.keys()):
            if ours.get(field) != given.get(field):
                raise UserError(f"{path} belongs to another stream: {field} is {given.get(field)} there and "
                                f"{ours.get(field)} here")
        return self.restore(tensors)

    def _shape(self) -> dict:
        return {name: reference(value) if isinstance(value, type) else value
                for name, value in dataclasses.asdict(self.model.config).items() if name not in FREE}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    parts = (f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode() + tensor.reshape(-1).view(torch.uint8)
             .numpy().tobytes() for name, tensor in sorted(tensors.items()))
    return sha256_bytes(b"".join(parts))


def _read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and metadata of a stream's file, verified."""
    from safetensors import safe_open

    if not is_file(path):
        raise UserError(f"no file {path}; stream.save(path) writes one")
    with content_of(f"{path}: not a whole file of a stream"):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {})["stream"])
        if about.keys() != OLDER:
            about = sealed.verified(about, path, KIND, what_to_do="save the stream again")
        if about["sha256"] != _digest(tensors) or not isinstance(about["config"], dict):
            raise ValueError("content does not match its SHA-256")
        return tensors, {"config": about["config"], "num_segments": about["num_segments"]}
