"""Attention in half precision against float64, forward and backward, from 64 to 65,536 tokens."""

import copy

import pytest
import torch

from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.precision import lost_in_rounding
from rmaat.attention.projection import Values
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology.biology import Biology

SIZES = [64, 257, 1000, 4097, 65_536]
# The bounds. Rounding a result to half precision alone costs 2**-9/sqrt(3)/1.5 = 1.5e-3 (bfloat16, relative
# in the norm) or an eighth of it (float16): there is room for one such rounding and not for two beside each other.
BOUND = {torch.bfloat16: 3e-3, torch.float16: 3e-4}
BIOLOGY = Biology.load()


def relative(found, exact):
    return float((found.detach().double() - exact.detach()).norm() / exact.detach().norm())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("places", SIZES)
@pytest.mark.parametrize("rel_pos", REL_POS)
def test_attention_of_half_precision_queries_keys_and_values(places, dtype, rel_pos):
    """State and sums are float32: result and all gradients differ from float64's by their own rounding."""
    torch.manual_seed(places)
    module = Astromorphic(32, 2, places, biology=BIOLOGY, rel_pos=rel_pos)
    x = torch.randn(1, places, 32)
    q, k, v, grad = (torch.randn(2, places + 4, 16).to(dtype) for _ in range(4))
    results = {}
    for name, kind in (("half", torch.float32), ("exact", torch.float64)):
        R = module.to(kind).rel_pos(x.to(kind))
        process = None if R is None else module.feature_map(R)
        inputs = [part.clone().requires_grad_() if name == "half" else part.double().requires_grad_()
                  for part in (q, k, v)]
        q_kind, k_kind, v_kind = (part.to(kind) for part in inputs)
        read = module._attend(q_kind, k_kind, Values(v_kind), process=process, num_memory_tokens=4) * module.m
        read = read.to(dtype) if name == "half" else read
        results[name] = [read.detach(), *torch.autograd.grad(read, inputs, grad.to(read.dtype))]
    for found, exact in zip(results["half"], results["exact"], strict=True):
        assert torch.isfinite(found).all() and found.any(-1).all()
        assert relative(found, exact) < BOUND[dtype]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("places", SIZES)
@pytest.mark.parametrize("rel_pos", REL_POS)
def test_a_module_in_half_precision(places, dtype, rel_pos):
    """Module and input in half precision, the same numbers in float64. The result costs its own rounding and little
    more (measured over 30 seeds: bfloat16 up to 1.8e-3, float16 2.3e-4), because what the rounding of V loses is added
    again; gradients pass three roundings and two rounded factors, sqrt(5) * 1.5e-3 (measured 1.7e-3 to 3.7e-3, 2.3e-4
    to 4.8e-4)."""
    torch.manual_seed(0)
    module = Astromorphic(32, 2, places, biology=BIOLOGY, rel_pos=rel_pos).to(dtype)
    exact_module = copy.deepcopy(module).double()
    x, grad = (torch.randn(1, places + 4, 32).to(dtype) for _ in range(2))
    x.requires_grad_()
    exact_x = x.detach().double().requires_grad_()
    y, exact = module(x, 4), exact_module(exact_x, 4)
    y.backward(grad)
    exact.backward(grad.double())
    assert torch.isfinite(y).all() and y.any(-1).all()
    assert relative(y, exact) < .85 * BOUND[dtype]
    pairs = [(x, exact_x), *zip(module.parameters(), exact_module.parameters(), strict=True)]
    for found, wanted in pairs:
        assert torch.isfinite(found.grad).all() and found.grad.any()
        assert relative(found.grad, wanted.grad) < 2 * BOUND[dtype]


@pytest.mark.parametrize("exponent", ["0.25", "fitted"])
def test_a_small_exponent_makes_weights_that_float16_still_holds(exponent):
    """The output projection starts at N^(exponent - 1) of its size: multiplied with them as they are, the read would be
    a subnormal number in float16, which was 4.5e-4 off here."""
    for seed in range(2):
        torch.manual_seed(seed)
        module = Astromorphic(16, 1, 16_384, biology=BIOLOGY, rel_pos="none", calcium_exponent=exponent).half()
        x = torch.randn(1, 16_384, 16).half()
        with torch.no_grad():
            assert relative(module(x, 0), copy.deepcopy(module).double()(x.double(), 0)) < .85 * BOUND[torch.float16]


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("size", [.1, 30.])
def test_small_and_large_inputs(dtype, size):
    """Values of 30 make queries and keys of some hundred: nothing overflows, and no row turns to zeros."""
    torch.manual_seed(0)
    module = Astromorphic(32, 2, 4097, biology=BIOLOGY).to(dtype)
    x = (size * torch.randn(1, 4101, 32)).to(dtype)
    y, exact = module(x, 4), copy.deepcopy(module).double()(x.double(), 4)
    assert torch.isfinite(y).all() and y.any(-1).all()
    # a query of some hundred is rounded by some tenths in bfloat16, and weights go with the exponential of it below 0
    assert relative(y, exact) < 3 * BOUND[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("parts", [{"rel_pos": "positional"}, {"rel_pos": "none"}, {"calcium_exponent": "0.25"},
                                   {"feedback": "inverse", "calcium_exponent": "1"}, {"feature_map": "softmax"}],
                         ids=lambda parts: "-".join(parts.values()))
@pytest.mark.parametrize("level", [-60., -500.])
def test_keys_far_below_zero_everywhere(parts, level, dtype):
    """phi(K) is 1e-26 or 0 in float32: the sum is held at 1e-18, so results and gradients are finite."""
    torch.manual_seed(0)
    module = Astromorphic(8, 2, 30, biology=BIOLOGY, **parts)
    q, k, v = (torch.randn(2, 33, 4, requires_grad=True) for _ in range(3))
    R = module.rel_pos(torch.randn(1, 30, 8))
    process = None if R is None else module.feature_map(R)
    read = module._attend(q, (k + level).to(dtype).float(), Values(v), process=process, num_memory_tokens=3)
    grads = torch.autograd.grad(read.sum(), (q, k, v))
    assert all(torch.isfinite(tensor).all() for tensor in (read, *grads))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("parts", [{}, {"rel_pos": "content"}, {"rel_pos": "none"}, {"calcium_exponent": "0.25"},
                                   {"feedback": "bound"}], ids=lambda parts: "-".join(parts.values()) or "default")
@pytest.mark.parametrize("feature_map", ["softmax", "elu"])
@pytest.mark.parametrize("scale", [30., 150., 300.])
def test_rows_of_any_scale_give_numbers_and_gradients(parts, feature_map, scale, dtype):
    """A query of softmax that reads a feature which no key has. Beyond what half precision holds is infinity."""
    torch.manual_seed(1)
    module = Astromorphic(32, 4, 64, biology=BIOLOGY, feature_map=feature_map, **parts).to(dtype)
    x = (scale * torch.randn(3, 64, 32)).to(dtype).requires_grad_()
    y = module(x)
    (y.float() * torch.randn(y.shape)).sum().backward()
    found = (y, x.grad, *(p.grad for p in module.parameters()))
    assert not any(tensor.isnan().any() for tensor in found)
    assert dtype == torch.float16 or all(tensor.isfinite().all() for tensor in found)


def test_the_floor_is_not_felt_above_it():
    """Keys of -40 in every feature sum to more than 1e-18: the result is that of float64 without a floor."""
    torch.manual_seed(0)
    module = Astromorphic(8, 2, 30, biology=BIOLOGY, rel_pos="none", feedback="inverse", calcium_exponent="1")
    q, k, v = (torch.randn(2, 30, 4) - shift for shift in (0., 40., 0.))
    phi_q, phi_k = (torch.where(x > 0, x + 1, x.exp()) for x in (q.double(), k.double()))
    weights = phi_q @ phi_k.transpose(-1, -2)
    exact = weights @ v.double() / weights.sum(-1, keepdim=True) / module.m
    assert relative(module._attend(q, k, Values(v)), exact) < 1e-5


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 7, 7), (1, 33, 65, 20)])
def test_what_a_product_loses_in_rounding(shape, dtype):
    """Product and rest together are as exact as the rounding of the rest, 2**-8 (bfloat16) of 2**-8."""
    batch, rows, width, out = shape
    torch.manual_seed(0)
    x, weight = torch.randn(batch, rows, width).to(dtype), torch.randn(out, width).to(dtype)
    product, exact = torch.nn.functional.linear(x, weight), x.double() @ weight.double().T
    both = product.double() + lost_in_rounding(product, x, weight).double()
    assert relative(product, exact) > 1e-4 and relative(both, exact) < 10 * torch.finfo(dtype).eps ** 2 + 1e-6
