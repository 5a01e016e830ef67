"""The speed tables: runs take turns, rows and ratios are what was measured."""

import time

import pytest

from rmaat.benchmark import SHAPE
from rmaat.throughput import Times, attention_table, attention_text, fastest, throughput_table, throughput_text


def test_runs_take_turns_and_the_fastest_counts():
    order, pauses = [], iter([.0, .03, .01, .02])

    def slow():
        order.append("slow")
        until = time.process_time() + next(pauses)
        while time.process_time() < until:
            pass

    found = fastest({"slow": slow, "quick": lambda: order.append("quick")}, 3, "cpu")
    assert order == ["slow", "quick"] * 4  # the first turn does not count
    assert .009 < found["slow"] < .02 and found["quick"] < found["slow"]


@pytest.mark.parametrize("backward", [False, True])
def test_attention_table_has_all_variants_beside_sdpa(backward):
    rows = attention_table([16, 70], width=8, heads=2, repeats=1, backward=backward)
    assert [row.size["tokens"] for row in rows] == [16, 70]
    assert list(rows[0].seconds) == ["softmax", "linear", "astromorphic none", "astromorphic positional",
                                     "astromorphic content"]
    assert all(seconds > 0 for row in rows for seconds in row.seconds.values())


def test_throughput_table_counts_tokens():
    import dataclasses

    rows = throughput_table([4], [1, 3], dataclasses.replace(SHAPE, width=8), batch=2, repeats=1)
    assert [row.size["tokens"] for row in rows] == [8, 24]
    assert list(rows[0].seconds) == ["rmaat amrb", "rmaat bptt", "rmt", "rlt"]


def test_ratios_say_how_many_times_faster():
    told = attention_text([Times({"tokens": 8}, {"softmax": .004, "astromorphic none": .002})])
    assert told.splitlines()[-1] == "| 8 | 4.00 | 2.00 | 2.00 |"
    told = throughput_text([Times({"segment_length": 4, "num_segments": 2, "tokens": 80}, {"a": .1, "b": .2})])
    assert told.splitlines()[-1] == "| 4 | 2 | 800 | 400 | 2.00 |"
