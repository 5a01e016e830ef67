"""Astromorphic attention as the equations are written: float64, one token and one head at a time, N x N matrix and all.

The oracle of the tests, and the place to read what `Astromorphic` computes. Far too slow for anything else.
"""

import torch

from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.rel_pos import Content, Positional
from rmaat.biology import Biology
from rmaat.shapes import Bool, Float, Tensor


def phi(x: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    """elu(x) + 1, one number at a time."""
    return torch.stack([value + 1 if value > 0 else torch.exp(value) for value in x])


def astromorphic(module: Astromorphic, biology: Biology, x: Float[Tensor, "rows width"], num_memory_tokens: int,
                 present: Bool[Tensor, "rows"]) -> Float[Tensor, "rows width"]:
    """What `module` makes of one sample, float64; rows of padding are zero. Source: Mia2026, E5.1 to E5.5."""
    x = x.double()
    heads, m = module.heads, module.m
    W_Q, W_K, W_V = module.qkv.weight.double().unflatten(0, (3, heads, m))
    read = torch.zeros(len(x), heads, m, dtype=torch.float64)
    for h in range(heads):
        R = rel_pos(module, biology, x[:len(x) - num_memory_tokens], present, h)
        read[:, h] = head(x, W_Q[h], W_K[h], W_V[h], R, biology, present)
    return read.flatten(1) @ module.project.weight.double().T


def head(x: Float[Tensor, "rows width"], W_Q: Float[Tensor, "m width"], W_K: Float[Tensor, "m width"],
         W_V: Float[Tensor, "m width"], R: list[Tensor], biology: Biology,
         present: Bool[Tensor, "rows"]) -> Float[Tensor, "rows m"]:
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
    g = biology.calcium_response(total)
    rows = torch.zeros(len(x), m, dtype=torch.float64)
    for t in range(len(x)):
        if present[t]:
            Q = W_Q @ x[t]
            C = phi(Q) @ g
            rows[t] = phi(Q) @ (H * biology.feedback(C))
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
    r = biology.relative_position((place[:, None] - place).abs())
    return list((r @ source)[:len(x)])
