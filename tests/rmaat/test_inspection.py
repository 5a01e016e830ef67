"""The numbers of inspect against derivatives found in another way, and against the rules' formulas."""

import dataclasses
import json
import math

import pytest
import torch

from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT
from rmaat.trace.inspection import HEADS, inspect

BIOLOGY = Biology.load()
T, Q = 4, BIOLOGY.q
TINY = ModelConfig(20, 3, 5, T, width=8, heads=2, num_memory_tokens=2, dropout=.1)


def RF(t):
    return Q ** (t - 1) * (1 - Q) / (1 - Q**T)


IDENTITY = {"none": lambda t: 1, "multiply": RF, "accumulate": lambda t: 1, "leaky": lambda t: 1,
            "geometric": lambda t: 1, "reset": lambda t: 0}
KEPT = {"none": lambda t: 0, "multiply": lambda t: 0, "accumulate": lambda t: 1 - T * RF(t), "leaky": lambda t: Q,
        "geometric": lambda t: 1 - Q ** (t - 1), "reset": lambda t: 0}


def prepared(retention, **fields):
    torch.manual_seed(0)
    model = RMAAT(dataclasses.replace(TINY, retention=retention, **fields), BIOLOGY)
    generator = torch.Generator().manual_seed(1)
    return (model, torch.randint(20, (3, 20), generator=generator), torch.tensor([20, 17, 18]),
            torch.tensor([0, 1, 2]))


def inspected(retention):
    model, tokens, lengths, labels = prepared(retention)
    return inspect(model, tokens, lengths, labels=labels)


@pytest.mark.parametrize("retention", RETENTION)
def test_paths_are_those_of_the_rules(retention):
    report = inspected(retention)
    assert [row["segment"] for row in report.rows] == [1, 2, 3, 4]
    for row in report.rows:
        t = row["segment"]
        assert row["distance"] == T - t
        assert row["kept"] == pytest.approx(KEPT[retention](t), rel=1e-12, abs=1e-15)
        assert row["identity"] == pytest.approx(IDENTITY[retention](t), rel=1e-12, abs=1e-15)
        later = math.prod(IDENTITY[retention](s) for s in range(t + 1, T + 1))
        assert row["identity_product"] == pytest.approx(later, rel=1e-12, abs=1e-15)
        scheduled = retention in ("multiply", "accumulate")
        assert row["retention"] == (pytest.approx(RF(t), rel=1e-12) if scheduled else None)
    assert report.retention_product == pytest.approx(math.prod(RF(t) for t in range(1, T + 1)), rel=1e-12)
    assert report.gradient_reaches_first_segment is (retention != "reset")


@pytest.mark.parametrize("readout", ["last", "pooled"])
@pytest.mark.parametrize("retention", RETENTION)
def test_gradient_norms_are_those_of_autograd_through_forward(retention, readout):
    """Here the model's own forward runs, with a zero added to the memory and to the embeddings of each segment."""
    model, tokens, lengths, labels = prepared(retention, gradient="bptt", unread="full", readout=readout)
    report = inspect(model, tokens, lengths, labels=labels)
    model = model.double().eval()
    zeros = [torch.zeros(3, 2, 8, dtype=torch.float64, requires_grad=True) for _ in range(T)]
    shifts = [torch.zeros(3, 5, 8, dtype=torch.float64, requires_grad=True) for _ in range(T)]
    step, calls = model.step, []

    def shifted(segment, memory, prepared):
        out, after = step(segment, memory, prepared)
        return out, after + zeros[segment[2] - 1]

    model.step = shifted
    model.embedding.register_forward_hook(lambda m, given, out: (calls.append(1), out + shifts[len(calls) - 1])[1])
    loss = torch.nn.functional.cross_entropy(model(tokens, lengths), labels)
    found = torch.autograd.grad(loss, zeros + shifts, allow_unused=True)
    norms = [0. if g is None else g.norm().item() for g in found]
    # the same graph in float64; sums in another order at most
    assert [row["gradient_memory"] for row in report.rows] == pytest.approx(norms[:T], rel=1e-10, abs=1e-18)
    assert [row["gradient_input"] for row in report.rows] == pytest.approx(norms[T:], rel=1e-10, abs=1e-18)
    assert report.loss == pytest.approx(loss.item(), rel=1e-12)


def test_the_table_has_every_number_within_a_page():
    report = inspected("multiply")
    told = str(report).splitlines()
    assert told[0] == "retention multiply, T = 4; the gradient reaches the first segment"
    assert told[2].split() == list(HEADS.values()) and len(told) == 3 + T and max(map(len, told)) <= 100
    assert json.loads(json.dumps(report.to_json()))["rows"] == report.rows
    assert "does NOT reach" in repr(inspected("reset")) and "<table>" in report._repr_html_()
