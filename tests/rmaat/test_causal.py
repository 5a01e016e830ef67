"""Causal attention: the naive twin, portions, masks, precision, and that nothing of the future is seen."""

import dataclasses
import math
from functools import lru_cache

import pytest
import torch

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.attention import causal, naive
from rmaat.attention.baselines import Linear, Softmax
from rmaat.attention.causal import CAUSAL, CausalAstromorphic, CausalLinear, CausalSoftmax
from rmaat.attention.kernel import AnyKernel, kernel_curve
from rmaat.attention.past_kernel import PastAny, PastExponential, past_kernel
from rmaat.biology.biology import Biology

BIOLOGY = Biology.load()
SCALE = records.load().entry("relative_position").constants["scale"].value
K = records.load().entry("feedback_bound").constants["K"].value
# float64 sums of at most 70 terms in another order, forward and backward: some hundred roundings of 1e-16 on the norm
RELATIVE = 1e-12
CASES = {  # options of the module, the same for the twin; heads, tokens, memory tokens, the last token that is there
    "paper": ({}, {}, 3, 13, 2, 13),
    "padded": ({"rel_pos": "content"}, {}, 1, 17, 2, 11),
    "heads, content": ({"rel_pos": "content"}, {}, 2, 9, 1, 7),
    "no memory": ({}, {}, 1, 15, 0, 15),
    "no astrocytes": ({"rel_pos": "none"}, {}, 2, 9, 1, 9),
    "root": ({"calcium_exponent": "0.25"}, {"exponent": .25}, 3, 9, 1, 9),
    "bound": ({"feedback": "bound"}, {"half_level": K}, 2, 9, 1, 5),
    "softmax": ({"feature_map": "softmax"}, {"feature_map": "softmax"}, 1, 8, 2, 8)}


@pytest.fixture(params=[3, 64])
def block(request, monkeypatch):
    """Blocks of 3 tokens, so that short lines have many, and as they are."""
    monkeypatch.setattr(causal, "BLOCK", request.param)
    return request.param


def twin(module, x, memory, present, curves):
    """What the naive twin makes of one sample with the learned tensors of a module."""
    learned, tokens = dict(module.named_parameters()), x[:len(x) - 2 * memory]
    r, R = naive.past_coupling(module.places, SCALE), None
    if "rel_pos.rows" in learned:
        R = naive.positional(r, learned["rel_pos.rows"])[:, :len(tokens)]
    elif "rel_pos.project.weight" in learned:
        R = naive.content(r, tokens, learned["rel_pos.project.weight"], heads=module.heads,
                          present=present[:len(tokens)])
    return naive.astromorphic(x, learned["qkv.weight"], learned["project.weight"], R, heads=module.heads,
                              present=present, attend=naive.attend_causally, places=len(tokens), memory=memory,
                              **curves)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_result_and_gradients_are_those_of_the_naive_twin(case, block):
    options, curves, heads, places, memory, length = CASES[case]
    torch.manual_seed(0)
    module = CausalAstromorphic(6 * heads, heads, places + 2, biology=BIOLOGY, **options).double()
    x = torch.randn(1, places + 2 * memory, 6 * heads, dtype=torch.float64).requires_grad_()
    present = torch.arange(places + 2 * memory) < length
    present[places:] = True
    named = {"x": x, **dict(module.named_parameters())}
    found, expected = module(x, 2 * memory, present[None])[0], twin(module, x[0], memory, present, curves)
    weights = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found) * present[:, None]
    assert (found - expected)[present].norm() <= RELATIVE * expected[present].norm()
    gradients = [torch.autograd.grad((result * weights).sum(), list(named.values())) for result in (found, expected)]
    for name, fast, slow in zip(named, *gradients, strict=True):
        assert slow.any() and (fast - slow).norm() <= RELATIVE * slow.norm(), name


def visible(places, memory):
    """Which row sees which, as the twin has it."""
    rows = range(places + 2 * memory)
    return torch.tensor([[naive.sees(i, j, places=places, memory=memory) for j in rows] for i in rows])


@pytest.mark.parametrize("kind", [CausalSoftmax, CausalLinear])
@pytest.mark.parametrize(("heads", "memory"), [(1, 2), (3, 1), (2, 0)])
def test_baselines_are_their_full_matrix_with_what_is_not_seen_left_out(kind, heads, memory, block):
    torch.manual_seed(0)
    module, places, m = kind(6 * heads, heads, 11).double(), 10, 6
    x, mask = torch.randn(2, places + 2 * memory, 6 * heads).double(), torch.ones(2, places + 2 * memory).bool()
    mask[1, 7:places] = False
    seen = visible(places, memory)[None] & mask[:, None]
    q, k, v = (part.unflatten(-1, (heads, m)).transpose(1, 2) for part in module.qkv(x).chunk(3, -1))
    if kind is CausalSoftmax:
        scores = (q @ k.transpose(-1, -2) / math.sqrt(m)).exp() * seen[:, None]
    else:
        scores = (torch.nn.functional.elu(q) + 1) @ (torch.nn.functional.elu(k) + 1).transpose(-1, -2) * seen[:, None]
    expected = module.project((scores / scores.sum(-1, keepdim=True) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(x, 2 * memory, mask)[mask], expected[mask], rtol=1e-11, atol=1e-13)


KINDS = {"positional": (CausalAstromorphic, {}), "content": (CausalAstromorphic, {"rel_pos": "content"}),
         "diffusive": (CausalAstromorphic, {"rel_pos": "content", "kernel": "diffusive"}),
         "linear": (CausalLinear, {}), "softmax": (CausalSoftmax, {})}


def build(name, places=80, heads=2):
    kind, options = KINDS[name]
    torch.manual_seed(0)
    return kind(12, heads, places, biology=BIOLOGY, **options).double()


@pytest.mark.parametrize("name", KINDS)
def test_a_token_does_not_see_what_comes_after_it(name):
    """Bit for bit: whatever stands there is multiplied by 0 or added later."""
    module, x = build(name), torch.randn(2, 76, 12).double()
    before = module(x, 4)
    for place in (0, 1, 40, 71):
        other = x.clone()
        other[:, place:72] = torch.randn(2, 72 - place, 12).double() * 3
        after = module(other, 4)
        assert torch.equal(after[:, :place], before[:, :place]) and torch.equal(after[:, 72:74], before[:, 72:74])
        assert not torch.allclose(after[:, place], before[:, place]), "its own"
        assert not torch.allclose(after[:, 74:], before[:, 74:]), "what is written sees all"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("portions", [[1] * 6 + [66], [70, 2], [24, 24, 24]])
def test_any_portions_go_on_from_one_another(name, portions):
    module, x = build(name), torch.randn(2, 76, 12).double()
    tokens, read, written = x.split([72, 2, 2], 1)
    of_memory, past = module.start(read)
    outs, prepared = [], module.prepare()
    for part in tokens.split(portions, 1):
        out, past = module.follow(part, past, prepared=prepared)
        outs.append(out)
    found = torch.cat([*outs, of_memory, module.finish(written, past)], 1)
    torch.testing.assert_close(found, module(x, 4), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", KINDS)
def test_what_stands_in_padding_has_no_influence_and_wanted_rows_are_those_of_all(name):
    module, x = build(name), torch.randn(2, 34, 12).double()
    mask = torch.ones(2, 34).bool()
    mask[1, 20:30] = False
    whole = module(x, 4, mask)
    for value in (7., math.nan):
        other = module(x.masked_fill(~mask[..., None], value), 4, mask)
        assert torch.equal(other[mask], whole[mask])
    shorter = module(torch.cat([x[1:, :20], x[1:, 30:]], 1), 4)
    torch.testing.assert_close(whole[1, mask[1]], shorter[0], rtol=1e-11, atol=1e-13)
    for wanted in (slice(-2, None), slice(5, 9), slice(0, 32)):
        torch.testing.assert_close(module(x, 4, mask, wanted=wanted), whole[:, wanted], rtol=1e-11, atol=1e-13)


# ------------------------------------------------------------------------------------------ the kernel


@pytest.mark.parametrize("kind", [PastExponential, PastAny])
@pytest.mark.parametrize("places", [1, 64, 65, 130])
def test_the_causal_half_of_the_kernel_is_the_full_matrix(kind, places):
    kernel, signal = kind(kernel_curve(BIOLOGY), places), torch.randn(2, places, 3).double()
    expected = naive.past_coupling(places, SCALE) @ signal
    torch.testing.assert_close(kernel(signal), expected, rtol=1e-12, atol=1e-13)
    carried, found = None, []
    for part in signal.split([1, places - 1] if places > 1 else [1], 1):
        found.append(kernel(part, carried))
        carried = kernel.after(found[-1], part, carried)
    torch.testing.assert_close(torch.cat(found, 1), expected, rtol=1e-12, atol=1e-13)


def test_it_comes_from_the_same_entry_whatever_its_form():
    assert isinstance(past_kernel(BIOLOGY, 9), PastExponential)
    source = records.load()
    entry = source.entry("relative_position")
    changed = dataclasses.replace(entry, formula="K/(K + distance)", parameters=(), validity=(),
                                  constants={"K": records.Constant(2., "a distance")})
    biology = Biology.of(records.make({**source.entries, "relative_position": changed}, source.versions))
    kernel = past_kernel(biology, 9)
    place = torch.arange(9, dtype=torch.float64)
    r = (2 / (2 + (place[:, None] - place).abs())).tril()
    assert isinstance(kernel, PastAny)
    signal = torch.randn(9, 2).double()
    torch.testing.assert_close(kernel(signal), r @ signal, rtol=1e-12, atol=1e-13)
    assert not torch.allclose(AnyKernel(kernel_curve(biology), 9)(signal), kernel(signal))


# ------------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["positional", "content", "linear"])
def test_sums_are_kept_in_float32(name, dtype):
    """2,000 tokens: sums in half precision would overflow (float16) or stop growing (bfloat16, after 256 ones)."""
    module = build(name, places=2000).float()
    x = torch.randn(1, 2004, 12)
    exact = module.double()(x.double(), 4)
    module = module.float()
    with torch.autocast("cpu", dtype):
        found = module(x, 4).double()
    # roundings of the projections to the half type, on the norm
    assert (found - exact).norm() <= 8 * torch.finfo(dtype).eps * exact.norm()
    assert torch.isfinite(module.to(dtype)(x.to(dtype), 4)).all()


@lru_cache
def operations(name, tokens):
    """Elements of all products of a pass, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode
    module = build(name, places=2048).float()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.randn(1, tokens + 4, 12), 4)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ["positional", "content", "linear"])
def test_the_work_is_linear_in_the_tokens(name):
    growth = [operations(name, 2 * tokens) - operations(name, tokens) for tokens in (512, 1024)]
    assert growth[1] <= 1.01 * 2 * growth[0]


# ------------------------------------------------------------------------------------------ refusals


def test_memory_tokens_come_twice():
    with pytest.raises(UserError, match="num_memory_tokens = 3: a causal attention has each memory token twice"):
        build("linear")(torch.randn(1, 9, 12).double(), 3)


def test_each_attention_has_its_causal_form():
    assert set(CAUSAL) >= {Linear, Softmax} and all(issubclass(kind, plain) for plain, kind in CAUSAL.items())
    assert all(kind.causal and not plain.causal for plain, kind in CAUSAL.items())
