"""What a user would take instead, built from torch alone: an encoder over the whole sequence, and a GRU."""

import torch
from torch import nn

from foundation.shapes import Float, Int, Tensor
from rmaat.model.config import ModelConfig


class Encoder(nn.Module):
    """torch's TransformerEncoder (pre-norm, GELU, SDPA) over all tokens at once; the mean of the rows is classified.

    Shapes: tokens [batch, length] to logits [batch, num_classes]; sizes as the config's.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.width
        self.embedding, self.position = nn.Embedding(config.vocab_size, width), nn.Embedding(config.max_length, width)
        layer = nn.TransformerEncoderLayer(width, config.heads, width * config.feedforward, dropout=0.,
                                           activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, config.num_classes)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.layers(self.embedding(tokens) + self.position(places)).mean(1))


class Gru(nn.Module):
    """torch's GRU of as many layers and as wide; its last state is classified. Shapes as `Encoder`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.GRU(config.width, config.width, config.layers, batch_first=True)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.layers(self.embedding(tokens))[0][:, -1])
