"""What a network gives out: logits of a sample, logits of each token, or features of each token."""

from torch import nn


class Classes:
    """Logits [batch, num_classes] of what the readout reads and of the memory after the last segment."""

    per_token = False

    def head(self, width: int, num_memory_tokens: int, num_classes: int) -> nn.Linear | None:
        """The classifier, of the features and all memory tokens side by side."""
        return nn.Linear(width * (1 + num_memory_tokens), num_classes)


class Tokens(Classes):
    """Logits [batch, length, num_classes] of each token, 0 where there is none."""

    per_token = True

    def head(self, width: int, num_memory_tokens: int, num_classes: int) -> nn.Linear | None:
        """The classifier, of one token's features."""
        return nn.Linear(width, num_classes)


class Features(Classes):
    """Features [batch, length, width] of each token after the last norm, 0 where there is none."""

    per_token = True

    def head(self, width: int, num_memory_tokens: int, num_classes: int) -> nn.Linear | None:
        """None: put your own on top."""
        return None


OUTPUT = {"classes": Classes(), "tokens": Tokens(), "features": Features()}
