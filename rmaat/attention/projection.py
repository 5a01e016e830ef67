"""Keys and values of all rows, queries of the wanted ones."""

from torch import nn

from rmaat.shapes import Float, Tensor

ALL = slice(None)


def project_rows(qkv: nn.Linear, x: Float[Tensor, "batch rows width"], heads: int,
                 wanted: slice) -> tuple[Tensor, Tensor, Tensor]:
    """q [batch, heads, wanted rows, m], k and v [batch, heads, rows, m] from a bias-free projection to 3 widths."""
    width = x.shape[-1]
    if wanted == ALL:  # one product instead of two
        q, k, v = qkv(x).unflatten(-1, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        return q, k, v
    q = nn.functional.linear(x[:, wanted], qkv.weight[:width]).unflatten(-1, (heads, width // heads)).transpose(1, 2)
    kv = nn.functional.linear(x, qkv.weight[width:])
    k, v = kv.unflatten(-1, (2, heads, width // heads)).permute(2, 0, 3, 1, 4)
    return q, k, v
