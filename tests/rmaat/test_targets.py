"""The tables of promises: their arithmetic on known peaks and times, and that they see what they should see."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from foundation.cli import run
from foundation.errors import ResourceError
from rmaat.__main__ import app
from rmaat.benchmark import measure, targets, throughput
from rmaat.benchmark.report import Table, Target, target_table
from rmaat.gradient.backprop import GRADIENT
from rmaat.model.block import Block

SMALL = replace(measure.SHAPE, segment_length=16, width=16)


def known_peak(self, num_segments, gradient="amrb", **fields):
    """BPTT: 1,000 kB a segment. AMRB: 990 kB, 400 replayed by layers, and what its memories take, exactly."""
    memories = self.batch * self.shape.num_memory_tokens * self.shape.width * 4
    if gradient == "bptt":
        return 1_000_000 * num_segments
    return (400_000 if fields.get("replay") == "layer" else 990_000) + memories * num_segments


def known_seconds(self, num_segments, variants):
    """BPTT and checkpointing take 1 s; AMRB 1.1 s, pruned .95 s, pruned with 4 layers 1.3 s."""
    def one(fields):
        ours = 1.1 if fields.get("unread") == "full" else 1.3 if "layers" in fields else .95
        return 1. if "gradient" in fields else ours

    return {name: [one(fields)] * self.repeats for name, fields in variants.items()}


@pytest.fixture
def program(monkeypatch, capsys):
    monkeypatch.setattr(measure.Bench, "peak", known_peak)
    monkeypatch.setattr(measure.Bench, "seconds", known_seconds)
    monkeypatch.setattr(targets, "resident_growth", lambda bench, **fields: 11.0)
    monkeypatch.setattr(targets, "prediction_error", lambda bench, least: .03)

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["rmaat", "benchmark", *map(str, options)])
        try:
            run(app)
        except SystemExit as end:
            assert not end.code
        return capsys.readouterr().out

    return call


def test_memory_says_a_and_b_and_what_is_missed(program):
    found = json.loads(program("memory", "--json", "--batch", 2, "--segments", "2,4"))
    known = [target["measured"] for target in found["targets"]]
    assert known[:4] == pytest.approx([1, .99, .99, .4], rel=1e-6)
    assert known[4] == pytest.approx(32e6 / (990e3 + 32 * 2 * 4 * 64 * 4), rel=1e-6)
    assert [target["met"] for target in found["targets"]] == [True, True, True, True, True, False, True]
    peaks, lines = found["tables"]
    assert [row[0] for row in peaks["rows"]] == [1, 2, 4, 8, 32]  # the targets' own T are always among them
    assert {row[0]: row[1:3] for row in lines["rows"]}["amrb"] == [990_000, 2 * 4 * 64 * 4]
    told = program("memory", "--batch", 2)
    assert "11.000 MB | MISS" in told and told.rstrip().endswith("6 of 7 met, 1 MISSED")


@pytest.mark.slow
def test_speed_compares_in_turns_after_the_gradients(program, monkeypatch, tmp_path):
    looked = []
    monkeypatch.setattr(targets, "check_gradients", lambda *given: looked.append(given))
    page = tmp_path / "page.md"
    told = program("speed", "--repeats", 3, "--num-segments", 4, "--out", page)
    assert len(looked) == 1 and "(by arithmetic 1.250)" in told and "(by arithmetic 1.083)" in told
    # pruned with 4 layers 1.3 > 1.15, pruned over checkpointing .95 > .9, neither pruned 1.1 > 1.02 at three sizes
    assert told.rstrip().endswith("3 of 8 met, 5 MISSED")
    text = page.read_text()
    assert "- command: `python -m rmaat benchmark speed --repeats 3 --num-segments 4" in text
    assert "- commit: " in text and f"- torch: {torch.__version__}" in text
    assert "segments of 512, neither pruned" in text


def test_a_ratio_is_the_median_within_turns(monkeypatch):
    """Neither the fastest of each, 2 / 1, nor the medians, 3 / 2."""
    drifting = {"ours": [3., 2., 6.], "theirs": [1., 4., 2.]}
    monkeypatch.setattr(targets, "check_gradients", lambda *given: None)
    monkeypatch.setattr(targets, "in_turns", lambda runs, repeats, device: drifting)
    monkeypatch.setattr(measure.Bench, "seconds", lambda self, num_segments, variants: drifting)
    table, *promises = targets.speed(measure.Bench(SMALL, batch=1, repeats=3))
    assert all(row[1:4] == [3e3, 2e3, 3.] and row[4] == "0.50 to 3.00" for row in table.rows)
    assert {promise.measured for promise in promises} == {3.}
    assert "3.000 of BPTT's step instead of 1/3: 3.625, with keep_last = 3 2.875" in table.note


def test_all_has_every_table_and_every_target(program, monkeypatch):
    seen = []

    def part(name, *told):
        def run(bench, *args, **kwargs):
            seen.append((name, bench.batch, bench.repeats))
            yield Table(name, ("x",), [[1]])
            yield from told

        return run

    monkeypatch.setattr(targets, "memory", part("memory", Target("bytes", 1., .5)))
    monkeypatch.setattr(targets, "speed", part("speed", Target("time", 1., 1.5)))
    monkeypatch.setattr(throughput, "attention", part("attention"))
    monkeypatch.setattr(throughput, "throughput", part("throughput"))
    found = json.loads(program("all", "--json", "--batch", 5, "--device", "cpu"))
    assert [table["title"] for table in found["tables"]] == ["memory", "speed", "attention", "attention", "throughput"]
    assert [target["met"] for target in found["targets"]] == [True, False]
    assert seen[:2] == [("memory", 5, 25), ("speed", 5, 25)] and set(seen[2:]) == {("attention", 1, 3),
                                                                                  ("throughput", 1, 3)}


def test_a_table_is_aligned_markdown():
    table = Table("T", ("name", "n", "x"), [["a", 1234, 1.], ["bcd", 5, .126]])
    assert table.text().splitlines()[2:] == ["| name |     n |    x |", "|------|------:|-----:|",
                                             "| a    | 1,234 | 1.00 |", "| bcd  |     5 | 0.13 |"]


def test_a_target_is_met_on_its_side_of_the_bound():
    assert Target("", 1., 1.).met and not Target("", 1., 1.01).met
    assert Target("", 25, 25., at_most=False).met and not Target("", 25, 24.9, at_most=False).met
    assert not Target("", 1., float("nan")).met
    assert target_table([Target("", 1., .5)]).note == "1 of 1 met"


@pytest.mark.slow
def test_peak_seconds_and_prediction_are_measured(monkeypatch):
    bench, passes = measure.Bench(SMALL, batch=2, repeats=2), []
    assert 1.5 * bench.peak(1, gradient="bptt") < bench.peak(2, gradient="bptt")
    forward = Block.forward
    monkeypatch.setattr(Block, "forward", lambda *given, **named: (passes.append(1), forward(*given, **named))[1])
    # a block's forward pass is a second of this clock
    monkeypatch.setattr(measure, "clock", lambda device: lambda: float(len(passes)))
    assert bench.seconds(2, {"two": {"gradient": "bptt"}, "six": {"gradient": "bptt", "layers": 6}}) == {
        "two": [4, 4], "six": [12, 12]}
    assert 0 < targets.prediction_error(bench, bench.peak(3), 3) < .2


@pytest.mark.slow
def test_resident_memory_shows_what_grows():
    """BPTT keeps all segments: 60 more of them are some 50 MB at this size."""
    bench = measure.Bench(replace(measure.SHAPE, segment_length=64, width=64), batch=4)
    assert targets.resident_growth(bench, gradient="bptt") > 20


@pytest.mark.slow
def test_nothing_is_measured_after_a_wrong_gradient(monkeypatch):
    def wrong(step, segments, memory, parameters):
        outs, memory = GRADIENT["checkpointed"](step, segments, memory, parameters)
        return outs, memory * 1.001

    targets.check_gradients(measure.SHAPE)
    monkeypatch.setitem(GRADIENT, "bptt", wrong)
    with pytest.raises(ResourceError, match="nothing is measured"):
        targets.check_gradients(measure.SHAPE)
