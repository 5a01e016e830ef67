"""Astromorphic attention in linear time."""

import math

import torch
from torch import nn

from foundation.errors import choose
from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.base import Attention
from rmaat.attention.curves import CALCIUM_EXPONENT, FEEDBACK, scale_free
from rmaat.attention.feature_map import FEATURE_MAP
from rmaat.attention.precision import at_least_float32, no_autocast, project_precisely
from rmaat.attention.projection import ALL, FewReaders, Values, join_heads, mask_of_cells, project_for_sums
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import SIZE, Analogy, Engineering, Start, declare, uniform_deviation


def start_of_project(module: nn.Module) -> float:
    """Standard deviation with which the output projection starts."""
    return module.initial_scale * uniform_deviation(module.project)


class Astromorphic(Attention):
    """Attention as a Hebbian write by neurons and astrocytes, read through the astrocytes' calcium feedback.

        y = Astromorphic(width=64, heads=4, places=128)(x)         # x [batch, up to 128 rows, 64]

    Shapes, mask, memory tokens and wanted rows as `Attention`. `biology` is the committed record's where it is left
    out; the options are those of `PARTS`. Memory tokens have no place on the astrocytes' line: they write through
    H_neuron alone and read everything. Sums are at least float32 under autocast and for half-precision modules, and
    what leaves them in half precision is scaled to the size of a mean over the rows, whatever m and their number.
    Raises `UserError` where heads does not divide width, for more rows than places, and for an unknown option.
    Source: Mia2026, Kozachkov2023. Not modelled: time inside a segment; all tokens write before any reads.
    """

    reads = ("rel_pos", "feature_map", "calcium_exponent", "feedback", "kernel")
    origins = declare(
        heads=SIZE, places=SIZE,
        m=Engineering(None, "width of a head; the paper's 1/m, the same for every mask"),
        initial_scale=Engineering(None, "the output projection starts larger: neither 1/m nor the level of the "
                                        "feedback makes a new layer silent"),
        **{"project.weight": Start(0., start_of_project, "torch's default times initial_scale")},
    )
    analogies = (
        Analogy("E5.1", "keys are presynaptic, values postsynaptic activity"),
        Analogy("E5.2", "H: synaptic weights after Hebbian growth, with the astrocytes' share"),
        Analogy("E5.4", "C: calcium of a process; P: its feedback on release"),
    )

    def __init__(self, width: int, heads: int, places: int, *, biology: Biology | None = None,
                 rel_pos: str = "positional", feature_map: str = "elu", calcium_exponent: str = "record",
                 feedback: str = "record", kernel: str = "record"):
        super().__init__(width, heads, places)
        biology = biology or Biology.load()
        self.feature_map = choose("feature_map", feature_map, FEATURE_MAP)()
        self.calcium_response, exponent = choose("calcium_exponent", calcium_exponent, CALCIUM_EXPONENT)(biology)
        self.feedback, level = choose("feedback", feedback, FEEDBACK)(biology)
        self.origins = {**self.origins, "calcium_response": exponent, "feedback": level}
        self.scale_free = scale_free(self.feedback)
        self.rel_pos = choose("rel_pos", rel_pos, REL_POS)(width, heads, places, biology=biology, kernel=kernel)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)
        # With phi = 1 everywhere the read is places * P(m g(places)) times the mean value: undo that factor.
        drive = torch.tensor(float(places), dtype=torch.float64, device="cpu")
        self.initial_scale = 1 / float(drive * self.feedback(calcium=self.m * self.calcium_response(drive=drive)))
        with torch.no_grad():
            self.project.weight.mul_(self.initial_scale)

    def prepare(self) -> Float[Tensor, "heads line m"] | None:
        """phi(R) of the whole line where it depends on parameters alone: computed once, it serves all segments."""
        R = self.rel_pos.prepare()
        return None if R is None else self.feature_map(R)

    def forward(self, x: Float[Tensor, "batch rows width"], num_memory_tokens: int = 0,
                mask: Bool[Tensor, "batch rows"] | None = None, *, wanted: slice = ALL,
                prepared: Float[Tensor, "heads line m"] | None = None) -> Float[Tensor, "batch wanted width"]:
        places = self.places_of(x, num_memory_tokens)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)  # no bias below: values of padding are 0 as well
        if prepared is None:
            R = self.rel_pos(x[:, :places])
            process = None if R is None else self.feature_map(R)
        else:
            process = prepared[:, :places]
        # (E5.1) K = X W_K, Q = X W_Q, V = X W_V
        q, k, values = project_for_sums(self.qkv, x, self.heads, wanted=wanted, exactly=True)
        with no_autocast(x):
            read = self._attend(at_least_float32(q), at_least_float32(k), values, process=process,
                                num_memory_tokens=num_memory_tokens, mask=mask)
            read = join_heads(read, self.heads)
        return self.projected(read, q.dtype)

    def projected(self, read: Float[Tensor, "batch wanted width"],
                  half: torch.dtype) -> Float[Tensor, "batch wanted width"]:
        """Through the output projection, from at least float32 to `half`."""
        if read.dtype == half:
            return self.project(read)
        # 1/m and 1/N make the read small: float16 would lose its last bits, so it goes there scaled to about 1
        scale = math.ldexp(1., round(math.log2(self.initial_scale)))
        return project_precisely(self.project.weight / scale, read * scale, half)

    def _attend(self, q: Float[Tensor, "cells wanted m"], k: Float[Tensor, "cells rows m"],
                values: Values | FewReaders, *, process: Float[Tensor, "_ places m"] | None = None,
                num_memory_tokens: int = 0,
                mask: Bool[Tensor, "batch rows"] | None = None) -> Float[Tensor, "cells wanted m"]:
        q = self.feature_map.shifted(q) if self.scale_free else self.feature_map(q)
        k = self.feature_map(k)
        if mask is None:
            drive = k.sum(1)
        else:
            drive = mask_of_cells(mask, self.heads)[:, None].to(k.dtype).bmm(k).squeeze(1)
        # (E5.3) g = (sum_t phi(k_t))^alpha
        g = self.calcium_response(drive=drive.clamp(min=self.feature_map.least_sum))
        if process is not None:  # phi(R)
            process = nn.functional.pad(process, (0, 0, 0, num_memory_tokens))
            if process.shape[0] in (1, k.shape[0]):
                k = k + process
            else:  # one line of processes a head, the same for all samples
                k = (k.unflatten(0, (-1, self.heads)) + process).flatten(0, 1)
        # (E5.4) C = phi(Q) g^T, L = phi(Q) (H o P(C)) + X; the block adds X
        # (E4.6) P = 1/C, or what the record has in its place
        feedback = self.feedback(calcium=(q * g[:, None]).sum(-1, keepdim=True))  # bmm takes 4 times as long
        # (E5.2) H = (phi(K)^T V + phi(R)^T V) / m, read by phi(Q)
        return values.read(q, k) * (feedback / self.m)
