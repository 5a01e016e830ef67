"""The variants: each is the network that its name says, and each trains."""

import dataclasses

import pytest
import torch

from derivation.record import record as records
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.trace.report import trace
from rmaat.training.configs import CONFIGS, recall
from rmaat.training.settings import change
from rmaat.training.trainer import train
from rmaat.training.variants import VARIANTS, variant

BIOLOGY = Biology.load()
TINY = ["task.num_segments=3", "task.segment=4", "task.train=16", "task.validation=4", "task.test=6", "model.width=8",
        "segment_length=4", "batch_size=4", "steps=3"]
SAYS = {  # what the papers say that each of them is
    "at": {"attention": "astromorphic", "num_segments": 1, "num_memory_tokens": 0, "gradient": "bptt"},
    "transformer": {"attention": "softmax", "num_segments": 1, "num_memory_tokens": 0, "gradient": "bptt"},
    "rmt": {"attention": "softmax", "num_segments": 3, "retention": "none", "gradient": "bptt"},
    "rlt": {"attention": "linear", "num_segments": 3, "retention": "none", "gradient": "bptt"},
    "rmt_amrb": {"attention": "softmax", "retention": "none", "gradient": "amrb"},
    "rlt_amrb": {"attention": "linear", "retention": "none", "gradient": "amrb"},
    "last_segment": {"attention": "astromorphic", "retention": "reset", "readout": "last"},
}


def tiny():
    return change(recall(), TINY)


def build(name):
    torch.manual_seed(0)
    return RMAAT(VARIANTS[name](tiny().model), BIOLOGY).double()


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_each_is_what_its_name_says_and_trains(name, tmp_path):
    made = variant(name, tiny)()
    assert {field: getattr(made.model, field) for field in SAYS[name]} == SAYS[name]
    assert made.model.max_length == tiny().model.max_length and made.task == tiny().task and made.train == tiny().train
    result = train(made, tmp_path / "run", quiet=True, device="cpu")
    assert result.evaluation.step == 3 and result.evaluation.config == f"recall_{name}"
    before, after = RMAAT(made.model, BIOLOGY), train(made, tmp_path / "run", resume=True, device="cpu")
    assert after.to_json() == result.to_json()
    assert sum(p.numel() for p in before.parameters()) == result.costs["parameters"]


@pytest.mark.parametrize("name", VARIANTS)
def test_each_leaves_out_what_it_does_not_read(name):
    """Of a config with options of its own each variant keeps those that mean something to it."""
    model = dataclasses.replace(tiny().model, feature_map="softmax", feedback="bound", kernel="diffusive", keep_last=2,
                                memory_store="host")
    made = VARIANTS[name](model)
    reads = made.attention_class.reads
    assert made.feature_map == ("softmax" if "feature_map" in reads else "elu")
    assert made.feedback == ("bound" if "feedback" in reads else "record")
    assert (made.keep_last, made.memory_store) == ((2, "host") if made.gradient == "amrb" else (1, "device"))


@pytest.mark.parametrize("name", VARIANTS)
def test_each_is_a_config_that_can_be_traced(name):
    made = CONFIGS[f"recall_{name}"]()
    assert made.name == f"recall_{name}" and made.train == recall().train
    entries = {tensor["entry"] for tensor in trace(made.model, records.load()).tensors}
    assert bool(entries) == (made.model.attention == "astromorphic")
    assert "retention" not in entries


@pytest.mark.parametrize("name", ["at", "transformer"])
def test_one_segment_sees_all_tokens(name):
    model, tokens = build(name), torch.arange(12)[None]
    other = tokens.clone()
    other[0, 0] = 50
    assert not torch.equal(model(tokens, torch.tensor([12])), model(other, torch.tensor([12])))
    short = model(tokens[:, :5], torch.tensor([5]))
    together = model(tokens.repeat(2, 1), torch.tensor([5, 12]))
    torch.testing.assert_close(together[:1], short, rtol=1e-10, atol=1e-12)  # float64, sums in another order


def test_the_control_sees_its_last_segment_alone():
    model, tokens = build("last_segment"), torch.arange(12)[None]
    other = tokens.clone()
    other[0, :8] += 50
    assert torch.equal(model(tokens, torch.tensor([12])), model(other, torch.tensor([12])))
    other[0, 8] += 50
    assert not torch.equal(model(tokens, torch.tensor([12])), model(other, torch.tensor([12])))


@pytest.mark.parametrize("name", ["rmt", "rlt"])
def test_amrb_gives_a_variant_its_own_gradient(name):
    tokens, lengths, gradients = torch.randint(60, (3, 12)), torch.tensor([12, 7, 9]), []
    for network in (name, f"{name}_amrb"):
        model = build(network)
        model(tokens, lengths).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, replayed in zip(*gradients, strict=True):
        torch.testing.assert_close(replayed, plain, rtol=1e-10, atol=1e-12)


def test_memory_tokens_may_be_none_and_nothing_less():
    from foundation.errors import UserError

    with pytest.raises(UserError, match="num_memory_tokens = -1: must be a whole number of at least 0"):
        dataclasses.replace(tiny().model, num_memory_tokens=-1)
