"""Every exchangeable part of the attention against its naive twin, its padding and its derivative; memory in N."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.attention import PARTS
from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.curves import scale_free
from rmaat.attention.feature_map import Elu
from rmaat.attention.kernel import AnyKernel
from rmaat.attention.naive import coupling
from rmaat.attention.projection import Values
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import FromRecord, collect, orphans
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure

# Two float64 sums over at most some hundred terms in another order: a few hundred roundings of 1e-16, on values near 1.
EXACT = {"rtol": 1e-11, "atol": 1e-12}
SCALE, DIFFUSIVE, FITTED = (records.load().entry(entry).constants[name].value for entry, name in (
    ("relative_position", "scale"), ("relative_position_diffusive", "scale"), ("calcium_response_fitted", "exponent")))
K = 3.  # half level of the bound feedback in the record of these tests
EXPONENT = {"record": 1., "1": 1., "0.25": .25, "fitted": FITTED}
CHOICES = [{name: choice} for name in ("feature_map", "calcium_exponent", "feedback", "kernel")
           for choice in PARTS[name]] + [{"feature_map": "softmax", "calcium_exponent": "0.25", "feedback": "bound",
                                          "kernel": "diffusive", "rel_pos": "content"}]


def biology(gaussian=False):
    """The committed record with a large K in its bound feedback, and a diffusive kernel of its own; `gaussian` makes
    both kernels go through the FFT."""
    source = records.load()
    entries = dict(source.entries)
    entries["feedback_bound"] = replace(entries["feedback_bound"], parameters=(),
                                        constants={"K": records.Constant(K, "level of half occupancy")})
    place, far = entries["relative_position"], entries["relative_position_diffusive"]
    entries["relative_position_diffusive"] = replace(far, formula="exp(-2*scale*distance)")
    if gaussian:
        for name, entry in (("relative_position", place), ("relative_position_diffusive", far)):
            entries[name] = replace(entry, formula="exp(-scale*distance*distance/4)")
    return Biology.of(records.make(entries, source.versions))


def build(places=9, width=12, heads=3, gaussian=False, **parts):
    torch.manual_seed(0)
    return Astromorphic(width, heads, places, biology=biology(gaussian), **parts).double()


def names(parts):
    return "-".join(parts.values())


def present(lengths, places, num_memory_tokens):
    return torch.nn.functional.pad(torch.arange(places) < torch.tensor(lengths)[:, None], (0, num_memory_tokens),
                                   value=True)


@pytest.mark.slow
@pytest.mark.parametrize("parts", CHOICES, ids=names)
@pytest.mark.parametrize("size", [0.1, 40.0])
def test_agrees_with_the_naive_twin(parts, size, twin):
    """Large inputs too: queries far below 0 in all features are where a plain elu + 1 would divide 0 by 0."""
    module = build(**parts)
    x = size * torch.randn(3, 11, 12, dtype=torch.float64)
    mask = present([9, 5, 1], 9, 2)
    curves = {"feature_map": parts.get("feature_map", "elu"),
              "exponent": EXPONENT[parts.get("calcium_exponent", "record")],
              "half_level": K if parts.get("feedback") == "bound" else None}
    r = coupling(9, 2 * DIFFUSIVE if parts.get("kernel") == "diffusive" else SCALE)
    for sample, row, here in zip(x, module(x, 2, mask), mask, strict=True):
        slow = twin(module, sample, 2, here, r=r, **curves)
        torch.testing.assert_close(row[here], slow[here], rtol=1e-11, atol=1e-12 * float(slow.detach().abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("parts", CHOICES, ids=names)
@settings(max_examples=10)
@given(data=st.data())
def test_result_does_not_depend_on_the_padding(parts, data):
    module = build(gaussian=data.draw(st.booleans()), **parts)
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    mask = present(lengths, 9, 2)
    clean = torch.randn(len(lengths), 11, 12, dtype=torch.float64)
    dirty = clean.masked_fill(~mask[..., None], data.draw(st.sampled_from([-1e30, 1e300, float("nan"), float("inf")])))
    results = []
    for x in (clean, dirty):
        x.requires_grad_()
        y = module(x, 2, mask)[mask]
        results += [y, *torch.autograd.grad(y.square().sum(), [x, *module.parameters()])]
    half = len(results) // 2
    assert all(torch.equal(a, b) for a, b in zip(results[:half], results[half:], strict=True))
    assert not results[1][~mask].any()  # no gradient into the padding


@pytest.mark.slow
@pytest.mark.parametrize("parts", CHOICES, ids=names)
def test_derivative_is_that_of_finite_differences(parts):
    module = build(places=4, width=4, heads=2, **parts)
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    mask = present([4, 2], 4, 1)
    keys = [name for name, _ in module.named_parameters()]

    def run(x, *parameters):
        return torch.func.functional_call(module, dict(zip(keys, parameters, strict=True)), (x, 1, mask))[mask]

    assert torch.autograd.gradcheck(run, (x, *module.parameters()))


def test_the_feature_map_is_elu_plus_one_without_its_cancellation():
    x = torch.linspace(-15, 30, 999, dtype=torch.float64, requires_grad=True)
    plain = torch.nn.functional.elu(x) + 1
    (slope,) = torch.autograd.grad(plain.sum(), x, retain_graph=True)
    phi = Elu()(x)
    # elu + 1 itself has lost 1e-16/exp(-15), 3e-10, of the smallest values
    torch.testing.assert_close(phi, plain, rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.autograd.grad(phi.sum(), x)[0], slope, rtol=1e-9, atol=0)
    low = torch.tensor([-17., -40., -80.])
    assert torch.nn.functional.elu(low).add(1).tolist()[1:] == [0, 0]
    torch.testing.assert_close(Elu()(low).double(), low.double().exp(), rtol=1e-6, atol=0)  # float32: 6e-8 each


@pytest.mark.parametrize("feature_map", PARTS["feature_map"])
@pytest.mark.parametrize("low", [-17., -60., -500.])
def test_a_query_far_below_zero_is_neither_zero_nor_nan(feature_map, low):
    """exp(-500) is 0 in float64 too: the ratio is still well defined, and found in float32."""
    results = {}
    for dtype in (torch.float32, torch.float64):
        module = build(feature_map=feature_map, feedback="inverse").to(dtype)
        torch.manual_seed(1)
        q = (low + torch.randn(3, 11, 4, dtype=torch.float64)).to(dtype).requires_grad_()
        k, v = (torch.randn(3, 11, 4, dtype=torch.float64).to(dtype) for _ in range(2))
        y = module._attend(q, k, Values(v), num_memory_tokens=2)
        (slope,) = torch.autograd.grad(y.square().sum(), q)
        results[dtype] = y.detach().double(), slope.double()
    for single, double in zip(*results.values(), strict=True):
        assert torch.isfinite(double).all() and (double.abs().amax((-1, -2)) > 0).all()
        # a query near -500 is itself rounded to 3e-5 in float32
        torch.testing.assert_close(single, double, rtol=0, atol=1e-3 * float(double.abs().max()))


def test_only_one_over_calcium_is_scale_free():
    assert scale_free(lambda calcium: 2 / calcium)
    assert not scale_free(lambda calcium: 3 / (3 + calcium)) and not scale_free(lambda calcium: calcium ** -.5)


@pytest.mark.parametrize(("entry", "option"), [
    ("feedback_bound", {"feedback": "bound"}), ("calcium_response_fitted", {"calcium_exponent": "fitted"}),
    ("relative_position_diffusive", {"kernel": "diffusive"})])
def test_a_choice_needs_a_record_with_its_entry(entry, option):
    entries = dict(records.load().entries)
    del entries[entry]
    with pytest.raises(UserError, match=f"no entry '{entry}'; choose record"):
        Astromorphic(12, 3, 9, biology=Biology.of(records.make(entries, {})), **option)


@pytest.mark.parametrize("name", PARTS)
def test_a_config_refuses_an_unknown_part(name):
    with pytest.raises(UserError, match=f"unknown {name} 'x'; choose one of: .*{sorted(PARTS[name])[0]}"):
        ModelConfig(10, 2, 4, 2, **{name: "x"})


@pytest.mark.parametrize("parts", CHOICES, ids=names)
def test_every_choice_reaches_the_network_and_says_where_it_comes_from(parts):
    config = replace(ModelConfig(10, 2, 6, 2, width=8, heads=2), **parts)
    torch.manual_seed(0)
    model = RMAAT(config, biology())
    assert orphans(model) == []
    found = {(item.module, item.name): item for item in collect(model)}
    for name, key in (("calcium_exponent", "calcium_response"), ("feedback", "feedback")):
        origin = found["blocks.0.attention", key].origin
        named = parts.get(name, "record")
        assert isinstance(origin, FromRecord) == (named in ("record", "bound", "fitted"))
    near = found["blocks.0.attention.rel_pos.kernel", "near"].origin
    assert near.entry == PARTS["kernel"][parts.get("kernel", "record")]
    tokens, lengths = torch.arange(10).repeat(2, 1), torch.tensor([10, 7])
    assert torch.equal(copy.deepcopy(model)(tokens, lengths), model(tokens, lengths))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [{"rel_pos": "positional"}, {"rel_pos": "content"}, {"rel_pos": "none"},
                                   {"rel_pos": "content", "gaussian": True}, {"feature_map": "softmax"}], ids=str)
def test_peak_bytes_are_linear_in_the_number_of_tokens(parts):
    """Forward and backward; an N x N matrix of float64 at N = 4,096 alone would be 134 MB."""
    peaks = []
    for places in (1024, 2048, 4096):
        module, x = build(places=places, width=8, heads=2, **parts), torch.randn(1, places + 2, 8, dtype=torch.float64)
        peaks.append(measure(lambda module=module, x=x: module(x, 2).sum().backward()))
    # exactly linear but for what does not grow (the state, a block of the kernel)
    assert peaks[2] - peaks[1] <= 2.05 * (peaks[1] - peaks[0])
    assert peaks[2] < 4096 * 4096 * 8 / 4


def test_the_gaussian_kernel_takes_the_fft():
    assert isinstance(build(gaussian=True).rel_pos.kernel, AnyKernel)


def test_for_the_calcium_of_a_network_the_bound_feedback_is_the_papers():
    """K/(K+C) is K/C but for the share K/C, and the initial scale takes up K: at K = 0.05 and C of some hundreds a new
    layer gives the same to 1e-3 of its size."""
    results = []
    for feedback in ("inverse", "bound"):
        torch.manual_seed(0)
        module = Astromorphic(32, 1, 12, biology=Biology.load(), feedback=feedback).double()
        torch.manual_seed(1)
        results.append(module(torch.randn(3, 16, 32, dtype=torch.float64), 4))
    assert not torch.equal(*results)
    assert (results[0] - results[1]).abs().max() < 1e-3 * results[0].abs().max()
