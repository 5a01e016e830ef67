"""A block of the network: attention, then feed-forward, each normalised before and added to its input."""

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from rmaat.attention.projection import ALL
from rmaat.shapes import Bool, Float, Tensor


def may_overwrite(module: nn.Module) -> bool:
    """Whether what `module` and its children return may be overwritten: no graph keeps it, no user's hook sees it."""
    return not (torch.is_grad_enabled() or torch_module._has_any_global_hook() or module._forward_hooks
                or any(each._forward_hooks or each._forward_pre_hooks for each in module._modules.values()))


class FeedForward(nn.Sequential):
    """Two linear maps and a GELU between, row by row. Shapes: [batch, rows, width] to the same."""

    def __init__(self, width: int, hidden: int):
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        if not may_overwrite(self):
            return super().forward(x)
        widen, _, narrow = self
        return narrow(torch.ops.aten.gelu_(widen(x)))  # the widest tensor of a block is made once, not twice


class Block(nn.Module):
    """Attention, then feed-forward, each normalised before and added to its input.

    [batch, rows, width] to [batch, wanted rows, width]: all rows are attended to, the wanted ones are computed. Where
    no graph is kept it computes in place what it can, to the same bits.
    """

    def __init__(self, attention: nn.Module, width: int, hidden: int, dropout: float):
        super().__init__()
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.feedforward = attention, FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int,
                mask: Bool[Tensor, "batch rows"] | None, wanted: slice = ALL,
                prepared: Tensor | None = None) -> Float[Tensor, "batch wanted width"]:
        attended = self.attention(self.before_attention(x), num_memory_tokens, mask, wanted, prepared)
        x = self._add(x[:, wanted], attended, self.attention)
        return self._add(x, self.feedforward(self.before_feedforward(x)), self.feedforward)

    def _add(self, x: Tensor, change: Tensor, source: nn.Module) -> Tensor:
        """x + dropout(change), in the place of what `source` returned where that is allowed."""
        if self.dropout.p:
            return x + self.dropout(change)
        return change.add_(x) if change.dtype == x.dtype and may_overwrite(source) else x + change
