"""Bits per byte of a text: RMAAT, RMT and a GRU with as many parameters, trained on the same batches.

    python examples/byte_language_model.py TEXT --steps 300

The two transformers see the past alone (causal = True) and carry their memory from segment to segment; all three are
asked for every byte of the held-out end of the file.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rmaat import RMAAT, ModelConfig
from rmaat.tasks.next_byte import NextByte
from rmaat.tasks.task import NOT_ASKED
from rmaat.training.variants import rmt


class GRULanguageModel(nn.Module):
    """Embedded bytes through a GRU to logits of the next: [batch, length] to [batch, length, 256]."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.embedding, self.gru, self.head = nn.Embedding(256, width), nn.GRU(width, hidden, batch_first=True), \
            nn.Linear(hidden, 256)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(self.embedding(tokens))[0])


def size(model: nn.Module) -> int:
    """Learned numbers."""
    return sum(p.numel() for p in model.parameters())


def as_large_as(parameters: int, width: int) -> GRULanguageModel:
    """The GRU whose number of parameters is nearest to `parameters`."""
    sizes = {hidden: 256 * width + 3 * hidden * (width + hidden + 2) + 257 * hidden - hidden + 256
             for hidden in range(4, 2_000)}
    return GRULanguageModel(width, min(sizes, key=lambda hidden: abs(sizes[hidden] - parameters)))


def train(model: nn.Module, split, steps: int, batch: int) -> None:
    """AdamW at a constant rate, the same batches for every model."""
    optimizer, generator = torch.optim.AdamW(model.parameters(), lr=2e-3), np.random.default_rng(0)
    for _ in range(steps):
        tokens, lengths, labels = split.batch(generator.integers(0, len(split), batch))
        loss = cross_entropy(model(tokens, lengths).flatten(0, 1), labels.flatten(), ignore_index=NOT_ASKED)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()


@torch.no_grad()
def bits_per_byte(model: nn.Module, split) -> float:
    """Mean over every byte of the split."""
    nats = bytes_ = 0
    for start in range(0, len(split), 32):
        tokens, lengths, labels = split.batch(np.arange(start, min(start + 32, len(split))))
        logits = model.eval()(tokens, lengths)
        nats += cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=NOT_ASKED, reduction="sum").item()
        bytes_ += int((labels != NOT_ASKED).sum())
    return nats / bytes_ / math.log(2)


def main() -> None:
    """Train all three, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    for name, value in (("steps", 300), ("batch", 16), ("width", 64), ("length", 256), ("segment", 64)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    task = NextByte(length=given.length)
    parts = {name: task.split(name, given.text) for name in ("train", "test")}
    config = ModelConfig(256, 256, given.segment, -(-given.length // given.segment), width=given.width, causal=True,
                         output="tokens")
    networks = {"RMAAT": lambda: RMAAT(config), "RMT": lambda: RMAAT(rmt(config)),
                "RMAAT, memory reset": lambda: RMAAT(replace(config, retention="reset")),
                "GRU": lambda: as_large_as(size(RMAAT(config)), given.width)}
    for name, build in networks.items():
        torch.manual_seed(0)
        model = build()
        train(model, parts["train"], given.steps, given.batch)
        print(f"{name:20}{size(model):>10,} parameters   {bits_per_byte(model, parts['test']):.3f} bits per byte")


if __name__ == "__main__":
    main()
