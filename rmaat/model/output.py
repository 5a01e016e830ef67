"""What a network gives out: logits of a sample, logits of each token, or features of each token."""

from collections.abc import Callable

import torch
from torch import nn

from foundation.shapes import Float, Tensor


class Both:
    """The classifier reads the gathered features and all memory tokens side by side."""

    features = memory = True

    def size(self, width: int, num_memory_tokens: int, vectors: int) -> int:
        """How many numbers it reads of a sample, for which a readout gives `vectors` of features."""
        return width * (self.features * vectors + self.memory * num_memory_tokens)

    def __call__(self, features: Float[Tensor, "batch features"] | None, memory: Float[Tensor, "batch tokens width"],
                 norm: Callable) -> Float[Tensor, "batch read"]:
        """What it reads: the features, which are normed already, and the memory through `norm`."""
        return torch.cat([features, norm(memory).flatten(1)], 1)


class FeaturesAlone(Both):
    """The classifier reads the gathered features; the memory reaches it through what later tokens have read of it."""

    memory = False

    def __call__(self, features, memory, norm):
        return features


class MemoryAlone(Both):
    """The classifier reads the memory after the last segment: no segment's features are ever computed."""

    features = False

    def __call__(self, features, memory, norm):
        return norm(memory).flatten(1)


HEAD = {"both": Both(), "features": FeaturesAlone(), "memory": MemoryAlone()}


class PairHead(nn.Module):
    """Logits of two documents that passed through one network: MLP([x1, x2, x1 * x2, x1 - x2]), as LRA's Retrieval.

    `forward(read [2 * batch, n]) -> [batch, num_classes]`: the first half of the rows are the first documents, `read`
    is what the classifier of one document would read. Source: Tay2021.
    """

    def __init__(self, read: int, hidden: int, num_classes: int):
        super().__init__()
        compared = read + read + read + read
        self.mix, self.out = nn.Linear(compared, hidden), nn.Linear(hidden, num_classes)

    def forward(self, read: Float[Tensor, "rows n"]) -> Float[Tensor, "batch classes"]:
        first, second = read.chunk(2)
        compared = torch.cat([first, second, first * second, first - second], 1)
        return self.out(nn.functional.gelu(self.mix(compared)))


class Classes:
    """Logits [batch, num_classes] of what the readout reads and of the memory after the last segment."""

    per_token = False

    def head(self, width: int, read: int, num_classes: int, documents: int = 1) -> nn.Module | None:
        """The classifier, of the `read` numbers that HEAD takes of a sample; of two documents a `PairHead`."""
        return nn.Linear(read, num_classes) if documents == 1 else PairHead(read, width, num_classes)


class Tokens(Classes):
    """Logits [batch, length, num_classes] of each token, 0 where there is none."""

    per_token = True

    def head(self, width: int, read: int, num_classes: int, documents: int = 1) -> nn.Module | None:
        """The classifier, of one token's features."""
        return nn.Linear(width, num_classes)


class Features(Classes):
    """Features [batch, length, width] of each token after the last norm, 0 where there is none."""

    per_token = True

    def head(self, width: int, read: int, num_classes: int, documents: int = 1) -> nn.Module | None:
        """None: put your own on top."""
        return None


OUTPUT = {"classes": Classes(), "tokens": Tokens(), "features": Features()}
