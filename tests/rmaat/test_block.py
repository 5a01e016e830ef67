"""Without a graph a block works in place: the same bits, no tensor that somebody else may hold is touched."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rmaat.attention import ATTENTION
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure

BIOLOGY = Biology.load()
CONFIG = ModelConfig(20, 3, segment_length=5, num_segments=3, width=12, heads=3, num_memory_tokens=2)


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(replace(CONFIG, **fields), BIOLOGY).eval()


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "fields"), [
    *((name, fields) for name in ATTENTION for fields in ({}, {"heads": 1}, {"unread": "full"})),
    ("astromorphic", {"rel_pos": "content"}), ("astromorphic", {"feature_map": "softmax"}),
    ("astromorphic", {"feedback": "bound"}),
    ("linear", {"feature_map": "softmax"})], ids=str)
@pytest.mark.parametrize("lengths", [[15, 15], [15, 4]], ids=str)
@pytest.mark.parametrize("half", [None, torch.bfloat16], ids=str)
def test_with_and_without_a_graph_the_same_bits(attention, fields, lengths, half):
    if attention == "softmax" and half:
        pytest.skip("torch's own attention rounds otherwise without a graph")
    model = build(attention=attention, gradient="bptt", **fields)
    tokens, lengths = torch.randint(20, (2, 15)), torch.tensor(lengths)
    found = []
    for graph in (True, False):
        with torch.set_grad_enabled(graph), torch.autocast("cpu", half or torch.bfloat16, enabled=half is not None):
            found.append(model(tokens, lengths).detach())
    assert torch.equal(*found)


def parts_of(block):
    return {name: module for name, module in block.named_modules() if name and not name.startswith("attention.rel_pos")}


@pytest.mark.parametrize("attention", ATTENTION)
def test_what_a_hook_has_seen_is_never_overwritten(attention):
    """A hook on any part of a block, one at a time, keeps inputs and output; they are what they are with a graph."""
    block = build(attention=attention).blocks[0]
    x = torch.randn(2, 7, 12)
    for name in parts_of(block):
        kept = {True: [], False: []}
        for graph in (True, False):
            def keep(module, inputs, out, to=kept[graph]):
                to.extend(y.detach() for y in (*inputs, out) if isinstance(y, torch.Tensor))

            handle = block.get_submodule(name).register_forward_hook(keep)
            with torch.set_grad_enabled(graph):
                block(x, 2, None)
            handle.remove()
        assert len(kept[True]) == len(kept[False])
        for with_graph, without in zip(kept[True], kept[False], strict=True):
            assert torch.equal(with_graph, without), name


def test_a_hook_on_all_modules_sees_what_it_would_see_with_a_graph():
    block, x, kept = build().blocks[0], torch.randn(2, 7, 12), {}
    for graph in (True, False):
        kept[graph] = []
        handle = torch.nn.modules.module.register_module_forward_hook(
            lambda module, inputs, out, to=kept[graph]: to.append(out.detach()))
        with torch.set_grad_enabled(graph):
            block(x, 2, None)
        handle.remove()
    assert len(kept[True]) == len(kept[False]) > 8
    assert all(torch.equal(a, b) for a, b in zip(kept[True], kept[False], strict=True))


class Around(nn.Module):
    """As an adapter wraps a layer."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def replace_activation(feedforward):
    feedforward[1] = nn.ReLU()


def approximate(feedforward):
    feedforward[1] = nn.GELU("tanh")


def append(feedforward):
    feedforward.append(nn.Tanh())


def wrap(feedforward):
    feedforward[0], feedforward[2] = Around(feedforward[0]), Around(feedforward[2])


def normalise(feedforward):
    nn.utils.parametrizations.weight_norm(feedforward[2])


@pytest.mark.parametrize("change", [replace_activation, approximate, append, wrap, normalise])
def test_parts_that_were_replaced_run_as_they_are(change):
    """With a hook inside a wrapped layer, too, and the same bits with and without a graph."""
    block, x, kept = build().blocks[0], torch.randn(2, 7, 12), []
    plain = block(x, 2, None)
    change(block.feedforward)
    for module in block.feedforward.modules():
        if isinstance(module, Around):
            module.inner.register_forward_hook(lambda module, inputs, out: kept.append((out, out.clone())))
    with_graph = block(x, 2, None)
    with torch.no_grad():
        assert torch.equal(block(x, 2, None), with_graph)
    assert change in (wrap, normalise) or not torch.equal(with_graph, plain)
    assert all(torch.equal(out, then) for out, then in kept) and len(kept) == 4 * (change is wrap)


def test_an_attention_may_return_what_is_its_own():
    block = build().blocks[0]

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(2, 7, 12))

        def forward(self, x, *others, **more):
            return self.value

    block.attention = Constant()
    with torch.no_grad():
        block(torch.ones(2, 7, 12), 2, None)
    assert (block.attention.value == 1).all()


def test_the_input_of_a_block_is_left_as_it_was():
    block, x = build().blocks[0], torch.randn(2, 7, 12)
    before = x.clone()
    with torch.no_grad():
        block(x, 2, None)
        block(x, 2, None, wanted=slice(-2, None))
    assert torch.equal(x, before)


def test_without_a_graph_the_hidden_layer_is_made_once():
    """The widest tensor of a block, 4 widths a row: without a graph it is there once, beside the result, one width."""
    block, x = build(width=64, heads=1, segment_length=500).blocks[0], torch.randn(4, 502, 64)
    row = x.numel() * x.element_size()
    with torch.no_grad():
        block(x, 2, None)
        assert measure(lambda: block.feedforward(x)) < 5.2 * row
    assert measure(lambda: block.feedforward(x.detach())) > 7.8 * row
