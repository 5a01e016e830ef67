"""What a user's step may do that a replay could get silently wrong: either the gradient is BPTT's, or it is refused."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import nn

from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.gradient.backprop import amrb, bptt
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT

BIOLOGY = Biology.load()
SMALL = ModelConfig(vocab_size=20, num_classes=3, segment_length=4, num_segments=3, width=8, num_memory_tokens=2)


def weight():
    return torch.tensor([.5, .7], dtype=torch.float64, requires_grad=True)


def ones():
    return torch.ones(2, dtype=torch.float64)


def count(w, x, m):
    """A Python number in the memory."""
    return m["n"], {"h": torch.sin(w * m["h"] + m["n"]), "n": m["n"] + 1}


def grow(w, x, m):
    """One tensor more a segment."""
    return len(m), [*m, torch.sin(w * m[-1])]


def lengthen(w, x, m):
    """One tensor that becomes longer."""
    return None, torch.cat([m, torch.sin(w * m[-2:])])


class Cell(NamedTuple):
    h: object
    count: int


class Looked(NamedTuple):
    value: torch.Tensor
    cell: Cell


class Sub(Cell):
    """Under a named tuple, with nothing of its own."""


class Odd(tuple):
    """A tuple, but no named one: how to build it anew is not known."""


@pytest.mark.parametrize("keep_last", [0, 1, 3])
def test_named_tuples_stay_what_they_are(keep_last):
    """In x_t, out_t and memory, one inside another: the step reads names, and so does the caller."""
    found = []
    for algorithm, options in ((bptt, {}), (amrb, {"keep_last": keep_last})):
        w, x = weight(), weight()

        def step(x_t, memory, w=w):
            assert isinstance(x_t, Looked) and isinstance(x_t.cell, Cell) and isinstance(memory, Cell)
            after = Cell(torch.sin(w * memory.h + x_t.value), memory.count + x_t.cell.count)
            return Looked(after.h.square(), after), after

        segments = [Looked(k * x, Cell(None, 2)) for k in range(5)]
        outs, memory = algorithm(step, segments, Cell(ones(), 0), [w], **options)
        assert isinstance(memory, Cell) and memory.count == 10
        assert all(isinstance(out, Looked) and isinstance(out.cell, Cell) for out in outs)
        (memory.h.sum() + sum(out.value.sum() + out.cell.h.sum() for out in outs)).backward()
        found.append((w.grad, x.grad))
    torch.testing.assert_close(found[1], found[0], rtol=1e-13, atol=0)


def test_a_class_under_a_named_tuple_stays_what_it_is():
    w = weight()
    _, memory = amrb(lambda x, m: (None, Sub(torch.sin(w * m.h), m.count + 1)), [0] * 3, Sub(ones(), 0), [w])
    memory.h.sum().backward()
    assert isinstance(memory, Sub) and memory.count == 3 and w.grad.all()


def test_a_class_under_tuple_is_refused():
    """Its tensors would pass unseen."""
    w = weight()
    with pytest.raises(UserError, match="the memory holds an object of type Odd; allowed are tensors"):
        amrb(lambda x, m: (None, Odd((torch.sin(w * m[0]),))), [0] * 3, Odd((ones(),)), [w])


@pytest.mark.parametrize("keep_last", [0, 1, 3])
@pytest.mark.parametrize(("step", "start"), [(count, lambda: {"h": ones(), "n": 0}), (grow, lambda: [ones()]),
                                             (lengthen, ones)])
def test_a_memory_that_counts_or_grows(step, start, keep_last):
    found = []
    for algorithm, options in ((bptt, {}), (amrb, {"keep_last": keep_last})):
        w = weight()
        outs, memory = algorithm(lambda x, m, w=w: step(w, x, m), [0] * 5, start(), [w], **options)
        last = memory["h"] if isinstance(memory, dict) else memory[-1] if isinstance(memory, list) else memory
        last.sum().backward()
        found.append((outs, memory["n"] if isinstance(memory, dict) else len(memory), w.grad))
    assert found[0][:2] == found[1][:2]
    torch.testing.assert_close(found[1][2], found[0][2], rtol=1e-13, atol=0)


@pytest.mark.parametrize("what", ["x", "memory"])
def test_changes_in_place_are_refused(what):
    w, steps = weight(), torch.zeros((), dtype=torch.long)

    def step(x, m):
        h, n = m
        (x if what == "x" else n).add_(1)
        return (h * x).sum(), (w * h + x * n, n)

    with pytest.raises(UserError, match="changes its x_t, its memory or a parameter in place"):
        amrb(step, [ones() for _ in range(3)], (ones(), steps), [w])


def test_an_out_that_is_rounding_alone_may_differ():
    """torch takes other kernels where no gradient is wanted: what cancels leaves another rest there."""
    w = weight()
    outs, memory = amrb(lambda x, m: (w * 1e-16 * torch.is_grad_enabled(), torch.sin(w * m)), [0] * 4, ones(), [w])
    (sum(outs) + memory).sum().backward()
    assert w.grad.abs().max() > 0


@pytest.mark.parametrize("which", ["first", "flagged"])
def test_a_parameter_that_one_segment_alone_uses_must_be_named(which):
    w, other = weight(), weight()
    segments = {"first": [0, 1, 2, 3], "flagged": [False, True, False, False]}[which]
    uses = {"first": lambda x: x == 0, "flagged": bool}[which]
    with pytest.raises(UserError, match="not in `parameters`"):
        _, memory = amrb(lambda x, m: (None, torch.sin(w * m + (other if uses(x) else 0))), segments, ones(), [w])
        memory.sum().backward()


class Box:
    def __init__(self, h):
        self.h = h


@pytest.mark.parametrize(("start", "step", "what"), [
    (lambda: Box(ones()), lambda w, m: (None, Box(torch.sin(w * m.h))), "the memory"),
    (ones, lambda w, m: (Box(w * m), torch.sin(w * m)), "out_t")], ids=["memory", "out"])
def test_a_tensor_inside_a_foreign_object_is_refused(start, step, what):
    """Autograd would not see it, and its share of the gradient would be missing."""
    w = weight()
    with pytest.raises(UserError, match=f"{what} holds an object of type Box"):
        amrb(lambda x, m: step(w, m), [0] * 3, start(), [w])


@pytest.mark.parametrize("view", [lambda w: w.view(2), lambda w: w + 0, lambda w: w.exp()])
def test_a_parameter_and_what_is_computed_of_it(view):
    """Named both, the path through the second would count twice; handed over in x_t, the gradient is BPTT's."""
    grads = []
    for algorithm in (bptt, amrb):
        w = weight()
        other = view(w)
        _, memory = algorithm(lambda x, m, w=w: (None, torch.sin(w * m * x)), [other] * 4, ones(), [w])
        memory.sum().backward()
        grads.append(w.grad)
    torch.testing.assert_close(*grads, rtol=1e-13, atol=0)
    with pytest.raises(UserError, match="holds a tensor and another that is computed from it"):
        amrb(lambda x, m: (None, torch.sin(w * m * other)), [0] * 4, ones(), [other, w])


@pytest.mark.parametrize("keep_last", [0, 1, 2, 9])
def test_weights_that_torch_computes_once_and_keeps(keep_last):
    """Under parametrize.cached() a weight would be the one of the first segment, which has no graph."""
    grads = []
    for algorithm, options in ((bptt, {}), (amrb, {"keep_last": keep_last})):
        torch.manual_seed(0)
        layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2).double())
        with nn.utils.parametrize.cached():
            _, memory = algorithm(lambda x, m, layer=layer: (None, torch.sin(layer(m) + x)), [0., .5, 1., 1.5],
                                  torch.ones(1, 2, dtype=torch.float64), list(layer.parameters()), **options)
            loss = layer(memory).sum()
        loss.backward()
        grads.append([p.grad for p in layer.parameters()])
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-12, atol=1e-15)


def test_second_derivatives_are_refused():
    """A gradient penalty would otherwise silently be a constant."""
    w = weight()
    _, memory = amrb(lambda x, m: (None, torch.sin(w * m)), [0] * 3, ones(), [w])
    with pytest.raises(UserError, match="no second derivative"):
        torch.autograd.grad(memory.sum(), w, create_graph=True)


@pytest.mark.parametrize("attention", ["astromorphic", "linear", "softmax"])
def test_a_segment_of_padding_without_memory_tokens_is_no_nan(attention):
    """No key at all: the sum of phi(K) is 0 there, and its reciprocal must not reach the gradient."""
    fields = {"num_memory_tokens": 0, "retention": "none", "attention": attention, "rel_pos": "none"}
    model = RMAAT(replace(SMALL, **fields), BIOLOGY)
    logits = model(torch.arange(24).reshape(2, 12) % 20, torch.tensor([12, 3]))
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    alone = model(torch.arange(12, 15)[None], torch.tensor([3]))
    torch.testing.assert_close(alone, logits[1:], rtol=1e-5, atol=1e-6)


def test_sparse_outs():
    grads = []
    for algorithm in (bptt, amrb):
        w = weight()
        outs, memory = algorithm(lambda x, m, w=w: ((w * m).to_sparse(), torch.sin(w * m)), [0] * 4, ones(), [w])
        (memory.sum() + sum(out.to_dense() for out in outs).sum()).backward()
        grads.append(w.grad)
    torch.testing.assert_close(*grads, rtol=1e-13, atol=0)
