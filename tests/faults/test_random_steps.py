"""Steps that nobody wrote on purpose: random modules, sources of numbers, buffers and edits in place, under replay.

A step is drawn from a seed. BPTT and each algorithm that replays run it from the same state; the gradient is equal, or
it is refused with the project's own error. A gradient that is wrong without a word fails.
"""

import collections
import itertools
import os
import random
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from foundation.errors import UserError
from rmaat.gradient.backprop import amrb, bptt, checkpointed

BATCH, WIDTH = 5, 3
CALLS = 0  # a global name in which steps count


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("count",)

    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return 1 + .1 * self.count


@dataclass
class Nested:
    """A number that stands deep in dictionaries, lists and objects."""

    inside: dict

    @classmethod
    def new(cls):
        return cls({"a": [{"b": [0]}]})

    def next(self):
        self.inside["a"][0]["b"][0] += 1
        return 1 + .1 * self.inside["a"][0]["b"][0]


class Sources:
    """Where a step takes numbers from beside its arguments: each a function without arguments, new for each run."""

    def python(self):
        return random.random

    def python_gauss(self):
        return lambda: 1 + .1 * random.gauss(0, 1)  # keeps its second number for the next call

    def numpy(self):
        return lambda: float(np.random.rand())  # noqa: NPY002

    def torch(self):
        return lambda: float(torch.rand(()))

    def generators(self):
        one, two, three = np.random.default_rng(1), random.Random(2), torch.Generator().manual_seed(3)
        return lambda: one.random() + two.random() + float(torch.rand((), generator=three))

    def variable(self):
        count = 0

        def draw():
            nonlocal count
            count += 1
            return 1 + .1 * count
        return draw

    def global_name(self):
        global CALLS
        CALLS = 0

        def draw():
            global CALLS
            CALLS += 1
            return 1 + .1 * CALLS
        return draw

    def default_argument(self):
        def draw(log=[0]):  # noqa: B006
            log[0] += 1
            return 1 + .1 * log[0]
        return draw

    def slots(self):
        return Slotted().next

    def nested(self):
        return Nested.new().next

    def deque(self):
        log = collections.deque([0], maxlen=3)

        def draw():
            log.append(log[-1] + 1)
            return 1 + .1 * sum(log)
        return draw

    def array(self):
        held = np.zeros(2)

        def draw():
            held[0] += 1
            return 1 + .1 * float(held[0])
        return draw

    def long_list(self):
        log = list(range(1500))

        def draw():
            log.append(len(log))
            return 1 + len(log) / 2000
        return draw

    def tensor(self):
        held = torch.ones(2, dtype=torch.float64)

        def draw():
            held.mul_(1.1)
            return float(held[1])
        return draw

    def view(self):
        whole = torch.ones(4, dtype=torch.float64)
        part = whole[1:3]

        def draw():
            part.mul_(1.1)
            return float(whole[1])
        return draw

    def iterator(self):
        return partial(next, itertools.cycle([1.1, .9, 1.3, .7]))

    def generator_function(self):
        def numbers():
            for k in itertools.count(1):
                yield 1 + .1 * k
        return partial(next, numbers())

    def system(self):
        return lambda: 1 + int.from_bytes(os.urandom(6), "big") / 2**48

    def fresh(self):
        return lambda: np.random.default_rng().random()

    def memoised(self):
        seen = {}

        def draw():
            seen[len(seen)] = 1 + .1 * len(seen)
            return seen[len(seen) - 1]
        return draw


SOURCES = [name for name in vars(Sources) if not name.startswith("_")]


class Moves(nn.Module):
    """Buffers of its own, moved in place or put in place anew; what it keeps of an earlier call, without gradient."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.last = kind, None
        self.register_buffer("average", torch.ones(WIDTH, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, m):
        if self.kind == "in place":
            self.average.mul_(.9).add_(.1 * m.detach().mean(0))
            self.count += 1
        elif self.kind == "anew":
            self.average = .9 * self.average + .1 * m.detach().mean(0)
            self.count = self.count + 1
        elif self.kind == "data":
            self.average.data = self.average.data * 1.05
        elif self.kind == "copied":
            self.average.copy_(m.detach().mean(0))
        elif self.kind == "detached":
            m, self.last = m if self.last is None else m + .1 * self.last, m.detach()
        elif self.kind == "attached":  # BPTT goes through it
            m, self.last = m if self.last is None else m + .1 * self.last, m
        elif self.kind == "shown":  # kept for a picture, never read
            self.last = m
        return m * (1 + .01 * self.average.clone()) + .001 * self.count


MOVES = ["in place", "anew", "data", "copied", "detached", "attached", "shown", "nothing"]


class Drawn(nn.Module):
    """A step drawn from a seed: layers, sources at some of the segments, buffers, the shape of what it returns."""

    def __init__(self, seed, segments):
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        layers = {"linear": lambda: nn.Linear(WIDTH, WIDTH), "norm": lambda: nn.BatchNorm1d(WIDTH),
                  "layer norm": lambda: nn.LayerNorm(WIDTH), "dropout": lambda: nn.Dropout(.4),
                  "spectral": lambda: spectral_norm(nn.Linear(WIDTH, WIDTH)),
                  "weight": lambda: weight_norm(nn.Linear(WIDTH, WIDTH)), "noise": lambda: nn.RReLU(),
                  "twice": lambda: nn.Sequential(*[nn.Linear(WIDTH, WIDTH)] * 2)}
        names = draw.choices(list(layers), k=draw.randint(1, 4))
        moves = [draw.choice(MOVES) if draw.random() < .4 else "nothing" for _ in range(2)]
        self.layers = nn.ModuleList([layers[name]() for name in names] + [Moves(kind) for kind in moves]).double()
        self.w = nn.Parameter(torch.rand(WIDTH, dtype=torch.float64))
        sources = draw.choices(SOURCES, k=draw.choice([0, 0, 1, 1, 2, 3]))
        self.sources = [getattr(Sources(), name)() for name in sources]
        self.at = [set(draw.sample(range(segments), draw.randint(1, segments))) for _ in sources]
        self.where = [draw.choice(["memory", "out", "dropped layer"]) for _ in sources]
        self.returns, self.edits = draw.choice(["tensor", "tuple", "dict", "none"]), draw.random() < .3
        self.told = f"seed {seed}: {names}, {moves}, {list(zip(sources, self.at, self.where, strict=True))}"

    def forward(self, x_t, memory):
        t, x = x_t
        m, counted = memory
        factors = {"memory": 1.0, "out": 1.0, "dropped layer": 1.0}
        for source, at, where in zip(self.sources, self.at, self.where, strict=True):
            if t in at:
                factors[where] = factors[where] * source()
        m = torch.tanh(m * self.w * factors["memory"] + x)
        for k, layer in enumerate(self.layers):
            if k or factors["dropped layer"] <= 1.05:
                m = m + .3 * layer(m)
        out = m * self.w * factors["out"]
        if self.edits:
            out = out.mul_(1.5)
        outs = {"tensor": out, "tuple": (out, t), "dict": {"y": out, "n": counted}, "none": None}
        return outs[self.returns], (m, counted + 1)


ALGORITHMS = {"amrb": amrb, "amrb, none kept": partial(amrb, keep_last=0),
              "amrb, three kept": partial(amrb, keep_last=3), "checkpointed": checkpointed}


def gradients(algorithm, seed):
    """The gradients of one run from the same beginning."""
    segments = 2 + seed % 6
    step = Drawn(seed, segments)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    xs = [(t, torch.full((BATCH, WIDTH), .1 * t + .05 * seed % 1, dtype=torch.float64)) for t in range(segments)]
    start = torch.linspace(-1, 1, BATCH * WIDTH, dtype=torch.float64).view(BATCH, WIDTH).requires_grad_()
    outs, (memory, _) = algorithm(step, xs, (start, 0), list(step.parameters()))
    loss = memory.pow(3).sum()
    for out in outs:
        y = out["y"] if isinstance(out, dict) else out[0] if isinstance(out, tuple) else out
        loss = loss if y is None else loss + y.sin().sum()
    loss.backward()
    return [start.grad, *(p.grad for p in step.parameters())], step.told


def unseen(seed):
    """Whether even BPTT cannot be repeated: the step draws numbers that no seed decides."""
    return any(name in Drawn(seed, 2 + seed % 6).told for name in ("'system'", "'fresh'"))


@pytest.mark.minutes
@pytest.mark.fault("F7")
@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_random_step_under_replay(rounds, algorithm):
    """A step of a user's own reads and changes whatever it likes: random numbers, counters, buffers, files, iterators.

    The gradient is that of plain backpropagation, or it is refused; it is never wrong in silence.
    """
    equal = refused = 0
    for seed in rounds(60):
        seed += 100_000 * list(ALGORITHMS).index(algorithm)
        expected, told = gradients(bptt, seed)
        try:
            found, _ = gradients(ALGORITHMS[algorithm], seed)
        except UserError:
            refused += 1
            continue
        if unseen(seed):
            continue
        equal += 1
        for one, other in zip(found, expected, strict=True):
            assert (one is None) == (other is None), told
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9,
                                           msg=lambda text, told=told: f"{told}\n{text}")
    assert equal
    assert refused


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("algorithm", "seed"), [("amrb, three kept", 200_756)])
def test_steps_that_were_once_wrong_in_silence(algorithm, seed):
    expected, told = gradients(bptt, seed)
    found, _ = gradients(ALGORITHMS[algorithm], seed)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=lambda text: f"{told}\n{text}")
