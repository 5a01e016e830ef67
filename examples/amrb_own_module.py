"""A module of your own trained through `amrb`: a GRU over chunks of a signal, and a recurrent memory transformer.

    python examples/amrb_own_module.py

All that AMRB asks for is a function `step(x_t, memory) -> (out_t, memory)` and the list of parameters that it uses:

    outs, memory = amrb(model.step, segments, memory, list(model.parameters()))
    loss(outs, memory).backward()

The task of both: the sum of all numbers of a sequence is to be told after the last. Activations of one segment are
held at a time, however many segments there are.
"""

import torch
from torch import nn

from rmaat.gradient.backprop import amrb


class ChunkGRU(nn.Module):
    """One GRU cell, run over the numbers of a segment; its hidden state is the memory [batch, width]."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.width, self.cell, self.head = width, nn.GRUCell(1, width), nn.Linear(width, 1)

    def start(self, batch: int) -> torch.Tensor:
        return torch.zeros(batch, self.width)

    def step(self, x_t: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for number in x_t.unbind(1):
            memory = self.cell(number[:, None], memory)
        return self.head(memory).squeeze(1), memory


class RMT(nn.Module):
    """torch's own transformer layer over memory tokens and a segment; the memory is [batch, tokens, width]."""

    def __init__(self, width: int = 16, tokens: int = 2):
        super().__init__()
        self.embed, self.head = nn.Linear(1, width), nn.Linear(width, 1)
        self.initial = nn.Parameter(.02 * torch.randn(tokens, width))
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=.1, batch_first=True, norm_first=True)

    def start(self, batch: int) -> torch.Tensor:
        return self.initial.expand(batch, -1, -1)

    def step(self, x_t: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size = memory.shape[1]
        rows = self.layer(torch.cat([memory, self.embed(x_t[..., None])], 1))
        return self.head(rows[:, 0]).squeeze(1), rows[:, :size]


def train(model: nn.Module, num_segments: int = 4, steps: int = 200) -> tuple[float, float]:
    """Mean squared error at the first and over the last twenty (a constant answer has 1)."""
    optimizer, errors = torch.optim.AdamW(model.parameters(), lr=5e-3), []
    for _ in range(steps):
        signal = torch.randn(32, num_segments, 4) / (4 * num_segments) ** .5
        outs, _ = amrb(model.step, list(signal.unbind(1)), model.start(32), list(model.parameters()))
        loss = (outs[-1] - signal.sum((1, 2))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        errors.append(loss.item())
    return errors[0], sum(errors[-20:]) / 20


if __name__ == "__main__":
    for kind in (ChunkGRU, RMT):
        torch.manual_seed(0)
        first, last = train(kind())
        print(f"{kind.__name__:9} mean squared error {first:.3f} at the first step, {last:.3f} over the last twenty")
