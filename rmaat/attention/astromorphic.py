"""Astromorphic attention in linear time."""

import torch
from torch import nn

from foundation.errors import UserError, choose
from rmaat.attention.precision import at_least_float32
from rmaat.attention.projection import ALL, project_rows
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology import Biology
from rmaat.provenance import Analogy, Engineering, FromRecord, declare
from rmaat.shapes import Bool, Float, Tensor


def feature_map(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """phi(x) = elu(x) + 1, positive."""
    return nn.functional.elu(x) + 1


class Astromorphic(nn.Module):
    """Attention as a Hebbian write by neurons and astrocytes, read through the astrocytes' calcium feedback.

    Shapes: x [batch, rows, width], the last `num_memory_tokens` rows being memory tokens; mask [batch, rows], true for
    rows that are there (None: all); result [batch, wanted rows, width], without the residual, the other rows being
    keys and values alone. The result at valid rows does
    not depend on what stands in the others. Memory tokens have no place on the astrocytes' line: they write through
    H_neuron alone and read everything. Sums are at least float32 under autocast.
    Source: Mia2026, Kozachkov2023. Not modelled: time inside a segment; all tokens write before any reads.
    """

    origins = declare(
        calcium_response=FromRecord("calcium_response", equation="E5.3"),
        feedback=FromRecord("feedback", equation="E4.6"),
        m=Engineering(None, "width of a head; the paper's 1/m, the same for every mask"),
        initial_scale=Engineering(None, "the output projection starts larger: neither 1/m nor the level of the "
                                        "feedback makes a new layer silent"),
    )
    analogies = (
        Analogy("E5.1", "keys are presynaptic, values postsynaptic activity"),
        Analogy("E5.2", "H: synaptic weights after Hebbian growth, with the astrocytes' share"),
        Analogy("E5.4", "C: calcium of a process; P: its feedback on release"),
    )

    def __init__(self, width: int, heads: int, places: int, biology: Biology, rel_pos: str = "positional"):
        super().__init__()
        check_heads(width, heads)
        self.heads, self.m = heads, width // heads
        self.calcium_response, self.feedback = biology.curves["calcium_response"], biology.curves["feedback"]
        self.rel_pos = choose("rel_pos", rel_pos, REL_POS)(width, heads, places, biology)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)
        # With phi = 1 everywhere the read is places * P(m g(places)) times the mean value: undo that factor.
        level = torch.tensor(float(places), dtype=torch.float64)
        self.initial_scale = 1 / float(level * biology.feedback(self.m * biology.calcium_response(level)))
        with torch.no_grad():
            self.project.weight.mul_(self.initial_scale)

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int,
                mask: Bool[Tensor, "batch rows"] | None = None,
                wanted: slice = ALL) -> Float[Tensor, "batch wanted width"]:
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)  # no bias below: values of padding are 0 as well
        rel_pos = self.rel_pos(x[:, :x.shape[1] - num_memory_tokens])
        # (E5.1) K = X W_K, Q = X W_Q, V = X W_V
        q, k, v = project_rows(self.qkv, x, self.heads, wanted)
        with torch.autocast(x.device.type, enabled=False):
            q32, k32, v32 = (at_least_float32(x) for x in (q, k, v))
            read = self._attend(q32, k32, v32, rel_pos, num_memory_tokens, mask)
        return self.project(read.transpose(1, 2).flatten(2).to(q.dtype))

    def _attend(self, q: Float[Tensor, "batch heads wanted m"], k: Float[Tensor, "batch heads rows m"],
                v: Float[Tensor, "batch heads rows m"], rel_pos: Tensor | None, num_memory_tokens: int,
                mask: Bool[Tensor, "batch rows"] | None) -> Float[Tensor, "batch heads wanted m"]:
        q, k = feature_map(q), feature_map(k)
        drive = k.sum(-2) if mask is None else (mask[:, None, None].to(k.dtype) @ k).squeeze(-2)
        # (E5.3) g = (sum_t phi(k_t))^alpha
        g = self.calcium_response(drive=drive)
        if rel_pos is not None:
            k = k + nn.functional.pad(feature_map(rel_pos), (0, 0, 0, num_memory_tokens))
        # (E5.2) H = (phi(K)^T V + phi(R)^T V) / m
        hebbian = k.transpose(-1, -2) @ v / self.m
        read = q @ torch.cat([hebbian, g[..., None]], -1)
        # (E5.4) C = phi(Q) g^T, L = phi(Q) (H o P(C)) + X; the block adds X
        # (E4.6) P = 1/C, or what the record has in its place
        return read[..., :-1] * self.feedback(calcium=read[..., -1:])


def check_heads(width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise UserError(f"heads = {heads} does not divide width = {width}; "
                        "choose heads so that width is a multiple of it")
