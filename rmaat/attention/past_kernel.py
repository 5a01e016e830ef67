"""The causal half of the coupling r: a process feels itself and those before it; the same entry of the record."""

import torch
from torch import nn

from foundation.shapes import Float, Tensor
from rmaat.attention.kernel import ExponentialKernel, kernel_curve, line, position_kernel, smooth
from rmaat.biology.biology import Biology, Curve
from rmaat.biology.provenance import FromRecord
from rmaat.biology.recorded import Recorded

Carried = Tensor | None  # what a kernel takes along from the places before; None: there are none


class PastExponential(ExponentialKernel):
    """mu^(i-j) over j <= i, times a signal; what is carried along a line is the row of its last place.

    Shapes: signal [..., places, m] to the same; O(places * block) work, by the recursion from the left of E5.10.
    """

    def __init__(self, r: Curve, places: int):
        super().__init__(r, places)
        near, size = self._exact["near"], len(self._exact["near"])
        # (E4.5) r_ij = exp(-scale |i-j|), and 0 for j > i; beside it what a place has of the carry from the left
        self.hold("near", torch.cat([near[:, :size].tril(), near[:, size:size + 1]], 1))

    def forward(self, signal: Float[Tensor, "*batch places m"],
                carried: Carried = None) -> Float[Tensor, "*batch places m"]:
        near = self.near.to(signal.dtype)
        places, size = signal.shape[-2], near.shape[0]
        before = torch.zeros_like(signal[..., :1, :]) if carried is None else carried
        if places <= size:
            return near[:places, :places] @ signal + near[:places, size:] * before
        blocks = nn.functional.pad(signal, (0, 0, 0, -places % size)).unflatten(-2, (-1, size))
        ends = near[-1, :size] @ blocks
        first = nn.functional.pad(before, (0, 0, 0, ends.shape[-2] - 1))
        left = self._carries(ends + near[-1, size:] * first) + first
        # (E5.10) r x = r_block x_block + mu^(1..s) left
        coupled = near @ torch.cat([blocks, left.unsqueeze(-2)], -2)
        return coupled.flatten(-3, -2)[..., :places, :]

    def after(self, coupled: Float[Tensor, "*batch places m"], signal: Float[Tensor, "*batch places m"],
              carried: Carried = None) -> Tensor:
        """What is carried on: the last place's row."""
        return coupled[..., -1:, :]


class PastAny(Recorded):
    """r(i-j) over j <= i for any form of r, by FFT. Shapes as `PastExponential`; carries the whole line's signal."""

    def __init__(self, r: Curve, places: int):
        super().__init__()
        self.origins = {"past": FromRecord(r.name, equation="E4.5")}
        self.hold("past", r(distance=line(smooth(places))))

    def forward(self, signal: Float[Tensor, "*batch places m"],
                carried: Carried = None) -> Float[Tensor, "*batch places m"]:
        whole = signal if carried is None else torch.cat([carried, signal], -2)
        length = 2 * self.past.shape[0]  # on a ring of twice the line nothing comes round the other way
        spectrum = torch.fft.rfft(self.past.to(signal.dtype), length)[:, None]
        coupled = torch.fft.irfft(spectrum * torch.fft.rfft(whole, length, dim=-2), length, dim=-2)
        return coupled[..., whole.shape[-2] - signal.shape[-2]:whole.shape[-2], :]

    def after(self, coupled: Float[Tensor, "*batch places m"], signal: Float[Tensor, "*batch places m"],
              carried: Carried = None) -> Tensor:
        """What is carried on: all that was coupled so far."""
        return signal if carried is None else torch.cat([carried, signal], -2)


def past_kernel(biology: Biology, places: int, name: str = "record") -> nn.Module:
    """The causal half of `position_kernel`: `kernel(signal, carried)` and `kernel.after(coupled, signal, carried)`."""
    kind = PastExponential if isinstance(position_kernel(biology, places, name), ExponentialKernel) else PastAny
    return kind(kernel_curve(biology, name), places)
