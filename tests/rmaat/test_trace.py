"""The trace: every derived tensor is there, its chain is the record's, its influences are what a change does."""

import dataclasses
import re

import pytest
import torch

from derivation import record as records
from foundation.errors import UserError
from rmaat.biology import Biology
from rmaat.configs import CONFIGS, recall
from rmaat.model import RMAAT
from rmaat.provenance import FromRecord, collect
from rmaat.trace import NUDGE, build, nudged, path_of, text, trace

SHARED = {  # two entries that share a parameter, with values that can be worked out by hand
    "retention": ("q**(t-1)*(1-q)/(1-q**T)", {"t": "segment", "T": "segments"}, {"q": .5}, {"q": .2}),
    "relative_position": ("exp(-scale*distance)", {"distance": "places"}, {"scale": .25}, {"scale": .05}),
    "calcium_response": ("drive**exponent", {"drive": "keys"}, {"exponent": 1.}, {}),
    "feedback": ("1/calcium", {"calcium": "response"}, {}, {}),
}


@pytest.fixture
def record():
    """`tau` = 2 moves q (.5, slope .2) and scale (.25, slope .05); nothing else depends on it."""
    entries = {}
    for name, (formula, arguments, constants, slopes) in SHARED.items():
        uses = (records.ParameterUse("tau", 2., "second", "a time constant", "Mia2026", "assumed", "macro", slopes),)
        entries[name] = records.Entry(
            "a meaning", "E4.2", formula, arguments,
            {key: records.Constant(value, "a constant") for key, value in constants.items()}, "derived", ("Mia2026",),
            uses if slopes else (), {"kappa": "cancels exactly"} if name == "retention" else {}, None)
    return records.make(entries, {})


def test_every_buffer_and_curve_from_the_record_is_traced():
    report = trace(recall().model, records.load())
    model = build(recall().model, records.load())
    wanted = {path_of(item) for item in collect(model) if isinstance(item.origin, FromRecord)}
    assert {tensor["path"] for tensor in report["tensors"]} == wanted
    assert {name for name, _ in model.named_buffers()} <= wanted
    assert {tensor["entry"] for tensor in report["tensors"]} == {"retention", "relative_position", "calcium_response",
                                                                 "feedback"}
    assert report["analogies"] and all(item["reason"] for item in report["engineering"])


def test_the_chain_is_the_records(record):
    (tensor,) = trace(recall().model, record, "retention")["tensors"]
    assert tensor["path"] == "retention.retention" and tensor["file"] == "rmaat/memory.py:Accumulate"
    assert tensor["formula"] == SHARED["retention"][0] and tensor["constants"]["q"]["value"] == .5
    assert tensor["cancels"] == {"kappa": "cancels exactly"}
    (use,) = tensor["parameters"]
    assert (use["name"], use["value"], use["unit"], use["source"], use["basis"]) == ("tau", 2., "second", "Mia2026",
                                                                                    "assumed")
    assert use["sensitivity"] == {"q": .2}
    assert tensor["value"]["values"] == pytest.approx([.5 ** t / (1 - .5 ** 8) for t in range(1, 9)], rel=1e-12)


def test_influence_is_the_change_of_the_tensor_as_built(record):
    """T = 1 has RF = 1 whatever q is; the kernel of places moves by distance * d scale."""
    (single,) = trace(dataclasses.replace(recall().model, num_segments=1), record, "retention")["tensors"]
    assert single["parameters"][0]["influence"] == pytest.approx(0, abs=1e-9)
    (eight,) = trace(recall().model, record, "retention")["tensors"]
    # RF_1 = (1-q)/(1-q^8) is the largest; d RF_1/dq = -1 + (1-q) 8 q^7/(1-q^8)^2 ... by a central difference here
    largest, step = (lambda q: (1 - q) / (1 - q ** 8)), 1e-6
    slope = (largest(.5 + step) - largest(.5 - step)) / (2 * step)
    expected = abs(slope) * .2 * 2 / largest(.5)
    # a finite nudge of 1 % in tau is .4 % in q, and the form is curved: agreement to about that size
    assert eight["parameters"][0]["influence"] == pytest.approx(expected, rel=.02)


def test_a_nudge_moves_what_depends_on_the_parameter_and_nothing_else(record):
    moved = nudged(record, "tau")
    assert moved.entry("retention").constants["q"].value == pytest.approx(.5 + .2 * NUDGE * 2)
    assert moved.entry("relative_position").constants["scale"].value == pytest.approx(.25 + .05 * NUDGE * 2)
    assert moved.entry("calcium_response") == record.entry("calcium_response")
    assert nudged(record, "unheard of").entries == record.entries


def test_tracing_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trace(recall().model, records.load(), "retention")
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_tensor_lists_the_right_ones(record):
    with pytest.raises(UserError, match=r"unknown tensor 'retension'.*retention\.retention"):
        trace(recall().model, record, "retension")


@pytest.mark.parametrize("name", [name for name, make in CONFIGS.items() if make().model.retention == "accumulate"])
def test_the_text_names_value_source_equation_and_file(name):
    entry = records.load().entry("retention")
    told = text(trace(CONFIGS[name]().model, records.load()))
    for part in ("retention.retention", "rmaat/memory.py", "(E4.2)", "engineering", "analogies", "attention.feedback"):
        assert part in told
    assert len(entry.parameters) >= 3  # gamma_l, tau_cycle, tau_pl
    for use in entry.parameters:
        assert re.search(rf"<- +{use.name} +{use.value:g}.*{use.basis} +{use.source} ", told)
    assert told.count(entry.meaning) == 1


def test_layers_with_equal_chains_are_told_once(record):
    told = text(trace(dataclasses.replace(recall().model, layers=3), record))
    assert told.count("blocks.0.attention.feedback   ") == 1 and "also blocks.1.attention.feedback, blocks.2" in told


@pytest.mark.parametrize("retention", ["none", "multiply", "leaky", "geometric", "reset"])
def test_only_what_the_network_uses_is_reported(retention, record):
    config = dataclasses.replace(recall().model, retention=retention)
    entries = {tensor["entry"] for tensor in trace(config, record)["tensors"]}
    assert ("retention" in entries) == (retention not in ("none", "reset"))
    assert isinstance(RMAAT(config, Biology.of(record)), RMAAT)
