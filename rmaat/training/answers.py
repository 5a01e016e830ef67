"""What logits are worth: cross entropy and share of correct answers, for one label a sample or one a token."""

import math
from typing import NamedTuple

from torch.nn import functional

from foundation.shapes import Float, Int, Tensor
from rmaat.tasks.task import NOT_ASKED


class Answers(NamedTuple):
    """Over the labels that are asked for: sum of cross entropy (nats), how many are correct, how many there are."""

    loss: Tensor
    correct: Tensor
    asked: int


def answers(logits: Float[Tensor, "*labels classes"], labels: Int[Tensor, "*labels"], *,
            label_smoothing: float = 0.) -> Answers:
    """The answers to all labels; those that are `NOT_ASKED` do not count."""
    flat, known = logits.flatten(0, -2), labels.flatten()
    loss = functional.cross_entropy(flat, known, ignore_index=NOT_ASKED, label_smoothing=label_smoothing,
                                    reduction="sum")
    asked = known != NOT_ASKED
    return Answers(loss, ((flat.argmax(-1) == known) & asked).sum(), int(asked.sum()))


def mean_answers(logits: Float[Tensor, "batch *length classes"], labels: Int[Tensor, "batch *length"], *,
                 label_smoothing: float = 0.) -> tuple[Tensor, float]:
    """Mean cross entropy and share of correct answers, every sample with the same weight, however many labels it has.

    So the parts of a batch add up to the whole by their numbers of samples.
    """
    if labels.ndim == 1:
        loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        return loss, (logits.argmax(1) == labels).float().mean().item()
    each = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=NOT_ASKED, reduction="none",
                                    label_smoothing=label_smoothing)
    asked = labels != NOT_ASKED
    count = asked.sum(1).clamp(min=1)
    correct = ((logits.argmax(-1) == labels) & asked).sum(1) / count
    return (each.sum(1) / count).mean(), correct.mean().item()


def bits(loss: float) -> float:
    """Nats as bits."""
    return loss / math.log(2)


def bits_of(task_vocabulary: int) -> str:
    """What bits are counted for: a byte, where tokens are bytes."""
    return "bits per byte" if task_vocabulary == 256 else "bits per token"


def told(loss: float, vocab_size: int, per_token: bool) -> str:
    """A loss for a table: nats and, for a network that answers for each token, bits."""
    return f"loss {loss:.4f}" + (f", {bits(loss):.4f} {bits_of(vocab_size)}" if per_token else "")
