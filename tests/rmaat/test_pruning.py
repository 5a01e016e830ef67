"""The pruned last layer: segments that nobody reads write their memory with M rows in it, and nothing else changes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rmaat.attention import ATTENTION
from rmaat.biology import Biology
from rmaat.memory import RETENTION
from rmaat.model import RMAAT, UNREAD, ModelConfig

BIOLOGY = Biology.load()
CONFIG = ModelConfig(vocab_size=20, num_classes=3, segment_length=5, num_segments=7, width=8, heads=2,
                     num_memory_tokens=2)
RAGGED = [[35, 35], [35, 11, 3], [7]]
# The same sums, some over fewer rows of a matrix product and so in another order: tens of roundings of 1e-16.
RELATIVE = 1e-13


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(replace(CONFIG, **fields), BIOLOGY).double()


def batch(lengths):
    torch.manual_seed(1)
    return torch.randint(20, (len(lengths), max(lengths))), torch.tensor(lengths)


def rows_of_the_last_feedforward(model):
    rows = []
    model.blocks[-1].feedforward.register_forward_hook(lambda module, inputs, out: rows.append(inputs[0].shape[1]))
    return rows


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("rel_pos", ["positional", "content"])
@pytest.mark.parametrize("lengths", RAGGED, ids=["whole", "ragged", "one"])
def test_write_is_the_memory_of_step(attention, rel_pos, lengths):
    model, (tokens, lengths) = build(attention=attention, rel_pos=rel_pos), batch(lengths)
    memory = model.start(len(tokens))
    for segment in model.split(tokens, lengths):
        out, after = model.write(segment, memory)
        _, memory = model.step(segment, memory)
        assert out is None
        torch.testing.assert_close(after, memory, rtol=RELATIVE, atol=RELATIVE)


@pytest.mark.parametrize("retention", RETENTION)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("lengths", RAGGED, ids=["whole", "ragged", "one"])
def test_same_gradient_pruned_or_not(retention, layers, lengths):
    tokens, lengths = batch(lengths)
    found = {}
    for unread in UNREAD:
        model = build(retention=retention, layers=layers, unread=unread)
        logits = model(tokens, lengths)
        nn.functional.cross_entropy(logits, torch.zeros(len(lengths), dtype=torch.long)).backward()
        found[unread] = {"logits": logits} | {name: p.grad for name, p in model.named_parameters()}
    for name, value in found["full"].items():
        assert (found["pruned"][name] - value).norm() <= RELATIVE * value.norm(), name


@pytest.mark.parametrize("gradient", ["bptt", "checkpointed", "amrb"])
@pytest.mark.parametrize(("lengths", "full"), [([35, 35], {7}), ([35, 11, 3], {1, 3, 7}), ([5], {1})])
def test_pruned_are_the_segments_in_which_no_sample_ends(gradient, lengths, full):
    model = build(gradient=gradient)
    rows = rows_of_the_last_feedforward(model)
    model(*batch(lengths))
    expected = [5 + 2 if t in full else 2 for t in range(1, (max(lengths) + 4) // 5 + 1)]
    expected[-1] = (max(lengths) - 1) % 5 + 1 + 2
    assert rows == expected


def test_a_readout_of_all_segments_prunes_none():
    model = build(readout="pooled")
    rows = rows_of_the_last_feedforward(model)
    model(*batch([35, 11]))
    assert rows == [7] * 7


def test_dropout_draws_for_the_wanted_rows_alone_and_alike_in_every_algorithm():
    tokens, lengths = batch([35, 11])
    logits, grads = [], []
    for gradient in ("bptt", "amrb"):
        model = build(dropout=.3, gradient=gradient)
        torch.manual_seed(2)
        logits.append(model(tokens, lengths))
        logits[-1].square().sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.equal(*logits)
    assert (grads[0] - grads[1]).norm() <= RELATIVE * grads[0].norm()
