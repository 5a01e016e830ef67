"""The naive twin is a computation of its own, and gradient by gradient the fast attention has its derivatives."""

import ast
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from derivation.record import record as records
from rmaat.attention import naive
from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.projection import Values
from rmaat.biology.biology import Biology

BIOLOGY = Biology.load()
SCALE = records.load().entry("relative_position").constants["scale"].value
K = records.load().entry("feedback_bound").constants["K"].value
# float64 sums of at most 66 terms in another order, forward and backward: some hundred roundings of 1e-16 on the norm
RELATIVE = 1e-12
CASES = {  # options of the module, the same for the twin; heads, places, memory tokens, lengths of the two samples
    "paper": ({}, {}, 3, 63, 3, [63, 40]),
    "one head, no memory": ({}, {}, 1, 60, 0, [60, 17]),
    "root": ({"calcium_exponent": "0.25"}, {"exponent": .25}, 3, 63, 1, [63, 63]),
    "bound": ({"feedback": "bound"}, {"half_level": K}, 3, 60, 1, [60, 17]),
    "softmax": ({"feature_map": "softmax"}, {"feature_map": "softmax"}, 1, 63, 3, [63, 40])}


def test_it_imports_nothing_of_ours():
    tree = ast.parse(Path(naive.__file__).read_text("utf-8"))
    found = {name.split(".")[0] for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
             for name in ([node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])}
    assert found == {"collections", "torch"}


def mask_of(lengths, places, num_memory_tokens):
    there = torch.arange(places) < torch.tensor(lengths)[:, None]
    return torch.nn.functional.pad(there, (0, num_memory_tokens), value=True)


def gradients(result, mask, named):
    """By name, of a loss in which every valid row and feature has a weight of its own."""
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result)
    loss = (result * weights * mask[..., None]).sum()
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def assert_close(found, expected, name):
    assert expected.any(), name
    assert (found - expected).norm() <= RELATIVE * expected.norm(), name


@lru_cache
def read_both_ways(case):
    """Result and gradients of the read alone, between the projections, by the fast way and by the twin."""
    options, curves, heads, places, num_memory_tokens, lengths = CASES[case]
    module = Astromorphic(12, heads, places, biology=BIOLOGY, **options)
    torch.manual_seed(0)
    q, k, v = (torch.randn(2 * heads, places + num_memory_tokens, 12 // heads, dtype=torch.float64).requires_grad_()
               for _ in range(3))
    R = torch.randn(heads, places, 12 // heads, dtype=torch.float64).requires_grad_()
    named, mask = {"q": q, "k": k, "v": v, "R": R}, mask_of(lengths, places, num_memory_tokens)
    cells = mask.repeat_interleave(heads, 0)
    values = Values(v * cells[..., None])  # a layer projects rows that are not there to 0 before
    fast = module._attend(q, k, values, process=module.feature_map(R), num_memory_tokens=num_memory_tokens, mask=mask)
    slow = torch.stack([naive.attend(q[c], k[c], v[c], R[c % heads], present=cells[c], **curves)
                        for c in range(2 * heads)])
    return [gradients(result, cells, named) | {"result": (result * cells[..., None]).detach()}
            for result in (fast, slow)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["result", "q", "k", "v", "R"])
@pytest.mark.parametrize("case", CASES)
def test_of_queries_keys_values_and_r(case, name):
    fast, slow = read_both_ways(case)
    assert_close(fast[name], slow[name], name)


@lru_cache
def layer_both_ways(rel_pos, heads, twin):
    """Gradients of a layer's inputs and learned tensors, the memory tokens' apart."""
    torch.manual_seed(0)
    module = Astromorphic(12, heads, 63, biology=BIOLOGY, rel_pos=rel_pos).double()
    tokens, memory = (torch.randn(2, rows, 12, dtype=torch.float64).requires_grad_() for rows in (60, 3))
    named, mask = {"tokens": tokens, "memory": memory, **dict(module.named_parameters())}, mask_of([60, 33], 60, 3)
    x = torch.cat([tokens, memory], 1)
    slow = torch.stack([twin(module, row, 3, here, r=naive.coupling(63, SCALE))
                        for row, here in zip(x, mask, strict=True)])
    return gradients(module(x, 3, mask), mask, named), gradients(slow, mask, named)


@pytest.mark.parametrize("name", ["tokens", "memory", "qkv.weight", "project.weight", "R"])
@pytest.mark.parametrize(("rel_pos", "heads", "learned"), [("positional", 3, "rel_pos.rows"),
                                                           ("content", 1, "rel_pos.project.weight")])
def test_of_the_layers_inputs_and_parameters(rel_pos, heads, learned, name, twin):
    fast, slow = layer_both_ways(rel_pos, heads, twin)
    assert len(fast) == 5
    name = learned if name == "R" else name
    assert_close(fast[name], slow[name], name)
