"""Feature maps phi: what makes keys and queries positive. One signature: `phi(x)`, and `phi(x, shift)` for queries."""

import torch
from torch import nn

from foundation.shapes import Float, Tensor
from rmaat.biology.provenance import Engineering, declare

LEAST_SUM = 1e-18  # of phi(K): 1/C then stays finite in float32, and so does its square, which the gradient needs
# a query of softmax may read of one feature alone, that no key has: there the gradient is 1/C squared times what the
# astrocytes wrote, which has to be finite too
LEAST_SUM_SOFTMAX = 1e-12

origins = declare(
    LEAST_SUM=Engineering(LEAST_SUM, "least drive: 1/C and its gradient stay finite where no token or none but keys "
                                     "below -41 in every feature write; others do not feel it"),
    LEAST_SUM_SOFTMAX=Engineering(LEAST_SUM_SOFTMAX, "the same for feature_map = softmax"))


def _elu_plus_one(x: Tensor) -> Tensor:
    """exp(min(x, 0)) + max(x, 0): elu(x) + 1 without its cancellation, which makes 0 of everything below -17."""
    return x.clamp(max=0).exp_().add_(x.clamp(min=0))


class _EluPlusOne(torch.autograd.Function):
    """Keeps its result alone for the backward pass, which the products that follow keep anyway."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        result = _elu_plus_one(x)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return grad * result.clamp(max=1)  # the slope is phi below 0 and 1 above


class Elu(nn.Module):
    """phi(x) = elu(x) + 1, the paper's. Shapes: [..., m] to the same; shift [..., 1], at most 0."""

    least_sum = LEAST_SUM

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return _EluPlusOne.apply(x) if torch.is_grad_enabled() else _elu_plus_one(x)

    def shifted(self, x: Float[Tensor, "... m"]) -> Float[Tensor, "... m"]:
        """phi(x) times a positive number of each row's own, so that the largest of a row is at least 1.

        For reads that do not depend on such a factor: a query that is far below 0 everywhere must not become a row of
        zeros. The factor is exp(-max x) where all of a row is negative, and 1 otherwise.
        """
        top = x.detach().amax(-1, keepdim=True).clamp(max=0)
        return self(x - top)


class Softmax(nn.Module):
    """phi(x) = m softmax(x) over the features of a row: bounded, its mean is 1. Shapes as `Elu`."""

    least_sum = LEAST_SUM_SOFTMAX

    def forward(self, x: Float[Tensor, "... m"]) -> Float[Tensor, "... m"]:
        return x.shape[-1] * x.softmax(-1)

    shifted = forward


FEATURE_MAP = {"elu": Elu, "softmax": Softmax}
