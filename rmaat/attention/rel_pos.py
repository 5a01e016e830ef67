"""What the astrocyte processes couple into the write: three readings of R, with one signature."""

import torch
from torch import nn

from foundation.shapes import Float, Tensor
from rmaat.attention.kernel import kernel_curve, position_kernel
from rmaat.attention.precision import at_least_float32, no_autocast
from rmaat.attention.projection import split_heads
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import SIZE, Analogy, Engineering, FromRecord, Start, declare


def couple(kernel: nn.Module, signal: Float[Tensor, "*batch places m"]) -> Float[Tensor, "*batch places m"]:
    """r times a signal; the sum over places is at least float32 under autocast."""
    with no_autocast(signal):
        return kernel(at_least_float32(signal))


def start_of_rows(module: nn.Module) -> float:
    """Standard deviation with which the learned rows start."""
    return module.initial_scale


class Positional(nn.Module):
    """R = r W_rel with one learned row per place: the paper's reading, bound to one segment length.

    Shapes: x [batch, places, width] to R [heads, places, m]. The line of processes is there whether or not a token
    stands at a place, so R does not depend on the batch, and a short segment uses the first places of the line.
    """

    origins = declare(initial_scale=Engineering(None, "learned rows start so that R has unit variance in mid-line"),
                      rows=Start(0., start_of_rows, "normal, times initial_scale"))
    analogies = (Analogy("E5.5", "R: processes learn a pattern per place and share it along the line"),)

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology, kernel: str = "record"):
        super().__init__()
        self.curve, self.kernel = kernel_curve(biology, kernel), position_kernel(biology, places, kernel)
        self.origins = {**self.origins, "curve": FromRecord(self.curve.name, equation="E4.5")}
        distance = torch.arange(-places // 2, places // 2 + 1, dtype=torch.float64, device="cpu").abs()
        self.initial_scale = float(self.curve(distance=distance).square().sum().rsqrt())
        self.rows = nn.Parameter(torch.randn(heads, places, width // heads) * self.initial_scale)

    def prepare(self) -> Float[Tensor, "heads line m"]:
        """R of the whole line, which no input changes."""
        # (E5.5) R = r W_rel
        return couple(self.kernel, self.rows)

    def forward(self, x: Float[Tensor, "batch places width"]) -> Float[Tensor, "heads places m"]:
        return self.prepare()[:, :x.shape[1]]


class Content(nn.Module):
    """R = r (X W_R): each process sees its neighbours' input through the coupling; any segment length.

    Shapes: x [batch, places, width] to R [batch * heads, places, m]; rows of padding must be 0 in x.
    """

    origins = declare(heads=SIZE)
    analogies = (Analogy("E5.5", "R: processes see what their neighbours receive"),)

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology, kernel: str = "record"):
        super().__init__()
        self.heads = heads
        self.curve, self.kernel = kernel_curve(biology, kernel), position_kernel(biology, places, kernel)
        self.origins = {**self.origins, "curve": FromRecord(self.curve.name, equation="E4.5")}
        self.project = nn.Linear(width, width, bias=False)

    def prepare(self) -> None:
        """R depends on the input: nothing can be computed before."""

    def forward(self, x: Float[Tensor, "batch places width"]) -> Float[Tensor, "cells places m"]:
        # (E5.5) R = r (X W_R)
        return split_heads(couple(self.kernel, self.project(x)), self.heads)


class NoRelPos(nn.Module):
    """No astrocytic write: H is H_neuron alone."""

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology, kernel: str = "record"):
        super().__init__()

    def prepare(self) -> None:
        """There is no R."""

    def forward(self, x: Float[Tensor, "batch places width"]) -> None:
        return None


REL_POS = {"positional": Positional, "content": Content, "none": NoRelPos}
