"""schedule = sample: each sample as if it were alone in a network whose T is its own number of segments."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import orphans
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION, Retention
from rmaat.model.model import RMAAT
from rmaat.trace.inspection import inspect
from rmaat.training.configs import recall
from rmaat.training.settings import change
from rmaat.training.variants import VARIANTS

BIOLOGY = Biology.load()
SIZE, SEGMENTS = 5, 6
SMALL = ModelConfig(20, 3, SIZE, SEGMENTS, width=8, heads=2, num_memory_tokens=2, layers=1,
                    schedule="sample")
SCHEDULED = [name for name, kind in RETENTION.items() if kind.needs_num_segments]
# float64, the same operations on another number of rows: some tens of roundings of 1e-16
EXACT = {"rtol": 1e-11, "atol": 1e-13}


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(dataclasses.replace(SMALL, **fields), BIOLOGY).double()


def alone(model, tokens, length):
    """The logits of one sample by the same weights in a network with its own T and the config's schedule."""
    own = build(**{**dataclasses.asdict(model.config), "schedule": "config", "num_segments": -(-length // SIZE)})
    own.load_state_dict(model.state_dict())
    return own, own(tokens[None, :length])


@pytest.mark.slow
@pytest.mark.parametrize("retention", SCHEDULED)
@pytest.mark.parametrize("gradient", ["amrb", "bptt", "checkpointed"])
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_a_sample_is_what_it_is_alone_in_a_network_of_its_own_length(retention, gradient, data):
    model = build(retention=retention, gradient=gradient, readout=data.draw(st.sampled_from(["last", "pooled"])))
    lengths = data.draw(st.lists(st.integers(1, SIZE * SEGMENTS), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    tokens = torch.randint(20, (len(lengths), max(lengths)), generator=generator)
    together = model(tokens, torch.tensor(lengths))
    expected, gradients = [], {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for sample, length in zip(tokens, lengths, strict=True):
        own, logits = alone(model, sample, length)
        expected.append(logits[0])
        logits.square().sum().backward()
        for name, p in own.named_parameters():
            gradients[name] += 0 if p.grad is None else p.grad
    torch.testing.assert_close(together, torch.stack(expected), **EXACT)
    together.square().sum().backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(torch.zeros_like(p) if p.grad is None else p.grad, gradients[name], **EXACT)


@pytest.mark.parametrize("retention", SCHEDULED)
def test_whole_samples_have_the_configs_schedule_and_shorter_ones_another(retention):
    tokens = torch.arange(2 * SIZE * SEGMENTS).view(2, -1) % 20
    shared = build(retention=retention, schedule="config")
    own = build(retention=retention)
    torch.testing.assert_close(own(tokens), shared(tokens), **EXACT)
    assert not torch.allclose(own(tokens[:, :12]), shared(tokens[:, :12]), rtol=1e-3)


@pytest.mark.parametrize("retention", SCHEDULED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_keeps_its_type_and_its_numbers(retention, dtype):
    """RF in float64 neither spreads into the network nor is it rounded before it is multiplied."""
    rule, memory = RETENTION[retention](BIOLOGY, SEGMENTS), torch.randn(3, 2, 8, dtype=dtype)
    proposed, T = torch.randn_like(memory), torch.tensor([6, 3, 1])
    found = rule(memory, proposed, 2, T)
    assert found.dtype == dtype
    for sample, own in enumerate(T.tolist()):
        one = slice(sample, sample + 1)
        expected = RETENTION[retention](BIOLOGY, own)(memory[one], proposed[one], min(2, own))
        # the shared schedule is rounded to bfloat16 before it multiplies; so are difference, product and sum: four
        # times at most 2**-9 of a number below 8
        tolerance = {"rtol": 0, "atol": 4 * 8 * 2**-9} if dtype == torch.bfloat16 else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(found[one], expected, **tolerance)


@pytest.mark.parametrize("lengths", [[30, 7, 1], [12, 12, 12]])
def test_a_stream_with_the_number_of_segments_is_the_model_at_its_end(lengths):
    model, tokens = build().float().eval(), torch.arange(90).view(3, 30) % 20
    logits = model(tokens, torch.tensor(lengths))
    for sample, length in enumerate(lengths):
        stream = model.stream(1, num_segments=-(-length // SIZE))
        stream.feed(tokens[sample:sample + 1, :length])
        torch.testing.assert_close(stream.answer()[0], logits[sample], rtol=1e-5, atol=1e-6)  # float32
        assert torch.equal(stream.answer(), model(tokens[sample:sample + 1, :length]))


def test_tokens_and_masks_of_every_output():
    model = build(output="tokens")
    tokens, lengths = torch.arange(60).view(2, 30) % 20, torch.tensor([30, 13])
    logits = model(tokens, lengths)
    torch.testing.assert_close(logits[1, :13], alone(model, tokens[1], 13)[1][0], **EXACT)
    assert not logits[1, 13:].any()


def test_int32_lengths():
    model, tokens = build(), torch.arange(60).view(2, 30) % 20
    lengths = torch.tensor([30, 13])
    assert torch.equal(model(tokens, lengths.int()), model(tokens, lengths))


@pytest.mark.parametrize("retention", [name for name in RETENTION if name not in SCHEDULED])
def test_a_rule_without_t_is_refused(retention):
    with pytest.raises(UserError, match=f"schedule = sample: retention = {retention} reads no schedule; .*accumulate"):
        dataclasses.replace(SMALL, retention=retention)


class Share(Retention):
    """1/T of what is proposed, by each sample's own T where there is one."""

    needs_num_segments = True

    def __init__(self, biology, num_segments):
        super().__init__(biology, num_segments)
        self.count = num_segments

    def forward(self, memory, proposed, t, T=None):
        count = self.count if T is None else T[:, None, None]
        return memory + (proposed - memory) / count


class PerSample(Share):
    per_sample = True


def test_a_rule_of_ones_own_says_whether_it_takes_each_samples_t():
    with pytest.raises(UserError, match="retention = Share reads no schedule"):
        dataclasses.replace(SMALL, retention=Share)
    model, tokens = build(retention=PerSample), torch.arange(60).view(2, 30) % 20
    logits = model(tokens, torch.tensor([30, 13]))
    torch.testing.assert_close(logits[1], alone(model, tokens[1], 13)[1][0], **EXACT)


def test_controls_and_variants_of_such_a_config():
    """The rules that they set read no schedule, which is left out with the rule."""
    sizes = ["task.segment=32", "model.segment_length=32"]  # 256 tokens: a square, for convolutions over an image
    base = change(recall(), ["model.schedule=sample", *sizes])
    assert base.control().model.schedule == "config"
    for name, vary in VARIANTS.items():
        model = vary(base.model)
        reads = model.retention_class.per_sample and model.network == "rmaat"  # a GRU retains nothing
        assert model.schedule == ("sample" if reads else "config"), name


def test_every_number_of_it_has_its_origin():
    assert orphans(build()) == []


def test_inspect_shows_the_schedule_of_the_longest():
    model, tokens = build().float(), torch.arange(60).view(2, 30) % 20
    report = inspect(model, tokens[:, :14], torch.tensor([14, 6]), labels=torch.tensor([0, 1]))
    shares = BIOLOGY.retention(3).tolist()
    assert [row["retention"] for row in report.rows] == pytest.approx(shares, rel=1e-12)
    assert [row["written"] for row in report.rows] == pytest.approx([3 * share for share in shares], rel=1e-12)
