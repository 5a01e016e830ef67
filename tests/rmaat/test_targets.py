"""The table of promises: its arithmetic on known peaks and times, and that it sees what it should see."""

import json
import sys
from dataclasses import replace

import pytest

from foundation.cli import run
from foundation.errors import ResourceError
from rmaat import targets
from rmaat.__main__ import app
from rmaat.backprop import GRADIENT


def known_peak(self, num_segments, gradient="amrb", **fields):
    """BPTT: 1,000 kB a segment. AMRB: 990 kB, 400 replayed by layers, and what its memories take, exactly."""
    memories = self.batch * self.shape.num_memory_tokens * self.shape.width * 4
    if gradient == "bptt":
        return 1_000_000 * num_segments
    return (400_000 if fields.get("replay") == "layer" else 990_000) + memories * num_segments


def table(monkeypatch, capsys, *options):
    monkeypatch.setattr(targets.Bench, "peak", known_peak)
    monkeypatch.setattr(targets.Bench, "ratio", lambda self, ours, theirs: 1.1 if theirs["gradient"] == "bptt" else .8)
    monkeypatch.setattr(targets, "resident_growth", lambda bench: 11.0)
    monkeypatch.setattr(sys, "argv", ["rmaat", "benchmark", "targets", *options])
    try:
        run(app)
    except SystemExit as end:
        assert not end.code
    return capsys.readouterr().out


def test_rows_say_what_is_met_and_what_is_missed(monkeypatch, capsys):
    rows = json.loads(table(monkeypatch, capsys, "--json", "--batch", "2"))
    # bytes: b, a, a not pruned, a by layers, ratio at T = 32, resident; time: not pruned, 2 and 4 layers, three others
    assert [row["met"] for row in rows] == [True, True, True, True, True, False, True, False, True, True, True, True]
    values = [row["measured"] for row in rows]
    assert values[:4] == pytest.approx([1, .99, .99, .4], rel=1e-6)
    assert values[4] == pytest.approx(32e6 / (990e3 + 32 * 2 * 4 * 64 * 4), rel=1e-6)
    assert values[5:8] == [11.0, 1.1, 1.1]
    told = table(monkeypatch, capsys).splitlines()
    assert len(told) == 13 and [line.endswith("MISSED") for line in told[1:]] == [not row["met"] for row in rows]


def test_peak_and_ratio_are_measured():
    bench = targets.Bench(replace(targets.SHAPE, segment_length=16, width=16), batch=2, repeats=1)
    assert 1.5 * bench.peak(1, gradient="bptt") < bench.peak(3, gradient="bptt")
    assert bench.ratio({}, {"gradient": "bptt"}, 2) > 0


def test_resident_memory_shows_what_grows():
    """BPTT keeps all segments: 60 more of them are some 50 MB at this size."""
    bench = targets.Bench(replace(targets.SHAPE, segment_length=64, width=64), batch=4, repeats=1)
    assert targets.resident_growth(bench, gradient="bptt") > 20


def test_nothing_is_measured_after_a_wrong_gradient(monkeypatch):
    def wrong(step, segments, memory, parameters):
        outs, memory = GRADIENT["checkpointed"](step, segments, memory, parameters)
        return outs, memory * 1.001

    targets.check_gradients(targets.SHAPE)
    monkeypatch.setitem(GRADIENT, "bptt", wrong)
    with pytest.raises(ResourceError, match="nothing is measured"):
        targets.check_gradients(targets.SHAPE)
