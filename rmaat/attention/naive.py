"""Astromorphic attention as the equations are written: one token and one head at a time, N x N matrix and all.

The oracle of the tests and the place to read what `Astromorphic` computes. It takes plain tensors, best in float64, and
imports nothing of the fast code: what agrees with it was computed twice. Far too slow for anything else.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1, one number at a time: [m] to the same."""
    return torch.stack([value + 1 if value > 0 else torch.exp(value) for value in x])


def softmax_features(x: Tensor) -> Tensor:
    """m exp(x_i) / sum_j exp(x_j), one number at a time: [m] to the same."""
    powers = [torch.exp(value - x.max()) for value in x]
    return torch.stack([len(x) * power / sum(powers) for power in powers])


PHI = {"elu": elu_plus_one, "softmax": softmax_features}


def coupling(places: int, scale: float) -> Tensor:
    """r of all pairs of places, float64 [places, places]."""
    place = torch.arange(places, dtype=torch.float64)
    # (E4.5) r_ij = exp(-scale |i-j|)
    return torch.exp(-scale * (place[:, None] - place).abs())


def past_coupling(places: int, scale: float) -> Tensor:
    """The causal half of r: a process feels itself and those before it, float64 [places, places]."""
    place = torch.arange(places, dtype=torch.float64)
    # (E4.5) r_ij = exp(-scale |i-j|), and 0 for j > i
    back = place[:, None] - place
    return torch.where(back >= 0, torch.exp(-scale * back), 0)


def positional(r: Tensor, rows: Tensor) -> Tensor:
    """R [heads, line, m] from r [line, line] and one learned row a place, [heads, line, m]."""
    # (E5.5) R = r W_rel
    return torch.stack([r @ W_rel for W_rel in rows])


def content(r: Tensor, x: Tensor, W_R: Tensor, *, heads: int, present: Tensor) -> Tensor:
    """R [heads, places, m] from what the tokens x [places, width] are; W_R [width, width], present [places]."""
    seen = torch.stack([W_R @ row if here else torch.zeros_like(row) for row, here in zip(x, present, strict=True)])
    # (E5.5) R = r (X W_R)
    return torch.stack([r[:len(x), :len(x)] @ part for part in seen.chunk(heads, 1)])


def attend(q: Tensor, k: Tensor, v: Tensor, R: Tensor | None = None, *, present: Tensor | None = None,
           feature_map: str = "elu", exponent: float = 1., half_level: float | None = None) -> Tensor:
    """One head of one sample: write with neurons and astrocytes, then read.

    Shapes: q, k, v [rows, m], R [places, m] of the first rows (None: no astrocytes), the rows after them being memory
    tokens, which have no place; present [rows]; result [rows, m], 0 where nobody is. `exponent` is alpha;
    `half_level` is K of a bounded feedback, None the paper's 1/C.
    """
    phi = PHI[feature_map]
    there = [t for t in range(len(q)) if present is None or present[t]]
    H, g = write(k, v, R, there, phi=phi, exponent=exponent)
    rows = [q.new_zeros(q.shape[1])] * len(q)
    for t in there:
        rows[t] = read(q[t], H, g, phi=phi, half_level=half_level)
    return torch.stack(rows)


def write(k: Tensor, v: Tensor, R: Tensor | None, rows: list[int], *, phi: Callable,
          exponent: float) -> tuple[Tensor, Tensor]:
    """What `rows` of k and v [.., m] write: H [m, m] and calcium g [m]; the first len(R) rows are tokens."""
    m = k.shape[1]
    H, total = k.new_zeros(m, m), k.new_zeros(m)
    for t in rows:
        # (E5.2) H = (phi(K)^T V + phi(R)^T V) / m
        H = H + torch.outer(phi(k[t]), v[t]) / m
        if R is not None and t < len(R):
            H = H + torch.outer(phi(R[t]), v[t]) / m
        total = total + phi(k[t])
    # (E5.3) g = (sum_t phi(k_t))^alpha
    return H, total ** exponent


def read(q: Tensor, H: Tensor, g: Tensor, *, phi: Callable, half_level: float | None) -> Tensor:
    """What one query q [m] reads: [m]."""
    # (E5.4) C = phi(Q) g^T, L = phi(Q) (H o P(C)) + X; the block adds X
    C = phi(q) @ g
    # (E4.6) P = 1/C, or (E4.9) K/(K + C)
    P = 1 / C if half_level is None else half_level / (half_level + C)
    return phi(q) @ (H * P)


def sees(reader: int, writer: int, *, places: int, memory: int) -> bool:
    """Whether a row of a causal segment sees another.

    Rows are `places` tokens, the memory tokens as they are read, and the memory tokens again as they are written. A
    token sees itself, its past and the memory as it is read, which sees itself alone, for in the next layer it would
    tell a token of what comes after it; what is written sees everything.
    """
    if reader >= places + memory:
        return True
    if writer >= places + memory:
        return False
    return writer >= places or (reader < places and writer <= reader)


def attend_causally(q: Tensor, k: Tensor, v: Tensor, R: Tensor | None = None, *, places: int, memory: int,
                    present: Tensor | None = None, feature_map: str = "elu", exponent: float = 1.,
                    half_level: float | None = None) -> Tensor:
    """As `attend`, where each row reads what those rows wrote that it sees, of `places` tokens and twice `memory`."""
    phi = PHI[feature_map]
    there, rows = [t for t in range(len(q)) if present is None or present[t]], [q.new_zeros(q.shape[1])] * len(q)
    for t in there:
        seen = [s for s in there if sees(t, s, places=places, memory=memory)]
        # (E5.13) H_i, g_i: of the rows that row i sees
        H, g = write(k, v, None if R is None else R[:places], seen, phi=phi, exponent=exponent)
        rows[t] = read(q[t], H, g, phi=phi, half_level=half_level)
    return torch.stack(rows)


def astromorphic(x: Tensor, qkv: Tensor, project: Tensor, R: Tensor | None = None, *, heads: int = 1,
                 present: Tensor | None = None, attend: Callable = attend, **curves) -> Tensor:
    """All heads of one sample between the projections: x [rows, width] to the same.

    `qkv` [3 width, width] and `project` [width, width] as a linear layer holds them, R [heads, places, m]; `attend` is
    the function of that name or `attend_causally`, `curves` as they take them. Source: Mia2026, Kozachkov2023.
    """
    if present is not None:  # what stands in an absent row is nothing, even if it is no number
        x = torch.stack([row if here else torch.zeros_like(row) for row, here in zip(x, present, strict=True)])
    # (E5.1) K = X W_K, Q = X W_Q, V = X W_V
    Q, K, V = (x @ W.T for W in qkv.chunk(3))
    told = [attend(q, k, v, None if R is None else R[h], present=present, **curves)
            for h, (q, k, v) in enumerate(zip(Q.chunk(heads, 1), K.chunk(heads, 1), V.chunk(heads, 1), strict=True))]
    return torch.cat(told, 1) @ project.T
