"""Peak bytes are measured at the allocator, and AMRB's do not grow with the number of segments."""

from dataclasses import replace

import pytest
import torch

from rmaat.benchmark import SHAPE, measure, memory_table, slope

MIB = 2**20
SMALL = replace(SHAPE, segment_length=64, width=32, heads=2, unread="full")  # pruning saves BPTT a third per segment


def test_a_known_allocation_is_measured():
    def run():
        a = torch.empty(3 * MIB, dtype=torch.uint8)
        b = torch.empty(2 * MIB, dtype=torch.uint8)
        del a
        return b, torch.empty(MIB, dtype=torch.uint8)

    assert measure(run) == 5 * MIB


def test_what_was_there_before_does_not_count():
    held = [torch.empty(8 * MIB, dtype=torch.uint8)]
    assert measure(held.clear) == 0
    assert measure(lambda: torch.empty(MIB, dtype=torch.uint8)) == MIB


def test_a_failing_run_is_not_swallowed_and_measuring_goes_on():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)
    assert measure(lambda: torch.empty(MIB, dtype=torch.uint8)) == MIB


@pytest.fixture(scope="module")
def rows():
    return memory_table((1, 2, 8, 16), SMALL, batch=4, repeats=1)


def test_amrb_grows_by_the_memory_tokens_alone(rows):
    """After T = 2 (from where a replay holds the gradients so far) each segment adds B M d numbers of 4 bytes."""
    tokens = 4 * SMALL.num_memory_tokens * SMALL.width * 4
    _, per_segment = slope(rows[1:], "amrb")
    assert per_segment == pytest.approx(tokens, rel=.05)


def test_amrb_needs_one_segment_and_bptt_needs_all(rows):
    peak = {row.num_segments: row.peak_bytes for row in rows}
    # One segment's activations, the sum of gradients during a replay, the memories: BPTT at T = 1 and a little more.
    assert peak[16]["amrb"] < 1.2 * peak[1]["bptt"]
    assert peak[16]["bptt"] > 12 * peak[1]["bptt"]
    # The same activations; per cent more than the generic checkpoint would mean that something is held too long.
    assert peak[2]["amrb"] <= 1.01 * peak[2]["checkpointed"]
    assert peak[16]["amrb"] <= 1.01 * peak[16]["checkpointed"]
