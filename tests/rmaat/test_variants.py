"""The variants: each is the network that its name says, and each trains."""

import dataclasses

import pytest
import torch

from derivation.record import record as records
from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.mixing import MIXING
from rmaat.model.model import RMAAT
from rmaat.model.network import build as build_network
from rmaat.model.output import HEAD
from rmaat.model.readout import READOUT
from rmaat.trace.inspection import of_experiment
from rmaat.trace.report import trace
from rmaat.training.configs import CONFIGS, find_experiment, recall
from rmaat.training.settings import change
from rmaat.training.trainer import train
from rmaat.training.variants import ABLATIONS, BASELINES, VARIANTS, find_variant, parameters_of, variant, with_variant

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
                            "feedback": "inverse", "gradient": "amrb"}, "gru": {"network": "gru", "layers": 2}}
CHANGES = {  # what an ablation changes, and nothing else
    "no_retention": {"retention": "none"}, "retention_multiply": {"retention": "multiply"},
    "retention_accumulate": {"retention": "accumulate"}, "retention_leaky": {"retention": "leaky"},
    "retention_geometric": {"retention": "geometric"}, "retention_reset": {"retention": "reset"},
    "no_h_astro": {"rel_pos": "none"}, "positional_r": {"rel_pos": "positional"}, "content_r": {"rel_pos": "content"},
    "feedback_bound": {"feedback": "bound"}, "feedback_inverse": {"feedback": "inverse"},
    "exponent_fitted": {"calcium_exponent": "fitted"}, "exponent_quarter": {"calcium_exponent": "0.25"},
    **{f"mixing_{n}": {"mixing": n} for n in MIXING if n != "convolution_2d"},
    **{f"readout_{n}": {"readout": n} for n in READOUT}, **{f"head_{n}": {"head": n} for n in HEAD},
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
    before, after = build_network(made.model, BIOLOGY), train(made, tmp_path / "run", resume=True, device="cpu")
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
    assert ABLATIONS.keys() - CHANGES.keys() == {"segments_8", "segments_16", "segments_32",  # 12 tokens have no 8
                                                 "mixing_convolution_2d"}  # and are no square
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


def test_convolutions_over_an_image_go_with_tasks_of_square_images():
    for config in ("pathfinder", "image", "fashion_small"):
        base = find_experiment(config)
        made = with_variant(base, "mixing_convolution_2d").model
        assert made == dataclasses.replace(base.model, mixing="convolution_2d") and made.row_length == 32
        assert with_variant(base, "mixing_convolution_2d+rmt").model == with_variant(base, "rmt").model
    with pytest.raises(UserError, match=r"segment_length \* num_segments = 12 is no square; choose another mixing"):
        with_variant(tiny(), "mixing_convolution_2d")
    with pytest.raises(UserError, match=r"in cells of 2 rows of 32; segment_length = 32 is not a multiple of 64"):
        with_variant(find_experiment("image"), "mixing_convolution_2d+segments_32")


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


# ---------------------------------------------------------------------------------------------- the GRU


@pytest.mark.parametrize("fields", [{}, {"model.width": 48, "model.layers": 3, "model.num_memory_tokens": 16}])
def test_the_gru_learns_as_many_numbers(fields):
    base = find_experiment("recall", fields)
    made = with_variant(base, "gru")
    ours, theirs, wider = (parameters_of(model) for model in (
        base.model, made.model, dataclasses.replace(made.model, width=made.model.width + 1)))
    assert abs(theirs - ours) <= (wider - theirs) / 2 + 1  # no other width is nearer
    assert made.model.layers == base.model.layers and made.model.max_length == base.model.max_length


def test_the_gru_is_torchs_step_by_step_and_padding_is_nothing():
    """Against torch's cell, place by place and layer by layer."""
    torch.manual_seed(3)
    model = build_network(with_variant(tiny(), "gru").model).double().eval()
    tokens, lengths = torch.randint(60, (3, 12)), torch.tensor([12, 7, 1])
    logits = model(tokens, lengths)
    for row, length in enumerate(lengths.tolist()):
        x = model.embedding(tokens[row, :length])
        for layer in range(2):
            cell, h, out = torch.nn.GRUCell(x.shape[1], x.shape[1]).double(), torch.zeros(1, x.shape[1]).double(), []
            cell.load_state_dict({name: getattr(model.gru, f"{name}_l{layer}") for name in cell.state_dict()})
            for place in x:
                out.append(h := cell(place[None], h))
            x = torch.cat(out)
        read = model.norm(torch.cat([x.mean(0), x[-1]])[None])
        torch.testing.assert_close(logits[row], model.head(read)[0], rtol=1e-10, atol=1e-12)  # float64
    per_token = build_network(dataclasses.replace(model.config, output="tokens")).eval()
    out = per_token(tokens, lengths)
    assert out.shape == (3, 12, 10) and not out[1, 7:].any() and out[1, :7].all()
    torch.testing.assert_close(out[1, :7], per_token(tokens[1:2, :7])[0])


def test_the_gru_is_a_language_model_that_sees_the_past_alone():
    made = with_variant(find_experiment("next_byte_small"), "gru").model
    model, tokens = build_network(made).eval(), torch.arange(64).reshape(1, 64)
    other = tokens.clone()
    other[0, 40:] = 7
    one, two = (model(each, torch.tensor([64])) for each in (tokens, other))
    assert made.causal and one.shape == (1, 64, made.num_classes)
    assert torch.equal(one[:, :40], two[:, :40]) and not torch.equal(one[:, 40:], two[:, 40:])


def test_the_gru_takes_two_documents():
    model = build_network(dataclasses.replace(with_variant(tiny(), "gru").model, documents=2)).eval()
    first, second = torch.randint(60, (3, 12)), torch.randint(60, (3, 12))
    logits = model(torch.cat([first, second]), torch.tensor([12, 5, 7, 3, 12, 1]))
    assert logits.shape == (3, 10)
    one = model(torch.stack([first[1], second[1]]), torch.tensor([5, 12]))
    torch.testing.assert_close(one, logits[1:2], rtol=1e-4, atol=1e-6)  # float32, sums in another order
    assert not torch.allclose(model(torch.stack([second[1], first[1]]), torch.tensor([12, 5])), one)


def test_the_gru_is_refused_where_there_is_nothing_to_follow():
    made = with_variant(tiny(), "gru")
    for use in (lambda: trace(made.model, records.load()), lambda: RMAAT(made.model),
                lambda: of_experiment(made, records.load())):
        with pytest.raises(UserError, match=r"network = gru: it takes nothing from biology .* not traced, inspected"):
            use()
    with pytest.raises(UserError, match="network = gru cannot stream"):
        build_network(made.model).stream()
    for name, value in {"heads": 2, "retention": "leaky", "gradient": "bptt", "num_memory_tokens": 2}.items():
        with pytest.raises(UserError, match=f"{name} = {value}: network = gru reads no {name}"):
            dataclasses.replace(made.model, **{name: value})
    with pytest.raises(UserError, match="unknown network 'lstm'"):
        ModelConfig(vocab_size=3, num_classes=2, segment_length=4, num_segments=1, network="lstm")
