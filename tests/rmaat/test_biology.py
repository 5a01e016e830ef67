"""The record as torch sees it, what is refused, and the origin of every number of a built model."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from derivation.record import record as records
from foundation.errors import DamagedFileError, UserError
from rmaat.attention import ATTENTION
from rmaat.attention.rel_pos import REL_POS
from rmaat.biology.biology import TORCH, Biology
from rmaat.biology.provenance import Analogy, Engineering, FromRecord, Start, collect, orphans
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT

BIOLOGY = Biology.load()


def changed(name, **fields):
    source = records.load()
    entries = dict(source.entries)
    entries[name] = replace(entries[name], **fields)
    return records.make(entries, source.versions)


def test_torch_and_floats_give_the_same_values():
    entry = BIOLOGY.record.entry("relative_position")
    values = BIOLOGY.relative_position(torch.arange(5, dtype=torch.float64))
    assert values.tolist() == pytest.approx([entry.evaluate(distance=float(d)) for d in range(5)], rel=1e-14)
    assert BIOLOGY.retention(5).tolist() == pytest.approx(
        [BIOLOGY.record.entry("retention").evaluate(t=float(t), T=5.0) for t in range(1, 6)], rel=1e-14)


@pytest.mark.parametrize("name", TORCH)
def test_functions_serve_floats_and_tensors(name):
    assert TORCH[name](2.0) == pytest.approx(getattr(math, name)(2.0))
    assert float(TORCH[name](torch.tensor(2.0, dtype=torch.float64))) == pytest.approx(getattr(math, name)(2.0))


@pytest.mark.parametrize("entry", ["retention", "relative_position", "calcium_response", "feedback"])
def test_a_record_that_lacks_an_entry_is_refused(entry):
    source = records.load()
    rest = {name: item for name, item in source.entries.items() if name != entry}
    with pytest.raises(DamagedFileError, match=f"entry '{entry}' is missing"):
        Biology.of(records.make(rest, source.versions))


def test_a_record_with_other_arguments_is_refused():
    with pytest.raises(DamagedFileError, match="'feedback' has the arguments level; the network gives calcium"):
        Biology.of(changed("feedback", arguments={"level": "x"}, formula="1/level", validity=()))


@pytest.mark.parametrize(("name", "formula"), [("feedback", "1/(calcium-1)"), ("calcium_response", "drive-8"),
                                               ("relative_position", "-distance"), ("feedback", "0")])
def test_a_form_that_is_not_positive_and_finite_is_refused(name, formula):
    with pytest.raises(DamagedFileError, match=f"{name} must be finite and positive"):
        Biology.of(changed(name, formula=formula))


def test_a_constant_form_is_a_tensor_too():
    biology = Biology.of(changed("feedback", formula="0.5"))
    assert biology.feedback(torch.ones(3)).tolist() == [.5] * 3


def test_a_retention_without_its_constant_is_refused():
    with pytest.raises(DamagedFileError, match="no constant q"):
        Biology.of(changed("retention", formula="1/T+0*t", constants={}, parameters=(), validity=()))


@pytest.mark.parametrize("q", [0.0, 1.0, -.5])
def test_a_retention_constant_out_of_range_is_refused(q):
    constants = {"q": replace(records.load().entries["retention"].constants["q"], value=q)}
    with pytest.raises(DamagedFileError, match="must lie between 0 and 1"):
        Biology.of(changed("retention", constants=constants))


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.json"):
        Biology.load(tmp_path / "nowhere.json")


# ------------------------------------------------------------------------------------------------ origins


def model(**fields):
    config = {"vocab_size": 20, "num_classes": 3, "segment_length": 70, "num_segments": 2, "width": 8, "heads": 2}
    return RMAAT(ModelConfig(**(config | fields)), BIOLOGY)


@pytest.mark.parametrize("fields", [*({"rel_pos": name} for name in REL_POS),
                                    *({"attention": name} for name in ATTENTION)], ids=str)
@pytest.mark.parametrize("retention", RETENTION)
def test_no_buffer_is_an_orphan(fields, retention):
    assert orphans(model(retention=retention, **fields)) == []


def test_an_orphan_is_found():
    built = model()
    built.blocks[0].register_buffer("mystery", torch.ones(1))
    assert orphans(built) == ["blocks.0.mystery"]


def test_what_is_collected_is_what_the_model_has():
    built = model(dropout=.25)
    found = {(item.module, item.name): item for item in collect(built)}
    retention = found["retention", "retention"]
    assert retention.value is built.retention.retention
    assert retention.origin == FromRecord("retention", equation="E4.2")
    assert found["blocks.1.dropout", "p"].value == .25
    assert found["blocks.0.attention", "feedback"].value.formula == BIOLOGY.record.entry("feedback").formula
    assert found["blocks.0.before_attention", "eps"].value == nn.LayerNorm(1).eps
    assert all(isinstance(item.origin, (FromRecord, Engineering, Start, Analogy)) for item in found.values())


def test_every_declared_origin_names_something_that_is_there():
    for item in collect(model()):
        match item.origin:
            case FromRecord(entry, constant, _):
                assert item.value is not None
                assert constant is None or constant in BIOLOGY.record.entry(entry).constants
            case Engineering(_, reason):
                assert item.value is not None and len(reason) > 10


@pytest.mark.parametrize(("name", "formula"), [
    ("retention", ".9*q**(t-1)*(1-q)/(1-q**T)"), ("relative_position", "exp(-2*distance)"),
    ("calcium_response", "drive**0.5"), ("feedback", "3/(3+calcium)")])
def test_every_entry_moves_the_output(name, formula):
    outputs = []
    for biology in (BIOLOGY, Biology.of(changed(name, formula=formula))):
        torch.manual_seed(0)
        built = RMAAT(ModelConfig(vocab_size=20, num_classes=3, segment_length=10, num_segments=3, width=8), biology)
        outputs.append(built(torch.arange(20).repeat(2, 1), torch.tensor([20, 20])))
    assert not torch.allclose(*outputs, rtol=1e-4)
