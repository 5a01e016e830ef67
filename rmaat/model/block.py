"""A block of the network: attention, then feed-forward, each normalised before and added to its input."""

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.projection import ALL


class FeedForward(nn.Sequential):
    """Two linear maps and a GELU between, row by row. Shapes: [batch, rows, width] to the same."""

    def __init__(self, width: int, hidden: int):
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def unshared(self) -> bool:
        """Whether nobody else can hold what its parts return: no graph, no hook of a user's, no part replaced."""
        parts = list(self._modules.values())
        return not (torch.is_grad_enabled() or self._forward_hooks or torch_module._has_any_global_hook()
                    or [type(part) for part in parts] != [nn.Linear, nn.GELU, nn.Linear]
                    or any(part._forward_hooks or part._forward_pre_hooks for part in parts))

    def forward(self, x: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        if not self.unshared() or self[1].approximate != "none":
            return super().forward(x)
        return self[2](torch.ops.aten.gelu_(self[0](x)))  # the widest tensor of a block is made once, not twice


class Block(nn.Module):
    """Attention, then feed-forward, each normalised before and added to its input.

    [batch, rows, width] to [batch, wanted rows, width]: all rows are attended to, the wanted ones are computed. Where
    no graph is kept the feed-forward works in place, to the same bits.
    """

    def __init__(self, attention: nn.Module, width: int, hidden: int, *, dropout: float = 0.):
        super().__init__()
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.feedforward = attention, FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int,
                mask: Bool[Tensor, "batch rows"] | None = None, *, wanted: slice = ALL,
                prepared: Tensor | None = None) -> Float[Tensor, "batch wanted width"]:
        attended = self.attention(self.before_attention(x), num_memory_tokens, mask, wanted=wanted, prepared=prepared)
        x = x[:, wanted]
        if attended.shape != x.shape:  # one of a user's own; a sum with x might go well and be wrong
            raise UserError(f"{type(self.attention).__name__} gives the shape {tuple(attended.shape)} for wanted rows "
                            f"of shape {tuple(x.shape)}; its forward must give one vector for each wanted row")
        return self.after(x, attended)

    def after(self, x: Float[Tensor, "batch rows width"],
              attended: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        """The rows x once they have attended: both sums and the feed-forward between them."""
        x = x + self._drop(attended)
        fed = self.feedforward(self.before_feedforward(x))
        if fed.dtype == x.dtype and not self.dropout.p and self.feedforward.unshared():
            return fed.add_(x)
        return x + self._drop(fed)

    def _drop(self, x: Tensor) -> Tensor:
        return self.dropout(x) if self.dropout.p else x
