"""The network: segments pass through a stack of blocks, memory tokens carry what is kept from one to the next."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Int, Tensor
from rmaat.attention import ATTENTION, PARTS
from rmaat.attention.projection import ALL
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import Analogy, Engineering, Start, declare
from rmaat.gradient.backprop import GRADIENT, amrb
from rmaat.gradient.budget import Budget, Plan
from rmaat.gradient.memory_store import MEMORY_STORE
from rmaat.model.block import Block
from rmaat.model.config import REASONS, UNREAD, ModelConfig
from rmaat.model.layers import REPLAY
from rmaat.model.memory import RETENTION
from rmaat.model.readout import READOUT
from rmaat.model.stream import Stream
from rmaat.resources import resource_errors

INITIAL_SCALE = .02  # standard deviation of embeddings and initial memory tokens
_TOKENS = Start(0., INITIAL_SCALE, "normal, times INITIAL_SCALE")
Prepared = list[Tensor | None]  # one of each block
Segment = tuple[Int[Tensor, "batch places"], Bool[Tensor, "batch places"] | None, int]


class RMAAT(nn.Module):
    """Recurrent memory-augmented astromorphic transformer, a classifier of token sequences.

    `forward(tokens [batch, length] int64, lengths [batch] int64) -> logits [batch, num_classes]`. What stands in
    `tokens` beyond a sample's length has no influence, and a segment that is all padding leaves a sample's memory
    unchanged. Source: Mia2026. Not modelled: the retention schedule of a shorter sample; T is the config's for all.
    """

    origins = declare(INITIAL_SCALE=Engineering(INITIAL_SCALE, "small tokens are soon overwritten: recall takes a "
                                                               "third of the steps that it takes with unit variance"),
                      position=_TOKENS, initial_memory=_TOKENS,
                      **{"embedding.weight": _TOKENS, "gradient": Engineering(
                          "by config.gradient", "memory against time: every choice gives the same gradient"),
                         "budget": Engineering("by config.budget_bytes", "memory against time: the same gradient")},
                      **{f"config.{name}": Engineering(None, why) for name, why in REASONS.items()})
    analogies = (Analogy("E5.6", "memory tokens: what the astrocytes' long-term processes hold between segments"),)

    @resource_errors("building the network")
    def __init__(self, config: ModelConfig, biology: Biology):
        super().__init__()
        self.config, self.biology = config, biology
        width = config.width
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.position = nn.Parameter(torch.randn(config.segment_length, width))
        self.initial_memory = nn.Parameter(torch.randn(config.num_memory_tokens, width))
        with torch.no_grad():
            for table in (self.embedding.weight, self.position, self.initial_memory):
                table.mul_(INITIAL_SCALE)
        parts = {name: getattr(config, name) for name in PARTS}
        self.blocks = nn.ModuleList(
            Block(ATTENTION[config.attention](width, config.heads, config.segment_length, biology, **parts),
                  width, width * config.feedforward, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.retention = RETENTION[config.retention](biology, config.num_segments)
        self.head = nn.Linear(width * (1 + config.num_memory_tokens), config.num_classes)
        self.gradient = GRADIENT[config.gradient]
        self.budget = Budget(config.budget_bytes) if config.budget_bytes else None
        if config.gradient == "amrb":
            self.gradient = partial(amrb, keep_last=self.budget or config.keep_last,
                                    store=MEMORY_STORE[config.memory_store])

    def split(self, tokens: Int[Tensor, "batch length"], lengths: Int[Tensor, "batch"]) -> list[Segment]:
        """Segments (tokens, mask, t = 1..T); the last may be shorter, and mask is None where all samples are whole."""
        shortest, longest = check_input(self.config, tokens, lengths)
        size, segments = self.config.segment_length, []
        for start in range(0, longest, size):
            stop = min(start + size, longest)
            x, mask = tokens[:, start:stop], None
            if stop > shortest:
                mask = torch.arange(start, stop, device=tokens.device) < lengths[:, None]
                x = x.masked_fill(~mask, 0)
            segments.append((x, mask, start // size + 1))
        return segments

    def prepare(self) -> Prepared:
        """What each block computes of its parameters alone, once for all segments of a pass; None for nothing."""
        return [block.attention.prepare() for block in self.blocks]

    def step(self, segment: Segment, memory: Float[Tensor, "batch tokens width"],
             prepared: Prepared | None = None,
             ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch tokens width"]]:
        """One segment: (sum of the features of its valid tokens, memory after it)."""
        tokens, mask, _ = segment
        x, after = self._pass(segment, memory, ALL, prepared)
        features = self.norm(x[:, :tokens.shape[1]])
        return (features if mask is None else features * mask[..., None]).sum(1), after

    def write(self, segment: Segment, memory: Float[Tensor, "batch tokens width"],
              prepared: Prepared | None = None) -> tuple[None, Float[Tensor, "batch tokens width"]]:
        """One segment whose features nobody reads: (None, memory after it), the memory being `step`'s to rounding.

        The last block computes queries, projection and feed-forward of the memory tokens alone. Its dropout draws for
        those rows alone, so in training the random numbers are others than `step` would draw.
        """
        return None, self._pass(segment, memory, slice(-self.config.num_memory_tokens, None), prepared)[1]

    def _pass(self, segment: Segment, memory: Float[Tensor, "batch tokens width"], wanted: slice,
              prepared: Prepared | None,
              ) -> tuple[Float[Tensor, "batch wanted width"], Float[Tensor, "batch tokens width"]]:
        """The wanted rows (the memory tokens among them) after the last block, and the memory after the segment."""
        tokens, mask, t = segment
        places, num_memory = tokens.shape[1], self.config.num_memory_tokens
        entering = self.retention.enter(memory, self.initial_memory)
        x = torch.cat([self.embedding(tokens) + self.position[:places], entering], 1)
        rows = None if mask is None else nn.functional.pad(mask, (0, num_memory), value=True)
        x = REPLAY[self.config.replay](
            lambda layer, x: layer[0](x, num_memory, rows, wanted if layer[0] is self.blocks[-1] else ALL, layer[1]),
            list(zip(self.blocks, prepared or [None] * len(self.blocks), strict=True)), x)
        after = self.retention(entering, x[:, x.shape[1] - num_memory:], t)
        return x, after if mask is None else torch.where(mask.any(1)[:, None, None], after, memory)

    def start(self, batch: int) -> Float[Tensor, "batch tokens width"]:
        """The memory before the first segment."""
        return self.initial_memory.expand(batch, -1, -1)

    def forward(self, tokens: Int[Tensor, "batch length"],
                lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch classes"]:
        segments = self.split(tokens, lengths)
        readout = READOUT[self.config.readout]
        read = readout.segments(lengths, self.config.segment_length)
        prepared = self.budget.hold(self.prepare) if self.budget else self.prepare()
        outs, memory = self.gradient(lambda x_t, memory: x_t[0](x_t[1], memory, x_t[2]),
                                     [(self.run(x[2] in read), x, prepared) for x in segments],
                                     self.start(len(tokens)), list(self.parameters()))
        return self.classify(readout(outs, lengths, self.config.segment_length), memory)

    def run(self, read: bool) -> Callable:
        """The step of a segment whose features the readout reads, or does not."""
        return self.step if read else getattr(self, UNREAD[self.config.unread])

    def classify(self, features: Float[Tensor, "batch width"],
                 memory: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch classes"]:
        """Logits of what was read and of the memory after the last segment."""
        return self.head(torch.cat([features, self.norm(memory).flatten(1)], 1))

    @property
    def plans(self) -> list[Plan]:
        """What `budget_bytes` has decided so far, one plan for each size of a batch: keep_last, predicted peak."""
        return list(self.budget.plans.values()) if self.budget else []

    def stream(self, batch: int = 1, num_segments: int | None = None) -> Stream:
        """A `Stream` through this model; `num_segments` for the rules that need T. Raises what `Stream` raises."""
        return Stream(self, batch, num_segments)


def check_input(config: ModelConfig, tokens: Int[Tensor, "batch length"],
                lengths: Int[Tensor, "batch"]) -> tuple[int, int]:
    """Shortest and longest length of a batch, after looking at everything that could be wrong with it."""
    for name, x, shape in (("tokens", tokens, "[batch, length]"), ("lengths", lengths, "[batch]")):
        if x.ndim != shape.count(",") + 1 or len(x) != len(tokens) or x.dtype not in (torch.int64, torch.int32):
            raise UserError(f"{name} has the shape {tuple(x.shape)} and type {x.dtype}, tokens the shape "
                            f"{tuple(tokens.shape)}; give int64 of shape {shape}")
    if not tokens.numel():
        raise UserError(f"tokens has the shape {tuple(tokens.shape)}; give at least one sequence of at least one token")
    shortest, longest = (int(x) for x in lengths.aminmax())
    if shortest < 1 or longest > tokens.shape[1]:
        raise UserError(f"lengths run from {shortest} to {longest}; allowed are 1 to {tokens.shape[1]}, "
                        "the width of tokens")
    if longest > config.max_length:
        raise UserError(f"a sequence of {longest} tokens does not fit num_segments = {config.num_segments} segments of "
                        f"segment_length = {config.segment_length}; raise one of them")
    if shortest < tokens.shape[1]:  # what stands in the padding is not looked at
        tokens = tokens.masked_fill(torch.arange(tokens.shape[1], device=tokens.device) >= lengths[:, None], 0)
    low, high = (int(x) for x in tokens.aminmax())
    if low < 0 or high >= config.vocab_size:
        raise UserError(f"token {low if low < 0 else high} is out of vocabulary; "
                        f"vocab_size = {config.vocab_size} allows 0 to {config.vocab_size - 1}")
    return shortest, longest
