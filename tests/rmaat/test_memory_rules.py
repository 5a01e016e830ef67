"""Retention rules against the formulas as written, the record against its limits, a long product against a loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmaat.biology.biology import Biology
from rmaat.model.memory import RETENTION

BIOLOGY = Biology.load()
T = 8
Q = BIOLOGY.q
# float64 throughout, a handful of operations: some roundings of 1e-16
CLOSE = {"rtol": 1e-13, "atol": 1e-15}


def RF(t, T):
    return Q ** (t - 1) * (1 - Q) / (1 - Q**T)


# mem, mem', t to the next memory, number by number
FORMULAS = {
    "none": lambda mem, new, t: new,
    "multiply": lambda mem, new, t: RF(t, T) * new,
    "accumulate": lambda mem, new, t: mem + T * RF(t, T) * (new - mem),
    "leaky": lambda mem, new, t: Q * mem + (1 - Q) * new,
    "geometric": lambda mem, new, t: mem + Q ** (t - 1) * (new - mem),
    "reset": lambda mem, new, t: new,
}


def test_every_rule_is_tested():
    assert FORMULAS.keys() == RETENTION.keys()


@pytest.mark.parametrize("name", RETENTION)
def test_a_rule_over_all_segments_is_the_loop_over_numbers(name):
    torch.manual_seed(0)
    rule = RETENTION[name](BIOLOGY, T)
    start, proposals = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(T, 2, 3, 4, dtype=torch.float64)
    memory, numbers = start, start.flatten().tolist()
    for t in range(1, T + 1):
        memory = rule(memory, proposals[t - 1], t)
        pairs = zip(numbers, proposals[t - 1].flatten().tolist(), strict=True)
        numbers = [FORMULAS[name](m, new, t) for m, new in pairs]
    torch.testing.assert_close(memory.flatten(), torch.tensor(numbers, dtype=torch.float64), **CLOSE)


@pytest.mark.parametrize("name", RETENTION)
def test_what_a_segment_sees(name):
    memory, initial = torch.randn(2, 3, 4), torch.randn(3, 4)
    seen = RETENTION[name](BIOLOGY, T).enter(memory, initial)
    assert torch.equal(seen, initial.expand(2, 3, 4) if name == "reset" else memory)


@given(num_segments=st.integers(1, 200))
def test_retention_sums_to_the_capacity_and_falls_by_q(num_segments):
    schedule = BIOLOGY.retention(num_segments)
    assert schedule.dtype == torch.float64 and schedule.shape == (num_segments,)
    assert float(schedule.sum()) == pytest.approx(1, rel=1e-12)
    ratios = schedule[1:] / schedule[:-1]
    assert torch.allclose(ratios, torch.full_like(ratios, Q), rtol=1e-12, atol=0)


def test_consecutive_gains_have_the_ratio_q():
    """With one unit written at segment t alone, what is left at the end shows the rule's weights."""
    left = {}
    for name in ("leaky", "geometric", "accumulate"):
        rule = RETENTION[name](BIOLOGY, T)
        memory = torch.zeros(1, 1, 1, dtype=torch.float64)
        one = torch.ones_like(memory)
        left[name] = [float(rule(memory, one, t)) for t in range(1, T + 1)]
    assert left["leaky"] == pytest.approx([1 - Q] * T, rel=1e-12)
    assert left["geometric"] == pytest.approx([Q ** (t - 1) for t in range(1, T + 1)], rel=1e-12)
    assert sum(left["accumulate"]) / T == pytest.approx(1, rel=1e-12)  # the mean gain T RF is 1


def test_multiply_shrinks_as_the_product_of_the_factors():
    rule = RETENTION["multiply"](BIOLOGY, T)
    memory = torch.ones(1, 1, 1, dtype=torch.float64)
    for t in range(1, T + 1):
        memory = rule(memory, memory, t)
    assert float(memory) == pytest.approx(math.prod(RF(t, T) for t in range(1, T + 1)), rel=1e-12)


@pytest.mark.parametrize("name", RETENTION)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_keeps_its_type(name, dtype):
    """The schedule is float64 so that no precision is lost on the way; it must not spread into the network."""
    memory = torch.randn(2, 3, 4, dtype=dtype)
    assert RETENTION[name](BIOLOGY, T)(memory, memory, 1).dtype == dtype
