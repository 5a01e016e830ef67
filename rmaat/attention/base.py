"""What every attention of a network is: the seam for one of your own."""

from typing import ClassVar

from torch import nn

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.projection import ALL
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import SIZE, declare
from rmaat.biology.recorded import fill_after_loading


class Attention(nn.Module):
    """Rows that look at each other. An attention of your own is a class under this one with a `forward`:

        class Mean(Attention):
            def forward(self, x, num_memory_tokens=0, mask=None, *, wanted=ALL, prepared=None):
                if mask is not None:
                    x = x.masked_fill(~mask[..., None], 0)
                count = x.shape[1] if mask is None else mask.sum(1)[:, None, None]
                return (x.sum(1, keepdim=True) / count).expand_as(x)[:, wanted]

    A network builds one for each of its blocks as `kind(width, heads, places, biology=biology, **options)`, where
    options are those fields of its config that the class names in `reads`; the config refuses the others. `places` is
    the largest number of tokens in a segment, the memory tokens not counted.

    `prepare()` computes once what depends on parameters alone, for all segments of a pass; the result comes back as
    `prepared`. `origins` says where each number comes from that is neither learned nor a size (see `provenance`);
    a trace lists one without origin as such. Raises `UserError` where heads does not divide width.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    causal: ClassVar[bool] = False  # a token sees its past alone; see causal.py for the rows that it then gets
    origins = declare(heads=SIZE, m=SIZE, places=SIZE)

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology | None = None):
        super().__init__()
        self.register_load_state_dict_post_hook(fill_after_loading)
        for name, size in (("width", width), ("heads", heads), ("places", places)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise UserError(f"{name} = {size!r}: must be a whole number of at least 1"
                                + (", the largest number of tokens in a segment" if name == "places" else ""))
        if width % heads:
            raise UserError(f"heads = {heads} does not divide width = {width}; "
                            "choose heads so that width is a multiple of it")
        self.heads, self.m, self.places = heads, width // heads, places

    def prepare(self) -> Tensor | None:
        """What depends on parameters alone; None for nothing."""
        return None

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int = 0,
                mask: Bool[Tensor, "batch rows"] | None = None, *, wanted: slice = ALL,
                prepared: Tensor | None = None) -> Float[Tensor, "batch wanted width"]:
        """What the wanted rows have read, without the residual, which the block adds.

        Shapes: x [batch, rows, width], tokens in their places and after them `num_memory_tokens` memory tokens; mask
        [batch, rows], true for rows that are there (None: all). `wanted` is a slice of the rows: only these are
        returned, all rows are looked at. At valid rows the result must not depend on what stands in the others.
        """
        raise NotImplementedError(f"{type(self).__name__} needs forward(x, num_memory_tokens, mask, wanted, prepared)")

    def places_of(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int) -> int:
        """How many of the rows are tokens. Raises `UserError` for another shape, and for more rows than places."""
        if x.ndim != 3 or x.shape[-1] != self.heads * self.m or not x.is_floating_point():
            raise UserError(f"x has the shape {tuple(x.shape)} and type {x.dtype}; give floating point numbers of "
                            f"shape [batch, rows, {self.heads * self.m}]")
        rows = x.shape[1]
        if num_memory_tokens < 0:
            raise UserError(f"num_memory_tokens = {num_memory_tokens}: must be at least 0")
        if not 0 <= rows - num_memory_tokens <= self.places:
            raise UserError(f"{rows} rows, {num_memory_tokens} of them memory tokens, do not fit places = "
                            f"{self.places}; build the attention with more places (in a network: a larger "
                            "segment_length), or give it fewer rows")
        return rows - num_memory_tokens
