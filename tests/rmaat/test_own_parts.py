"""An attention and a retention rule of a user's own in the network: as a class, by file and name, traced."""

import inspect
from dataclasses import replace
from textwrap import dedent

import pytest
import torch
from torch import nn

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.attention.base import ALL, Attention
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import collect, orphans
from rmaat.model.config import ModelConfig
from rmaat.model.memory import Retention
from rmaat.model.model import RMAAT
from rmaat.trace.report import trace

BIOLOGY = Biology.load()
CONFIG = ModelConfig(20, 3, 5, 4, width=8, heads=2, num_memory_tokens=2)
FILE = '''
    import torch
    from torch import nn
    from rmaat.attention.base import ALL, Attention
    from rmaat.biology.provenance import Engineering, declare
    from rmaat.model.memory import Retention

    LEVEL = .25
    origins = declare(LEVEL=Engineering(LEVEL, "as it pleased the user"))


    class Mean(Attention):
        reads = ("feature_map",)

        def __init__(self, width, heads, places, *, biology=None, feature_map="elu"):
            super().__init__(width, heads, places)
            self.gain, self.project = 1.5, nn.Linear(width, width)
            self.register_buffer("scale", torch.tensor(.5))

        def forward(self, x, num_memory_tokens=0, mask=None, wanted=ALL, prepared=None):
            there = x.new_ones(x.shape[:2]) if mask is None else mask.to(x.dtype)
            mean = (x * there[..., None]).sum(1, keepdim=True) / there.sum(1)[:, None, None]
            return (self.gain * self.scale * self.project(mean)).expand_as(x)[:, wanted]


    class Half(Retention):
        def forward(self, memory, proposed, t):
            return (memory + proposed) / 2


    NUMBER = 3
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(dedent(FILE))
    return path


def logits_and_gradient(config):
    torch.manual_seed(0)
    model, tokens = RMAAT(config).double(), torch.arange(18).repeat(2, 1)
    logits = model(tokens, torch.tensor([18, 9]))
    logits.square().sum().backward()
    return logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.slow
def test_by_name_and_as_a_class_under_every_gradient(own):
    from foundation.outside import load_file

    texts = replace(CONFIG, attention=f"{own}:Mean", retention=f"{own}:Half", feature_map="softmax")
    module = load_file(own)
    classes = replace(texts, attention=module.Mean, retention=module.Half)
    expected = logits_and_gradient(replace(texts, gradient="bptt"))
    for config in (texts, classes, replace(classes, keep_last=0, replay="layer")):
        logits, gradient = logits_and_gradient(config)
        assert torch.equal(logits, expected[0])
        # float64: the same operations, sums over four segments in another order
        assert (gradient - expected[1]).norm() <= 1e-12 * expected[1].norm()
    assert not torch.equal(logits_and_gradient(replace(texts, retention="none"))[0], expected[0])


def test_a_stream_takes_a_rule_of_ones_own(own, tmp_path):
    model = RMAAT(replace(CONFIG, retention=f"{own}:Half", attention=f"{own}:Mean")).eval()
    stream, tokens = model.stream(2), torch.arange(18).repeat(2, 1)
    stream.feed(tokens)
    with torch.no_grad():
        assert torch.equal(stream.answer(), model(tokens))
    stream.save(tmp_path / "stream.safetensors")
    as_class = RMAAT(replace(model.config, retention=model.config.retention_class)).eval()
    as_class.load_state_dict(model.state_dict())
    assert torch.equal(as_class.stream(2).load(tmp_path / "stream.safetensors").answer(), stream.answer())


@pytest.mark.parametrize(("fields", "message"), [
    ({"attention": "Half"}, "own.py:Half': Half is another class; give an Attention"),
    ({"attention": "NUMBER"}, "NUMBER is of type int"),
    ({"retention": "Mean"}, "own.py:Mean': Mean is another class; give a Retention"),
    ({"retention": "Halves"}, "has no 'Halves'; it has: .*Half"),
    ({"attention": "Mean", "kernel": "diffusive"}, "kernel = diffusive: attention = .*own.py:Mean reads no kernel")])
def test_what_is_none_is_refused(own, fields, message):
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **{name: value if name == "kernel" else f"{own}:{value}" for name, value in fields.items()})


def test_a_class_that_is_none_is_refused(shapes_unchecked):
    with pytest.raises(UserError, match=r"attention = .*Linear.*: give a name, or a class under rmaat\.att"):
        replace(CONFIG, attention=nn.Linear)
    with pytest.raises(UserError, match=r"one of your own as file\.py:NAME or package"):
        replace(CONFIG, retention="halve")


class Silent(Attention):
    pass


class Forgetful(Retention):
    pass


class OneForAll(Attention):
    def forward(self, x, num_memory_tokens=0, mask=None, wanted=ALL, prepared=None):
        return x.mean(1, keepdim=True)


@pytest.mark.parametrize(("fields", "error", "message"), [
    ({"attention": Silent}, NotImplementedError, "Silent needs forward"),
    ({"retention": Forgetful}, NotImplementedError, "Forgetful needs a forward"),
    ({"attention": OneForAll}, UserError, r"OneForAll gives the shape \(1, 1, 8\) for wanted rows of shape \(1, ")])
def test_one_that_does_not_do_its_part_is_told(fields, error, message):
    with pytest.raises(error, match=message):
        RMAAT(replace(CONFIG, **fields))(torch.zeros(1, 5, dtype=torch.int64))


def test_numbers_without_origin_are_told_and_the_others_traced(own):
    """The user's constant is declared in the file, gain and scale are declared nowhere; nothing of ours is."""
    config = replace(CONFIG, attention=f"{own}:Mean", layers=1)
    model = RMAAT(config, BIOLOGY)
    assert sorted(orphans(model)) == ["blocks.0.attention.gain", "blocks.0.attention.scale"]
    found = {(item.module, item.name): item for item in collect(model)}
    assert found["", "LEVEL"].file == str(own)
    assert found["blocks.0.attention", "heads"].file == f"{own}:Mean"
    report = trace(config, records.load())
    assert [(item["path"], item["file"]) for item in report.nowhere] == [
        ("blocks.0.attention.scale", f"{own}:Mean"), ("blocks.0.attention.gain", f"{own}:Mean")]
    assert f"blocks.0.attention.gain = 1.5   {own}:Mean" in str(report).replace("\n    ", " ")
    assert report.to_json()["nowhere"][1]["value"] == 1.5
    assert "nowhere" not in str(trace(CONFIG, records.load()))


class Mean(Attention):
    """As the docstring of `Attention` has it."""

    def forward(self, x, num_memory_tokens=0, mask=None, *, wanted=ALL, prepared=None):
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)
        count = x.shape[1] if mask is None else mask.sum(1)[:, None, None]
        return (x.sum(1, keepdim=True) / count).expand_as(x)[:, wanted]


def test_the_docstrings_example_is_that_of_the_tests_and_keeps_the_rules():
    lines = [line.strip() for line in Attention.__doc__.splitlines()]
    for line in inspect.getsource(Mean.forward).splitlines():
        assert line.strip() in lines
    model = RMAAT(replace(CONFIG, attention=Mean)).eval()
    tokens, lengths = torch.arange(18).repeat(2, 1), torch.tensor([18, 9])
    torch.testing.assert_close(model(tokens, lengths)[1:], model(tokens[1:, :9]), rtol=1e-5, atol=1e-6)
    assert orphans(model) == []
