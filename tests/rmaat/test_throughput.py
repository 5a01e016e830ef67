"""The instruments of time: runs take turns, tables have what was measured, traffic and bandwidth are counted."""

import time
from dataclasses import replace

import pytest
import torch

from foundation.errors import UserError
from rmaat.benchmark.measure import SHAPE, Bench, clock, copy_bandwidth, in_turns
from rmaat.benchmark.throughput import Traffic, attention, throughput


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_runs_take_turns_after_one_that_does_not_count(monkeypatch):
    order, pauses, now = [], iter([7., 3., 1., 2.]), [0.]
    monkeypatch.setattr("rmaat.benchmark.measure.clock", lambda device: lambda: now[0])

    def slow():
        order.append("slow")
        now[0] += next(pauses)

    found = in_turns({"slow": slow, "quick": lambda: order.append("quick")}, 3)
    assert order == ["slow", "quick", "quick", "slow"] * 2  # every other turn goes backwards
    assert found == {"slow": [3., 1., 2.], "quick": [0., 0., 0.]}


def test_one_thread_is_timed_by_the_processor(one_thread):
    assert clock("cpu") is time.process_time
    torch.set_num_threads(2)
    assert clock("cpu") is time.perf_counter


def test_traffic_counts_what_is_read_and_written_and_no_views():
    a, b = torch.ones(10, 20), torch.ones(20, 30)
    with Traffic() as traffic:
        (a.T.T @ b).relu_()
    assert traffic.nbytes == 4 * (200 + 600 + 300) + 4 * 300
    assert copy_bandwidth(nbytes=2**20, repeats=2) > 0


@pytest.mark.slow
@pytest.mark.parametrize("backward", [False, True])
def test_attention_has_all_variants_beside_sdpa(backward):
    times, rates = attention(Bench(replace(SHAPE, width=8, heads=2), batch=1, repeats=1), [16, 70], backward)
    assert [row[0] for row in times.rows] == [row[0] for row in rates.rows] == [16, 70]
    assert times.columns[1:6] == ("SDPA, ms", "linear, ms", "no R, ms", "positional, ms", "content, ms")
    assert all(cell > 0 for table in (times, rates) for row in table.rows for cell in row)
    assert times.rows[0][6] == pytest.approx(times.rows[0][1] / times.rows[0][2])


@pytest.mark.slow
def test_throughput_counts_tokens(monkeypatch):
    def turns(runs, repeats, device):
        for run in runs.values():
            run()
        return dict(zip(runs, ([.5, .4], [.2], [.1], [.8]), strict=True))

    monkeypatch.setattr("rmaat.benchmark.throughput.in_turns", turns)
    (table,) = throughput(Bench(replace(SHAPE, width=8), batch=2, repeats=1), [4], [3])
    assert table.rows == [[4, 3, 60, 120, 240, 30, .25, 2., .5, 4.]]


@pytest.mark.slow
def test_half_precision_runs_under_autocast():
    bench, seen = Bench(replace(SHAPE, width=8, segment_length=4), 2, precision="bf16"), []
    model = bench.model(2)
    model.blocks[0].feedforward[0].register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    bench.step_of(model)()
    assert set(seen) == {torch.bfloat16} and bench.conditions()["precision"] == "bf16"
    with pytest.raises(UserError, match="unknown precision 'half'; choose one of: bf16, fp16, fp32"):
        Bench(precision="half")
