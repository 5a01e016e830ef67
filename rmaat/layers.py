"""How a segment runs through the blocks: what of it is kept for the backward pass.

`run(call, blocks, x) -> x` with `call(block, x) -> x`.
"""

from collections.abc import Callable, Sequence

from torch import nn

from rmaat.backprop import amrb
from rmaat.shapes import Float, Tensor


def whole(call: Callable, blocks: Sequence[nn.Module], x: Float[Tensor, "batch rows width"]) -> Tensor:
    """All blocks' activations are kept."""
    for block in blocks:
        x = call(block, x)
    return x


def layer_by_layer(call: Callable, blocks: Sequence[nn.Module], x: Float[Tensor, "batch rows width"]) -> Tensor:
    """Each block's input is kept and the activations of one block at a time: `amrb` with layers as its segments.

    With AMRB over segments the work is at most 5/3 of plain backpropagation's (forward pass, replay, replay by layers).
    """
    parameters = [p for block in blocks for p in block.parameters()]
    return amrb(lambda block, x: (None, call(block, x)), blocks, x, parameters)[1]


REPLAY = {"segment": whole, "layer": layer_by_layer}
