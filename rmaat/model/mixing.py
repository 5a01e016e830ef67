"""What a token sees of its neighbours before anything is summed: local, non-linear, exact across segments.

A sum over single tokens is a bag of tokens. A mixing makes each token a function of its neighbourhood first. Built as
`kind(width, places, vocab_size=, biology=, **options)`, the options being those of the config's fields that it names in
`reads`; called as `mixing(x, carried, mask=, tokens=)`: x [batch, places, width] the segment's embedded tokens, carried
[batch, rows, width] what it kept of the segments before (0 at first), mask [batch, places] true where a token is (None:
everywhere). It returns x mixed, and what it carries on. `rows` says how many rows it carries: they travel with the
memory tokens, so that a replay and a stream start from them. `reach` says how many tokens before the segment it reads:
`tokens` [batch, reach + places] are these (-1 for none) and the segment's own.
"""

import torch
from torch import nn
from torch.nn import functional

from foundation.errors import UserError
from foundation.shapes import Bool, Float, Int, Tensor
from rmaat.attention.kernel import is_exponential, kernel_curve, line
from rmaat.attention.precision import at_least_float32, no_autocast
from rmaat.biology.biology import Biology, Curve
from rmaat.biology.provenance import SIZE, Analogy, Engineering, FromRecord, declare
from rmaat.biology.recorded import Recorded
from rmaat.model.convolution_2d import Convolution2d
from rmaat.model.grey_values import as_numbers

BLOCK = 32
SIDES = ("left", "right")
OFFSETS = (-2, -1, 1, 2)
ORDERS = (2, 3, 4, 5)
SLOTS = 2**14
FACTORS = (0x9E3779B1, 0x85EBCA6B)
MODULUS, SHIFT = 2**31, 15
WINDOW, HIDDEN = 66, 2
SPREAD = .02
origins = declare(
    OFFSETS=Engineering(OFFSETS, "places around its own that a convolution sees: a width of 5"),
    ORDERS=Engineering(ORDERS, "lengths of n-grams: from pairs to about a word"),
    SLOTS=Engineering(SLOTS, "rows of the table of each order; n-grams share them by their hash"),
    FACTORS=Engineering(FACTORS, "odd, of 32 bits, their products spread bits (Knuth's multiplicative hash)"),
    MODULUS=Engineering(MODULUS, "of a hash: the product with a factor stays within int64"),
    SHIFT=Engineering(SHIFT, "half of a hash's bits: the upper ones stir the lower ones"),
    WINDOW=Engineering(WINDOW, "tokens before its own that a window sees: two rows of 32 pixels and two more"),
    HIDDEN=Engineering(HIDDEN, "hidden width of a window in units of `width`"),
    SPREAD=Engineering(SPREAD, "n-grams start as small as embedded tokens do"))


class NoMixing(nn.Module):
    """Tokens as they are."""

    rows = reach = 0
    causal = True  # looks to the left alone
    reads = ()

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology):
        super().__init__()

    def forward(self, x, carried, mask=None, tokens=None):
        return x, carried


class Neighbours(nn.Module):
    """x + out(gelu(taps([x, neighbourhood]))): a learned function of what a subclass's `look` sees around a place.

    Where there is no token (padding, vectors of 0) there is no neighbour.
    """

    reach, reads = 0, ()

    def _learn(self, width: int, seen: int) -> None:
        self.taps, self.out = nn.Linear((1 + seen) * width, width), nn.Linear(width, width)

    def look(self, x: Float[Tensor, "batch places width"],
             carried: Float[Tensor, "batch rows width"]) -> tuple[list[Tensor], Float[Tensor, "batch rows width"]]:
        """What each place sees, [batch, places, width] each, and what is carried on."""
        raise NotImplementedError(f"{type(self).__name__} needs look(x, carried)")

    def forward(self, x: Float[Tensor, "batch places width"], carried: Float[Tensor, "batch rows width"],
                mask: Bool[Tensor, "batch places"] | None = None, tokens: Int[Tensor, "batch _"] | None = None,
                ) -> tuple[Float[Tensor, "batch places width"], Float[Tensor, "batch rows width"]]:
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)
        seen, carried = self.look(x, carried)
        return x + self.out(functional.gelu(self.taps(torch.cat([x, *seen], -1)))), carried


class Sides(Recorded):
    """What stands on either side of each place, seen through an exponential coupling of unit weight.

    Shapes: signal [batch, places, width] and the left side's state [batch, 1, width] at the place before them, to
    (left, right, state at the last place). O(places) work, by blocks. Raises `UserError` for a coupling that is not
    exponential: it has no state of one row.
    """

    origins = declare(BLOCK=Engineering(BLOCK, "places handled by one matrix product; any size gives the same result"))

    def __init__(self, r: Curve, places: int):
        super().__init__()
        if not is_exponential(r):
            raise UserError(f"mixing = field needs an exponential coupling, which a state carries on; the record's "
                            f"{r.name} is {r.formula}: choose another kernel or mixing = convolution")
        of_record = FromRecord(r.name, equation="E4.5")
        self.origins = {**self.origins, **dict.fromkeys(("near", "far", "blocks", "tail", "over"), of_record)}
        size, mu = min(places, BLOCK), r(distance=torch.ones(1, dtype=torch.float64, device="cpu"))
        place, block = line(size), line(-(-places // size))
        apart = place[:, None] - place
        coupled = r(distance=apart.abs())
        unit = (1 - mu) / mu  # the weights of a whole side, mu + mu^2 + ..., become 1
        ends = r(distance=torch.stack([size - 1 - place, place]))
        self.hold("near", torch.cat([unit * coupled.tril(-1), unit * coupled.triu(1), ends]))
        self.hold("far", unit * r(distance=torch.stack([place + 1, size - place], 1)))
        steps = block[:, None] - 1 - block
        self.hold("blocks", r(distance=size * steps.clamp(min=0)).tril(-1))
        self.hold("over", r(distance=size * block))
        self.hold("tail", r(distance=line(places + 1).flip(0)))

    def forward(self, signal: Float[Tensor, "batch places width"], before: Float[Tensor, "batch 1 width"],
                ) -> tuple[Tensor, Tensor, Float[Tensor, "batch 1 width"]]:
        near, places, size = self.near.to(signal.dtype), signal.shape[1], self.near.shape[1]
        after = self.tail[-places - 1:].to(signal.dtype) @ torch.cat([before, signal], 1)
        x = functional.pad(signal, (0, 0, 0, -places % size)).unflatten(1, (-1, size))
        # (E5.12) left_i = unit sum over j < i of mu^(i-j) x_j, right mirrored within the segment
        local = near @ x
        left, right, ends = local[..., :size, :], local[..., size:-2, :], local[..., -2:, :]
        blocks = self.blocks[:x.shape[1], :x.shape[1]].to(signal.dtype)
        from_left = blocks @ ends[..., 0, :] + self.over[:x.shape[1], None].to(signal.dtype) * before
        from_right = blocks.T @ ends[..., 1, :]
        far = self.far.to(signal.dtype)
        left = left + far[:, :1] * from_left.unsqueeze(-2)
        right = right + far[:, 1:] * from_right.unsqueeze(-2)
        return left.flatten(1, 2)[:, :places], right.flatten(1, 2)[:, :places], after.unsqueeze(1)


class Field(Neighbours):
    """Each token sees both sides of its line of processes through the derived coupling; the left side is carried on.

    A row of state: the coupled sum over all tokens so far. Source: the short-term process (E4.5).
    """

    rows, reads = 1, ("kernel",)
    origins = declare(reach=SIZE)
    analogies = (Analogy("E5.12", "a process sees its neighbours' short-term state before it writes"),)

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology,
                 kernel: str = "record"):
        super().__init__()
        self.sides = Sides(kernel_curve(biology, kernel), places)
        self._learn(width, len(SIDES))

    def look(self, x, carried):
        """Both sides in at least float32, and the coupled sum at the last place."""
        with no_autocast(x):
            left, right, carried_on = self.sides(at_least_float32(x), at_least_float32(carried))
        return [left.to(x.dtype), right.to(x.dtype)], carried_on.to(carried.dtype)


class Convolution(Neighbours):
    """Each token sees the tokens up to two places away, each through weights of its own; no biology.

    Two rows of state: the last two tokens of the segment before.
    """

    rows = max(OFFSETS)

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology):
        super().__init__()
        self._learn(width, len(OFFSETS))

    def look(self, x, carried):
        """The tokens around each place, and the last two."""
        places = x.shape[1]
        line = torch.cat([carried, x, torch.zeros_like(carried)], 1)
        seen = [line[:, self.rows + k:self.rows + k + places] for k in OFFSETS]
        return seen, line[:, places:places + self.rows]


class Ngrams(nn.Module):
    """Each token adds a learned vector for each n-gram that ends with it, found by its hash; no biology.

    Cheap: a look-up has no products. N-grams run on across segments, and look to the left alone.
    """

    rows, reads, reach = 0, (), max(ORDERS) - 1
    causal = True  # looks to the left alone

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology):
        super().__init__()
        self.table = nn.Embedding(len(ORDERS) * SLOTS, width)
        with torch.no_grad():
            self.table.weight.mul_(SPREAD)

    def rows_of(self, tokens: Int[Tensor, "batch _"]) -> list[Int[Tensor, "batch places"]]:
        """For each order the table's rows of the n-grams that end at each place."""
        rows, code = [], torch.zeros_like(tokens[:, self.reach:])
        for k in range(self.reach + 1):  # code: hash of the last k + 1 tokens
            code = (code * FACTORS[0] + (tokens[:, self.reach - k:tokens.shape[1] - k] + 1) * FACTORS[1]) % MODULUS
            if k + 1 in ORDERS:
                stirred = (code ^ code >> SHIFT) * FACTORS[1] % MODULUS
                stirred = (stirred ^ stirred >> SHIFT) * FACTORS[0] % MODULUS
                rows.append(stirred // (MODULUS // SLOTS) + len(rows) * SLOTS)
        return rows

    def forward(self, x: Float[Tensor, "batch places width"], carried: Float[Tensor, "batch rows width"],
                mask: Bool[Tensor, "batch places"] | None = None, tokens: Int[Tensor, "batch _"] | None = None,
                ) -> tuple[Float[Tensor, "batch places width"], Float[Tensor, "batch rows width"]]:
        for rows in self.rows_of(tokens):
            x = x + self.table(rows)
        return x, carried


class Window(nn.Module):
    """Each token adds a learned function of itself and the 66 tokens before it as numbers: for grey values; no biology.

    x + out(gelu(taps(values))), values being tokens scaled to -2..2: two rows of an image 32 wide, and a little.
    """

    rows, reads, reach = 0, (), WINDOW
    causal = True  # looks to the left alone
    origins = declare(vocab_size=SIZE)

    def __init__(self, width: int, places: int, *, vocab_size: int, biology: Biology):
        super().__init__()
        self.vocab_size = vocab_size
        self.taps, self.out = nn.Linear(WINDOW + 1, HIDDEN * width), nn.Linear(HIDDEN * width, width)

    def forward(self, x: Float[Tensor, "batch places width"], carried: Float[Tensor, "batch rows width"],
                mask: Bool[Tensor, "batch places"] | None = None, tokens: Int[Tensor, "batch _"] | None = None,
                ) -> tuple[Float[Tensor, "batch places width"], Float[Tensor, "batch rows width"]]:
        values = as_numbers(tokens, self.vocab_size, there=tokens >= 0, dtype=x.dtype)
        seen = values.unfold(1, WINDOW + 1, 1)
        return x + self.out(functional.gelu(self.taps(seen))), carried


MIXING = {"none": NoMixing, "field": Field, "convolution": Convolution, "ngrams": Ngrams, "window": Window,
          "convolution_2d": Convolution2d}
