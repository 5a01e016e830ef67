"""What depends on parameters alone is computed once a pass; its gradient is still BPTT's, segment by segment."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rmaat.biology.biology import Biology
from rmaat.gradient.backprop import GRADIENT, amrb
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure

BIOLOGY = Biology.load()
CONFIG = ModelConfig(20, 3, 5, 6, width=8, heads=2, num_memory_tokens=2)
RELATIVE = 1e-12  # the same sums in another order
T = 4


def assert_same(found, expected):
    for name, grad in expected.items():
        if grad is None:
            assert found[name] is None, name
        else:
            assert (found[name] - grad).norm() <= RELATIVE * grad.norm(), name


def frozen(model):
    model.blocks[0].attention.rel_pos.rows.requires_grad_(False)


def one_pattern_for_both_layers(model):
    model.blocks[1].attention.rel_pos.rows = model.blocks[0].attention.rel_pos.rows


def rows_used_elsewhere_too(model):
    """The rows are also the places' embedding, inside the step: their gradient has two ways."""
    rows = model.blocks[0].attention.rel_pos.rows
    model.blocks[0].before_attention.register_forward_hook(
        lambda module, given, out: out + nn.functional.pad(rows.transpose(0, 1).flatten(1), (0, 0, 0, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda model: None, frozen, one_pattern_for_both_layers, rows_used_elsewhere_too])
@pytest.mark.parametrize("fields", [{}, {"gradient": "checkpointed"}, {"keep_last": 3},
                                    {"replay": "layer", "keep_last": 1}, {"budget_bytes": 10**9}], ids=str)
def test_gradients_are_those_of_bptt_with_r_anew_in_every_segment(change, fields):
    tokens, lengths = torch.arange(60).remainder(20).reshape(2, 30), torch.tensor([30, 30])
    found = {}
    for name, more in (("anew", {"gradient": "bptt"}), ("once", fields)):
        torch.manual_seed(0)
        model = RMAAT(replace(CONFIG, dropout=.1, **more), BIOLOGY).double()
        change(model)
        if name == "anew":
            model.prepare = lambda: None
        model(tokens, lengths).square().sum().backward()
        found[name] = {key: p.grad for key, p in model.named_parameters()}
    assert_same(found["once"], found["anew"])


@pytest.mark.parametrize("gradient", GRADIENT)
def test_r_is_computed_once_a_pass(gradient):
    model, calls = RMAAT(replace(CONFIG, gradient=gradient), BIOLOGY), []
    for block in model.blocks:
        block.attention.rel_pos.kernel.register_forward_hook(lambda *_: calls.append(1))
    model(torch.zeros(2, 30, dtype=torch.int64), torch.tensor([30, 30])).sum().backward()
    assert len(calls) == len(model.blocks)


def run(algorithm, weight, other, **options):
    """A step that uses `weight` itself and, computed once, twice its square; the last segment does not use that."""
    computed = 2 * weight ** 2
    segments = [(torch.full((3,), t, dtype=torch.float64), computed if t < T - 1 else torch.ones(3)) for t in range(T)]
    outs, memory = algorithm(lambda x_t, memory: (x_t[0] * x_t[1], torch.tanh(weight * memory * x_t[1] + other)),
                             segments, torch.ones(3, dtype=torch.float64), [weight, other], **options)
    return sum(out.square().sum() for out in outs) + memory.sum()


@pytest.mark.parametrize("keep_last", [0, 1, T])
def test_a_tensor_in_several_segments_has_one_summed_gradient(keep_last):
    weight, other = (torch.tensor([.3, -.8, 1.1], dtype=torch.float64, requires_grad=True) for _ in range(2))
    expected = torch.autograd.grad(run(GRADIENT["bptt"], weight, other), (weight, other))
    found = torch.autograd.grad(run(amrb, weight, other, keep_last=keep_last), (weight, other))
    assert_same(dict(enumerate(found)), dict(enumerate(expected)))


def test_its_gradient_takes_no_memory_of_every_segment():
    """A megabyte in each of 30 segments: its gradient, that of one segment and their first sum, not 30."""
    weight = torch.ones(2**18, requires_grad=True)

    def peak(num_segments):
        def train():
            computed = weight * 2
            amrb(lambda x_t, memory: (None, memory + (x_t[0] * x_t[1]).sum()),
                 [(torch.ones(1), computed) for _ in range(num_segments)], torch.zeros(1), [])[1].sum().backward()
            weight.grad = None

        return measure(train)

    assert peak(30) < peak(3) + 2**18
