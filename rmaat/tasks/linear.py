"""Logistic regression on features of whole samples, for the control rows: what a task gives away without a network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from foundation.shapes import Float, Tensor
from rmaat.tasks.task import Split, Task

ITERATIONS = 50  # on Fashion-MNIST 30 reach 84.0 %, 50 and 100 reach 84.4 %
TRAINED_ON = 10_000  # samples that histograms are learned from
PORTION = 256  # samples of a batch that is counted


@dataclass(frozen=True)
class Row:
    """One line of a result table: what was evaluated, its accuracy on `samples` samples, and how it came about."""

    name: str
    accuracy: float
    samples: int
    note: str = ""


def majority(labels: np.ndarray) -> tuple[int, float]:
    """The commonest label and its share: what a model that looks at nothing reaches."""
    counts = np.bincount(labels)
    return int(counts.argmax()), float(counts.max() / counts.sum())


def fit_logistic(features: torch.Tensor, labels: torch.Tensor, classes: int, *, iterations: int = ITERATIONS,
                 penalty: float = 1e-4) -> torch.Tensor:
    """Weights [inputs + 1, classes] of multinomial logistic regression by L-BFGS; the last row is the bias."""
    weights = torch.zeros(features.shape[1] + 1, classes, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=iterations, history_size=10, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        scores = features @ weights[:-1] + weights[-1]
        value = torch.nn.functional.cross_entropy(scores, labels) + penalty * weights[:-1].square().sum()
        value.backward()
        return value

    solver.step(loss)
    return weights.detach()


def accuracy_of(train: Float[Tensor, "n inputs"], labels: np.ndarray, test: Iterable[Tensor],
                expected: np.ndarray, *, classes: int, floor: float = 0.) -> float:
    """Share of `test` that logistic regression tells, learned from `train`; features are standardised as in `train`.

    `test` comes in portions [m, inputs], with the labels `expected` of all of them. Features that do not vary in
    `train` are left out. `floor` is added to the scales, so that those that hardly vary are not blown up.
    """
    varying = train.min(0).values < train.max(0).values
    if not varying.any():
        return float((np.bincount(labels).argmax() == expected).mean())
    mean, scale = train[:, varying].mean(0), train[:, varying].std(0) + floor
    weights = fit_logistic((train[:, varying] - mean) / scale, torch.from_numpy(labels), classes)
    guesses = [((part[:, varying] - mean) / scale @ weights[:-1] + weights[-1]).argmax(1).numpy() for part in test]
    return float((np.concatenate(guesses) == expected).mean())


def histograms(split: Split, indices: np.ndarray, task: Task, *, segment: int = 0) -> Float[Tensor, "n inputs"]:
    """Shares of each token in the samples at `indices`; with `segment` in the last segment of each alone.

    Of two documents: both histograms, and by how much they differ.
    """
    parts = []
    for start in range(0, len(indices), PORTION):
        tokens, lengths, _ = split.batch(indices[start:start + PORTION])
        places = torch.arange(tokens.shape[1])
        begin = (lengths - 1) // segment * segment if segment else torch.zeros_like(lengths)
        inside = (places >= begin[:, None]) & (places < lengths[:, None])
        counts = torch.zeros(len(tokens), task.vocab_size)
        counts.scatter_add_(1, tokens.masked_fill(~inside, 0), inside.float())
        counts /= inside.sum(1, keepdim=True)
        if task.documents > 1:
            first, second = counts.chunk(task.documents)
            counts = torch.cat([first, second, (first - second).abs()], 1)
        parts.append(counts)
    return torch.cat(parts)


def pixels(split: Split, indices: np.ndarray, places: slice) -> Iterator[Float[Tensor, "n places"]]:
    """Grey values at `places` of the samples at `indices`, which are all of one length, in portions."""
    for start in range(0, len(indices), PORTION):
        yield split.batch(indices[start:start + PORTION]).tokens[:, places].float()


def first_tokens(split: Split, indices: np.ndarray) -> np.ndarray:
    """The first token of each sample at `indices`, int64 [n]."""
    return np.concatenate([split.batch(indices[start:start + PORTION]).tokens[:, 0].numpy()
                           for start in range(0, len(indices), PORTION)])
