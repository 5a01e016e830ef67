"""What a pixel sees of the rows above it and of both sides: residual convolutions over the image that the tokens are.

No biology. `row_length` tells the network that its tokens are an image; a sequence model has to find that out.
"""

import torch
from torch import nn
from torch.nn import functional

from foundation.shapes import Bool, Float, Int, Tensor
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import SIZE, Engineering, declare
from rmaat.model.grey_values import as_numbers

CELL, STAMP = 2, 4
ABOVE, ACROSS = 2, 3
DEPTH = 8
origins = declare(
    CELL=Engineering(CELL, "pixels along a cell's sides: cells of 2 x 2 are a quarter of the work"),
    STAMP=Engineering(STAMP, "pixels along the sides of what a cell is made of: its own, two rows above them, and a "
                             "column on either side"),
    ABOVE=Engineering(ABOVE, "rows of cells above its own that a layer sees; those below have not been read yet"),
    ACROSS=Engineering(ACROSS, "cells side by side that a layer sees: its own, and one on either side"),
    DEPTH=Engineering(DEPTH, "layers: the last one sees 34 rows of pixels up and 17 columns to either side"))


class Layer(nn.Module):
    """cells + conv(gelu(norm(cells))), where `above` holds the signal of the rows above the first.

    Shapes: cells [batch, rows, columns, width]; above [batch, ABOVE, columns, width]; there [batch, rows, columns, 1],
    true where a cell is: others are 0. Returns the cells, and `above` for the rows that follow.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv2d(width, width, (ABOVE + 1, ACROSS), padding=(0, 1))

    def forward(self, cells: Float[Tensor, "batch rows columns width"],
                above: Float[Tensor, "batch above columns width"], there: Bool[Tensor, "batch rows columns 1"],
                ) -> tuple[Float[Tensor, "batch rows columns width"], Float[Tensor, "batch above columns width"]]:
        signal = functional.gelu(self.norm(cells)).masked_fill(~there, 0)
        line = torch.cat([above.to(signal.dtype), signal], 1)
        seen = self.conv(line.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return cells + seen.masked_fill(~there, 0), line[:, -ABOVE:]


class Convolution2d(nn.Module):
    """Each token adds what a stack of convolutions finds at its cell of 2 x 2 pixels, tokens taken as numbers.

    State: what each layer keeps of the last rows of cells. A segment is whole rows of cells, so no cell lies in two.
    Where no token is, all layers see 0, as they do beyond the image's border.
    """

    causal = False  # a cell is known when both of its rows are
    reach, reads = 1, ("row_length",)
    origins = declare(vocab_size=SIZE, row_length=SIZE, columns=SIZE, rows=SIZE, reach=SIZE)

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology, row_length: int):
        super().__init__()
        self.vocab_size, self.row_length, self.columns = vocab_size, row_length, -(-row_length // CELL)
        self.reach = (STAMP - CELL) * row_length
        self.rows = DEPTH * ABOVE * self.columns
        self.cells = nn.Conv2d(1, width, STAMP, stride=CELL)
        self.layers = nn.ModuleList(Layer(width) for _ in range(DEPTH))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch places width"], carried: Float[Tensor, "batch rows width"],
                mask: Bool[Tensor, "batch places"] | None = None, tokens: Int[Tensor, "batch _"] | None = None,
                ) -> tuple[Float[Tensor, "batch places width"], Float[Tensor, "batch rows width"]]:
        places, there = x.shape[1], tokens >= 0
        if mask is not None:
            there = there & functional.pad(mask, (self.reach, 0), value=True)
        values = as_numbers(tokens, self.vocab_size, there=there, dtype=x.dtype)
        odd, missing = self.row_length % CELL, -places % (CELL * self.row_length)
        image = functional.pad(values, (0, missing)).unflatten(1, (-1, self.row_length))
        there = functional.pad(there[:, self.reach:], (0, missing)).unflatten(1, (-1, self.row_length))
        there = functional.pad(there, (0, odd)).unflatten(1, (-1, CELL)).unflatten(3, (-1, CELL))
        there = there.any(4).any(2)[..., None]  # a cell is there where one of its pixels is
        cells = self.cells(functional.pad(image, (1, 1 + odd))[:, None]).permute(0, 2, 3, 1).masked_fill(~there, 0)
        kept, above = [], carried.unflatten(1, (DEPTH, ABOVE, self.columns))
        for k, layer in enumerate(self.layers):
            cells, last = layer(cells, above[:, k], there)
            kept.append(last)
        found = self.out(functional.gelu(self.norm(cells)))
        found = found.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)[:, :, :self.row_length]
        return x + found.flatten(1, 2)[:, :places], torch.stack(kept, 1).flatten(1, 3).to(carried.dtype)
