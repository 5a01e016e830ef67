"""How a segment runs through the blocks: what of it is kept for the backward pass.

`run(call, layers, x) -> x` with `call(layer, x) -> x`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from foundation.shapes import Float, Tensor
from rmaat.gradient.backprop import amrb


class Layer(NamedTuple):
    """A block, and what it has prepared for all segments."""

    block: nn.Module
    prepared: Tensor | None


def whole(call: Callable, layers: Sequence[Layer], x: Float[Tensor, "batch rows width"]) -> Tensor:
    """All blocks' activations are kept."""
    for layer in layers:
        x = call(layer, x)
    return x


def layer_by_layer(call: Callable, layers: Sequence[Layer], x: Float[Tensor, "batch rows width"]) -> Tensor:
    """Each block's input is kept and the activations of one block at a time: `amrb` with layers as its segments.

    With AMRB over segments the work is at most 5/3 of plain backpropagation's (forward pass, replay, replay by layers).
    """
    parameters = [p for layer in layers for p in layer.block.parameters()]
    return amrb(lambda layer, x: (None, call(layer, x)), layers, x, parameters)[1]


REPLAY = {"segment": whole, "layer": layer_by_layer}
