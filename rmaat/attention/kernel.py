"""The coupling r of astrocyte processes along a segment, applied without an N x N matrix."""

import torch
from torch import nn

from foundation.errors import UserError, choose
from rmaat.biology import Biology, Curve
from rmaat.provenance import Engineering, FromRecord, declare
from rmaat.shapes import Float, Tensor

BLOCK = 64
SAMPLED, EXACT = 9, 1e-12  # places at which a form is compared with an exponential, and how closely

origins = declare(
    SAMPLED=Engineering(SAMPLED, "places at which a form is looked at, to choose between two ways to the same result"),
    EXACT=Engineering(EXACT, "some thousand roundings of float64: an exponential has equal ratios"))


class ExponentialKernel(nn.Module):
    """r = mu^|i-j| times a signal, by two first-order recursions over blocks of places.

    Shapes: signal [..., places, m] to the same; O(places * block) work and memory.
    """

    origins = declare(BLOCK=Engineering(BLOCK, "places handled by one matrix product; any size gives the same result"))

    def __init__(self, r: Curve, places: int):
        super().__init__()
        of_record = FromRecord(r.name, equation="E4.5")
        self.origins = {**self.origins, "near": of_record, "from_left": of_record, "from_right": of_record}
        size = min(places, BLOCK)
        place = torch.arange(size, dtype=torch.float64)
        # (E4.5) r_ij = exp(-scale |i-j|)
        self.register_buffer("near", r(distance=(place[:, None] - place).abs()), persistent=False)
        self.register_buffer("from_left", r(distance=place + 1)[:, None], persistent=False)
        self.register_buffer("from_right", r(distance=size - place)[:, None], persistent=False)

    def forward(self, signal: Float[Tensor, "*batch places m"]) -> Float[Tensor, "*batch places m"]:
        near = self.near.to(signal.dtype)
        places, size = signal.shape[-2], near.shape[0]
        if places <= size:
            return near[:places, :places] @ signal
        blocks = nn.functional.pad(signal, (0, 0, 0, -places % size)).unflatten(-2, (-1, size))
        left, right = self._carries(blocks)
        coupled = near @ blocks + self.from_left.to(signal) * left + self.from_right.to(signal) * right
        return coupled.flatten(-3, -2)[..., :places, :]

    def _carries(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """What all earlier (later) blocks amount to at the last place before (first place after) each block."""
        size = blocks.shape[-2]
        near, across = self.near.to(blocks.dtype), self.from_right[0].to(blocks.dtype)  # across: mu^size
        ends = (near[size - 1:] @ blocks).unbind(-3)
        starts = (near[:1] @ blocks).unbind(-3)
        left, right = [torch.zeros_like(ends[0])], [torch.zeros_like(starts[0])]
        for end in ends[:-1]:
            left.append(end + across * left[-1])
        for start in starts[:0:-1]:
            right.append(start + across * right[-1])
        return torch.stack(left, -3), torch.stack(right[::-1], -3)


class AnyKernel(nn.Module):
    """r(|i-j|) times a signal for any form of r, by FFT. Shapes as `ExponentialKernel`."""

    def __init__(self, r: Curve, places: int):
        super().__init__()
        self.origins = {"spectrum": FromRecord(r.name, equation="E4.5")}
        distance = torch.arange(2 * places, dtype=torch.float64)
        ring = r(distance=torch.minimum(distance, 2 * places - distance))
        self.register_buffer("spectrum", torch.fft.rfft(ring).real, persistent=False)

    def forward(self, signal: Float[Tensor, "*batch places m"]) -> Float[Tensor, "*batch places m"]:
        places, length = signal.shape[-2], 2 * (self.spectrum.shape[0] - 1)
        spectrum = self.spectrum.to(signal.dtype)[:, None]
        coupled = torch.fft.irfft(spectrum * torch.fft.rfft(signal, length, dim=-2), length, dim=-2)
        return coupled[..., :places, :]


KERNEL = {"record": "relative_position", "diffusive": "relative_position_diffusive"}  # entries of the record


def kernel_curve(biology: Biology, name: str = "record") -> Curve:
    """The form r(distance) of a kernel by name. Raises `UserError` where the record does not have it."""
    entry = choose("kernel", name, KERNEL)
    if entry not in biology.record.entries:
        raise UserError(f"kernel = {name!r}: the record has no entry {entry!r}; choose record")
    return biology.curves[entry] if entry in biology.curves else Curve(entry, biology.record.entry(entry))


def position_kernel(biology: Biology, places: int, name: str = "record") -> nn.Module:
    """The cheapest exact way to apply one of the record's kernels to lines of up to `places` places."""
    r = kernel_curve(biology, name)
    values = r(distance=torch.arange(SAMPLED, dtype=torch.float64))
    equal = bool(((values[1:] / values[:-1] / values[1] - 1).abs() < EXACT).all())
    return (ExponentialKernel if equal and abs(float(values[0]) - 1) < EXACT else AnyKernel)(r, places)
