"""The variants: each is the network that its name says, and each trains."""

import dataclasses

import pytest
import torch

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.trace.report import trace
from rmaat.training.configs import CONFIGS, find_experiment, recall
from rmaat.training.settings import change
from rmaat.training.trainer import train
from rmaat.training.variants import ABLATIONS, BASELINES, VARIANTS, find_variant, variant, with_variant

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
NETWORKS = {"rmaat": {"attention": "astromorphic", "num_segments": 3, "gradient": "amrb"}, **SAYS,
            "rmaat_paper": {"retention": "multiply", "rel_pos": "positional", "calcium_exponent": "0.25",
                            "feedback": "inverse", "gradient": "amrb"}}
CHANGES = {  # what an ablation changes, and nothing else
    "no_retention": {"retention": "none"}, "retention_multiply": {"retention": "multiply"},
    "retention_accumulate": {"retention": "accumulate"}, "retention_leaky": {"retention": "leaky"},
    "retention_geometric": {"retention": "geometric"}, "retention_reset": {"retention": "reset"},
    "no_h_astro": {"rel_pos": "none"}, "positional_r": {"rel_pos": "positional"}, "content_r": {"rel_pos": "content"},
    "feedback_bound": {"feedback": "bound"}, "feedback_inverse": {"feedback": "inverse"},
    "exponent_fitted": {"calcium_exponent": "fitted"}, "exponent_quarter": {"calcium_exponent": "0.25"},
    "exponent_one": {"calcium_exponent": "1"}, "linear": {"attention": "linear", "rel_pos": "none"},
    "softmax": {"attention": "softmax", "rel_pos": "none"}, "bptt": {"gradient": "bptt"},
    "segments_1": {"segment_length": 12, "num_segments": 1}, "segments_2": {"segment_length": 6, "num_segments": 2},
    "segments_4": {"segment_length": 3, "num_segments": 4},
    **{f"memory_{n}": {"num_memory_tokens": n} | ({} if n else {"retention": "none"}) for n in (0, 1, 2, 4, 8, 16, 32)},
}


def tiny():
    return change(recall(), TINY)


def build(name):
    torch.manual_seed(0)
    return RMAAT(VARIANTS[name](tiny().model), BIOLOGY).double()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_is_what_its_name_says_and_trains(name, tmp_path):
    made, says = variant(name, tiny)(), NETWORKS[name]
    assert {field: getattr(made.model, field) for field in says} == says
    assert made.model.max_length == tiny().model.max_length and made.task == tiny().task and made.train == tiny().train
    result = train(made, tmp_path / "run", quiet=True, device="cpu")
    assert result.evaluation.step == 3
    assert result.evaluation.config == ("recall" if name == "rmaat" else f"recall_{name}")
    before, after = RMAAT(made.model, BIOLOGY), train(made, tmp_path / "run", resume=True, device="cpu")
    assert after.to_json() == result.to_json()
    assert sum(p.numel() for p in before.parameters()) == result.costs["parameters"]


@pytest.mark.parametrize("name", BASELINES)
def test_each_leaves_out_what_it_does_not_read(name):
    """Of a config with options of its own each variant keeps those that mean something to it."""
    model = dataclasses.replace(tiny().model, feature_map="softmax", feedback="bound", kernel="diffusive", keep_last=2,
                                memory_store="host")
    made = VARIANTS[name](model)
    reads = made.attention_class.reads
    assert made.feature_map == ("softmax" if "feature_map" in reads else "elu")
    assert made.feedback == ("bound" if "feedback" in reads else "record")
    assert (made.keep_last, made.memory_store) == ((2, "host") if made.gradient == "amrb" else ("auto", "device"))


@pytest.mark.parametrize("name", BASELINES)
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
    with pytest.raises(UserError, match="num_memory_tokens = -1: must be a whole number of at least 0"):
        dataclasses.replace(tiny().model, num_memory_tokens=-1)


# ---------------------------------------------------------------------------------------------- ablations


def test_each_ablation_changes_what_it_says_and_nothing_else():
    before = dataclasses.asdict(tiny().model)
    for name, fields in CHANGES.items():
        after = dataclasses.asdict(with_variant(tiny(), name).model)
        assert after == before | fields, name
    assert ABLATIONS.keys() - CHANGES.keys() == {"segments_8", "segments_16", "segments_32"}  # 12 tokens have no 8
    assert VARIANTS.keys() == NETWORKS.keys() | ABLATIONS.keys()


def test_a_sequence_is_cut_into_as_many_segments_as_said():
    long = change(recall(), {"task.num_segments": 13, "segment_length": 16})  # 208 tokens
    for number in (8, 16):
        made = with_variant(long, f"segments_{number}").model
        assert (made.num_segments, made.segment_length) == (number, 208 // number)
    with pytest.raises(UserError, match=r"segments_32: 208 tokens .* nearest are 30 segments of 7"):
        with_variant(long, "segments_32")


@pytest.mark.parametrize("name", ["at", "rmt", "no_h_astro", "memory_0", "segments_4", "retention_leaky", "bptt"])
def test_all_go_with_all_configs(name):
    """Also where a config differs from the defaults; each must be a network that can be built."""
    for config in CONFIGS:
        base = find_experiment(config)
        if name == "retention_leaky" and not base.model.num_memory_tokens:
            with pytest.raises(UserError, match="num_memory_tokens = 0 leaves nothing to retain"):
                with_variant(base, name)
            continue
        made = with_variant(base, name)
        assert made.task == base.task and made.train == base.train
        assert made.model.max_length >= base.task.max_length
        assert made.model.num_segments == -(-made.model.max_length // made.model.segment_length)


def test_several_are_taken_in_order():
    made = with_variant(tiny(), "rmt+memory_8+segments_2")
    assert made.name == "recall_rmt+memory_8+segments_2"
    assert (made.model.attention, made.model.num_memory_tokens, made.model.num_segments) == ("softmax", 8, 2)
    assert with_variant(tiny(), "rmaat+memory_8").name == "recall_memory_8"
    with pytest.raises(UserError, match="attention = softmax reads no feedback"):
        with_variant(tiny(), "rmt+feedback_bound")


def test_one_of_your_own(tmp_path):
    (tmp_path / "mine.py").write_text("import dataclasses\n"
                                      "def wide(model): return dataclasses.replace(model, width=16)\n"
                                      "def wrong(model): return 3\n")
    made = find_experiment(tiny(), variant=f"{tmp_path}/mine.py:wide")
    assert made.name == "recall_wide" and made.model.width == 16
    assert find_experiment(tiny(), variant=lambda model: model).model == tiny().model
    with pytest.raises(UserError, match=r"variant wrong gives a int; write a function ModelConfig -> ModelConfig"):
        find_experiment(tiny(), variant=f"{tmp_path}/mine.py:wrong")
    with pytest.raises(UserError, match=r"unknown variant 'rtm' \(did you mean 'rmt'\?\); choose one of"):
        find_variant("rtm")


def test_a_setting_that_a_variant_would_undo_is_refused():
    kept = find_experiment("recall", ["model.width=16", "segment_length=8", "steps=3"], variant="at")
    assert kept.model.width == 16 and kept.model.segment_length == 128
    for settings in (["retention=multiply"], {"model.retention": "multiply"}, ["steps=2", " model.retention = leaky"]):
        with pytest.raises(UserError, match=r"model.retention = \w+: recall_rmt has none in its place; leave --set"):
            find_experiment("recall", settings, variant="rmt")
