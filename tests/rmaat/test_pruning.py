"""The pruned last layer: segments that nobody reads write their memory with M rows in it, and nothing else changes."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rmaat.attention import ATTENTION
from rmaat.attention.projection import few
from rmaat.biology.biology import Biology
from rmaat.model.config import UNREAD, ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT

BIOLOGY = Biology.load()
CONFIG = ModelConfig(vocab_size=20, num_classes=3, segment_length=5, num_segments=7, width=8, heads=2,
                     num_memory_tokens=2)
RAGGED = [[35, 35], [35, 11, 3], [7]]
# The same sums, some over fewer rows of a matrix product and so in another order: tens of roundings of 1e-16.
RELATIVE = 1e-13
HALF = {torch.bfloat16: 3e-3, torch.float16: 3e-4}  # the bounds of test_precision.py


def build(**fields):
    torch.manual_seed(0)
    replayed = {"keep_last": 1} if fields.get("gradient", "amrb") == "amrb" else {}
    return RMAAT(replace(CONFIG, **replayed | fields), BIOLOGY).double()


def batch(lengths):
    torch.manual_seed(1)
    return torch.randint(20, (len(lengths), max(lengths))), torch.tensor(lengths)


def rows_of_the_last_feedforward(model):
    rows = []
    model.blocks[-1].feedforward.register_forward_hook(lambda module, inputs, out: rows.append(inputs[0].shape[1]))
    return rows


@pytest.mark.parametrize("fields", [{"attention": "astromorphic"}, {"rel_pos": "content"}, {"attention": "linear"},
                                    {"attention": "softmax"}], ids=str)
@pytest.mark.parametrize("lengths", RAGGED, ids=["whole", "ragged", "one"])
def test_write_is_the_memory_of_step(fields, lengths):
    model, (tokens, lengths) = build(**fields), batch(lengths)
    memory = model.start(len(tokens))
    for segment in model.cut(tokens, lengths):
        out, after = model.write(segment, memory)
        _, memory = model.step(segment, memory)
        assert out is None
        torch.testing.assert_close(after, memory, rtol=RELATIVE, atol=RELATIVE)


@pytest.mark.slow
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


def wanted_rows(module, x, places, mask, readers):
    """Result and gradients where the last `readers` rows are wanted, and the same rows of the whole result."""
    found = []
    for wanted in (slice(-readers, None), slice(None)):
        x = x.detach().requires_grad_()
        y = module(x, len(x[0]) - places, mask, wanted=wanted)[:, -readers:]
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
        found.append([y.detach(), *torch.autograd.grad((y * weights).sum(), (x, *module.parameters()))])
    return zip(*found, strict=True)


@pytest.mark.parametrize(("attention", "rel_pos"), [("astromorphic", "positional"), ("astromorphic", "content"),
                                                    ("astromorphic", "none"), ("linear", "none")])
@pytest.mark.parametrize(("heads", "readers"), [(1, 1), (1, 5), (1, 11), (1, 12), (1, 13), (3, 3), (3, 4), (3, 9)])
@pytest.mark.parametrize("padded", [False, True])
def test_a_handful_of_readers_read_what_all_rows_would(attention, rel_pos, heads, readers, padded):
    """On both sides of where it pays to leave V out: at width 12 below 12 readers of one head, below 4 of three."""
    torch.manual_seed(readers)
    options = {"rel_pos": rel_pos} if attention == "astromorphic" else {}
    module = ATTENTION[attention](12, heads, 19, biology=BIOLOGY, **options).double()
    x = torch.randn(3, 19 + readers, 12, dtype=torch.float64)
    mask = None
    if padded:
        mask = torch.ones(3, 19 + readers, dtype=torch.bool)
        mask[0, 4:19] = mask[2, :19] = False
    for few_rows, all_rows in wanted_rows(module, x, 19, mask, readers):
        assert (few_rows - all_rows).norm() <= RELATIVE * all_rows.norm()


def test_where_the_readers_are_few():
    assert few(11, 12, 1) and not few(12, 12, 1)  # 2 * 12 products a feature against 12 + 12
    assert few(3, 12, 3) and not few(4, 12, 3)  # 4 * 4 against 12 + 4


def test_a_pruned_layer_multiplies_for_its_keys_and_little_else():
    """Products of an unread segment's last layer by torch's counter: K of all rows, and what M rows need beyond."""
    rows, M, width, batch = 500, 4, 64, 2
    module = ATTENTION["astromorphic"](width, 1, rows - M, biology=BIOLOGY)
    x = torch.randn(batch, rows, width)
    counted = {}
    for wanted in (slice(-M, None), slice(None)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(x, M, wanted=wanted, prepared=module.prepare())
        counted[wanted.start] = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        module.prepare()
    R = counter.get_total_flops()
    keys = 2 * batch * rows * width**2
    few_rows = 2 * batch * M * (3 * width**2 + 2 * rows * width)  # Q, W_V, W_O; Q K^T, times X; C is no matrix product
    assert counted[-M] == R + keys + few_rows
    assert counted[None] == R + 2 * batch * rows * 6 * width**2  # Q, K, V, H, read, W_O


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("rel_pos", ["positional", "content", "none"])
def test_few_readers_in_half_precision_are_as_exact_as_the_whole_result(dtype, rel_pos):
    torch.manual_seed(0)
    module = ATTENTION["astromorphic"](32, 2, 1000, biology=BIOLOGY, rel_pos=rel_pos).to(dtype)
    x, wanted = torch.randn(1, 1004, 32).to(dtype), slice(-4, None)
    exact = copy.deepcopy(module).double()(x.double(), 4, wanted=wanted)
    assert (module(x, 4, wanted=wanted).double() - exact).norm() < .85 * HALF[dtype] * exact.norm()
