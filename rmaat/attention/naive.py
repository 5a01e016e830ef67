"""Astromorphic attention as the equations are written: float64, one token and one head at a time, N x N matrix and all.

The oracle of the tests, and the place to read what `Astromorphic` computes. Far too slow for anything else.
"""

from collections.abc import Callable

import torch

from foundation.shapes import Bool, Float, Tensor
from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.rel_pos import Content, Positional
from rmaat.biology.biology import Biology


def elu_plus_one(x: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    """elu(x) + 1, one number at a time."""
    return torch.stack([value + 1 if value > 0 else torch.exp(value) for value in x])


def softmax_features(x: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    """m exp(x_i) / sum_j exp(x_j), one number at a time."""
    total = sum(torch.exp(value - x.max()) for value in x)
    return torch.stack([len(x) * torch.exp(value - x.max()) / total for value in x])


def _constant(biology: Biology, entry: str, name: str) -> float:
    return biology.record.entry(entry).constants[name].value


PHI = {"elu": elu_plus_one, "softmax": softmax_features}
CALCIUM = {"record": lambda biology, total: biology.calcium_response(total), "1": lambda biology, total: total,
           "0.25": lambda biology, total: total.sqrt().sqrt(),
           "fitted": lambda biology, total: torch.exp(_constant(biology, "calcium_response_fitted", "exponent")
                                                      * total.log())}
FEEDBACK = {"record": lambda biology, C: biology.feedback(C), "inverse": lambda biology, C: 1 / C,
            "bound": lambda biology, C: 1 / (1 + C / _constant(biology, "feedback_bound", "K"))}


def astromorphic(module: Astromorphic, biology: Biology, x: Float[Tensor, "rows width"], num_memory_tokens: int,
                 present: Bool[Tensor, "rows"], *, feature_map: str = "elu", calcium_exponent: str = "record",
             feedback: str = "record") -> Float[Tensor, "rows width"]:
    """What `module` makes of one sample, float64; rows of padding are zero. Source: Mia2026, E5.1 to E5.5."""
    phi = PHI[feature_map]
    curves = (lambda total: CALCIUM[calcium_exponent](biology, total), lambda C: FEEDBACK[feedback](biology, C))
    x = x.double()
    heads, m = module.heads, module.m
    W_Q, W_K, W_V = module.qkv.weight.double().unflatten(0, (3, heads, m))
    read = torch.zeros(len(x), heads, m, dtype=torch.float64)
    for h in range(heads):
        R = rel_pos(module, biology, x[:len(x) - num_memory_tokens], present, h)
        read[:, h] = head(x, W_Q[h], W_K[h], W_V[h], R, present, phi, *curves)
    return read.flatten(1) @ module.project.weight.double().T


def head(x: Float[Tensor, "rows width"], W_Q: Float[Tensor, "m width"], W_K: Float[Tensor, "m width"],
         W_V: Float[Tensor, "m width"], R: list[Tensor],
         present: Bool[Tensor, "rows"], phi: Callable, calcium_response: Callable,
         feedback: Callable) -> Float[Tensor, "rows m"]:
    """One head: write with neurons and astrocytes, then read. R has one row per place; memory tokens have none."""
    m = len(W_V)
    H, total = torch.zeros(m, m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    for t in range(len(x)):
        if present[t]:
            K, V = W_K @ x[t], W_V @ x[t]
            H = H + torch.outer(phi(K), V) / m
            total = total + phi(K)
            if t < len(R):
                H = H + torch.outer(phi(R[t]), V) / m
    g = calcium_response(total)
    rows = torch.zeros(len(x), m, dtype=torch.float64)
    for t in range(len(x)):
        if present[t]:
            Q = W_Q @ x[t]
            C = phi(Q) @ g
            rows[t] = phi(Q) @ (H * feedback(C))
    return rows


def rel_pos(module: Astromorphic, biology: Biology, x: Float[Tensor, "places width"],
            present: Bool[Tensor, "rows"], h: int) -> list[Tensor]:
    """R of one head, one row per place; empty where the module has no astrocytic write."""
    if isinstance(module.rel_pos, Positional):
        source = module.rel_pos.rows.double()[h]
    elif isinstance(module.rel_pos, Content):
        W_R = module.rel_pos.project.weight.double().unflatten(0, (module.heads, module.m))[h]
        nothing = torch.zeros(module.m, dtype=torch.float64)
        source = torch.stack([W_R @ x[j] if present[j] else nothing for j in range(len(x))])
    else:
        return []
    place = torch.arange(len(source), dtype=torch.float64)
    r = module.rel_pos.curve(distance=(place[:, None] - place).abs())
    return list((r @ source)[:len(x)])
