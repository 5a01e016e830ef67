"""Local mixing: each kind against a naive twin over the whole sequence, whatever the segments; exact in every pass."""

import dataclasses
import math

import pytest
import torch

from derivation.record import record as records
from foundation.errors import UserError
from rmaat import RMAAT, Biology, ModelConfig
from rmaat.model.convolution_2d import Convolution2d
from rmaat.model.mixing import FACTORS, MIXING, MODULUS, ORDERS, SHIFT, SLOTS, Convolution, Field, Ngrams, Sides, Window

BIOLOGY = Biology.load()
MU = math.exp(-BIOLOGY.curves["relative_position"].constants["scale"])
SMALL = ModelConfig(20, 3, 7, 5, width=6, heads=2, num_memory_tokens=3)
IMAGE = {"segment_length": 12, "num_segments": 3}  # 6 x 6 pixels, two rows a segment
EXACT = {"rtol": 1e-12, "atol": 1e-13}  # sums of some tens of float64 numbers of size 1


def build(**fields):
    torch.manual_seed(0)
    sizes = IMAGE if fields.get("mixing") == "convolution_2d" else {}
    model = RMAAT(dataclasses.replace(SMALL, **sizes | fields), BIOLOGY).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from silent
    return model


def tokens_of(length, batch=3):
    return torch.randint(20, (batch, length), generator=torch.Generator().manual_seed(length))


def mixed(mixing, x, size, tokens=None):
    """All segments of `size` places one after the other, from nothing."""
    carried, parts = x.new_zeros(len(x), mixing.rows, x.shape[2]), []
    for start in range(0, x.shape[1], size):
        line = None
        if tokens is not None:
            before = torch.full((len(x), mixing.reach), -1)
            whole = torch.cat([before, tokens], 1)
            line = whole[:, start:start + mixing.reach + size]
        part, carried = mixing(x[:, start:start + size], carried, None, line)
        parts.append(part)
    return torch.cat(parts, 1)


def learned(mixing, neighbourhood):
    """x + out(gelu(taps(...))), one token at a time."""
    x = neighbourhood[0]
    rows = []
    for i in range(x.shape[0]):
        hidden = mixing.taps.weight @ torch.cat([part[i] for part in neighbourhood]) + mixing.taps.bias
        gelu = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        rows.append(x[i] + mixing.out.weight @ gelu + mixing.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize(("length", "size"), [(23, 7), (7, 7), (1, 7), (150, 70), (140, 65), (33, 33), (64, 40)])
def test_the_field_is_two_sums_over_distances(length, size):
    """The left side over all tokens so far, the right side over the segment's own: written out pair by pair."""
    torch.manual_seed(1)
    mixing, x = Field(5, size, vocab_size=20, biology=BIOLOGY).double(), torch.randn(2, length, 5, dtype=torch.float64)
    unit = (1 - MU) / MU
    for sample, result in zip(x, mixed(mixing, x, size), strict=True):
        left, right = torch.zeros_like(sample), torch.zeros_like(sample)
        for i in range(length):
            for j in range(length):
                if j < i:
                    left[i] += unit * MU ** (i - j) * sample[j]
                if j > i and j // size == i // size:
                    right[i] += unit * MU ** (j - i) * sample[j]
        torch.testing.assert_close(result, learned(mixing, [sample, left, right]), **EXACT)


def test_the_weights_of_a_side_are_one():
    sides = Sides(BIOLOGY.curves["relative_position"], 300).double()
    left, right, _ = sides(torch.ones(1, 300, 2, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.float64))
    assert left[0, -1, 0] == pytest.approx(1, abs=1e-12)  # mu^299 is left out
    assert right[0, 0, 1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("length", "size"), [(23, 7), (1, 3), (10, 1), (9, 2), (64, 40)])
def test_the_convolution_is_one_line_cut_on_the_right(length, size):
    torch.manual_seed(2)
    mixing = Convolution(4, size, vocab_size=20, biology=BIOLOGY).double()
    x = torch.randn(2, length, 4, dtype=torch.float64)
    for sample, result in zip(x, mixed(mixing, x, size), strict=True):
        def at(i, j, sample=sample):
            """Token j as token i sees it: nobody outside the line, and on the right nobody of the next segment."""
            seen = 0 <= j < length and (j <= i or j // size == i // size)
            return sample[j] if seen else torch.zeros(4, dtype=torch.float64)

        around = [torch.stack([at(i, i + k) for i in range(length)]) for k in (0, -2, -1, 1, 2)]
        torch.testing.assert_close(result, learned(mixing, around), **EXACT)


def row_of(ngram):
    """The table's row of an n-gram, most recent token first, in Python's whole numbers."""
    code = 0
    for token in ngram:
        code = (code * FACTORS[0] + (token + 1) * FACTORS[1]) % MODULUS
    for factor in reversed(FACTORS):
        code = (code ^ code >> SHIFT) * factor % MODULUS
    return code * SLOTS // MODULUS + ORDERS.index(len(ngram)) * SLOTS


@pytest.mark.parametrize(("length", "size"), [(23, 7), (1, 3), (10, 1), (9, 2)])
def test_ngrams_are_looked_up_by_the_tokens_that_end_here(length, size):
    torch.manual_seed(3)
    mixing, tokens = Ngrams(4, size, vocab_size=20, biology=BIOLOGY).double(), tokens_of(length, 2)
    x = torch.randn(2, length, 4, dtype=torch.float64)
    expected = x.clone()
    for b in range(2):
        line = [-1] * 4 + tokens[b].tolist()
        for i in range(length):
            for order in ORDERS:
                expected[b, i] += mixing.table.weight[row_of(line[i + 5 - order:i + 5][::-1])]
    torch.testing.assert_close(mixed(mixing, x, size, tokens), expected, **EXACT)


@pytest.mark.parametrize(("length", "size", "vocab_size"), [(23, 7, 20), (1, 3, 1), (150, 70, 256)])
def test_a_window_sees_the_tokens_before_as_numbers(length, size, vocab_size):
    torch.manual_seed(5)
    mixing = Window(4, size, vocab_size=vocab_size, biology=BIOLOGY).double()
    tokens = torch.randint(vocab_size, (2, length), generator=torch.Generator().manual_seed(5))
    x, level = torch.randn(2, length, 4, dtype=torch.float64), max(1, vocab_size - 1)
    for sample, line, result in zip(x, tokens.tolist(), mixed(mixing, x, size, tokens), strict=True):
        for i in range(length):
            seen = [4 * line[j] / level - 2 * (vocab_size - 1) / level if j >= 0 else 0. for j in range(i - 66, i + 1)]
            hidden = mixing.taps.weight @ torch.tensor(seen, dtype=torch.float64) + mixing.taps.bias
            expected = sample[i] + mixing.out.weight @ (hidden * (1 + torch.erf(hidden / 2**.5)) / 2) + mixing.out.bias
            torch.testing.assert_close(result[i], expected, **EXACT)


@pytest.mark.parametrize(("row", "length", "size"), [(6, 36, 12), (6, 36, 24), (5, 25, 20), (5, 23, 10), (2, 3, 4),
                                                     (1, 1, 2), (4, 5, 8)])
def test_convolutions_see_an_image_whose_rows_the_tokens_are(row, length, size):
    """The whole image at once, cell by cell and tap by tap; a segment is whole rows of cells, so it cuts nothing."""
    torch.manual_seed(6)
    width, options = 3, {"vocab_size": 20, "biology": BIOLOGY}
    mixing = Convolution2d(width, size, row_length=row, **options).double()
    tokens, x = tokens_of(length, 2), torch.randn(2, length, width, dtype=torch.float64)
    columns = (row + 1) // 2
    with torch.no_grad():
        for parameter in mixing.parameters():
            parameter.mul_(1.5)
        for line, sample, result in zip(tokens.tolist(), x, mixed(mixing, x, size, tokens), strict=True):
            def pixel(r, c, line=line):
                at = r * row + c
                return 4 * line[at] / 19 - 2 if r >= 0 and 0 <= c < row and at < length else 0.

            cells = {(r, c): mixing.cells.bias + sum(
                mixing.cells.weight[:, 0, i, j] * pixel(2 * r - 2 + i, 2 * c - 1 + j)
                for i in range(4) for j in range(4))
                for r in range(-(-length // (2 * row))) for c in range(columns)
                if 2 * r * row + 2 * c < length}  # the first of its four pixels is there
            for layer in mixing.layers:
                signal = {at: torch.nn.functional.gelu(layer.norm(cell)) for at, cell in cells.items()}
                cells = {(r, c): cell + layer.conv.bias + sum(
                    layer.conv.weight[:, :, i, j] @ signal[r - 2 + i, c - 1 + j] for i in range(3) for j in range(3)
                    if (r - 2 + i, c - 1 + j) in signal) for (r, c), cell in cells.items()}
            found = {at: mixing.out(torch.nn.functional.gelu(mixing.norm(cell))) for at, cell in cells.items()}
            expected = [sample[i] + found[i // row // 2, i % row // 2] for i in range(length)]
            torch.testing.assert_close(result, torch.stack(expected), rtol=1e-10, atol=1e-11)


def test_ngrams_spread_over_their_tables():
    """As many different rows as chance gives: 20,000 random n-grams on 16,384 rows leave 1/e^(20000/16384) empty."""
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(256, (20_000, 5), generator=generator)
    for order, rows in zip(ORDERS, Ngrams(4, 1, vocab_size=20, biology=BIOLOGY).rows_of(tokens), strict=True):
        used = len(rows.unique())
        grams = len({tuple(row) for row in tokens[:, 5 - order:].tolist()})
        expected = SLOTS * (1 - math.exp(-grams / SLOTS))
        assert abs(used - expected) < 5 * math.sqrt(expected * math.exp(-grams / SLOTS))  # five standard deviations
        assert rows.min() >= (order - 2) * SLOTS and rows.max() < (order - 1) * SLOTS


CASES = [{"mixing": mixing, "head": head, "readout": readout} for mixing in MIXING for head, readout in (
    ("both", "last"), ("features", "pooled"), ("both", "largest"), ("features", "ends"), ("memory", "last"))]


@pytest.mark.slow
@pytest.mark.parametrize("fields", CASES, ids=lambda fields: "-".join(fields.values()))
def test_amrb_is_bptt_a_sample_is_alone_and_a_stream_says_the_same(fields):
    tokens, lengths = tokens_of(33), torch.tensor([33, 15, 4])
    results = {}
    for gradient in ("bptt", "amrb", "checkpointed"):
        model = build(gradient=gradient, **fields)
        logits = model(tokens, lengths)
        logits.square().sum().backward()
        results[gradient] = [logits, *(parameter.grad for parameter in model.parameters())]
    for gradient in ("amrb", "checkpointed"):
        for ours, theirs in zip(results[gradient], results["bptt"], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    for sample, length in enumerate(lengths):
        alone = model(tokens[sample:sample + 1, :length])
        torch.testing.assert_close(alone, logits[sample:sample + 1], **EXACT)
        for portions in ([1, 2, 30], [7, 7, 19], [33]):
            stream, fed = model.stream(1, model.config.num_segments), 0
            for n in portions:
                stream.feed(tokens[sample:sample + 1, fed:min(fed + n, int(length))])
                fed += n
            torch.testing.assert_close(stream.answer(), alone, **EXACT)


@pytest.mark.parametrize("mixing", [name for name in MIXING if name != "none"])
def test_a_token_of_the_segment_before_is_seen_and_a_reset_memory_sees_none(mixing):
    """The last token of segment 1 changes what is mixed into the first of segment 2; only what comes with the
    segment's tokens is seen where the memory is reset."""
    for retention, seen in (("accumulate", True), ("reset", mixing in ("ngrams", "window", "convolution_2d"))):
        model = build(mixing=mixing, head="features", retention=retention)
        size = model.config.segment_length
        tokens = tokens_of(2 * size, 1)
        other = tokens.clone()
        other[0, size - 1] = (tokens[0, size - 1] + 1) % 20
        assert torch.equal(model(tokens), model(other)) != seen


def test_the_head_reads_what_it_says():
    for head, sizes in (("both", 4), ("features", 1), ("memory", 3)):
        assert build(head=head).head.weight.shape == (3, 6 * sizes)
    model = build(head="memory")
    ran = []
    model.step = lambda *given: ran.append(given)
    model(tokens_of(20))
    assert ran == []  # no segment's features are computed


@pytest.mark.parametrize(("fields", "message"), [
    ({"mixing": "x"}, "unknown mixing 'x'"), ({"head": "x"}, "unknown head 'x'"),
    ({"mixing": "ngrams", "vocab_size": 0}, "mixing = ngrams reads tokens, and vocab_size = 0 has none; choose one of: "
                                            "convolution, field, none"),
    ({"mixing": "convolution_2d", "segment_length": 7, "num_segments": 5},
     "mixing = convolution_2d takes the longest sequence to be a square image in row order, and segment_length * "
     "num_segments = 35 is no square"),
    ({"mixing": "convolution_2d", "segment_length": 9, "num_segments": 4},
     "in cells of 2 rows of 6; segment_length = 9 is not a multiple of 12"),
    ({"mixing": "convolution_2d", "causal": True, "rel_pos": "none", "kernel": "record"},
     "mixing = convolution_2d sees what comes after a token"),
    ({"head": "memory", "readout": "pooled"}, "readout = pooled: head = memory reads no readout"),
    ({"head": "memory", "num_memory_tokens": 0, "retention": "none"}, "leaves it nothing to read; choose features"),
    ({"rel_pos": "none", "kernel": "diffusive"}, "kernel = diffusive: rel_pos = none reads no kernel"),
    ({"output": "tokens", "head": "features"}, "head = features: output = tokens reads no head")])
def test_what_has_no_effect_is_refused(fields, message):
    with pytest.raises(UserError) as raised:
        build(**fields)
    assert message in str(raised.value)


def test_the_field_reads_the_kernel_that_is_chosen():
    """With rel_pos = none the kernel still is the field's; another parameter set's length moves what it holds."""
    source = records.load()
    entry = source.entries["relative_position_diffusive"]
    longer = dataclasses.replace(entry, constants={"scale": dataclasses.replace(entry.constants["scale"], value=.2)})
    biology = Biology.of(records.make({**source.entries, "relative_position_diffusive": longer}, source.versions))
    model = RMAAT(dataclasses.replace(SMALL, mixing="field", rel_pos="none", kernel="diffusive"), biology)
    assert float(model.mixing.sides.tail[-2]) == pytest.approx(math.exp(-.2), rel=1e-6)


def test_a_coupling_without_a_state_is_refused():
    source = records.load()
    entry = dataclasses.replace(source.entries["relative_position"], formula="1/(1 + scale*distance)")
    biology = Biology.of(records.make({**source.entries, "relative_position": entry}, source.versions))
    with pytest.raises(UserError, match="mixing = field needs an exponential coupling"):
        RMAAT(dataclasses.replace(SMALL, mixing="field"), biology)


def test_vectors_in_the_place_of_tokens_have_no_ngrams():
    with pytest.raises(UserError, match="mixing = ngrams reads tokens, given are inputs_embeds"):
        build(mixing="ngrams")(inputs_embeds=torch.zeros(1, 3, 6, dtype=torch.float64))
