"""Attention without astrocytes."""

from torch import nn

from foundation.errors import choose
from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.base import Attention
from rmaat.attention.feature_map import FEATURE_MAP
from rmaat.attention.precision import at_least_float32, no_autocast
from rmaat.attention.projection import ALL, join_heads, mask_of_cells, project_for_sums, project_rows
from rmaat.biology.biology import Biology


class Softmax(Attention):
    """Scaled dot-product attention (torch's), as in RMT. Shapes and mask as `Attention`; reads no option."""

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology | None = None):
        super().__init__(width, heads, places)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int = 0,
                mask: Bool[Tensor, "batch rows"] | None = None, *, wanted: slice = ALL,
                prepared: None = None) -> Float[Tensor, "batch wanted width"]:
        self.places_of(x, num_memory_tokens)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)
        return self.project(self._attend(x, mask, wanted))

    def _attend(self, x: Tensor, mask: Tensor | None, wanted: slice) -> Float[Tensor, "batch wanted width"]:
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in project_rows(self.qkv, x, wanted))
        read = nn.functional.scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None, None])
        return read.transpose(1, 2).flatten(2)


class Linear(Softmax):
    """Normalised linear attention, as in RLT: phi(Q) (phi(K)^T V) / (phi(Q) sum phi(K)). Shapes as `Softmax`."""

    reads = ("feature_map",)

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology | None = None,
                 feature_map: str = "elu"):
        super().__init__(width, heads, places)
        self.feature_map = choose("feature_map", feature_map, FEATURE_MAP)()

    def _attend(self, x: Tensor, mask: Tensor | None, wanted: slice) -> Float[Tensor, "batch wanted width"]:
        q, k, values = project_for_sums(self.qkv, x, self.heads, wanted=wanted)
        with no_autocast(x):
            q32 = self.feature_map.shifted(at_least_float32(q))
            k32 = self.feature_map(at_least_float32(k))
            if mask is not None:
                k32 = k32 * mask_of_cells(mask, self.heads)[..., None]
            total = q32.bmm(k32.sum(1).clamp(min=self.feature_map.least_sum)[..., None])
            return join_heads((values.read(q32, k32) / total).to(q.dtype), self.heads)
