"""Streams: bit for bit the batch forward, state saved and restored, flat in time and bytes, rules without T."""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from foundation.errors import DamagedFileError, UserError
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT
from rmaat.model.readout import READOUT
from rmaat.resources import measure

BIOLOGY = Biology.load()
SIZE, SEGMENTS = 5, 4
SMALL = ModelConfig(20, 3, SIZE, SEGMENTS, width=8, heads=2, num_memory_tokens=2, retention="leaky")
FREE = ["none", "leaky", "geometric", "reset"]


def build(**fields):
    torch.manual_seed(0)
    model = RMAAT(dataclasses.replace(SMALL, **fields), BIOLOGY).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from silent
    return model


def tokens_of(length, batch=2):
    return torch.randint(20, (batch, length), generator=torch.Generator().manual_seed(length))


def batch_forward(model, tokens):
    with torch.no_grad():
        return model(tokens, torch.full((len(tokens),), tokens.shape[1]))


@pytest.mark.slow
@pytest.mark.parametrize("fields", [
    *({"retention": rule, "readout": "last"} for rule in RETENTION), {"retention": "leaky", "readout": "pooled"},
    {"retention": "accumulate", "readout": "pooled", "attention": "linear"},
    {"retention": "none", "readout": "last", "unread": "full", "attention": "softmax"}],
    ids=lambda fields: "-".join(fields.values()))
def test_any_portions_give_the_batch_forward_bit_for_bit(fields):
    """A stream says what the model says of the tokens so far, in a segment, at its end and just after it."""
    model, tokens = build(**fields), tokens_of(SIZE * SEGMENTS)
    expected = {n: batch_forward(model, tokens[:, :n]) for n in (1, 3, 4, 5, 6, 10, 11, 15, 20)}
    for portions in ([1, 2, 1, 1, 1], [SIZE] * SEGMENTS, [3, 1, 7, 9], [20]):
        stream, fed = model.stream(2, SEGMENTS if model.retention.needs_num_segments else None), 0
        for n in portions:
            stream.feed(tokens[:, fed:fed + n])
            fed += n
            assert torch.equal(stream.answer(), expected[fed])
            assert torch.equal(stream.answer(), expected[fed])  # an answer changes nothing


@pytest.mark.parametrize("readout", READOUT)
@pytest.mark.parametrize("fed", [1, 5, 7, 10])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(readout, fed, tmp_path):
    from safetensors.torch import load_file, save_file

    model, tokens = build(readout=readout), tokens_of(18)
    stream = model.stream(2)
    stream.feed(tokens[:, :fed])
    save_file(stream.state(), tmp_path / "state.safetensors")
    before = {name: tensor.clone() for name, tensor in stream.state().items()}
    other = model.stream(2).restore(load_file(tmp_path / "state.safetensors"))
    for each in (stream, other):
        each.feed(tokens[:, fed:])
    assert torch.equal(stream.answer(), other.answer())
    assert torch.equal(stream.answer(), batch_forward(model, tokens))
    assert before["memory"].shape == (2, 2, 8) and before["pending"].shape[1] <= SIZE
    assert not torch.equal(before["memory"], stream.state()["memory"])


@pytest.mark.parametrize("parts", [1, 5])
def test_a_classifier_of_so_many_segments_streams_so_many(parts):
    model = build(readout="by_segment", readout_parts=parts, retention="reset")
    stream = model.stream(2)
    stream.feed(tokens_of(20))
    with pytest.raises(UserError, match="20 tokens and 1 more do not fit num_segments = 4"):
        stream.feed(tokens_of(1))
    with pytest.raises(UserError, match=r"num_segments = 9: with readout = by_segment the classifier is one of 4"):
        model.stream(2, 9)
    state = stream.state()
    assert state["total"].shape == (2, 3 * 8 * parts)
    with pytest.raises(UserError, match=rf"state total: \(2, 8\) .*, this stream has \(2, {24 * parts}\)"):
        model.stream(2).restore(state | {"total": state["total"][:, :8]})
    for length in (3, 5, 7, 16, 20):  # within a part, within a segment, at its end
        stream = model.stream(2)
        stream.feed(tokens_of(length))
        assert torch.equal(stream.answer(), batch_forward(model, tokens_of(length)))


@pytest.mark.parametrize("readout", ["by_segment", "ends"])
@pytest.mark.parametrize("fed", [1, 5, 6, 14])
def test_several_parts_are_saved_and_gone_on_with(readout, fed):
    """Also before the first segment has passed."""
    model, tokens = build(readout=readout, readout_parts=5), tokens_of(18)
    stream = model.stream(2)
    stream.feed(tokens[:, :fed])
    other = model.stream(2).restore(stream.state())
    assert torch.equal(other.answer(), batch_forward(model, tokens[:, :fed]))
    other.feed(tokens[:, fed:])
    assert torch.equal(other.answer(), batch_forward(model, tokens))


@pytest.mark.parametrize("retention", RETENTION)
def test_a_saved_file_goes_on_bit_for_bit(retention, tmp_path):
    model, tokens = build(retention=retention, readout="pooled"), tokens_of(18)
    known = SEGMENTS if model.retention.needs_num_segments else None
    stream = model.stream(2, known)
    stream.feed(tokens[:, :12])
    stream.save(tmp_path / "stream.safetensors")
    trained = build(retention=retention, readout="pooled", gradient="bptt", dropout=.1)  # differs in training alone
    other = trained.stream(2, known).load(tmp_path / "stream.safetensors")
    other.feed(tokens[:, 12:])
    assert torch.equal(other.answer(), batch_forward(model, tokens))


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def foreign(path):
    from safetensors.torch import save_file

    save_file({"memory": torch.zeros(2)}, path)


@pytest.mark.parametrize("damage", [cut, flip, foreign])
def test_a_damaged_file_is_refused(damage, tmp_path):
    stream, path = build().stream(2), tmp_path / "stream.safetensors"
    stream.feed(tokens_of(7))
    stream.save(path)
    damage(path)
    with pytest.raises(DamagedFileError, match="not a whole file of a stream"):
        build().stream(2).load(path)


def test_a_file_of_another_stream_is_refused(tmp_path):
    path = tmp_path / "stream.safetensors"
    build().stream(2).save(path)
    with pytest.raises(UserError, match="retention is leaky there and none here"):
        build(retention="none").stream(2).load(path)
    with pytest.raises(UserError, match="num_segments is None there and 3 here"):
        build().stream(2, 3).load(path)
    with pytest.raises(UserError, match="state memory"):
        build().stream(1).load(path)
    with pytest.raises(UserError, match="no file"):
        build().stream(2).load(tmp_path / "other")


def test_tokens_fed_may_be_overwritten_and_of_any_whole_number_type():
    model, tokens = build(), tokens_of(18)
    stream, buffer = model.stream(2), torch.empty(2, 3, dtype=torch.int32)
    for start in range(0, 18, 3):
        buffer.copy_(tokens[:, start:start + 3])
        stream.feed(buffer)
        buffer.fill_(19)
    assert torch.equal(stream.answer(), batch_forward(model, tokens))


def test_a_state_is_a_copy():
    stream = build().stream(1)
    stream.feed(tokens_of(7, 1))
    answer, state = stream.answer(), stream.state()
    for tensor in state.values():
        tensor.zero_()
    assert torch.equal(stream.answer(), answer)


def test_changed_parameters_are_noticed():
    """What the stream has prepared of the parameters is prepared anew."""
    model, tokens = build(readout="last"), tokens_of(2 * SIZE)
    stream = model.stream(2)
    stream.feed(tokens)
    before = stream.answer()
    with torch.no_grad():
        model.blocks[0].attention.rel_pos.rows.add_(1)
    again = model.stream(2).restore(stream.state())
    assert torch.equal(stream.answer(), again.answer()) and not torch.equal(stream.answer(), before)


@pytest.mark.parametrize("retention", ["accumulate", "multiply"])
def test_rules_with_a_schedule_take_t_as_given(retention):
    model = build(retention=retention)
    with pytest.raises(UserError, match=r"stream\(num_segments=T\), or train with one of: geometric, leaky, none, res"):
        model.stream()
    longer = build(retention=retention, num_segments=7)  # the same weights: T is in no parameter
    stream, tokens = model.stream(2, num_segments=7), tokens_of(7 * SIZE)
    stream.feed(tokens)
    assert torch.equal(stream.answer(), batch_forward(longer, tokens))
    assert len(model.retention.retention) == SEGMENTS  # the model keeps its own T
    with pytest.raises(UserError, match="35 tokens and 1 more do not fit num_segments = 7"):
        stream.feed(tokens[:, :1])


@pytest.mark.parametrize("retention", FREE)
def test_rules_without_t_go_beyond_the_trained_length(retention):
    model, longer = build(retention=retention), build(retention=retention, num_segments=9)
    tokens, stream = tokens_of(9 * SIZE), model.stream(2)
    stream.feed(tokens)
    assert torch.equal(stream.answer(), batch_forward(longer, tokens))


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: s.answer(), "an answer before the first token"),
    (lambda s: s.feed(torch.tensor([[20], [0]])), "out of vocabulary; vocab_size = 20 allows 0 to 19"),
    (lambda s: s.feed(torch.tensor([[-1], [0]])), "out of vocabulary"),
    (lambda s: s.feed(torch.zeros(3, 1, dtype=torch.long)), "tokens for 3 sequences; this stream has 2"),
    (lambda s: s.model.train() and s.feed(torch.zeros(2, 1, dtype=torch.long)), "training mode"),
    (lambda s: s.restore(s.state() | {"pending": torch.full((2, 1), 20)}), "out of vocabulary"),
    (lambda s: s.restore({"memory": s.memory}), "a stream's state has memory, pending, before, total, segment"),
    (lambda s: s.restore(s.state() | {"memory": torch.zeros(2, 3, 8)}), "state memory"),
    (lambda s: s.restore(s.state() | {"pending": torch.zeros(2, 6, dtype=torch.long)}), "at most 5 tokens"),
    (lambda s: s.restore(s.state() | {"segment": torch.tensor(0)}), "in segment 0"),
])
def test_bad_input_is_refused_and_changes_nothing(call, message):
    stream = build(dropout=.1).stream(2)
    before = stream.state()
    with pytest.raises(UserError, match=message):
        call(stream)
    assert all(torch.equal(tensor, stream.state()[name]) for name, tensor in before.items())


def test_a_stream_needs_whole_numbers():
    with pytest.raises(UserError, match="batch = 0: must be a whole number"):
        build().stream(0)
    with pytest.raises(UserError, match="num_segments = 0"):
        build().stream(1, 0)


@pytest.mark.slow
class Operators(TorchDispatchMode):
    """Counts what torch is asked to compute, with the elements that come out."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        self.seen.append((str(func), out.numel() if isinstance(out, torch.Tensor) else 0))
        return out


@pytest.mark.slow
def test_4096_segments_at_constant_work_and_bytes(shapes_unchecked):
    stream, tokens = build(layers=1).stream(1), tokens_of(SIZE, 1)
    stream.feed(tokens)
    peaks = [measure(lambda n=n: [stream.feed(tokens) for _ in range(n)]) for n in (8, 64)]
    # the allocator's peak is one segment's, whatever their number; the first feed of each also frees what was there
    assert peaks[1] <= 1.05 * peaks[0]
    work = []
    for _ in range(4096):
        with Operators() as operators:
            stream.feed(tokens)
        work.append(operators.seen)
    assert work[0] and all(seen == work[0] for seen in work)  # the same operators of the same sizes, every time
    assert sum(tensor.numel() for tensor in stream.state().values()) == 2 * 8 + 8 + SIZE + 1
    assert torch.isfinite(stream.answer()).all()
