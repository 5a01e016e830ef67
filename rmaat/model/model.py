"""The network: segments pass through a stack of blocks, memory tokens carry what is kept from one to the next."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from foundation.errors import UserError
from foundation.shapes import Float, Int, Integer, Tensor
from rmaat.attention.projection import ALL
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import SIZE, Analogy, Engineering, Start, declare
from rmaat.biology.recorded import fill_after_loading
from rmaat.gradient.backprop import GRADIENT, amrb
from rmaat.gradient.budget import Budget, Plan
from rmaat.gradient.free_memory import FreeMemory
from rmaat.gradient.memory_store import MEMORY_STORE
from rmaat.gradient.replay import Recurrence
from rmaat.model.block import Block
from rmaat.model.config import AUTO, REASONS, UNREAD, ModelConfig
from rmaat.model.layers import REPLAY, Layer
from rmaat.model.mixing import MIXING
from rmaat.model.output import HEAD, OUTPUT
from rmaat.model.readout import READOUT
from rmaat.model.segments import Given, Segment, Work, check_input, cut, join
from rmaat.model.stream import Stream
from rmaat.model.token_stream import TokenStream
from rmaat.resources import refuse_too_large_a_network, resource_errors

INITIAL_SCALE = .02  # standard deviation of embeddings and initial memory tokens
_TOKENS = Start(0., INITIAL_SCALE, "normal, times INITIAL_SCALE")
Prepared = list[Tensor | None]  # one of each block


class RMAAT(nn.Module):
    """Recurrent memory-augmented astromorphic transformer over token sequences.

        logits = RMAAT(ModelConfig(vocab_size=256, num_classes=10, segment_length=128, num_segments=8))(tokens)

    `forward(tokens [batch, length], lengths [batch]) -> logits [batch, num_classes]`: tokens are int64, int32 or uint8;
    lengths may be left out where all samples are whole. `inputs_embeds` [batch, length, width], floating point, come
    in the place of tokens: they take the embedding's place and are rounded to the network's type, their gradient is
    BPTT's. With `output="tokens"` logits [batch, length, num_classes], with `output="features"` features [batch,
    length, width], both 0 where there is no token; with `causal=True` none of them depends on a later token, and the
    memory tokens stand in each segment twice, as they are read and as they are written. With `documents=2` rows i and
    i + n of 2n are the documents of sample i, and logits are [n, num_classes]. What stands beyond a sample's length has
    no influence, and a segment that is all padding leaves a sample's memory unchanged. `biology` is the committed
    record's by default.

    Raises `UserError` for what `check_input` refuses, `ResourceError` where memory runs out. Source: Mia2026.
    """

    origins = declare(INITIAL_SCALE=Engineering(INITIAL_SCALE, "small tokens are soon overwritten: recall takes a "
                                                               "third of the steps that it takes with unit variance"),
                      position=_TOKENS, initial_memory=_TOKENS,
                      **{"embedding.weight": _TOKENS, "gradient": Engineering(
                          "by config.gradient", "memory against time: every choice gives the same gradient"),
                         "budget": Engineering("by config.budget_bytes, or by the free memory",
                                               "memory against time: the same gradient")},
                      **{f"config.{name}": Engineering(None, why) for name, why in REASONS.items()},
                      **dict.fromkeys(("readout.segment_length", "readout.num_segments", "readout.parts"), SIZE))
    analogies = (Analogy("E5.6", "memory tokens: what the astrocytes' long-term processes hold between segments"),)

    @resource_errors("building the network")
    def __init__(self, config: ModelConfig, biology: Biology | None = None):
        super().__init__()
        if config.network != "rmaat":
            raise UserError(f"network = {config.network}: it takes nothing from biology and has no memory tokens, so "
                            "it is trained and evaluated, not traced, inspected or streamed; take another variant, "
                            "or build it with rmaat.model.network.build")
        refuse_too_large_a_network(config)
        self.register_load_state_dict_post_hook(fill_after_loading)
        self.config, self.biology = config, biology or Biology.load()
        width = config.width
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.position = nn.Parameter(torch.randn(config.segment_length, width))
        self.initial_memory = nn.Parameter(torch.randn(config.num_memory_tokens, width))
        with torch.no_grad():
            for table in (self.embedding.weight, self.position, self.initial_memory):
                table.mul_(INITIAL_SCALE)
        mixing = MIXING[config.mixing]
        self.mixing = mixing(width, config.segment_length, vocab_size=config.vocab_size, biology=self.biology,
                             **{name: getattr(config, name) for name in mixing.reads})
        self.blocks = nn.ModuleList(self._block() for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.retention = config.retention_class(self.biology, config.num_segments)
        self.output = OUTPUT[config.output]
        self.readout = READOUT[config.readout](config.segment_length, config.num_segments, config.readout_parts)
        read = HEAD[config.head].size(width, config.num_memory_tokens, self.readout.vectors(config.num_segments))
        self.head = self.output.head(width, read, config.num_classes, config.documents)
        self.gradient = GRADIENT[config.gradient]
        self.budget = None
        if config.gradient == "amrb":
            if config.budget_bytes or config.keep_last == AUTO:
                self.budget = Budget(config.budget_bytes) if config.budget_bytes else FreeMemory()
            self.keep(self.budget or config.keep_last)

    def keep(self, keep_last: int | Budget) -> None:
        """Let AMRB keep the graphs of the last `keep_last` segments from now on, in the place of what the config says.

        Changes memory and time, not the gradient.
        """
        self.gradient = partial(amrb, keep_last=keep_last, store=MEMORY_STORE[self.config.memory_store])

    def plan(self, lengths: Int[Tensor, "batch"]) -> Plan | None:
        """What `keep_last = auto` or `budget_bytes` decides for a batch of such lengths; None where neither does.

        A segment of each kind is tried, forward and backward, on tokens that are all 0; nothing else changes.
        """
        if self.budget is None:
            return None
        device = self.initial_memory.device
        tokens = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.int64, device=device)
        works, _ = self._works(check_input(self.config, tokens, lengths.to(device)))
        run = Recurrence(Work.run, works, self.start(len(lengths)), parameters=self.parameters(),
                         store=MEMORY_STORE[self.config.memory_store])
        return self.budget.plan(run)

    def cut(self, tokens: Integer[Tensor, "batch length"],
            lengths: Int[Tensor, "batch"] | None = None) -> list[Segment]:
        """The segments of a batch, looked at as `forward` does. Raises `UserError` for bad input."""
        return self._cut(check_input(self.config, tokens, lengths))

    def _cut(self, given: Given) -> list[Segment]:
        return cut(given, self.config.segment_length, schedule=self.config.schedule, reach=self.mixing.reach)

    def _block(self) -> Block:
        config, kind = self.config, self.config.attention_class
        options = {name: getattr(config, name) for name in kind.reads}
        attention = kind(config.width, config.heads, config.segment_length, biology=self.biology, **options)
        return Block(attention, config.width, config.width * config.feedforward, dropout=config.dropout)

    def prepare(self) -> Prepared:
        """What each block computes of its parameters alone, once for all segments of a pass; None for nothing."""
        return [block.attention.prepare() for block in self.blocks]

    def step(self, segment: Segment, memory: Float[Tensor, "batch tokens width"],
             prepared: Prepared | None = None,
             ) -> tuple[Float[Tensor, "batch *places _"], Float[Tensor, "batch tokens width"]]:
        """One segment: (features of its tokens, memory after it); with output = classes what the readout gathers."""
        x, after = self._pass(segment, memory, wanted=ALL, prepared=prepared)
        features = self.norm(x[:, :segment.tokens.shape[1]])
        if not self.output.per_token:
            return self.readout.gather(features, segment.mask), after
        return features if segment.mask is None else features * segment.mask[..., None], after

    def write(self, segment: Segment, memory: Float[Tensor, "batch tokens width"],
              prepared: Prepared | None = None) -> tuple[None, Float[Tensor, "batch tokens width"]]:
        """One segment whose features nobody reads: (None, memory after it), the memory being `step`'s to rounding.

        The last block computes queries, projection and feed-forward of the memory tokens alone. Its dropout draws for
        those rows alone, so in training the random numbers are others than `step` would draw.
        """
        memory_tokens = slice(-self.config.num_memory_tokens, None)
        return None, self._pass(segment, memory, wanted=memory_tokens, prepared=prepared)[1]

    def _pass(self, segment: Segment, memory: Float[Tensor, "batch tokens width"], *, wanted: slice,
              prepared: Prepared | None,
              ) -> tuple[Float[Tensor, "batch wanted width"], Float[Tensor, "batch tokens width"]]:
        """The wanted rows (the memory tokens among them) after the last block, and the memory after the segment."""
        tokens, mask, t, T, before = segment
        places, num_memory = tokens.shape[1], self.config.num_memory_tokens
        entering = self.retention.enter(memory, self._initial())
        entering, carried = entering[:, :num_memory], entering[:, num_memory:]
        vectors = tokens.to(self.position.dtype) if tokens.is_floating_point() else self.embedding(tokens)
        line = None if before is None else torch.cat([before, tokens], 1)
        vectors, carried = self.mixing(vectors, carried, mask, line)
        copies = [entering] * (1 + self.config.causal)  # causal: as it is read, then as it is written
        x, beside = torch.cat([vectors + self.position[:places], *copies], 1), num_memory * len(copies)
        rows = None if mask is None else nn.functional.pad(mask, (0, beside), value=True)

        def call(layer: Layer, x: Tensor) -> Tensor:
            last = layer.block is self.blocks[-1]
            return layer.block(x, beside, rows, wanted=wanted if last else ALL, prepared=layer.prepared)

        layers = map(Layer, self.blocks, prepared or [None] * len(self.blocks))
        x = REPLAY[self.config.replay](call, list(layers), x)
        own = () if T is None else (T,)
        written = self.retention(entering, x[:, x.shape[1] - num_memory:], t, *own)
        after = torch.cat([written, carried], 1) if carried.shape[1] else written
        return x, after if mask is None else torch.where(mask.any(1)[:, None, None], after, memory)

    def _initial(self) -> Float[Tensor, "tokens width"]:
        """The initial memory tokens, and after them the rows of 0 with which a mixing starts."""
        rows = self.mixing.rows
        return nn.functional.pad(self.initial_memory, (0, 0, 0, rows)) if rows else self.initial_memory

    def start(self, batch: int) -> Float[Tensor, "batch tokens width"]:
        """The memory before the first segment: M memory tokens, and after them what the mixing carries."""
        return self._initial().expand(batch, -1, -1)

    def forward(self, tokens: Integer[Tensor, "rows length"] | None = None,
                lengths: Int[Tensor, "rows"] | None = None, *,
                inputs_embeds: Float[Tensor, "rows length width"] | None = None) -> Float[Tensor, "samples *out"]:
        given = check_input(self.config, tokens, lengths, inputs_embeds=inputs_embeds)
        works, read = self._works(given)
        outs, memory = self.gradient(Work.run, works, self.start(given.tokens.shape[0]), list(self.parameters()))
        if self.output.per_token:
            return join(outs, given, self.head)
        return self.answer([out if t in read else None for t, out in enumerate(outs, 1)], given.lengths, memory)

    def _works(self, given: Given) -> tuple[list[Work], set[int]]:
        """What is asked for each segment of a batch, and the numbers of those whose features are read."""
        segments = self._cut(given)
        read = {x.t for x in segments}
        if not self.output.per_token and not torch.compiler.is_exporting():  # exported: for samples of any length
            lengths = given.lengths if given.shortest < given.longest else torch.tensor([given.longest], device="cpu")
            read = self.readout.segments(lengths)
        read = read if self.reads_features else set()
        prepared = self.budget.hold(self.prepare) if self.budget else self.prepare()
        return [Work(self.run(x.t in read), x, prepared) for x in segments], read

    @property
    def reads_features(self) -> bool:
        """Whether the head reads features at all; with head = memory it does not."""
        return HEAD[self.config.head].features

    def run(self, read: bool) -> Callable:
        """The step of a segment whose features the readout reads, or does not."""
        return self.step if read else getattr(self, UNREAD[self.config.unread])

    def answer(self, outs: Sequence[Tensor | None], lengths: Int[Tensor, "rows"],
               memory: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "samples classes"]:
        """Logits of what the segments gave and of the memory after the last one."""
        features = self.readout(outs, lengths) if self.reads_features else None
        tokens = memory[:, :self.config.num_memory_tokens]
        return self.head(HEAD[self.config.head](features, tokens, self.norm))

    @property
    def plans(self) -> list[Plan]:
        """What `budget_bytes` or `auto` has decided so far, one plan for each size of a batch: keep_last, peak."""
        return list(self.budget.plans.values()) if self.budget else []

    def stream(self, batch: int = 1, num_segments: int | None = None) -> Stream:
        """A `Stream` through this model, or a `TokenStream` where it is causal and answers for each token.

        `num_segments` for the rules that need T. Raises what these raise.
        """
        kind = TokenStream if self.config.causal and self.output.per_token else Stream
        return kind(self, batch, num_segments)
