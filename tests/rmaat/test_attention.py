"""The fast attention against its naive twin, its padding, its derivative, its precision."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.attention import ATTENTION
from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.kernel import AnyKernel, ExponentialKernel, position_kernel, smooth
from rmaat.attention.naive import coupling
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology.biology import Biology, Curve

# Two float64 sums over at most some hundred terms in another order: a few hundred roundings of 1e-16, on values near 1.
EXACT = {"rtol": 1e-11, "atol": 1e-12}

SCALE = records.load().entry("relative_position").constants["scale"].value
PLAIN = {"calcium_response": "drive", "feedback": "1/calcium"}
BOUND = {"calcium_response": "drive**0.25", "feedback": "0.5/(0.5+calcium)"}
VARIANTS = [("softmax", "none"), ("linear", "none"), *(("astromorphic", rel_pos) for rel_pos in REL_POS)]
GAUSSIAN = {"relative_position": "exp(-distance*distance/50)"}
CURVES = {str(BOUND): {"exponent": .25, "half_level": .5}}  # what the naive twin is told of the formulas


def biology(**formulas):
    """The committed record with some formulas exchanged."""
    source = records.load()
    entries = dict(source.entries)
    for name, formula in formulas.items():
        entries[name] = replace(entries[name], formula=formula)
    return Biology.of(records.make(entries, source.versions))


def build(kind="astromorphic", width=12, heads=3, places=63, rel_pos="positional", record=PLAIN):
    torch.manual_seed(0)
    options = {"rel_pos": rel_pos} if "rel_pos" in ATTENTION[kind].reads else {}
    return ATTENTION[kind](width, heads, places, biology=biology(**record), **options).double()


def gaussian(places):
    place = torch.arange(places, dtype=torch.float64)
    return torch.exp(-(place[:, None] - place).square() / 50)


def lengths_mask(lengths, places, num_memory_tokens):
    tokens = torch.arange(places) < torch.tensor(lengths)[:, None]
    return torch.nn.functional.pad(tokens, (0, num_memory_tokens), value=True)


@pytest.mark.slow
@pytest.mark.parametrize("rel_pos", REL_POS)
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("record", [PLAIN, BOUND, GAUSSIAN], ids=["plain", "bound", "gaussian"])
def test_agrees_with_the_naive_twin(rel_pos, heads, record, twin):
    module, num_memory_tokens = build(heads=heads, rel_pos=rel_pos, record=record), 3
    x = torch.randn(3, 63 + num_memory_tokens, 12, dtype=torch.float64)
    mask = lengths_mask([63, 40, 0], 63, num_memory_tokens)
    fast = module(x, num_memory_tokens, mask)
    r = gaussian(63) if record is GAUSSIAN else coupling(63, SCALE)
    for sample, row, present in zip(x, fast, mask, strict=True):
        slow = twin(module, sample, num_memory_tokens, present, r=r, **CURVES.get(str(record), {}))
        torch.testing.assert_close(row[present], slow[present], **EXACT)


@pytest.mark.parametrize(("rows", "num_memory_tokens"), [(1, 0), (1, 1), (17, 4), (63, 0)])
def test_short_segments_and_no_mask_agree_with_the_naive_twin(rows, num_memory_tokens, twin):
    module = build()
    x = torch.randn(1, rows + num_memory_tokens, 12, dtype=torch.float64)
    slow = twin(module, x[0], num_memory_tokens, None, r=coupling(63, SCALE))
    torch.testing.assert_close(module(x, num_memory_tokens)[0], slow, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rel_pos"), VARIANTS)
@settings(max_examples=25)
@given(data=st.data())
def test_result_does_not_depend_on_the_padding(kind, rel_pos, data):
    module = build(kind, places=9, rel_pos=rel_pos)
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    anything = st.sampled_from([0.0, -1e30, 1e300, float("nan"), float("inf")])
    mask = lengths_mask(lengths, 9, 2)
    clean = torch.randn(len(lengths), 11, 12, dtype=torch.float64)
    dirty = clean.masked_fill(~mask[..., None], data.draw(anything))
    results, gradients = [], []
    for x in (clean, dirty):
        y = module(x, 2, mask)[mask]
        results.append(y)
        gradients.append(torch.autograd.grad(y.square().sum(), list(module.parameters()), allow_unused=True))
    assert torch.equal(*results)
    for a, b in zip(*gradients, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize(("kind", "rel_pos"), VARIANTS)
def test_padding_a_segment_changes_nothing(kind, rel_pos):
    module = build(kind, places=9, rel_pos=rel_pos)
    x = torch.randn(1, 7, 12, dtype=torch.float64)  # 5 tokens, 2 memory tokens
    padded = torch.cat([x[:, :5], torch.randn(1, 4, 12, dtype=torch.float64), x[:, 5:]], 1)
    result = module(padded, 2, lengths_mask([5], 9, 2))
    torch.testing.assert_close(torch.cat([result[:, :5], result[:, 9:]], 1), module(x, 2), **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rel_pos"), VARIANTS[1:])
@pytest.mark.parametrize("record", [PLAIN, BOUND], ids=["plain", "bound"])
def test_derivative_is_that_of_finite_differences(kind, rel_pos, record):
    module = build(kind, width=4, heads=2, places=5, rel_pos=rel_pos, record=record)
    x = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    mask = lengths_mask([5, 3], 5, 1)
    names = [name for name, _ in module.named_parameters()]

    def run(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x, 1, mask))[mask]

    assert torch.autograd.gradcheck(run, (x, *module.parameters()))


def test_without_astrocytes_it_is_normalised_linear_attention():
    """E5.4 with alpha = 1 and H_astro = 0, up to the paper's 1/m, which the output projection's start undoes."""
    module, linear = build(rel_pos="none"), build("linear")
    with torch.no_grad():
        linear.qkv.weight.copy_(module.qkv.weight)
        linear.project.weight.copy_(module.project.weight / module.m)
    x = torch.randn(2, 66, 12, dtype=torch.float64)
    torch.testing.assert_close(module(x, 3), linear(x, 3), **EXACT)
    assert module.initial_scale == pytest.approx(module.m, rel=1e-12)


def test_memory_tokens_take_no_part_in_the_astrocytic_write():
    module = build(rel_pos="positional")
    x = torch.randn(1, 66, 12, dtype=torch.float64)
    with_rows = module(x, 66)  # all rows are memory tokens: no place on the line
    with torch.no_grad():
        module.rel_pos.rows.add_(1)
    assert torch.equal(module(x, 66), with_rows)
    assert not torch.allclose(module(x, 3), with_rows)


@pytest.mark.parametrize("places", [1, 2, 61, 63, 64, 65, 200, 211])
@pytest.mark.parametrize("record", [PLAIN, GAUSSIAN], ids=["exponential", "gaussian"])
def test_kernel_is_the_product_with_the_matrix(places, record):
    bio = biology(**record)
    kernel = position_kernel(bio, places).double()
    assert isinstance(kernel, ExponentialKernel if record is PLAIN else AnyKernel)
    place = torch.arange(places, dtype=torch.float64)
    matrix = bio.relative_position((place[:, None] - place).abs())
    signal = torch.randn(2, places, 3, dtype=torch.float64)
    torch.testing.assert_close(kernel(signal), matrix @ signal, **EXACT)
    for shorter in {1, places // 2 + 1, places}:
        part = signal[:, :shorter]
        torch.testing.assert_close(kernel(part), matrix[:shorter, :shorter] @ part, **EXACT)


def test_an_fft_of_any_line_has_a_length_that_it_is_fast_for():
    """Twice a large prime is what is slow: the ring is then longer by little, and never shorter than the line twice."""
    for places in (*range(1, 130), 1021, 4099, 65_521):
        longer = rest = smooth(places)
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        assert rest == 1
        assert places <= longer <= 1.1 * places + 1
    assert len(position_kernel(biology(**GAUSSIAN), 1021).spectrum) == smooth(1021) + 1 == 1025


@pytest.mark.parametrize("places", [64 * 64 + 1, 9000])
def test_long_lines_pass_their_carries_on(places):
    """More than one group of blocks, held against the FFT; a slow decay, so that the carries reach far."""
    entry = records.load().entries["relative_position"]
    curve = Curve("relative_position", replace(entry, formula="exp(-distance/1000)"))
    signal = torch.randn(2, places, 3, dtype=torch.float64, requires_grad=True)
    found, expected = (kernel(curve, places).double()(signal) for kernel in (ExponentialKernel, AnyKernel))
    # sums of some thousand terms near 1 in another order
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-10)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), signal)[0] for y in (found, expected)),
                               rtol=1e-11, atol=1e-7)


def test_kernel_memory_does_not_grow_with_the_square_of_the_places():
    sizes = {places: sum(b.numel() for b in position_kernel(biology(), places).buffers()) for places in (64, 4096)}
    assert sizes[4096] == sizes[64]


@pytest.mark.parametrize(("kind", "rel_pos"), VARIANTS[1:])
def test_autocast_keeps_sums_finite(kind, rel_pos):
    """In bfloat16 the inputs carry 8 bits; the sums over 2,048 tokens must not lose more than the inputs did."""
    module = build(kind, width=16, heads=2, places=2048, rel_pos=rel_pos)
    x = torch.randn(1, 2052, 16, dtype=torch.float64)
    exact = module(x, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = module.float()(x.float(), 4)
    # 2**-8 a rounding, three half-precision products in a row; measured .006 to .01.
    assert (half - exact).norm() / exact.norm() < .03


def test_heads_must_divide_the_width():
    with pytest.raises(UserError, match="heads = 5 does not divide width = 12"):
        Astromorphic(12, 5, 8, biology=biology())
    with pytest.raises(UserError, match="choose one of: content, none, positional"):
        Astromorphic(12, 3, 8, biology=biology(), rel_pos="relative")


def test_shapes_in_signatures_are_checked_in_tests():
    with pytest.raises(Exception, match=r"(?s)Type-check error.*batch rows width"):
        build()(torch.randn(66, 12, dtype=torch.float64), 3)
