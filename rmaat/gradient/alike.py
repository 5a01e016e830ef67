"""Whether a replay is its forward pass again: every memory, and a fingerprint of every output.

Rounding may differ, as torch has other kernels where no graph is built. On CUDA nothing is waited for: what was found
is looked at once, when all segments are through.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensor

from foundation.errors import UserError
from foundation.shapes import Tensor
from rmaat.gradient.refusals import differentiable

# share of the norm by which a replay may differ
ALIKE = {torch.float64: 1e-8, torch.complex128: 1e-8, torch.float32: 1e-4, torch.complex64: 1e-4}
ALIKE_TF32 = 3e-3
ALIKE_HALF = 0.01  # far above the rounding that CUDA's order of sums may bring
PIECES = 16  # of an output, of each of which a weighed sum is kept

DIFFERS = ("{algorithm}: the replay of segment {t} gives another {what} than its forward pass gave, so its gradient "
           "would be wrong. The step depends on something that changed since: random numbers of an unseen source, a "
           "counter, a list or file that it reads, parameters that were swapped for a while (functional_call). Hand it "
           "all through x_t and `memory`, or use bptt")


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a tensor: its norm, and a weighed sum over each of its pieces.

    No weight is small and neighbours weigh differently, so one number that changes is seen, and so are two that change
    places.
    """

    norm: Tensor
    sums: Tensor
    size: int
    dtype: torch.dtype

    @classmethod
    def of(cls, x: Tensor) -> "Fingerprint":
        """The fingerprint of a strided tensor."""
        flat, size = x.detach().reshape(-1), x.numel()
        flat = flat.to(_wide(x.dtype))
        if size <= PIECES:
            return cls(_norm(flat), flat.clone(), size, x.dtype)
        length = size // PIECES
        weights = _weights(length, flat.dtype, flat.device)
        with torch.autocast(flat.device.type, enabled=False):  # it would round the weights, here but not in the replay
            sums = flat[:PIECES * length].view(PIECES, length) @ weights
        if rest := size - PIECES * length:
            sums = torch.cat([sums, flat[-rest:]])
        return cls(_norm(flat), sums, size, x.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return sum(x.numel() * x.element_size() for x in (self.norm, self.sums))

    def deviation(self, other: "Fingerprint") -> Tensor:
        """How far apart the two are, as a norm; what is not finite in both counts as alike."""
        return _norm(_finite(self.sums) - _finite(other.sums.to(self.sums.device)))


@functools.lru_cache(maxsize=64)
def _weights(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers of either sign between 0.5 and 1.5, never the same beside one another."""
    place = torch.arange(length, dtype=torch.float64)
    size = 0.5 + (place * 0.6180339887498949).frac()
    return (size * (1 - 2 * ((place * 0.4142135623730951).frac() < 0.5))).to(device, dtype)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """In which sums are taken: single for half precision, double for whole numbers."""
    if dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return dtype if dtype.is_floating_point or dtype.is_complex else torch.float64


def _finite(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, nan=6e4 if x.dtype is torch.float16 else 1e30)


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dtype=None if x.is_complex() else _wide(x.dtype))


class Comparison:
    """Replays against forward passes; `finish` raises `UserError` for the first that differed."""

    def __init__(self, algorithm: str):
        self.algorithm = algorithm
        self.waiting: list[tuple[Tensor, int, str]] = []

    def outputs(self, found: Sequence[Tensor], expected: Sequence[Fingerprint], *, t: int, what: str, exact: bool
                ) -> None:
        """Compare tensors with the fingerprints of the forward pass.

        exact: nothing was computed in half precision on the way to a wider number.
        """
        prints = fingerprints(found)
        self._same_kind([(x.size, x.dtype) for x in prints], [(y.size, y.dtype) for y in expected], t, what)
        for x, taken, y in zip(filter(_read, found), prints, expected, strict=True):
            self._note(taken.deviation(y) > _allowed(x, y.norm.to(x.device), exact), t, what)

    def memory(self, found: Sequence[Tensor], expected: Sequence[Tensor], *, t: int, exact: bool) -> None:
        """Compare the memory after a replay with the one that the next segment began with, number by number."""
        self._same_kind([(x.shape, x.dtype) for x in found], [(y.shape, y.dtype) for y in expected], t, "memory")
        for x, y in zip(found, expected, strict=True):
            if not _read(x) or x is y:
                continue
            x, y = x.detach(), y.detach().to(x.device)
            if differentiable(x):
                self._note(_norm(_finite(x) - _finite(y)) > _allowed(x, _norm(y), exact), t, "memory")
            else:
                self._note((x != y).any(), t, "memory")

    def _same_kind(self, found: list, expected: list, t: int, what: str) -> None:
        if found != expected:
            raise self.differs(t, what)

    def _note(self, far: Tensor, t: int, what: str) -> None:
        if far.device.type != "cpu":
            self.waiting.append((far, t, what))
        elif far:
            raise self.differs(t, what)

    def finish(self) -> None:
        """Look at what CUDA has found meanwhile."""
        if self.waiting and bool(torch.stack([far for far, _, _ in self.waiting]).any()):
            raise self.differs(*next((t, what) for far, t, what in self.waiting if far))

    def differs(self, t: int, what: str) -> UserError:
        """What is raised where the replay of segment t differs."""
        return UserError(DIFFERS.format(algorithm=self.algorithm, t=t + 1, what=what))


def fingerprints(tensors: Sequence[Tensor]) -> list[Fingerprint]:
    """Those of a segment's outputs, without tensors that cannot be looked at (sparse, nested, without numbers)."""
    return [Fingerprint.of(x) for x in tensors if _read(x)]


def _read(x: Tensor) -> bool:
    """Whether there are numbers to read: not on the meta device, nor under fake tensors."""
    return x.layout is torch.strided and not x.is_nested and x.device.type != "meta" and not isinstance(x, FakeTensor)


def _allowed(x: Tensor, norm: Tensor, exact: bool) -> Tensor:
    """How far a replay of x may be off: a share of its norm, and the rounding of numbers near 1 that cancelled."""
    if not differentiable(x):
        return torch.zeros_like(norm)
    share = ALIKE[x.dtype] if exact and x.dtype in ALIKE else ALIKE_HALF
    if x.device.type == "cuda" and exact and x.dtype in (torch.float32, torch.complex64):
        share = ALIKE_TF32
    return share * norm + torch.finfo(x.dtype).eps * x.numel() ** 0.5
