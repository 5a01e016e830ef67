"""The whole network: ragged batches, padding, bad input, and that its memory is what answers `recall`."""


import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from foundation.errors import ResourceError, UserError
from rmaat.attention import ATTENTION
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT
from rmaat.model.readout import READOUT

BIOLOGY = Biology.load()
SMALL = {"vocab_size": 20, "num_classes": 3, "segment_length": 5, "num_segments": 4, "width": 8, "heads": 2,
         "num_memory_tokens": 2}
# float64, sums over a few hundred terms in another order
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(ModelConfig(**(SMALL | fields)), BIOLOGY).double().eval()


VARIANTS = [{"attention": a, "rel_pos": r, "readout": o, "retention": m} for a, r, o, m in [
    ("astromorphic", "positional", "last", "accumulate"), ("astromorphic", "content", "pooled", "leaky"),
    ("astromorphic", "none", "last", "geometric"), ("linear", "none", "pooled", "multiply"),
    ("softmax", "none", "last", "none"), ("softmax", "none", "pooled", "reset")]]


@pytest.mark.slow
@pytest.mark.parametrize("fields", VARIANTS, ids=lambda fields: "-".join(fields.values()))
@settings(max_examples=15)
@given(data=st.data())
def test_a_sample_does_not_see_its_batch_or_its_padding(fields, data):
    """Alone and unpadded, or in a batch with anything in the padding, even tokens out of vocabulary: one answer."""
    model = build(**fields)
    lengths = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    width = max(lengths) + data.draw(st.integers(0, 3))
    tokens = torch.tensor(data.draw(st.lists(st.lists(st.integers(0, 19), min_size=width, max_size=width),
                                             min_size=len(lengths), max_size=len(lengths))))
    padding = torch.arange(width) >= torch.tensor(lengths)[:, None]
    tokens = tokens.masked_fill(padding, data.draw(st.sampled_from([0, 7, -1, 999])))
    together = model(tokens, torch.tensor(lengths))
    for sample, length, logits in zip(tokens, lengths, together, strict=True):
        alone = model(sample[None, :length], torch.tensor([length]))
        torch.testing.assert_close(alone[0], logits, **EXACT)


@pytest.mark.parametrize("retention", RETENTION)
def test_a_segment_of_padding_leaves_the_memory_unchanged(retention):
    model = build(retention=retention)
    segments = model.cut(torch.arange(20).repeat(2, 1), torch.tensor([20, 5]))
    _, before = model.step(segments[0], model.start(2))
    _, after = model.step(segments[1], before)
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])


def test_segments_of_a_batch():
    tokens = torch.arange(1, 14).repeat(2, 1)
    segments = build().cut(tokens, torch.tensor([13, 6]))
    assert [(x.shape[1], t) for x, _, t, *_ in segments] == [(5, 1), (5, 2), (3, 3)]
    assert segments[0][1] is None
    assert segments[1][1].sum(1).tolist() == [5, 1]
    assert segments[1][0][1].tolist() == [6, 0, 0, 0, 0]
    assert torch.cat([segment.tokens for segment in segments], 1)[0].tolist() == tokens[0].tolist()


@pytest.mark.parametrize("length", [1, 4, 5, 6, 20])
@pytest.mark.parametrize("size", [1, 3])
def test_any_length_and_any_last_batch(length, size):
    logits = build()(torch.zeros(size, length, dtype=torch.long), torch.full((size,), length))
    assert logits.shape == (size, 3) and torch.isfinite(logits).all()


@pytest.mark.parametrize("readout", READOUT)
def test_readout_against_its_definition(readout):
    torch.manual_seed(0)
    lengths, outs = torch.tensor([13, 6, 5]), torch.randn(3, 3, 4, dtype=torch.float64)
    expected = {"last": [outs[2, 0] / 3, outs[1, 1] / 1, outs[0, 2] / 5],
                "pooled": [outs[:, 0].sum(0) / 13, outs[:, 1].sum(0) / 6, outs[:, 2].sum(0) / 5],
                "largest": [outs[:, b].max(0).values for b in range(3)],
                "by_segment": [torch.cat([*outs[:, b], torch.zeros(4)]) for b in range(3)],
                "ends": [torch.cat([outs[0, b, :2], outs[2 - b, b, 2:]]) for b in range(3)]}[readout]
    kind = READOUT[readout](5, 4)
    torch.testing.assert_close(kind(list(outs), lengths), torch.stack(expected), **EXACT)
    assert kind.vectors(4) * (2 if readout == "ends" else 4) == len(expected[0])  # of width 2: a first and a last one


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_by_segment_gathers_the_mean_of_each_part_over_the_tokens_that_are_there(parts):
    """Against a loop over places, in segments of 6 that are cut to 5, padded, and empty."""
    torch.manual_seed(0)
    features, lengths = torch.randn(4, 5, 3, dtype=torch.float64), torch.tensor([5, 4, 1, 0])
    mask = torch.arange(5) < lengths[:, None]
    kind = READOUT["by_segment"](6, 2, parts)

    def mean(sample, part, length):
        found = [features[sample, place] for place in range(length) if place // (6 // parts) == part]
        return sum(found) / len(found) if found else torch.zeros(3)

    expected = [torch.cat([mean(b, part, n) for part in range(parts)]) for b, n in enumerate(lengths.tolist())]
    torch.testing.assert_close(kind.gather(features, mask), torch.stack(expected), **EXACT)
    whole = [torch.cat([mean(b, part, 5) for part in range(parts)]) for b in range(4)]
    torch.testing.assert_close(kind.gather(features, None), torch.stack(whole), **EXACT)
    assert kind.vectors(2) == 2 * parts and kind([kind.gather(features, None)], lengths).shape == (4, 6 * parts)


@pytest.mark.parametrize("parts", [1, 2, 4, 6])
def test_ends_gather_the_first_and_the_last_tokens_that_are_there(parts):
    """Against lists, in segments of 6 that are cut to 5, padded, and empty."""
    torch.manual_seed(0)
    features, lengths = torch.randn(4, 5, 3, dtype=torch.float64), torch.tensor([5, 4, 1, 0])
    kind, nothing = READOUT["ends"](6, 2, parts), torch.zeros(parts, 3, dtype=torch.float64)

    def of(sample, length):
        there = features[sample, :length]
        return torch.cat([torch.cat([there, nothing])[:parts], torch.cat([nothing, there])[-parts:]]).flatten()

    mask = torch.arange(5) < lengths[:, None]
    expected = torch.stack([of(b, n) for b, n in enumerate(lengths.tolist())])
    assert torch.equal(kind.gather(features, mask), expected)
    assert torch.equal(kind.gather(features, None), torch.stack([of(b, 5) for b in range(4)]))
    assert kind.vectors(2) == 2 * parts and expected.shape == (4, 6 * parts)
    assert kind.segments(torch.tensor([31, 6, 13])) == {1, 3, 6}


def test_ends_of_a_whole_sequence_are_those_of_its_first_and_its_own_last_segment():
    """Without layers between, of features that are the tokens themselves: 3 tokens at the end of segments of 5."""
    kind, tokens = READOUT["ends"](5, 4, 3), torch.arange(1., 61).reshape(3, 20, 1)
    lengths = torch.tensor([20, 11, 4])
    mask = torch.arange(20) < lengths[:, None]
    read = kind.segments(lengths)
    outs = [kind.gather(tokens[:, 5 * t:5 * t + 5], mask[:, 5 * t:5 * t + 5]) if t + 1 in read else None
            for t in range(4)]
    assert outs[1] is None
    assert kind(outs, lengths).tolist() == [[1, 2, 3, 18, 19, 20], [21, 22, 23, 0, 0, 31], [41, 42, 43, 42, 43, 44]]


@pytest.mark.parametrize(("options", "message"), [
    ({"readout": "ends", "readout_parts": 6}, r"readout_parts = 6 with readout = ends: .*segment_length = 5"),
    ({"readout": "by_segment", "readout_parts": 4}, r"readout_parts = 4 does not divide segment_length = 5"),
    ({"readout_parts": 5}, r"readout_parts = 5: readout = last reads no readout_parts"),
    ({"readout": "by_segment", "readout_parts": 0}, r"readout_parts = 0: must be a whole number of at least 1"),
    ({"readout": "by_segment", "readout_parts": 5, "head": "memory"}, "head = memory reads no readout")])
def test_parts_that_cannot_be_or_that_nothing_reads_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_what_stood_in_which_segment_is_told_by_segment_alone():
    """Two samples with the same segments in another order, without retention: the mean is one, by segment it is not."""
    tokens = torch.arange(20).reshape(4, 5)
    both = torch.stack([tokens.flatten(), tokens.flip(0).flatten()])
    for readout, apart in (("pooled", False), ("by_segment", True)):
        model = build(readout=readout, head="features", retention="reset")
        first, second = model(both)
        assert torch.allclose(first, second, rtol=0, atol=1e-12 if first.dtype == torch.float64 else 1e-5) is not apart
    short = model(both[:, :7])
    torch.testing.assert_close(short, model(both, torch.tensor([7, 7])), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("tokens", "lengths", "message"), [
    ([[3, 20]], [2], "token 20 is out of vocabulary; vocab_size = 20 allows 0 to 19"),
    ([[3, -1]], [2], "token -1 is out of vocabulary"),
    ([[3, 4]], [0], "lengths run from 0 to 0; allowed are 1 to 2"),
    ([[3, 4]], [3], "lengths run from 3 to 3; allowed are 1 to 2"),
    ([[3] * 21], [21], "a sequence of 21 tokens does not fit num_segments = 4"),
    ([[]], [0], "at least one sequence of at least one token"),
])
def test_bad_input_is_refused(tokens, lengths, message):
    with pytest.raises(UserError, match=message):
        build()(torch.tensor(tokens, dtype=torch.long), torch.tensor(lengths))


@pytest.mark.parametrize(("tokens", "lengths", "message"), [
    (torch.zeros(3, 4).long(), torch.tensor([4]), r"lengths has the shape \(1,\) .*; give int64 of shape \[batch\]"),
    (torch.zeros(1, 4).long(), torch.tensor([4, 2]), r"lengths has the shape \(2,\)"),
    (torch.zeros(2, 4).long(), torch.tensor([4., 2.]), r"lengths has .* type torch.float32"),
    (torch.zeros(2, 4), torch.tensor([4, 2]), r"tokens has .* type torch.float32; give int64"),
    (torch.zeros(4).long(), torch.tensor([4]), r"tokens has the shape \(4,\) .* of shape \[batch, length\]")])
def test_tensors_of_another_shape_or_type_are_refused(tokens, lengths, message, shapes_unchecked):
    """One length for a batch of three would otherwise count for all of them."""
    with pytest.raises(UserError, match=message):
        build()(tokens, lengths)


@pytest.mark.parametrize(("fields", "message"), [
    ({"width": 0}, "width = 0: must be a whole number of at least 1"),
    ({"heads": 3}, "heads = 3 does not divide width = 8"),
    ({"dropout": 1.0}, "dropout = 1.0: must be at least 0 and below 1"),
    ({"dropout": float("nan")}, "dropout = nan"),
    ({"retention": "leeky"}, "unknown retention 'leeky' .did you mean 'leaky'"),
    ({"attention": "astro"}, "choose one of: astromorphic, linear, softmax"),
    ({"gradient": "rtrl"}, "unknown gradient"),
    ({"readout": "x"}, "unknown readout"), ({"rel_pos": "x"}, "unknown rel_pos"),
])
def test_a_bad_config_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**(SMALL | fields))


@pytest.mark.parametrize("fields", [*({"rel_pos": name} for name in REL_POS),
                                    *({"attention": name} for name in ATTENTION)], ids=str)
def test_every_parameter_learns(fields):
    model = build(**fields).train()
    model(torch.arange(20).repeat(2, 1), torch.tensor([20, 13])).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


# ------------------------------------------------------------------------------------------ recall


def recall(batch, num_segments, generator):
    """One of 10 symbols at a random place in the first of the segments of 16, noise elsewhere."""
    tokens = torch.randint(64, 256, (batch, 16 * num_segments), generator=generator)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    tokens[torch.arange(batch), torch.randint(0, 16, (batch,), generator=generator)] = labels
    return tokens, torch.full((batch,), 16 * num_segments), labels


def accuracy_on_recall(steps, num_segments=4, **fields):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    config = ModelConfig(vocab_size=256, num_classes=10, segment_length=16, num_segments=num_segments, **fields)
    model = RMAAT(config, BIOLOGY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        tokens, lengths, labels = recall(64, num_segments, generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens, lengths), labels).backward()
        optimizer.step()
    tokens, lengths, labels = recall(1000, num_segments, generator)
    with torch.no_grad():
        return float((model.eval()(tokens, lengths).argmax(1) == labels).float().mean())


@pytest.mark.slow
def test_memory_answers_recall_and_a_reset_memory_does_not():
    """Chance is 10 %; with 1,000 test sequences 20 % is ten standard deviations away from it."""
    assert accuracy_on_recall(150, gradient="bptt") >= .99
    assert accuracy_on_recall(40, gradient="bptt", retention="reset") < .2


@pytest.mark.parametrize("field", ["width", "segment_length", "num_memory_tokens", "feedforward"])
def test_a_network_that_no_memory_holds_says_what_to_lower(field):
    with pytest.raises(ResourceError, match=rf"{field} = {2**45}.*: needs at least .* of memory, .* lower the largest"):
        build(heads=1, **{field: 2**45})
