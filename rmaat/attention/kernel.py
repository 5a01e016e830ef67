"""The coupling r of astrocyte processes along a segment, applied without an N x N matrix."""

import math

import torch
from torch import nn

from foundation.errors import UserError, choose
from foundation.shapes import Float, Tensor
from rmaat.biology.biology import Biology, Curve
from rmaat.biology.provenance import Engineering, FromRecord, declare
from rmaat.biology.recorded import Recorded

BLOCK = 64
FACTORS = 2 * 3 * 5 * 7  # primes of the lengths that FFTs are fast for
SAMPLED, EXACT = 9, 1e-12  # places at which a form is compared with an exponential, and how closely

origins = declare(
    SAMPLED=Engineering(SAMPLED, "places at which a form is looked at, to choose between two ways to the same result"),
    EXACT=Engineering(EXACT, "some thousand roundings of float64: an exponential has equal ratios"),
    FACTORS=Engineering(FACTORS, "of the length of an FFT: any length gives the same result"))


def line(places: int) -> Float[Tensor, "places"]:
    """0, 1, ..., places - 1 as float64 on the CPU, whatever device a network is being built on."""
    return torch.arange(places, dtype=torch.float64, device="cpu")


class ExponentialKernel(Recorded):
    """r = mu^|i-j| times a signal, by two first-order recursions over blocks of places.

    Shapes: signal [..., places, m] to the same; O(places * block) work and memory. A block sees its own places and two
    carries: what all earlier blocks amount to at the place before it, and all later ones at the place after it.
    """

    origins = declare(BLOCK=Engineering(BLOCK, "places handled by one matrix product; any size gives the same result"))

    def __init__(self, r: Curve, places: int):
        super().__init__()
        of_record = FromRecord(r.name, equation="E4.5")
        self.origins = {**self.origins, **dict.fromkeys(("near", "carried", "before"), of_record)}
        size = min(places, BLOCK)
        place, block = line(size), line(BLOCK)
        # (E4.5) r_ij = exp(-scale |i-j|); beside it what a place has of the carry from the left and from the right
        near = [r(distance=x) for x in ((place[:, None] - place).abs(), place[:, None] + 1, size - place[:, None])]
        self.hold("near", torch.cat(near, 1))
        self.hold("carried", r(distance=size * block)[:, None])
        apart = block[:, None] - 1 - block
        self.hold("before", r(distance=size * apart.clamp(min=0)).tril(-1))

    def forward(self, signal: Float[Tensor, "*batch places m"]) -> Float[Tensor, "*batch places m"]:
        near = self.near.to(signal.dtype)
        places, size = signal.shape[-2], near.shape[0]
        if places <= size:
            return near[:places, :places] @ signal
        blocks = nn.functional.pad(signal, (0, 0, 0, -places % size)).unflatten(-2, (-1, size))
        ends, starts = (near[[-1, 0], :size] @ blocks).unbind(-2)
        left, right = self._carries(ends), self._carries(starts.flip(-2)).flip(-2)
        # (E5.10) r x = r_block x_block + mu^(1..s) left + mu^(s..1) right
        coupled = near @ torch.cat([blocks, left.unsqueeze(-2), right.unsqueeze(-2)], -2)
        return coupled.flatten(-3, -2)[..., :places, :]

    def _carries(self, ends: Float[Tensor, "*batch blocks m"]) -> Float[Tensor, "*batch blocks m"]:
        """What all earlier blocks amount to at the last place before each, from each block's sum at its own end.

        The recursion over blocks is solved for `BLOCK` blocks at a time by one matrix product.
        """
        before, carried = self.before.to(ends.dtype), self.carried.to(ends.dtype)
        found, carry = [], torch.zeros_like(ends[..., :1, :])
        for group in ends.split(BLOCK, -2):
            count = group.shape[-2]
            # (E5.10) left_(b+1) = mu^s left_b + (r_block x_b)_s, right mirrored
            found.append(before[:count, :count] @ group + carried[:count] * carry)
            carry = carried[1] * found[-1][..., -1:, :] + group[..., -1:, :]
        return torch.cat(found, -2)


def smooth(places: int) -> int:
    """The smallest number from `places` on without a prime factor above 7."""
    while math.gcd(places, FACTORS ** places.bit_length()) < places:
        places += 1
    return places


class AnyKernel(Recorded):
    """r(|i-j|) times a signal for any form of r, by FFT. Shapes as `ExponentialKernel`.

    Lines of N places lie on a ring of at least 2 N, so that no two of them are closer round the other way.
    """

    def __init__(self, r: Curve, places: int):
        super().__init__()
        self.origins = {"spectrum": FromRecord(r.name, equation="E4.5")}
        places = smooth(places)
        distance = line(2 * places)
        ring = r(distance=torch.minimum(distance, 2 * places - distance))
        self.hold("spectrum", torch.fft.rfft(ring).real)

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


def is_exponential(r: Curve) -> bool:
    """Whether a form is mu^distance, looked at over some places."""
    values = r(distance=line(SAMPLED))
    equal = bool(((values[1:] / values[:-1] / values[1] - 1).abs() < EXACT).all())
    return equal and abs(float(values[0]) - 1) < EXACT


def position_kernel(biology: Biology, places: int, name: str = "record") -> nn.Module:
    """The cheapest exact way to apply one of the record's kernels to lines of up to `places` places."""
    r = kernel_curve(biology, name)
    return (ExponentialKernel if is_exponential(r) else AnyKernel)(r, places)
