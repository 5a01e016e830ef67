"""A GRU over whole sequences: torch's, for comparison. No segments, no memory tokens, no biology."""

import torch
from torch import nn

from foundation.errors import UserError
from foundation.shapes import Float, Int, Integer, Tensor
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import Engineering, declare
from rmaat.model.config import REASONS, ModelConfig
from rmaat.model.output import OUTPUT, PairHead
from rmaat.model.segments import check_input, inside
from rmaat.resources import resource_errors


class GRU(nn.Module):
    """Embedding, `layers` layers of torch's GRU, and the classifier of their mean and last output.

    Shapes as `RMAAT`: tokens [batch, length], lengths [batch] to logits [batch, num_classes], or with output = tokens
    [batch, length, num_classes]. Its fields of the config are sizes, layers, dropout and output. The gradient is plain
    backpropagation's. Raises `UserError` for what `check_input` refuses.
    """

    origins = declare(**{f"config.{name}": Engineering(None, why) for name, why in REASONS.items()})

    @resource_errors("building the network")
    def __init__(self, config: ModelConfig, biology: Biology | None = None):
        super().__init__()
        self.config, self.biology, width = config, biology, config.width
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.gru = nn.GRU(width, width, config.layers, batch_first=True,
                          dropout=config.dropout if config.layers > 1 else 0.)
        self.dropout = nn.Dropout(config.dropout)
        self.output = OUTPUT[config.output]
        read = width if self.output.per_token else 2 * width
        self.norm = nn.LayerNorm(read)
        self.head = nn.Linear(read, config.num_classes) if config.documents == 1 else PairHead(
            read, width, config.num_classes)

    def forward(self, tokens: Integer[Tensor, "batch length"],
                lengths: Int[Tensor, "batch"] | None = None) -> Float[Tensor, "samples *out"]:
        given = check_input(self.config, tokens, lengths)
        there = inside(given)
        # the gates of one step see the steps before it alone, so padding behind a sample changes nothing in it
        x = self.gru(self.embedding(given.tokens[:, :given.longest].long()))[0]
        if there is not None:
            x = x * there[..., None]
        if self.output.per_token:
            x = self.head(self.dropout(self.norm(x)))
            x = x if there is None else x * there[..., None]
            return nn.functional.pad(x, (0, 0, 0, tokens.shape[1] - given.longest))
        last = x[torch.arange(len(x), device=x.device), given.lengths - 1]
        return self.head(self.dropout(self.norm(torch.cat([x.sum(1) / given.lengths[:, None], last], 1))))

    def stream(self, batch: int = 1, num_segments: int | None = None) -> None:
        """Raises `UserError`: there are no segments to stream through."""
        raise UserError("network = gru cannot stream; torch.nn.GRU in a loop of your own can")
