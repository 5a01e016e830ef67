"""A causal network: no token sees its future through any layer or segment, AMRB, streams token by token."""

import dataclasses
import math

import pytest
import torch

from foundation.errors import DamagedFileError, UserError
from rmaat.attention.base import Attention
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import orphans
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT
from rmaat.model.token_stream import TokenStream

BIOLOGY = Biology.load()
SIZE, SEGMENTS = 5, 4
SMALL = ModelConfig(20, 20, SIZE, SEGMENTS, width=8, heads=2, num_memory_tokens=2, layers=3, causal=True,
                    output="tokens")
# float64, the same sums in other portions: some hundred roundings of 1e-16
EXACT = {"rtol": 1e-10, "atol": 1e-12}
KINDS = {"positional": {}, "content": {"rel_pos": "content"}, "none": {"rel_pos": "none"},
         "diffusive": {"rel_pos": "content", "kernel": "diffusive"},
         "root": {"calcium_exponent": "0.25", "feedback": "bound", "feature_map": "softmax"},
         "linear": {"attention": "linear"}, "softmax": {"attention": "softmax"},
         "ngrams": {"mixing": "ngrams"}, "no memory": {"num_memory_tokens": 0, "retention": "none"}}


def build(**fields):
    torch.manual_seed(0)
    model = RMAAT(dataclasses.replace(SMALL, **fields), BIOLOGY).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from silent
    return model


def tokens_of(length, batch=2):
    return torch.randint(20, (batch, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_future_token_changes_no_earlier_logit(kind):
    """Three layers and four segments: what the memory writes reaches no token of its own segment by any way."""
    model, tokens = build(**KINDS[kind]), tokens_of(SIZE * SEGMENTS)
    before = model(tokens)
    for place in (0, 4, 5, 12):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 7) % 20
        after = model(other)
        assert torch.equal(after[:, :place], before[:, :place])
        assert (after[:, place:] != before[:, place:]).any(-1).all() or kind == "no memory"
        shorter = model(tokens[:, :place + 1])
        torch.testing.assert_close(shorter, before[:, :place + 1], **EXACT)


def test_without_it_a_token_sees_its_future():
    model, tokens = build(causal=False), tokens_of(10)
    other = tokens.clone()
    other[:, 4] = (other[:, 4] + 7) % 20
    assert (model(other)[:, :4] != model(tokens)[:, :4]).any(-1).all()


@pytest.mark.slow
@pytest.mark.parametrize("retention", RETENTION)
@pytest.mark.parametrize("kind", ["positional", "softmax"])
def test_amrb_has_the_gradient_of_bptt(kind, retention):
    tokens, lengths, gradients = tokens_of(18), torch.tensor([18, 7]), []
    for fields in ({"gradient": "bptt"}, {"keep_last": 0}, {"replay": "layer"}):
        model = build(retention=retention, **KINDS[kind], **fields)
        logits = model(tokens, lengths)
        assert not logits[1, 7:].any()
        (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert gradients[0].isfinite().all() and gradients[0].any()
    for found in gradients[1:]:
        assert (found - gradients[0]).norm() <= 1e-12 * gradients[0].norm()


def test_padding_and_a_sample_alone():
    model, tokens = build(schedule="sample"), tokens_of(20)
    tokens[1, 8:] = 999
    logits = model(tokens, torch.tensor([20, 8]))
    torch.testing.assert_close(logits[1:, :8], model(tokens[1:, :8]), **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("portions", [[1] * 20, [3, 1, 7, 9], [20]], ids=str)
def test_a_stream_token_by_token_gives_the_logits_of_the_whole_pass(kind, portions):
    model, tokens = build(**KINDS[kind]), tokens_of(20)
    whole, stream = model(tokens), model.stream(2, None if kind == "no memory" else SEGMENTS)
    assert isinstance(stream, TokenStream)
    fed = [stream.feed(part) for part in tokens.split(portions, 1)]
    torch.testing.assert_close(torch.cat(fed, 1), whole.detach(), **EXACT)
    torch.testing.assert_close(stream.answer(), whole[:, -1].detach(), **EXACT)


@pytest.mark.parametrize("retention", ["leaky", "geometric", "none", "reset"])
def test_without_an_end_it_goes_on_beyond_the_trained_length(retention):
    tokens, stream = tokens_of(9 * SIZE), build(retention=retention).stream(2)
    longer = build(retention=retention, num_segments=9)
    torch.testing.assert_close(stream.feed(tokens), longer(tokens).detach(), **EXACT)


def test_features_come_as_a_stream_too():
    model, tokens = build(output="features", num_classes=0), tokens_of(12)
    torch.testing.assert_close(model.stream(2, SEGMENTS).feed(tokens), model(tokens).detach(), **EXACT)


@pytest.mark.parametrize("fed", [0, 3, 5, 12])
@pytest.mark.parametrize("kind", ["positional", "content", "diffusive", "softmax"])
def test_a_saved_stream_goes_on_bit_for_bit(kind, fed, tmp_path):
    model, tokens = build(**KINDS[kind]), tokens_of(20)
    stream = model.stream(2, SEGMENTS)
    stream.feed(tokens[:, :fed])
    stream.save(tmp_path / "stream.safetensors")
    other = model.stream(2, SEGMENTS).load(tmp_path / "stream.safetensors")
    assert torch.equal(other.feed(tokens[:, fed:]), stream.feed(tokens[:, fed:]))
    assert torch.equal(other.answer(), stream.answer())
    (tmp_path / "stream.safetensors").write_bytes((tmp_path / "stream.safetensors").read_bytes()[:-9])
    with pytest.raises(DamagedFileError):
        model.stream(2, SEGMENTS).load(tmp_path / "stream.safetensors")


@pytest.mark.slow
def test_a_token_costs_the_same_wherever_it_stands():
    from torch.utils.flop_counter import FlopCounterMode
    model, tokens = build(retention="leaky"), tokens_of(60)
    stream, work = model.stream(2), []
    for token in tokens.split(1, 1):
        with FlopCounterMode(display=False) as counter:
            stream.feed(token)
        work.append(counter.get_total_flops())
    inside = [flops for place, flops in enumerate(work) if place % SIZE]
    assert len(set(inside)) == 1, "a token within a segment"
    assert len(set(work[SIZE::SIZE])) == 1, "the first of one, which also writes the memory"
    assert len({tuple(x.shape for x in stream.state().values())}) == 1


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: s.answer(), "an answer before the first token"),
    (lambda s: s.feed(torch.tensor([[20], [0]])), "out of vocabulary"),
    (lambda s: s.feed(torch.zeros(3, 1).long()), "tokens for 3 sequences"),
    (lambda s: s.feed(torch.zeros(2, 21).long()), "0 tokens and 21 more do not fit"),
    (lambda s: s.restore({"memory": s.memory}), "a token stream's state has memory, carried, before, last, "),
    (lambda s: s.restore(s.state() | {"past.0": torch.zeros(3)}), "state past.0"),
    (lambda s: s.restore(s.state() | {"past.99": torch.zeros(3)}), "state past.99: not of a stream of this model"),
    (lambda s: s.restore(s.state() | {"segment": torch.tensor(5)}), "in segment 1 to 4"),
    (lambda s: s.restore(s.state() | {"memory": torch.zeros(2, 3, 8)}), "state memory")])
def test_what_does_not_fit_a_stream_is_refused_and_changes_nothing(call, message):
    stream = build().stream(2, SEGMENTS)
    before = stream.state()
    with pytest.raises(UserError, match=message):
        call(stream)
    assert all(torch.equal(tensor, stream.state()[name]) for name, tensor in before.items())


def test_classes_of_a_causal_network():
    """The classifier reads what the tokens became; a stream of it is the model on the tokens so far."""
    model, tokens = build(output="classes", num_classes=3, retention="leaky"), tokens_of(13)
    stream = model.stream(2)
    stream.feed(tokens)
    assert torch.equal(stream.answer(), model(tokens).detach())


class Own(Attention):
    def forward(self, x, num_memory_tokens=0, mask=None, *, wanted=slice(None), prepared=None):
        return x[:, wanted]


class OwnCausal(Own):
    causal = True


def test_whether_it_is_causal_is_true_or_false(shapes_unchecked):
    with pytest.raises(UserError, match="causal = 1: must be true or false"):
        dataclasses.replace(SMALL, causal=1)


def test_an_attention_without_a_causal_form_is_refused():
    with pytest.raises(UserError, match="attention = Own has no causal form; choose one of: astromorphic, linear, so"):
        dataclasses.replace(SMALL, attention=Own)
    with pytest.raises(UserError, match="attention = OwnCausal sees the past alone; say so by causal = true"):
        dataclasses.replace(SMALL, attention=OwnCausal, causal=False)
    assert dataclasses.replace(SMALL, attention=OwnCausal).attention_class is OwnCausal
    with pytest.raises(UserError, match=r"mixing = convolution sees what comes after a token.*: .*ngrams"):
        dataclasses.replace(SMALL, mixing="convolution")
    with pytest.raises(UserError, match=r"causal = true"):
        build(causal=False).stream(2, SEGMENTS)


@pytest.mark.parametrize("kind", ["positional", "content", "diffusive"])
def test_every_number_has_its_origin(kind):
    assert orphans(RMAAT(dataclasses.replace(SMALL, **KINDS[kind]), BIOLOGY)) == []


@pytest.mark.slow
def test_it_learns_what_only_the_past_tells():
    """Each token is the one of three places before, moved by one: bits per token fall far below those of chance."""
    torch.manual_seed(0)
    model = RMAAT(dataclasses.replace(SMALL, width=32, layers=1, segment_length=8, num_segments=2), BIOLOGY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        first = torch.randint(20, (32, 3))
        row = torch.cat([(first + k) % 20 for k in range(6)], 1)
        logits = model(row[:, :16])
        loss = torch.nn.functional.cross_entropy(logits[:, 2:].flatten(0, 1), row[:, 3:17].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() / math.log(2) < .5 * math.log2(20)
