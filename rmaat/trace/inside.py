"""What happens inside on some samples: the memory tokens after each segment, and which tokens an answer hangs on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foundation.errors import UserError
from foundation.shapes import Float, Int, Tensor
from rmaat.model.model import RMAAT
from rmaat.trace.inspection import exact_copy, passed


@dataclass(frozen=True)
class Inside:
    """`memories` [segments, rows, tokens * width] after each segment, `saliency` [rows, length], `loss` in nats.

    Saliency is |d loss / d embedding| of each token, the loss being the mean cross entropy of the samples; 0 where
    there is no token. All float64.
    """

    memories: Float[Tensor, "segments rows numbers"]
    saliency: Float[Tensor, "rows length"]
    loss: float

    def similarity(self) -> Float[Tensor, "segments segments"]:
        """Cosine of the angle between the memories after two segments, the mean over the rows."""
        unit = torch.nn.functional.normalize(self.memories, dim=2)
        return torch.einsum("srn,trn->st", unit, unit) / unit.shape[1]


def inside(model: RMAAT, tokens: Int[Tensor, "rows length"], lengths: Int[Tensor, "rows"], *,
           labels: Int[Tensor, "samples"]) -> Inside:
    """Run the samples once forward and backward, in float64 and without dropout.

    Raises `UserError` for a network that answers for each token.
    """
    if model.output.per_token:
        raise UserError(f"this network gives one answer a token (output = {model.config.output}), not one a sample; "
                        "there is no one loss whose gradient could be shown")
    exact = exact_copy(model)
    memories, inputs, loss = passed(exact, exact.cut(tokens, lengths), tokens, lengths=lengths, labels=labels)
    count = model.config.num_memory_tokens  # after them stand rows that a mixing carries
    sizes = [_sizes(x, gradient)
             for x, gradient in zip(inputs, torch.autograd.grad(loss, inputs, allow_unused=True), strict=True)]
    return Inside(torch.stack([memory[:, :count].detach().flatten(1) for memory in memories]), _row(sizes),
                  loss.item())


def _sizes(x: Float[Tensor, "rows places width"], gradient: Tensor | None) -> Float[Tensor, "rows places"]:
    return torch.zeros(x.shape[:2], dtype=x.dtype) if gradient is None else gradient.norm(dim=2)


def _row(sizes: Sequence[Float[Tensor, "rows _"]]) -> Float[Tensor, "rows length"]:
    return torch.cat(list(sizes), 1)
